/** Who holds locks on the mirror that its own work waits for. */
import { elsewhere, type Queryable, type Sql } from './connection.ts';

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

/** Remembers when each transaction of the last answer was first noticed. */
function createMemory() {
  let noticed: ReadonlyMap<string, string> = new Map();
  return (found: readonly Found[]): readonly LockHolder[] => {
    const before = noticed;
    noticed = new Map(found.map(({ transaction, noticed_at }) => [transaction, before.get(transaction) ?? noticed_at]));
    return found.map(({ transaction, noticed_at: _, since, ...holder }) => ({
      ...holder,
      since: since ?? `${noticed.get(transaction)} at the latest`,
    }));
  };
}
const ofTables = createMemory();
const ofCatalogues = createMemory();

const iso = (sql: Queryable, moment: string) =>
  sql.unsafe(`to_char(${moment} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`);

/**
 * Sessions that others wait for, or whose lock keeps all from writing; ours are left out.
 * @param about where a session holds several relations, one that begins so is named
 */
export async function lockHolders(sql: Queryable, about = ''): Promise<readonly LockHolder[]> {
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
           ${iso(sql, 'a.xact_start')} as since, ${iso(sql, 'coalesce(waited_for.since, clock_timestamp())')} as noticed_at,
           format('select pg_terminate_backend(%s)', a.pid) as remedy,
           (select min(l.virtualtransaction) from pg_locks l where l.pid = a.pid) as transaction
      from pg_stat_activity a left join held using (pid) left join waited_for using (pid)
     where (held.pid is not null or waited_for.pid is not null)
       and a.pid <> pg_backend_pid() and a.application_name not like 'flowlu-mirror%'
     order by a.xact_start, a.pid limit 5`;
  return ofTables(found);
}

/**
 * Who keeps everybody from a catalogue of the system, as VACUUM FULL does. Nobody can connect to the database meanwhile, so
 * another one of the same server is asked, whose catalogues have the same numbers.
 */
export async function catalogueHolders(sql: Sql): Promise<readonly LockHolder[]> {
  const beside = elsewhere(sql);
  try {
    return ofCatalogues(
      await beside<Found[]>`
      select c.relname as relation, a.pid, concat_ws(', ', a.usename, nullif(a.application_name, '')) as who,
             ${iso(beside, 'a.xact_start')} as since,
             ${iso(beside, 'coalesce(waited_for.since, clock_timestamp())')} as noticed_at,
             format('select pg_terminate_backend(%s)', a.pid) as remedy, l.virtualtransaction as transaction
        from pg_locks l join pg_stat_activity a using (pid) join pg_class c on c.oid = l.relation,
             lateral (select min(w.waitstart) as since from pg_locks w
                       where not w.granted and w.relation = l.relation and w.database = l.database) as waited_for
       where l.granted and l.mode = 'AccessExclusiveLock' and c.relnamespace = 'pg_catalog'::regnamespace
         and l.database = (select oid from pg_database where datname = ${sql.options.database})
       order by a.xact_start, a.pid, c.relname limit 1`,
    );
  } finally {
    await beside.end({ timeout: 0 });
  }
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
