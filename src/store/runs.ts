/** The journal of long work: what ran, when, and how it ended. */
import { type Json, stringifyJson } from '../core/json.ts';
import type { Queryable, Sql } from '../postgres/connection.ts';

export type RunKind =
  | 'backfill'
  | 'reconcile'
  | 'sweep'
  | 'verify'
  | 'rebuild'
  | 'replay'
  | 'redact'
  | 'erase'
  | 'schedule';
export type RunStatus = 'done' | 'failed' | 'interrupted' | 'differences';

/** A run to be journaled. */
export interface JournaledRun {
  readonly kind: RunKind;
  /** Names this process. */
  readonly holder: string;
  readonly signal: AbortSignal;
  /** What the journal says of it, at its end or where it breaks off. */
  readonly summary: () => Json;
  /** How it stands at its end; `done` where left out. */
  readonly status?: () => RunStatus;
}

/** Does `work`, and notes in the journal that it began and how it ended. */
export async function journaled<T>(sql: Sql, run: JournaledRun, work: (runId: string) => Promise<T>): Promise<T> {
  const [row] = await sql`
    insert into sync.runs (kind, status, holder) values (${run.kind}, 'running', ${run.holder}) returning id::text as id`;
  const id = row?.id as string;
  const finish = (status: RunStatus) => sql`
    update sync.runs
       set finished_at = clock_timestamp(), status = ${status}, summary = ${stringifyJson(run.summary())}::text::jsonb
     where id = ${id}`;
  let result: T;
  try {
    result = await work(id);
  } catch (error) {
    await finish(run.signal.aborted ? 'interrupted' : 'failed').catch(() => {});
    throw error;
  }
  await finish(run.status?.() ?? 'done');
  return result;
}

/** A query for the runs of a kind, other than this one, that did not come to their end. */
export function unfinishedRuns(sql: Queryable, kind: RunKind, except: string) {
  return sql`
    select id from sync.runs
     where kind = ${kind} and status in ('running', 'interrupted', 'failed') and id <> ${except}`;
}

/** Whether anything, or anything of these kinds, has ever run. */
export async function hasRuns(sql: Queryable, kinds: readonly RunKind[] | null = null): Promise<boolean> {
  const [row] = await sql`
    select exists (select from sync.runs where ${kinds}::text[] is null or kind = any(${kinds}::text[])) as present`;
  return row?.present === true;
}

/** A run, for people; moments in ISO 8601. */
export interface RunSummary {
  readonly id: string;
  readonly kind: string;
  readonly status: string;
  readonly started_at: string;
  readonly finished_at: string | null;
}

/** The newest runs, latest first. */
export async function lastRuns(sql: Queryable, limit: number): Promise<readonly RunSummary[]> {
  const rows = await sql`
    select id::text as id, kind, status, to_json(started_at) #>> '{}' as started_at,
           to_json(finished_at) #>> '{}' as finished_at
      from sync.runs order by runs.id desc limit ${limit}`;
  return rows as unknown as readonly RunSummary[];
}
