/** Who holds locks on the mirror that its own work waits for. */
import type { Queryable } from '../postgres/connection.ts';

export interface LockHolder {
  /** Such as `flowlu.crm_account`; null for a lock on rows. */
  readonly relation: string | null;
  readonly pid: number;
  /** Role and program. */
  readonly who: string;
  /** When its transaction began, as ISO text; null where this role may not see it. */
  readonly since: string | null;
  /** What ends it. */
  readonly remedy: string;
}

/** Sessions that others wait for, or that hold a lock which nobody can write beside; ours are left out. */
export async function lockHolders(sql: Queryable): Promise<readonly LockHolder[]> {
  return await sql<LockHolder[]>`
    with held as (
      select l.pid, min(n.nspname || '.' || c.relname) as relation
        from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
       where l.granted and n.nspname in ('flowlu', 'flowlu_history', 'sync') and c.relkind in ('r', 'p')
         and l.database = (select oid from pg_database where datname = current_database())
         and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
       group by l.pid
    ), waited_for as (
      select unnest(pg_blocking_pids(pid)) as pid from pg_stat_activity
       where wait_event_type = 'Lock' and datname = current_database()
    )
    select held.relation, a.pid, concat_ws(', ', a.usename, nullif(a.application_name, '')) as who,
           to_char(a.xact_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since,
           format('select pg_terminate_backend(%s)', a.pid) as remedy
      from pg_stat_activity a left join held using (pid)
     where (held.pid is not null or a.pid in (select pid from waited_for))
       and a.pid <> pg_backend_pid() and a.application_name not like 'flowlu-mirror%'
     order by a.xact_start, a.pid limit 5`;
}

/** The same as a sentence. */
export const holderWords = ({ relation, pid, who, since, remedy }: LockHolder): string =>
  `${relation ?? 'rows'} locked by process ${pid} of the database (${who})${since === null ? '' : ` since ${since}`}; end it with: ${remedy}`;
