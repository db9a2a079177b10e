/** Databases that are set to read-only while this process is connected. */
import { type Cause, causeOf } from './causes.ts';
import type { Queryable } from './connection.ts';
import { SQLSTATE } from './sqlstates.ts';

/** Why a server takes no writes, as far as it says so without being written to; null where it may take them. */
export async function readOnlyCause(sql: Queryable): Promise<Cause | null> {
  const [row] = await sql`
    select pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean as is_read_only`;
  return row?.is_read_only === true ? causeOf({ code: SQLSTATE.readOnlyTransaction }) : null;
}

/**
 * A query for whether the database, or this role in it, has been set to read-only since this connection began: the server
 * looks at that setting only then, so the pool's connections are to be given up.
 */
export const isLateToReadOnly = (sql: Queryable) => sql`
  select exists (
    select from pg_db_role_setting s, unnest(s.setconfig) setting
     where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
       and s.setrole in (0, (select oid from pg_roles where rolname = current_user))
       and setting in ('default_transaction_read_only=on', 'default_transaction_read_only=true')
  ) and current_setting('default_transaction_read_only') = 'off'`;
