/** Databases that are set to read-only while this process is connected. */
import type { Sql } from './connection.ts';
import { poolOf } from './renewal.ts';

/**
 * Gives the pool's connections up when the database, or this role in it, has been set to read-only since: the server
 * looks at that setting only when a connection begins.
 */
export async function leaveReadOnly(sql: Sql): Promise<void> {
  const [row] = await sql`
    select exists (
      select from pg_db_role_setting s, unnest(s.setconfig) setting
       where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
         and s.setrole in (0, (select oid from pg_roles where rolname = current_user))
         and setting in ('default_transaction_read_only=on', 'default_transaction_read_only=true')
    ) and current_setting('default_transaction_read_only') = 'off' as is_late`;
  if (row?.is_late === true) poolOf(sql).leave();
}
