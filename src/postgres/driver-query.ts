/**
 * The driver's queries (postgres 3.4.9), and three things about how it sends them, mended for all of its pools:
 *
 * - When the server no longer knows a prepared statement, the driver sends it again by itself, behind whatever travels on
 *   the connection already: behind the commit of its transaction, or into the transaction of another caller
 *   (github.com/porsager/postgres/issues/547 and pull/1212). Here a statement of a transaction fails instead, and one that
 *   stands alone goes through the pool again, once, and not prepared: another connection may know it as badly.
 * - It first asks the server which types the parameters have, and waits: one round trip more for each statement that a
 *   connection does not know yet, and for each at all without prepared statements. With the database some milliseconds
 *   away, ten connections and a hundred tables, that is what the first minutes are spent on. Values that are written
 *   alike for every type need not wait.
 * - A pooler may refuse to open a connection with settings.
 */
import type postgres from 'postgres';
import { errorCode } from './errors.ts';
import { SQLSTATE } from './sqlstates.ts';

/** What the driver's queries are made of, as far as it concerns us (src/query.js; src/connection.js, `build`). */
export interface DriverQuery extends Promise<unknown> {
  handler: (query: DriverQuery) => void;
  canceller: ((query: DriverQuery) => Promise<unknown> | undefined) | null;
  strings: readonly string[];
  args: readonly unknown[];
  options: { onexecute?: unknown; prepare?: boolean; limitMs?: number };
  executed: boolean;
  /** Set when it is sent. */
  state: object | null;
  cancelled: unknown;
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
  readonly parameters: readonly unknown[];
  readonly onlyDescribe?: unknown;
  [DESCRIBES]?: boolean;
}

const DESCRIBES: unique symbol = Symbol('asks for the types of its parameters first');

/** Whom a statement belongs to. */
export interface Owner {
  /** Statements that depend on others must not be sent again by themselves. */
  readonly isTransaction: boolean;
  /** Called when the server has forgotten a prepared statement. */
  readonly onForgotten: () => void;
  readonly giveUp: () => void;
}

/** A prepared statement that the server has forgotten or cannot use any more. It was not executed. */
class LostStatementError extends Error {
  override readonly name = 'LostStatementError';
  readonly code = 'STATEMENT_LOST';
}

const owners = new WeakMap<object, Owner>();

/** True for a statement; a pool makes parts of statements, too. */
export function isQuery(made: unknown): made is DriverQuery {
  return made instanceof Promise && 'handler' in made;
}

export function owned<T extends DriverQuery>(query: T, owner: Owner): T {
  owners.set(query, owner);
  return query;
}

export const ownerOf = (query: object): Owner | undefined => owners.get(query);

export function mendQueries(sql: postgres.Sql): void {
  const prototype = Object.getPrototypeOf(sql`select`) as object;
  if (Object.hasOwn(prototype, 'retried')) return;
  Object.defineProperties(prototype, {
    // The driver sets this when it has made up its mind to repeat; what is cancelled then, it does not send.
    retried: { set: repeatOrFail },
    describeFirst: {
      get(this: DriverQuery) {
        return this[DESCRIBES];
      },
      set(this: DriverQuery, isAsked: unknown) {
        this[DESCRIBES] = Boolean(isAsked) && (this.onlyDescribe !== undefined || !this.parameters.every(isPlain));
      },
    },
  });
}

/** Objects and arrays are written according to their type; a `Date` says itself which one it has. */
const isPlain = (value: unknown) => typeof value !== 'object' || value === null || value instanceof Date;

const unprepared = new WeakSet<object>();

function repeatOrFail(this: DriverQuery, error: unknown): void {
  this.cancelled = true;
  const owner = owners.get(this);
  if (errorCode(error) === SQLSTATE.invalidSqlStatementName) owner?.onForgotten();
  if (owner === undefined || owner.isTransaction || unprepared.has(this)) {
    this.reject(new LostStatementError('the server has lost a prepared statement', { cause: error }));
    return;
  }
  unprepared.add(this);
  queueMicrotask(() => {
    this.cancelled = null;
    this.options.prepare = false;
    this.handler(this);
  });
}

/**
 * Where names without a schema are looked up: among the server's own things alone. What somebody has put into a schema
 * that they may write, a function called `max` for instance, is never called by us with our rights. Temporary tables are
 * named so that they come last; left out, they would come first.
 */
export const OWN_PATH = 'pg_catalog, pg_temp';

/**
 * Settings that go along when a connection opens, in place of those of the role and the database: limits are our own (see
 * `within` and `transaction`). Some poolers refuse them; then only those are left that go along with each transaction.
 */
export const OWN_SETTINGS: object = {
  search_path: OWN_PATH,
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
};

const unset = new WeakSet<object>();

/** Sends a statement again, without our settings, when a pooler has refused to open its connection with them. */
export function openWithoutSettings(query: DriverQuery, sql: postgres.Sql): void {
  const { reject } = query;
  query.reject = (error) => {
    if (!isRefusal(error) || unset.has(query)) return reject(error);
    unset.add(query);
    // The driver looks at these whenever it opens a connection; its type says that they do not change.
    const settings = sql.options.connection as Record<string, unknown>;
    for (const name of Object.keys(OWN_SETTINGS)) delete settings[name];
    queueMicrotask(() => query.handler(query));
  };
}

/** PgBouncer says `unsupported startup parameter: search_path`. */
const isRefusal = (error: unknown) =>
  errorCode(error) === SQLSTATE.protocolViolation && error instanceof Error && /startup parameter/i.test(error.message);
