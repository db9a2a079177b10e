/**
 * Keeps the driver from repeating statements.
 *
 * When the server no longer knows a prepared statement, the driver sends it again by itself, behind whatever travels on
 * the connection already: behind the commit of its transaction, or into the transaction of another caller
 * (github.com/porsager/postgres/issues/547 and pull/1212). Here a statement of a transaction fails instead, and one that
 * stands alone goes through the pool again, once, and not prepared: another connection may know it as badly.
 */

import type postgres from 'postgres';
import { errorCode } from './errors.ts';
import { SQLSTATE } from './sqlstates.ts';

/** What the driver's queries are made of, as far as it concerns us (postgres 3.4.9, src/query.js). */
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
}

/** Whom a statement belongs to. */
export interface Owner {
  /** Statements that depend on others must not be sent again by themselves. */
  readonly isTransaction: boolean;
  /** Called when the server has forgotten a prepared statement. */
  readonly onForgotten: () => void;
  /** Gives up its connection, and with it the pool. */
  readonly giveUp: () => void;
}

/** A prepared statement that the server has forgotten or cannot use any more. It was not executed. */
class LostStatementError extends Error {
  override readonly name = 'LostStatementError';
  readonly code = 'STATEMENT_LOST';
}

const owners = new WeakMap<object, Owner>();
const repeated = new WeakSet<object>();

/** True for a statement; a pool makes parts of statements, too. */
export function isQuery(made: unknown): made is DriverQuery {
  return made instanceof Promise && 'handler' in made;
}

/** Says whom a statement belongs to. */
export function owned<T extends DriverQuery>(query: T, owner: Owner): T {
  owners.set(query, owner);
  return query;
}

/** Whom a statement belongs to; undefined where it is none of ours. */
export const ownerOf = (query: object): Owner | undefined => owners.get(query);

/** Changes how the driver repeats statements, for all of its pools. */
export function forbidRepeats(sql: postgres.Sql): void {
  const prototype = Object.getPrototypeOf(sql`select`) as object;
  if (Object.hasOwn(prototype, 'retried')) return;
  Object.defineProperty(prototype, 'retried', {
    // The driver sets this when it has made up its mind; what is cancelled then, it does not send.
    set(this: DriverQuery, error: unknown) {
      this.cancelled = true;
      const owner = owners.get(this);
      if (errorCode(error) === SQLSTATE.invalidSqlStatementName) owner?.onForgotten();
      if (owner === undefined || owner.isTransaction || repeated.has(this)) {
        this.reject(new LostStatementError('the server has lost a prepared statement', { cause: error }));
        return;
      }
      repeated.add(this);
      queueMicrotask(() => {
        this.cancelled = null;
        this.options.prepare = false;
        this.handler(this);
      });
    },
  });
}
