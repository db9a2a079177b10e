/**
 * A pool that replaces itself when it has lost a connection.
 *
 * A connection of the driver that breaks in an unlucky moment keeps a half-written message, and with it fails again and
 * again after it has been reopened (github.com/porsager/postgres/issues/1133 and 1154). So what is asked from then on
 * goes to a new pool; the old one answers what is under way, or rejects it when its time is over.
 */
import type postgres from 'postgres';
import { onceIn } from '../core/time.ts';
import { DEADLINES, limit } from './deadline.ts';
import { type DriverQuery, isQuery, openWithoutSettings, owned } from './driver-query.ts';

type Sql = postgres.Sql;

/** Longest time for a statement outside a transaction that has no limit of its own; see `within`. */
const STATEMENT_MAX_MS = 30_000;

/** Least time between two times that a server that takes no writes is left. */
const LEFT_EVERY_MS = 1_000;

interface Pool {
  /** As the pool's own `begin`, in other words; `answered` is the answer to that, which may yet be a refusal. */
  begin(
    opening: Opening,
    work: (tx: postgres.TransactionSql, giveUp: () => void, answered: Promise<unknown>) => Promise<never>,
  ): Promise<unknown>;
  forgoStatements(): void;
  /** Leaves the server, since it does not take writes; after a pause when it has just done so. */
  leave(): void;
}

interface Opening {
  /** What is sent: the begin, and settings that end with it. */
  readonly statement: string;
  readonly limitMs: number;
  /** Whether the work goes on as soon as that is sent. Until it is answered the work must not write. */
  readonly isAhead: boolean;
}

/** The driver's connection, which is in one of its queues (postgres 3.4.9, src/index.js, `move`). */
interface Connection {
  queue: Record<'push' | 'remove', (one: Connection) => unknown>;
}

const pools = new WeakMap<Sql, Pool>();

export function poolOf(sql: Sql): Pool {
  const pool = pools.get(sql);
  if (pool === undefined) throw new TypeError('not a pool of ours');
  return pool;
}

/**
 * Makes the pool again with `open` whenever the `onLost` that was handed to it is called.
 * @param onPooler called when the server turns out to forget prepared statements
 */
export function renewablePool(
  open: (onLost: () => void, lacksStatements: boolean) => Sql,
  onPooler: (() => void) | undefined,
): Sql {
  const leaving = new Set<Promise<unknown>>();
  let ended = false;
  let lacksStatements = false;
  /** The transaction that begins with the next statement; keeps that statement. */
  let opening: (Opening & { query: DriverQuery | null }) | null = null;
  let current = make();

  function make() {
    const giveUp = () => {
      if (ended || sql !== current.sql) return;
      current = make();
      const end = sql.end({ timeout: DEADLINES.replacedPoolSeconds }).finally(() => leaving.delete(end));
      leaving.add(end);
    };
    const sql = open(giveUp, lacksStatements);
    const owner = { isTransaction: false, onForgotten: forgoStatements, giveUp };
    const own = <T>(made: T): T => {
      if (!isQuery(made)) return made;
      openWithoutSettings(made, sql);
      limit(made, opening?.limitMs ?? STATEMENT_MAX_MS, giveUp);
      return owned(made, owner);
    };
    const { unsafe } = sql;
    // The pool's `begin` sends its statement by this, too.
    sql.unsafe = ((text: string, ...args: [never[], object]) => {
      const made = own(unsafe(opening?.statement ?? text, ...args));
      if (opening === null || !isQuery(made)) return made;
      // The server may have begun, and refused a setting: then the connection is still in the transaction.
      Promise.prototype.then.call(made, undefined, () => made.state !== null && giveUp());
      opening.query = made;
      return opening.isAhead ? { execute: () => sentAhead(made) } : made;
    }) as Sql['unsafe'];
    return { sql, own, giveUp };
  }

  async function end(options?: { timeout?: number }): Promise<void> {
    ended = true;
    await Promise.all([current.sql.end(options), ...leaving]);
  }

  function forgoStatements(): void {
    if (lacksStatements) return;
    lacksStatements = true;
    // The driver looks at this with each statement; its type says that it does not change.
    (current.sql.options as { prepare: boolean }).prepare = false;
    onPooler?.();
  }

  const proxy: Sql = new Proxy(current.sql, {
    apply: (_target, _this, args) => current.own(Reflect.apply(current.sql, undefined, args)),
    get: (_target, property) => (property === 'end' ? end : Reflect.get(current.sql, property)),
  });
  const mayLeave = onceIn(LEFT_EVERY_MS);
  pools.set(proxy, {
    forgoStatements,
    leave() {
      if (mayLeave()) current.giveUp();
    },
    begin(next, work) {
      const { sql, giveUp } = current;
      const own = { ...next, query: null as DriverQuery | null };
      opening = own;
      try {
        // It makes its first statement at once.
        return sql.begin((tx) => work(tx, giveUp, own.query as DriverQuery));
      } finally {
        opening = null;
      }
    },
  });
  return proxy;
}

/**
 * Resolves when the statement that begins a transaction is sent, and those behind it may follow: the driver waits for
 * the answer, a round trip by itself.
 */
function sentAhead(query: DriverQuery): Promise<void> {
  const { onexecute } = query.options as { onexecute: (connection: Connection) => void };
  return new Promise((resolve, reject) => {
    query.options.onexecute = (connection: Connection) => {
      onexecute(connection);
      const { queue: reserved } = connection;
      queueMicrotask(() => {
        // The driver has moved it on, to those that take nothing more until they have answered.
        connection.queue.remove(connection);
        connection.queue = reserved;
        reserved.push(connection);
        resolve();
      });
    };
    query.then(() => resolve(), reject);
  });
}
