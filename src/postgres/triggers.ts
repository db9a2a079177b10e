/** What somebody else has put in the way of rows that we write. */
import type { Queryable } from './connection.ts';

export interface Interceptor {
  readonly relation: string;
  readonly name: string;
  /** What takes it out of the way. */
  readonly remedy: string;
}

const MAX_NAMED = 5;

/**
 * Triggers before rows, and rules, of tables that only we write: they may change or drop what is written without an error.
 * Those that come after a row may do as they like.
 */
export async function interceptors(sql: Queryable): Promise<readonly Interceptor[]> {
  return sql<Interceptor[]>`
    with found as (
      select t.tgrelid as table, 'trigger ' || t.tgname as name,
             format('alter table %s disable trigger %I', t.tgrelid::regclass, t.tgname) as remedy
        from pg_trigger t
       where not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype::int & 2 = 2
       union all
      select r.ev_class, 'rule ' || r.rulename, format('drop rule %I on %s', r.rulename, r.ev_class::regclass)
        from pg_rewrite r
       where r.ev_enabled in ('O', 'A') and r.ev_type in ('2', '3')
    )
    select n.nspname || '.' || c.relname as relation, f.name, f.remedy
      from found f join pg_class c on c.oid = f.table join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('flowlu', 'sync') and c.relkind in ('r', 'p')
     order by 1, 2 limit ${MAX_NAMED}`;
}
