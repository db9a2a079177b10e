/** The journal of long work: what ran, when, and how it ended. */
import { type Json, stringifyJson } from '../core/json.ts';
import { traced } from '../core/tracing.ts';
import type { Queryable, Sql } from '../postgres/connection.ts';
import { heldLeases, releaseLease, takeLease } from './leases.ts';

export type RunKind = 'backfill' | 'reconcile' | 'sweep' | 'verify' | 'rebuild' | 'replay' | 'redact' | 'erase';
export type RunStatus = 'done' | 'failed' | 'interrupted' | 'differences';

export interface JournaledRun {
  readonly kind: RunKind;
  readonly holder: string;
  readonly signal: AbortSignal;
  /** For the journal, when the run ends or is interrupted. */
  readonly summary: () => Json;
  /** The status at the end; `done` if absent. */
  readonly status?: () => RunStatus;
}

/** A run whose process gives no sign of life for this long was killed. */
const ALIVE_SECONDS = 90;
const SAYS_SO_EVERY_MS = 40_000;
const leaseOfRun = (id: string) => `run ${id}`;

/** Does `work`, and notes its start and its end in the journal. */
export async function journaled<T>(sql: Sql, run: JournaledRun, work: (runId: string) => Promise<T>): Promise<T> {
  const [row] = await sql`
    insert into sync.runs (kind, status, holder) values (${run.kind}, 'running', ${run.holder}) returning id::text as id`;
  const id = row?.id as string;
  const stayAlive = () => takeLease(sql, leaseOfRun(id), run.holder, ALIVE_SECONDS).catch(() => {});
  await stayAlive();
  const living = setInterval(stayAlive, SAYS_SO_EVERY_MS).unref();
  const finish = (status: RunStatus) => sql`
    update sync.runs
       set finished_at = clock_timestamp(), status = ${status}, summary = ${stringifyJson(run.summary())}::text::jsonb
     where id = ${id}`;
  try {
    const result = await traced(`run ${run.kind}`, { 'flowlu.run': id }, () => work(id)).catch(async (error) => {
      await finish(run.signal.aborted ? 'interrupted' : 'failed').catch(() => {});
      throw error;
    });
    await finish(run.status?.() ?? 'done');
    return result;
  } finally {
    clearInterval(living);
    await releaseLease(sql, leaseOfRun(id), run.holder).catch(() => {});
  }
}

/** A query for the unfinished runs of a kind other than this one. */
export function unfinishedRuns(sql: Queryable, kind: RunKind, except: string) {
  return sql`
    select id from sync.runs
     where kind = ${kind} and status in ('running', 'interrupted', 'failed') and id <> ${except}`;
}

export async function hasRuns(sql: Queryable, kinds: readonly RunKind[] | null = null): Promise<boolean> {
  const [row] = await sql`
    select exists (select from sync.runs where ${kinds}::text[] is null or kind = any(${kinds}::text[])) as present`;
  return row?.present === true;
}

/** Times are ISO 8601. */
export interface RunSummary {
  readonly id: string;
  readonly kind: string;
  /** `abandoned`: its process was killed. */
  readonly status: RunStatus | 'running' | 'abandoned';
  readonly started_at: string;
  readonly finished_at: string | null;
  /** Requests to the portal; null if the journal does not say. */
  readonly requests: number | null;
  readonly rows_written: number | null;
  /** What went wrong, one line per reason. */
  readonly reasons: readonly string[];
}

/** Reasons shown per run. */
const MAX_REASONS = 5;

/** The newest runs, latest first. */
export async function lastRuns(sql: Queryable, limit: number): Promise<readonly RunSummary[]> {
  const rows = await sql`
    select r.id::text as id, r.kind, r.status, to_json(r.started_at) #>> '{}' as started_at,
           to_json(r.finished_at) #>> '{}' as finished_at, s.requests, s.rows_written, coalesce(s.reasons, '{}') as reasons
      from (select * from sync.runs order by id desc limit ${limit}) r
      left join lateral (
           select sum((m ->> 'requests')::numeric)::float8 as requests, sum((m ->> 'written')::numeric)::float8 as rows_written,
                  (array_agg(distinct coalesce(m ->> 'guarded', m ->> 'reason'))
                     filter (where m ->> 'outcome' in ('failed', 'incomplete') or m ->> 'guarded' is not null))[:${MAX_REASONS}::int] as reasons
             from jsonb_array_elements(case when jsonb_typeof(r.summary) = 'array' then r.summary end) m) s on true
     order by r.id desc`;
  const alive = new Set((await heldLeases(sql)).map(({ name }) => name));
  return (rows as unknown as readonly RunSummary[]).map((run) =>
    run.status === 'running' && !alive.has(leaseOfRun(run.id)) ? { ...run, status: 'abandoned' } : run,
  );
}

/** Requests to the portal in the last day, as far as the journal knows, by quarters of an hour. */
export async function requestsOfTheDay(
  sql: Queryable,
): Promise<readonly { readonly at: string; readonly requests: number }[]> {
  const rows = await sql`
    select to_json(date_bin('15 minutes', r.finished_at, timestamptz '2000-01-01')) #>> '{}' as at,
           sum((m ->> 'requests')::numeric)::float8 as requests
      from sync.runs r
     cross join jsonb_array_elements(case when jsonb_typeof(r.summary) = 'array' then r.summary end) m
     where r.id > (select coalesce(max(id), 0) - ${RUNS_A_DAY} from sync.runs)
       and r.finished_at > clock_timestamp() - interval '1 day'
     group by 1 order by 1`;
  return rows as unknown as readonly { at: string; requests: number }[];
}

/** Upper limit on runs a day, with the shortest intervals in use. */
const RUNS_A_DAY = 2_000;

/** How long finished runs are kept, and how many of each kind are always kept. */
const KEPT_DAYS = 90;
const KEPT_OF_KIND = 100;
const PRUNED_AT_ONCE = 1_000;

/** Deletes old runs, except the newest of each kind and those that a listing refers to. Returns their number. */
export async function pruneRuns(sql: Sql): Promise<number> {
  const { count } = await sql`
    with ranked as (
      select id, row_number() over (partition by kind order by id desc) as place from sync.runs),
    old as (
      select r.id from sync.runs r join ranked using (id)
       where place > ${KEPT_OF_KIND} and coalesce(finished_at, started_at) < clock_timestamp() - ${KEPT_DAYS} * interval '1 day'
       order by r.id limit ${PRUNED_AT_ONCE})
    delete from sync.runs where id in (select id from old)`;
  return count;
}
