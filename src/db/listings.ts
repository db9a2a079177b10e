/** How far complete readings of models have come: durable, so that a run that was cut off goes on where it stopped. */
import { formatMicros, type Micros } from '../catalog/instant.ts';
import type { Queryable } from './connection.ts';

export type ListingKind = 'backfill' | 'sweep';
export type ListingOutcome = 'complete' | 'incomplete' | 'skipped' | 'failed';

/** Where a listing stands: after the row with this id, or before this page. */
export type ListingPosition =
  | { readonly mode: 'keyset'; readonly lastId: string }
  | { readonly mode: 'pages'; readonly page: number };

export interface ListingCounts {
  readonly read: number;
  readonly written: number;
  readonly unchanged: number;
  readonly requests: number;
}

/** A listing that was begun and not finished. */
export interface OpenListing {
  readonly position: ListingPosition | null;
  readonly counts: ListingCounts;
  readonly total: number | null;
  /** The moment before its first request was sent. */
  readonly fence: Micros | null;
}

/** The unfinished listing of a model, or null when the next one starts anew. */
export async function findOpenListing(sql: Queryable, kind: ListingKind, model: string): Promise<OpenListing | null> {
  const [row] = await sql`
    select mode, last_id::text as last_id, page, total::text as total, rows_read::text as read,
           rows_written::text as written, rows_unchanged::text as unchanged, requests::text as requests,
           (extract(epoch from fence) * 1000000)::bigint::text as fence
      from sync.listings
     where kind = ${kind} and model = ${model} and finished_at is null`;
  if (row === undefined) return null;
  return {
    position: positionOf(row.mode, row.last_id, row.page),
    counts: {
      read: Number(row.read),
      written: Number(row.written),
      unchanged: Number(row.unchanged),
      requests: Number(row.requests),
    },
    total: row.total === null ? null : Number(row.total),
    fence: row.fence === null ? null : Number(row.fence),
  };
}

/** Begins a listing, in place of the model's last one of this kind. */
export async function beginListing(sql: Queryable, kind: ListingKind, model: string, runId: string): Promise<void> {
  await sql`
    insert into sync.listings (model, kind, run_id, started_at)
    values (${model}, ${kind}, ${runId}, clock_timestamp())
        on conflict (model, kind) do update
       set run_id = excluded.run_id, started_at = excluded.started_at, fence = null, mode = null, last_id = null,
           page = null, total = null, rows_read = 0, rows_written = 0, rows_unchanged = 0, requests = 0,
           finished_at = null, outcome = null, reason = null`;
}

/** Moves a listing on; in the transaction of the rows that the position covers. */
export async function advanceListing(
  sql: Queryable,
  kind: ListingKind,
  model: string,
  state: OpenListing & { readonly fence: Micros },
): Promise<void> {
  const { position, counts, total, fence } = state;
  await sql`
    update sync.listings
       set fence = coalesce(fence, ${formatMicros(fence)}::timestamptz), mode = ${position?.mode ?? null},
           last_id = ${position?.mode === 'keyset' ? position.lastId : null},
           page = ${position?.mode === 'pages' ? position.page : null}, total = ${total},
           rows_read = ${counts.read}, rows_written = ${counts.written}, rows_unchanged = ${counts.unchanged},
           requests = ${counts.requests}
     where kind = ${kind} and model = ${model}`;
}

/** Ends a listing. */
export async function finishListing(
  sql: Queryable,
  kind: ListingKind,
  model: string,
  outcome: ListingOutcome,
  reason: string | null,
): Promise<void> {
  await sql`
    update sync.listings
       set finished_at = clock_timestamp(), outcome = ${outcome}, reason = ${reason}
     where kind = ${kind} and model = ${model}`;
}

function positionOf(mode: string | null, lastId: string | null, page: number | null): ListingPosition | null {
  if (mode === 'keyset' && lastId !== null) return { mode, lastId };
  return mode === 'pages' && page !== null ? { mode, page } : null;
}
