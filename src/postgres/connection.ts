/** The one way to reach PostgreSQL. */

import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { type Json, parseJson, stringifyJson } from '../core/json.ts';
import { errorCode, isConnectionError } from './errors.ts';
import { renewablePool } from './renewal.ts';
import { openSocket, type SocketAddress } from './socket.ts';
import { SQLSTATE } from './sqlstates.ts';
import { DatabaseUrlError, driverUrl, hasSeveralHosts } from './url.ts';

export { errorCode, isConnectionError, isMissing, isPassing, isRetryable } from './errors.ts';
export { DatabaseUrlError, redactUrl } from './url.ts';

/** A pool of connections. */
export type Sql = postgres.Sql;
/** A connection inside a transaction. */
export type Transaction = postgres.TransactionSql;
/** What both can do: run statements. */
export type Queryable = Sql | Transaction;

export interface ConnectOptions {
  /** How the connections show in `pg_stat_activity`; begin it with `flowlu-mirror`. */
  readonly applicationName: string;
  /** Most connections at a time. Defaults to 10. */
  readonly max?: number;
  /** How long a connection may take to open, in seconds. Defaults to 10. */
  readonly connectTimeoutSeconds?: number;
  /** Closes a connection that nobody has used for so long, in seconds. Defaults to never. */
  readonly idleTimeoutSeconds?: number;
  /** Closes every connection after so long, in seconds; 0 never does. Defaults to 30 to 60 minutes. */
  readonly maxLifetimeSeconds?: number;
  /** Called whenever a connection has closed, for whatever reason. */
  readonly onClose?: () => void;
}

/**
 * How values come and go where the driver's habits would lose something:
 * - `json`, `jsonb`: exact numbers survive (see json.ts); a string parameter is JSON text and passes as it stands.
 * - `date`: `YYYY-MM-DD` text both ways, since a `Date` would drag a time zone in.
 * - `timestamp`, `timestamptz`: read as `Date`; a string parameter passes as it stands and keeps its microseconds.
 * - `text[]`: the one kind of array that is read; the driver would ask the server for the others (see `connect`). As a
 *   parameter, every kind of array is a literal that passes as it stands (see arrays.ts).
 * - `int8`, `numeric` stay strings, as the driver has them.
 */
const types = {
  json: {
    to: 114,
    from: [114, 3802],
    serialize: (value: unknown) => (typeof value === 'string' ? value : stringifyJson(value as Json)),
    parse: (text: string) => parseJson(text),
  },
  day: { to: 1082, from: [1082], serialize: String, parse: (text: string) => text },
  date: {
    to: 1184,
    from: [1114, 1184],
    serialize: (value: unknown) => (value instanceof Date ? value.toISOString() : String(value)),
    parse: (text: string) => new Date(text),
  },
  texts: { to: 1009, from: [1009], serialize: formatTexts, parse: parseTexts },
};

function formatTexts(values: readonly string[] | string): string {
  if (typeof values === 'string') return values;
  return `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}

/** Reads an array of one dimension and without nulls. */
function parseTexts(text: string): string[] {
  const items = text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^,]+)/gs);
  return [...items].map(([, quoted, bare]) => quoted?.replace(/\\(.)/gs, '$1') ?? bare ?? '');
}

/** Longest pause of a connection between two attempts to reach the database. */
const RECONNECT_MAX_SECONDS = 1;
/** How long the driver may take to notice that a connection is lost; longer, and it was another one. */
const LOSS_NOTICED_MAX_MS = 2_000;
/** How long `end` waits for statements under way, unless it is told otherwise. */
const END_MAX_SECONDS = 5;

/**
 * Opens a pool; it connects when it is first used. Nothing it does needs a session of its own, so a
 * transaction pooler may stand in between: limits are set per transaction (see `transaction`), never
 * with the connection. Do not wrap the pool in drizzle's query builder, which changes its types.
 * @throws DatabaseUrlError when the URL is none; its message does not repeat it.
 */
export function connect(url: string, options: ConnectOptions): Sql {
  const target = driverUrl(url);
  const settings: postgres.Options<Record<string, postgres.PostgresType>> = {
    max: options.max ?? 10,
    connect_timeout: options.connectTimeoutSeconds ?? 10,
    connection: { application_name: options.applicationName },
    // The driver would pause for up to 20 s between attempts to connect, and so be away long after the database is back.
    backoff: (attempt: number) => (0.5 + Math.random() / 2) * Math.min(0.05 * 2 ** attempt, RECONNECT_MAX_SECONDS),
    onnotice: () => {},
    // With every connection the driver would ask for the types of arrays, and should the connection break right then,
    // nobody would handle its error: the process would end.
    fetch_types: false,
    types,
  };
  if (options.idleTimeoutSeconds !== undefined) settings.idle_timeout = options.idleTimeoutSeconds;
  if (options.maxLifetimeSeconds !== undefined) settings.max_lifetime = options.maxLifetimeSeconds;
  const { onClose } = options;
  if (onClose !== undefined) settings.onclose = () => onClose();
  // Between several hosts the driver chooses by itself, which it cannot with sockets of ours.
  return hasSeveralHosts(target)
    ? openPool(target, settings)
    : renewablePool((onLost) =>
        openPool(target, { ...settings, socket: (address: SocketAddress) => openSocket(address, onLost) }),
      );
}

function openPool(target: string, settings: object): Sql {
  try {
    const sql = postgres(target, settings) as unknown as Sql;
    const { end } = sql;
    // Without a limit, the driver waits for ever for a connection that broke in the middle of a statement.
    return Object.assign(sql, { end: (limit?: { timeout?: number }) => end({ timeout: END_MAX_SECONDS, ...limit }) });
  } catch {
    // The driver's own error may hold the whole URL; it is not passed on.
    throw new DatabaseUrlError('the connection string cannot be used: check its host, port and parameters');
  }
}

export interface TransactionOptions {
  /** Longest time for one statement. Defaults to 30 s. */
  readonly statementTimeoutMs?: number;
  /** Longest wait for one lock. Defaults to 10 s. */
  readonly lockTimeoutMs?: number;
  /** Refuses writes. Defaults to false. */
  readonly readOnly?: boolean;
  /** For statements that reach their rows by key, and are to have plans that hold for tables of any size. */
  readonly byKey?: boolean;
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

/**
 * Runs `work` in a transaction whose statements and lock waits are bounded; both limits end with it.
 * Costs no round trip of its own: the limits travel with the first statement.
 */
export async function transaction<T>(
  sql: Sql,
  options: TransactionOptions,
  work: (tx: Transaction) => Promise<T | LastFlight<T>>,
): Promise<T> {
  const { statementTimeoutMs = 30_000, lockTimeoutMs = 10_000, readOnly = false, byKey = false } = options;
  const settings = [
    `statement_timeout = ${Math.trunc(statementTimeoutMs)}`,
    `lock_timeout = ${Math.trunc(lockTimeoutMs)}`,
    ...(byKey ? BY_KEY : []),
  ];
  let over = false;
  const begun = sql.begin(readOnly ? 'read only' : 'read write', async (tx) => {
    const limits = tx
      .unsafe(settings.map((setting) => `set local ${setting}`).join('; '))
      // A statement is sent when it is awaited; this one must be ahead of the first of `work`.
      .execute();
    try {
      const [outcome] = await Promise.all([work(tx), limits]);
      return { outcome };
    } catch (error) {
      if (isLost(error)) await sleep(LOSS_NOTICED_MAX_MS, undefined, { ref: false });
      // When the connection is lost, the driver rejects the transaction by itself. Told the error as well, it would
      // send a rollback where no connection is, and end the process over it.
      if (over) return new Promise<never>(() => {});
      throw error;
    }
  });
  const { outcome } = await begun.finally(() => {
    over = true;
  });
  return outcome instanceof LastFlight ? await outcome.answers : outcome;
}

/** Runs `work` as a part of the transaction that can fail by itself. */
export async function savepoint<T>(tx: Transaction, work: (inner: Transaction) => Promise<T>): Promise<T> {
  const result = await tx.savepoint(async (inner) => {
    try {
      return { outcome: await work(inner) };
    } catch (error) {
      // As in `transaction`, which ends when the connection is lost, and this with it.
      if (isLost(error)) return new Promise<never>(() => {});
      throw error;
    }
  });
  return result.outcome;
}

/** True for what breaks the connection, not only the statement. */
function isLost(error: unknown): boolean {
  return isConnectionError(error) && errorCode(error) !== SQLSTATE.tooManyConnections;
}

/**
 * Awaits one statement outside a transaction, but no longer than `timeoutMs`; then, or when the signal
 * fires, it is cancelled on the server and the promise rejects with the signal's reason.
 */
export async function within<T extends readonly postgres.MaybeRow[]>(
  query: postgres.PendingQuery<T>,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<postgres.RowList<T>> {
  const limit = AbortSignal.timeout(timeoutMs);
  const stop = signal === undefined ? limit : AbortSignal.any([limit, signal]);
  stop.throwIfAborted(); // The statement is sent only when it is awaited.
  let onAbort = () => {};
  const stopped = new Promise<never>((_, reject) => {
    onAbort = () => {
      cancel(query);
      reject(stop.reason);
    };
    stop.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([query, stopped]);
  } finally {
    stop.removeEventListener('abort', onAbort);
  }
}

/** As `query.cancel()`, which however lets a failure to reach the server go unhandled, and so end the process. */
function cancel(query: object): void {
  const { canceller } = query as { canceller?: (query: object) => Promise<unknown> };
  canceller?.(query)?.catch(() => {});
}
