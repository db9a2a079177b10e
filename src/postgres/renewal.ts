/**
 * A pool that replaces itself when it has lost a connection.
 *
 * A connection of the driver that breaks in an unlucky moment keeps a half-written message, and with it fails again and
 * again after it has been reopened (github.com/porsager/postgres/issues/1133 and 1154). So what is asked from then on
 * goes to a new pool; the old one answers what is under way, or rejects it when its time is over.
 */
import type postgres from 'postgres';
import { DEADLINES, limit } from './deadline.ts';
import { isQuery, owned } from './repeats.ts';
import { openWithoutPath } from './search-path.ts';

type Sql = postgres.Sql;

/** Longest time for a statement outside a transaction that has no limit of its own; see `within`. */
const STATEMENT_MAX_MS = 30_000;

/** Least time between two times that a server that takes no writes is left. */
const LEFT_EVERY_MS = 1_000;

/** What can be asked of a pool besides statements. */
interface Pool {
  /**
   * As the pool's own `begin`, with a limit for the answer.
   * @param work told how to give up the pool that its connection belongs to
   */
  begin(
    mode: string,
    limitMs: number,
    work: (tx: postgres.TransactionSql, giveUp: () => void) => Promise<never>,
  ): Promise<unknown>;
  /** Goes on without prepared statements, since the server does not keep them. */
  forgoStatements(): void;
  /** Leaves the server, since it does not take writes; after a pause when it has just done so. */
  leave(): void;
}

const pools = new WeakMap<Sql, Pool>();

/** What belongs to a pool that `renewablePool` has made. */
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
  let limitMs = STATEMENT_MAX_MS;
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
      openWithoutPath(made, sql);
      limit(made, limitMs, giveUp);
      return owned(made, owner);
    };
    const { unsafe } = sql;
    // The pool's `begin` sends its statement by this, too.
    sql.unsafe = ((...args: Parameters<Sql['unsafe']>) => own(unsafe(...args))) as Sql['unsafe'];
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
  let leftAtMs = Number.NEGATIVE_INFINITY;
  pools.set(proxy, {
    forgoStatements,
    leave() {
      if (performance.now() - leftAtMs < LEFT_EVERY_MS) return;
      leftAtMs = performance.now();
      current.giveUp();
    },
    begin(mode, withinMs, work) {
      const { sql, giveUp } = current;
      limitMs = withinMs;
      try {
        // It makes its first statement at once.
        return sql.begin(mode, (tx) => work(tx, giveUp));
      } finally {
        limitMs = STATEMENT_MAX_MS;
      }
    },
  });
  return proxy;
}
