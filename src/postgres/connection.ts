/** The one way to reach PostgreSQL. */
import postgres from 'postgres';
import { type Json, parseJson, stringifyJson } from '../core/json.ts';
import { orAborted } from '../core/time.ts';
import { createConnector, type Sockets } from './connector.ts';
import { DEADLINES, withdraw } from './deadline.ts';
import { isQuery, mendQueries, OWN_SETTINGS, ownerOf } from './driver-query.ts';
import { renewablePool } from './renewal.ts';
import { readTarget } from './url.ts';

export { errorCode, isConnectionError, isMissing, isPassing, isRetryable } from './errors.ts';
export { allAnswers, LastFlight, savepoint, type TransactionOptions, transaction } from './transaction.ts';
export { DatabaseUrlError, redactUrl } from './url.ts';

export type Sql = postgres.Sql;
export type Transaction = postgres.TransactionSql;
export type Queryable = Sql | Transaction;

export interface ConnectOptions {
  /** How the connections show in `pg_stat_activity`; begin it with `flowlu-mirror`. */
  readonly applicationName: string;
  /** In place of the database that the URL names. */
  readonly database?: string;
  /** Most connections at a time. Defaults to 10. */
  readonly max?: number;
  /** Keeps the path and the limits of the login, as people have them who read the mirror. Defaults to ours. */
  readonly asLogin?: boolean;
  /** Closes a connection that nobody has used for so long, in seconds. Defaults to never. */
  readonly idleTimeoutSeconds?: number;
  /** Closes every connection after so long, in seconds; 0 never does. Defaults to 30 to 60 minutes. */
  readonly maxLifetimeSeconds?: number;
  /** Called whenever a connection has closed, for whatever reason. */
  readonly onClose?: () => void;
  /** Called when the database forgets prepared statements, as behind a pooler; from then on the pool does without. */
  readonly onPooler?: () => void;
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

/** How long `end` waits for statements under way, unless it is told otherwise. */
const END_MAX_SECONDS = 5;

/**
 * Opens a pool; it connects when it is first used. Nothing it does needs a session of its own, so a
 * transaction pooler may stand in between: limits are set per transaction (see `transaction`), never
 * with the connection. Do not wrap the pool in drizzle's query builder, which changes its types.
 * @throws DatabaseUrlError when the URL is none; its message does not repeat it.
 */
export function connect(url: string, options: ConnectOptions): Sql {
  const target = { ...readTarget(url), ...(options.database !== undefined && { database: options.database }) };
  const { idleTimeoutSeconds, maxLifetimeSeconds, onClose } = options;
  const [{ name: host, port } = { name: 'localhost', port: 5432 }] = target.hosts;
  const settings: postgres.Options<Record<string, postgres.PostgresType>> = {
    // With more than one, the driver would keep errors from its callers; which one is used, our sockets decide.
    host,
    port,
    ssl: false,
    ...(target.user !== undefined && { user: target.user }),
    ...(target.password !== undefined && { password: target.password }),
    ...(target.database !== undefined && { database: target.database }),
    max: options.max ?? 10,
    connect_timeout: 5,
    connection: {
      application_name: options.applicationName,
      // Times are read in this form, whatever a role or the database prefers.
      DateStyle: 'ISO',
      ...(options.asLogin !== true && OWN_SETTINGS),
      ...(target.options !== undefined && { options: target.options }),
    },
    // Hosts that have failed are left alone by our sockets; the driver would pause for up to 20 s, on each connection.
    backoff: false,
    onnotice: () => {},
    // With every connection the driver would ask for the types of arrays, and should the connection break right then,
    // nobody would handle its error: the process would end (github.com/porsager/postgres/issues/1192).
    fetch_types: false,
    types,
    ...(idleTimeoutSeconds !== undefined && { idle_timeout: idleTimeoutSeconds }),
    ...(maxLifetimeSeconds !== undefined && { max_lifetime: maxLifetimeSeconds }),
    ...(onClose !== undefined && { onclose: () => onClose() }),
  };
  const socketsFor = createConnector(target);
  const pool = renewablePool((onLost, lacksStatements) => {
    const sockets = socketsFor(onLost);
    const prepare = target.prepares && !lacksStatements;
    return openPool(sockets, { ...settings, prepare, socket: sockets.open });
  }, options.onPooler);
  addresses.set(pool, url);
  return pool;
}

const addresses = new WeakMap<Sql, string>();

/**
 * Opens a connection to a database of the same server that every login may open, to ask about the pool's own where that
 * lets nobody in. End it at once: nobody can copy a database that is in use.
 * @throws TypeError for a pool that is none of ours
 */
export function elsewhere(sql: Sql): Sql {
  const url = addresses.get(sql);
  if (url === undefined) throw new TypeError('not a pool of ours');
  const database = sql.options.database === 'postgres' ? 'template1' : 'postgres';
  return connect(url, { applicationName: 'flowlu-mirror looking', database, max: 1 });
}

function openPool(sockets: Sockets, settings: object): Sql {
  const sql = postgres(settings) as unknown as Sql;
  mendQueries(sql);
  const { end } = sql;
  return Object.assign(sql, {
    async end(limit?: { timeout?: number }) {
      // Without a limit, the driver waits for ever for a connection that broke in the middle of a statement
      // (github.com/porsager/postgres/issues/1097).
      await end({ timeout: END_MAX_SECONDS, ...limit });
      // It takes leave of the server politely, and some will not hear it.
      sockets.end();
    },
  });
}

/**
 * Awaits one statement outside a transaction, but no longer than `timeoutMs`; then, or when the signal
 * fires, it is cancelled on the server and the promise rejects with the signal's reason. Where the server does not answer
 * to that either, the connection is given up.
 */
export async function within<T extends readonly postgres.MaybeRow[]>(
  query: postgres.PendingQuery<T>,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<postgres.RowList<T>> {
  const limit = AbortSignal.timeout(timeoutMs);
  const stop = signal === undefined ? limit : AbortSignal.any([limit, signal]);
  if (isQuery(query)) query.options.limitMs = timeoutMs + DEADLINES.answerGraceMs;
  stop.throwIfAborted(); // The statement is sent only when it is awaited.
  try {
    return await orAborted(query, stop);
  } catch (error) {
    if (stop.aborted) {
      const answered = withdraw(query, () => ownerOf(query)?.giveUp());
      query.then(answered, answered);
    }
    throw error;
  }
}
