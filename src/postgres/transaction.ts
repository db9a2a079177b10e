/** Transactions: bounded, and committed only when the server has said so. */
import { setTimeout as sleep } from 'node:timers/promises';
import type postgres from 'postgres';
import { askToStop, DEADLINES, noAnswer, startDeadline } from './deadline.ts';
import { type DriverQuery, isQuery, OWN_PATH, type Owner, owned } from './driver-query.ts';
import { errorCode, isConnectionError, readOnlyServer } from './errors.ts';
import { poolOf } from './renewal.ts';
import { SQLSTATE } from './sqlstates.ts';

type Sql = postgres.Sql;
type Transaction = postgres.TransactionSql;

export interface TransactionOptions {
  /** Longest time for one statement. Defaults to 30 s. */
  readonly statementTimeoutMs?: number;
  /** Longest wait for one lock. Defaults to 10 s. */
  readonly lockTimeoutMs?: number;
  readonly readOnly?: boolean;
  /** For statements that reach their rows by key, and are to have plans that hold for tables of any size. */
  readonly byKey?: boolean;
  /**
   * For work that writes nothing before it has an answer: it begins while the begin is still on its way, which saves a
   * round trip.
   */
  readonly readsFirst?: boolean;
}

/**
 * One plan for each prepared statement, and none that reads all of a table: a plan made while the table is empty would,
 * since that is the cheapest then, and a connection keeps its plans until the table is next analysed.
 */
const BY_KEY = [
  'plan_cache_mode = force_generic_plan',
  'enable_seqscan = off',
  'enable_hashjoin = off',
  'enable_mergejoin = off',
];

/** How long a transaction may be open with nothing to do. */
const IDLE_MAX_MS = 60_000;
/** How long the driver may take to notice that a connection is lost; longer, and it was another one. */
const LOSS_NOTICED_MAX_MS = 2_000;

/**
 * The answers of statements that were sent together. When one fails, those behind it fail as well: rejects with what
 * went wrong first, once all have ended.
 */
export async function allAnswers<const T extends readonly unknown[]>(
  statements: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const ended = await Promise.allSettled(statements);
  const failures = ended.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  if (failures.length > 0)
    throw failures.find((error) => errorCode(error) !== SQLSTATE.inFailedTransaction) ?? failures[0];
  return ended.map((one) => (one as PromiseFulfilledResult<unknown>).value) as {
    -readonly [K in keyof T]: Awaited<T[K]>;
  };
}

/**
 * The answers of a transaction's last statements, for which its work does not wait: the commit travels right behind
 * them, which saves a round trip. The server rolls back when one of them fails, and then the transaction rejects.
 */
export class LastFlight<T> {
  constructor(readonly answers: Promise<T>) {
    // They are awaited after the commit; until then a failure must not count as unhandled.
    answers.catch(() => {});
  }
}

/** The server has answered a commit by rolling back: nothing of the transaction has happened. */
class RolledBackError extends Error {
  override readonly name = 'RolledBackError';
  readonly code = SQLSTATE.transactionRollback;
}

/**
 * Runs `work` in a transaction whose statements and lock waits are bounded; both limits end with it.
 * The limits travel with the begin. Resolves only when the server has answered the commit with a commit.
 */
export function transaction<T>(
  sql: Sql,
  options: TransactionOptions,
  work: (tx: Transaction) => Promise<T | LastFlight<T>>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const { statementTimeoutMs = 30_000 } = options;
    const answerMs = statementTimeoutMs + DEADLINES.answerGraceMs;
    const pool = poolOf(sql);
    const fail = (error: unknown) => {
      if (errorCode(error) !== SQLSTATE.readOnlyTransaction) return reject(error);
      const { host, port } = sql.options;
      const is = new Map(Object.entries(sql.parameters).map(([name, value]) => [name, String(value)]));
      // Another server may write by now, behind the same name, too.
      pool.leave();
      reject(Object.assign(readOnlyServer(is, `${host[0]}:${port[0]}`), { cause: error }));
    };
    const statement = `begin${options.readOnly === true ? ' read only' : ''}; ${limitsOf(statementTimeoutMs, options)}`;
    const lost = pool
      .begin({ statement, limitMs: answerMs, isAhead: options.readsFirst === true }, (tx, giveUp, answered) => {
        const watched = watch(tx, answerMs, { isTransaction: true, onForgotten: pool.forgoStatements, giveUp });
        // Its answer comes first: where no transaction has begun, nothing is sent that relies on one.
        answered.catch((error: unknown) => {
          watched.close(error);
          fail(error);
        });
        void lost.then(watched.close);
        run(watched, work, lost).then(resolve, fail);
        // The driver would commit by itself and take any answer for a commit (github.com/porsager/postgres/issues/1217).
        // As it is, it takes the connection back when the server says that no transaction is open.
        return new Promise<never>(() => {});
      })
      .catch((error: unknown) => {
        fail(error);
        return error;
      });
  });
}

function limitsOf(statementTimeoutMs: number, { lockTimeoutMs = 10_000, byKey = false }: TransactionOptions): string {
  const settings = [
    `search_path = ${OWN_PATH}`,
    `statement_timeout = ${Math.trunc(statementTimeoutMs)}`,
    `lock_timeout = ${Math.trunc(lockTimeoutMs)}`,
    // Where this process is gone and the server does not learn of it, the locks must not stay.
    `idle_in_transaction_session_timeout = ${Math.max(IDLE_MAX_MS, Math.trunc(statementTimeoutMs))}`,
    // Where somebody has switched it off, a null in an array is a text.
    'array_nulls = on',
    ...(byKey ? BY_KEY : []),
  ];
  return settings.map((setting) => `set local ${setting}`).join('; ');
}

/** @param lost resolves when the connection has closed before the transaction ended */
async function run<T>(
  watched: Watched,
  work: (tx: Transaction) => Promise<T | LastFlight<T>>,
  lost: Promise<unknown>,
): Promise<T> {
  let outcome: T | LastFlight<T>;
  try {
    outcome = await work(watched.tx);
  } catch (error) {
    // The driver closes a connection that is lost in a moment; an error like that may also be another connection's.
    if (watched.state() === 'lost') await Promise.race([lost, sleep(LOSS_NOTICED_MAX_MS, undefined, { ref: false })]);
    if (watched.state() !== 'closed') await Promise.race([lost, watched.end('rollback').catch(watched.giveUp)]);
    throw error;
  }
  const answers = outcome instanceof LastFlight ? outcome.answers : outcome;
  const [answered, committed] = await Promise.allSettled([answers, watched.end('commit')]);
  // Where no end was accepted, the server may still hold the transaction open, and with it the connection.
  if (committed.status === 'rejected') watched.giveUp();
  if (answered.status === 'rejected') throw answered.reason;
  if (committed.status === 'rejected') throw committed.reason;
  if (committed.value.command === 'COMMIT') return answered.value;
  throw watched.failure() ?? new RolledBackError('the server has rolled back instead of committing');
}

type Watched = ReturnType<typeof watch>;

/**
 * Watches over the statements of a transaction: where none of those under way is answered for so long, its connection is
 * given up; and none is sent after its end, where it would run outside of it or inside another one.
 */
function watch(tx: Transaction, answerMs: number, owner: Owner) {
  const underWay = new Set<DriverQuery>();
  let stopWaiting = () => {};
  let refusal: unknown = null;
  let failure: unknown = null;
  /** `lost` when a statement has failed in a way that breaks the connection; `closed` when it is not to be used any more. */
  let state: 'open' | 'lost' | 'closed' = 'open';

  /**
   * Notes that the connection has closed. A statement sent to it would end the process
   * (github.com/porsager/postgres/issues/1133).
   */
  function close(reason: unknown): void {
    state = 'closed';
    refusal ??= reason;
  }

  function wait(): void {
    stopWaiting();
    if (underWay.size === 0) return;
    stopWaiting = startDeadline(answerMs, () => {
      const error = noAnswer(answerMs);
      close(error);
      // The server may still wait for a standby or a lock with it, on a connection that counts.
      const [first] = underWay;
      if (first !== undefined) askToStop(first);
      for (const query of underWay) query.reject(error);
      owner.giveUp();
    });
  }

  function watched<T>(made: T, beforeSending = () => {}): T {
    if (!isQuery(made)) return made;
    const send = made.handler;
    made.handler = (query) => {
      if (refusal !== null) return query.reject(refusal);
      beforeSending();
      underWay.add(query);
      if (underWay.size === 1) wait();
      send(query);
    };
    const ended = () => {
      if (underWay.delete(made)) wait();
    };
    const failed = (error: unknown) => {
      ended();
      failure ??= error;
      if (!isLost(error)) return;
      if (state === 'open') state = 'lost';
      refusal ??= error;
    };
    // The query's own `then` would send it.
    Promise.prototype.then.call(made, ended, failed);
    return owned(made, owner);
  }

  return {
    /** Statements that it is given after its end are not sent. */
    tx: new Proxy(tx, {
      apply: (target, _this, args) => watched(Reflect.apply(target, undefined, args)),
      get: (target, property) =>
        property === 'unsafe'
          ? (...args: Parameters<Transaction['unsafe']>) => watched(target.unsafe(...args))
          : Reflect.get(target, property),
    }),
    state: () => state,
    failure: () => failure,
    close,
    giveUp: owner.giveUp,
    /** Sends the last statement, behind everything that was sent before. */
    async end(statement: 'commit' | 'rollback') {
      if (state !== 'closed') refusal = null;
      return await watched(tx.unsafe(statement), () => {
        refusal = new Error('the transaction is over');
      });
    },
  };
}

/** Runs `work` as a part of the transaction that can fail by itself. */
export async function savepoint<T>(tx: Transaction, work: (inner: Transaction) => Promise<T>): Promise<T> {
  await tx.unsafe('savepoint part');
  let result: T;
  try {
    result = await work(tx);
  } catch (error) {
    await tx.unsafe('rollback to savepoint part; release savepoint part');
    throw error;
  }
  await tx.unsafe('release savepoint part');
  return result;
}

/** True for what breaks the connection, not only the statement. */
function isLost(error: unknown): boolean {
  const stays: readonly unknown[] = [SQLSTATE.tooManyConnections, SQLSTATE.readOnlyTransaction];
  return isConnectionError(error) && !stays.includes(errorCode(error));
}
