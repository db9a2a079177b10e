/** The journal of long work: what ran, when, and how it ended. */
import type { Json } from '../core/json.ts';
import { stringifyJson } from '../core/json.ts';
import type { Queryable } from '../postgres/connection.ts';

export type RunKind =
  | 'backfill'
  | 'reconcile'
  | 'sweep'
  | 'verify'
  | 'settle'
  | 'rebuild'
  | 'replay'
  | 'redact'
  | 'erase';
export type RunStatus = 'done' | 'failed' | 'interrupted' | 'differences';

/** Notes that a run has begun; returns its id. */
export async function beginRun(sql: Queryable, kind: RunKind, holder: string): Promise<string> {
  const [row] = await sql`
    insert into sync.runs (kind, status, holder) values (${kind}, 'running', ${holder}) returning id::text as id`;
  return row?.id as string;
}

/** Notes how a run ended. */
export async function finishRun(sql: Queryable, id: string, status: RunStatus, summary: Json): Promise<void> {
  await sql`
    update sync.runs set finished_at = clock_timestamp(), status = ${status}, summary = ${stringifyJson(summary)}::text::jsonb
     where id = ${id}`;
}
