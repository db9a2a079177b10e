/**
 * Where names without a schema are looked up: among the server's own things alone. What somebody has put into a schema
 * that they may write, a function called `max` for instance, is never called by us with our rights.
 *
 * The path goes along when a connection opens, and again with each transaction. Some poolers refuse the first; then only
 * the second is left.
 */
import type postgres from 'postgres';
import { errorCode } from './errors.ts';
import type { DriverQuery } from './repeats.ts';
import { SQLSTATE } from './sqlstates.ts';

/** Temporary tables are named so that they come last; left out, they would come first. */
export const OWN_PATH = 'pg_catalog, pg_temp';

const repeated = new WeakSet<object>();

/** Sends a statement again, without the path, when a pooler has refused to open its connection with it. */
export function openWithoutPath(query: DriverQuery, sql: postgres.Sql): void {
  const { reject } = query;
  query.reject = (error) => {
    if (!isRefusal(error) || repeated.has(query)) return reject(error);
    repeated.add(query);
    // The driver looks at this whenever it opens a connection; its type says that it does not change.
    delete (sql.options.connection as { search_path?: string }).search_path;
    queueMicrotask(() => query.handler(query));
  };
}

/** PgBouncer says `unsupported startup parameter: search_path`. */
const isRefusal = (error: unknown) =>
  errorCode(error) === SQLSTATE.protocolViolation && error instanceof Error && error.message.includes('search_path');
