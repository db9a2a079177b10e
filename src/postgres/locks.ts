/** Who holds locks on the mirror that its own work waits for. */
import type { Queryable } from './connection.ts';

export interface LockHolder {
  /** Such as `flowlu.crm_account`; null for a lock on rows. */
  readonly relation: string | null;
  readonly pid: number;
  readonly who: string;
  /**
   * When its transaction began, as ISO text. Where this role may not see that, when we have first noticed it, or somebody
   * has first waited for it, and the words that it may be older.
   */
  readonly since: string;
  readonly remedy: string;
}

interface Found extends Omit<LockHolder, 'since'> {
  readonly since: string | null;
  readonly transaction: string;
  readonly noticed_at: string;
}

/** Transactions of the last answer, with when each was first noticed. */
let noticed: ReadonlyMap<string, string> = new Map();

/**
 * Sessions that others wait for, or whose lock keeps all from writing; ours are left out.
 * @param about where a session holds several relations, one that begins so is named
 */
export async function lockHolders(sql: Queryable, about = ''): Promise<readonly LockHolder[]> {
  const iso = (moment: string) => sql.unsafe(`to_char(${moment} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`);
  const found = await sql<Found[]>`
    with held as (
      select l.pid, coalesce(min(r.name) filter (where starts_with(r.name, ${about})), min(r.name)) as relation
        from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace,
             lateral (select n.nspname || '.' || c.relname as name) as r
       where l.granted and n.nspname in ('flowlu', 'flowlu_history', 'sync') and c.relkind in ('r', 'p')
         and l.database = (select oid from pg_database where datname = current_database())
         and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
       group by l.pid
    ), waited_for as (
      select blocking.pid, min(l.waitstart) as since
        from pg_stat_activity a join pg_locks l on l.pid = a.pid and not l.granted
             cross join lateral unnest(pg_blocking_pids(a.pid)) as blocking (pid)
       where a.datname = current_database()
       group by blocking.pid
    )
    select held.relation, a.pid, concat_ws(', ', a.usename, nullif(a.application_name, '')) as who,
           ${iso('a.xact_start')} as since, ${iso('coalesce(waited_for.since, clock_timestamp())')} as noticed_at,
           format('select pg_terminate_backend(%s)', a.pid) as remedy,
           (select min(l.virtualtransaction) from pg_locks l where l.pid = a.pid) as transaction
      from pg_stat_activity a left join held using (pid) left join waited_for using (pid)
     where (held.pid is not null or waited_for.pid is not null)
       and a.pid <> pg_backend_pid() and a.application_name not like 'flowlu-mirror%'
     order by a.xact_start, a.pid limit 5`;
  const before = noticed;
  noticed = new Map(found.map(({ transaction, noticed_at }) => [transaction, before.get(transaction) ?? noticed_at]));
  return found.map(({ transaction, noticed_at: _, since, ...holder }) => ({
    ...holder,
    since: since ?? `${noticed.get(transaction)} at the latest`,
  }));
}

/** Catalogues whose locks keep statements from being planned, by the numbers that they have in every database. */
const CATALOGUES = { 1247: 'pg_type', 1249: 'pg_attribute', 1255: 'pg_proc', 1259: 'pg_class', 2610: 'pg_index' };

/**
 * Who keeps everybody from a catalogue of the system, as VACUUM FULL does. Asks functions alone: no view, and no name of a
 * relation, could be looked up meanwhile.
 */
export async function catalogueHolders(sql: Queryable): Promise<readonly LockHolder[]> {
  const found = await sql<(Omit<LockHolder, 'relation' | 'remedy'> & { oid: number })[]>`
    select l.relation::int8::int4 as oid, a.pid,
           concat_ws(', ', pg_get_userbyid(a.usesysid), nullif(a.application_name, '')) as who,
           coalesce(to_char(a.xact_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                    to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z at the latest"')) as since
      from pg_lock_status() l join pg_stat_get_activity(null) a on a.pid = l.pid
     where l.granted and l.locktype = 'relation' and l.mode = 'AccessExclusiveLock'
       and l.relation::int8 = any(${`{${Object.keys(CATALOGUES)}}`}::int8[]) and a.pid <> pg_backend_pid()
       and l.database = (select own.datid from pg_stat_get_activity(pg_backend_pid()) own)`;
  return found.map(({ oid, ...holder }) => ({
    ...holder,
    relation: CATALOGUES[oid as keyof typeof CATALOGUES],
    remedy: `select pg_terminate_backend(${holder.pid})`,
  }));
}

/** A commit takes longer where the disk is slow; a standby that is there answers sooner. */
const STANDBY_MAX_S = 3;

/**
 * Since when a commit has waited for a synchronous standby, as far as this role may see; null where none has for long.
 * @param hasTried whether a commit has just taken too long: it waits no more, so that no standby being there has to do
 */
export async function standbyAwaitedSince(sql: Queryable, hasTried = false): Promise<string | null> {
  const [row] = await sql`
    select to_json(coalesce(min(query_start), case when ${hasTried} and current_setting('synchronous_standby_names') <> ''
             and not exists (select from pg_stat_replication where sync_state is null or sync_state in ('sync', 'quorum'))
             then now() end)) #>> '{}' as since from pg_stat_activity
     where datname = current_database() and wait_event = 'SyncRep'
       and query_start < clock_timestamp() - ${STANDBY_MAX_S} * interval '1 second'`;
  return (row?.since ?? null) as string | null;
}
/** Who holds what, in words. */
export const heldWords = ({ relation, pid, who }: LockHolder): string =>
  `${relation ?? 'rows'} locked by process ${pid} of the database (${who})`;
/** The same as a sentence, with since when and what ends it. */
export const holderWords = (holder: LockHolder): string =>
  `${heldWords(holder)} since ${holder.since}; end it with: ${holder.remedy}`;
