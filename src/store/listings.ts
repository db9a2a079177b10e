/** How far complete readings of models have come. Stored, so that an interrupted run continues where it stopped. */
import { isNewestFirst } from '../catalog/ranks.ts';
import { type Json, stringifyJson } from '../core/json.ts';
import { formatMicros, type Micros } from '../core/time.ts';
import { isAhead } from '../postgres/clock.ts';
import type { Queryable } from '../postgres/connection.ts';
import { unfinishedRuns } from './runs.ts';

export type ListingKind = 'backfill' | 'sweep';
export type ListingOutcome = 'complete' | 'incomplete' | 'skipped' | 'failed';

/** After the row with this id, or before this page. */
export type ListingPosition =
  | { readonly mode: 'keyset'; readonly lastId: string }
  | { readonly mode: 'pages'; readonly page: number; readonly size: number };

export interface ListingCounts {
  readonly read: number;
  readonly written: number;
  readonly unchanged: number;
  /** Written rows that no webhook had announced. */
  readonly missed: number;
  readonly requests: number;
}

export interface OpenListing {
  readonly position: ListingPosition | null;
  readonly counts: ListingCounts;
  readonly total: number | null;
  /** A moment before its first request was sent. */
  readonly fence: Micros;
  /** Rows found so far that no list returns, in the reader's own form. */
  readonly unread: Json;
}

/** A listing and the run it belongs to. If two processes list one model, only the later one's position counts. */
export interface ListingKey {
  readonly kind: ListingKind;
  /** `module.model`. */
  readonly model: string;
  readonly runId: string;
}

async function findListing(sql: Queryable, kind: ListingKind, model: string) {
  const [row] = await sql`
    select mode, last_id::text as "lastId", page, page_size as size, total::float8 as total, unread,
           json_build_object('read', rows_read, 'written', rows_written, 'unchanged', rows_unchanged,
                             'missed', rows_missed, 'requests', requests) as counts,
           (extract(epoch from coalesce(fence, started_at)) * 1000000)::bigint::text as fence,
           is_open and not ${isAhead(sql, 'started_at')} as "isOpen"
      from sync.listings where kind = ${kind} and model = ${model}`;
  if (row === undefined) return null;
  const { mode, lastId, page, size, ...rest } = row;
  const position = mode === 'keyset' ? { mode, lastId } : mode === 'pages' ? { mode, page, size } : null;
  return { ...rest, position, fence: Number(row.fence) } as OpenListing & { readonly isOpen: boolean };
}

/** The unfinished listing of a model; null if the next one starts over, also because the clock was set back. */
export async function findOpenListing(sql: Queryable, kind: ListingKind, model: string): Promise<OpenListing | null> {
  const listing = await findListing(sql, kind, model);
  return listing?.isOpen === true ? listing : null;
}

/** The position of the latest listing of a model, finished or not. */
export async function lastPosition(
  sql: Queryable,
  kind: ListingKind,
  model: string,
): Promise<Pick<OpenListing, 'position' | 'fence'>> {
  const listing = await findListing(sql, kind, model);
  if (listing === null) throw new Error(`no ${kind} of ${model} was ever begun`);
  return listing;
}

export async function claimListing(sql: Queryable, { kind, model, runId }: ListingKey): Promise<void> {
  await sql`update sync.listings set run_id = ${runId} where kind = ${kind} and model = ${model} and is_open`;
}

/** Begins a listing that replaces the model's last one of this kind; returns the start time. */
export async function beginListing(sql: Queryable, { kind, model, runId }: ListingKey): Promise<Micros> {
  const [row] = await sql`
    insert into sync.listings (model, kind, run_id, started_at)
    values (${model}, ${kind}, ${runId}, clock_timestamp())
        on conflict (model, kind) do update
       set run_id = excluded.run_id, started_at = excluded.started_at, fence = null, mode = null, last_id = null,
           page = null, page_size = null, total = null, rows_read = 0, rows_written = 0, rows_unchanged = 0,
           rows_missed = 0, requests = 0, unread = null, is_open = true
    returning (extract(epoch from started_at) * 1000000)::bigint::text as started_at`;
  return Number(row?.started_at);
}

const isMine = (sql: Queryable, { kind, model, runId }: ListingKey) =>
  sql`kind = ${kind} and model = ${model} and run_id = ${runId} and is_open`;

const setCounts = (sql: Queryable, { read, written, unchanged, missed, requests }: ListingCounts, unread: Json) => sql`
  rows_read = ${read}, rows_written = ${written}, rows_unchanged = ${unchanged}, rows_missed = ${missed},
  requests = ${requests}, unread = ${unread === null ? null : stringifyJson(unread)}::text::jsonb`;

/** Updates a listing, in the transaction of the rows that the position covers. */
export async function advanceListing(sql: Queryable, key: ListingKey, state: OpenListing): Promise<void> {
  const { position, counts, total, fence, unread } = state;
  await sql`
    update sync.listings
       set fence = coalesce(fence, ${formatMicros(fence)}::timestamptz), mode = ${position?.mode ?? null},
           last_id = ${position?.mode === 'keyset' ? position.lastId : null},
           page = ${position?.mode === 'pages' ? position.page : null},
           page_size = ${position?.mode === 'pages' ? position.size : null}, total = ${total},
           ${setCounts(sql, counts, unread)}
     where ${isMine(sql, key)}`;
}

export interface ListingEnding {
  readonly outcome: ListingOutcome;
  readonly reason: string | null;
  readonly counts: ListingCounts;
  readonly unread: Json;
  readonly unreadRows: number;
}

export async function finishListing(sql: Queryable, key: ListingKey, ending: ListingEnding): Promise<void> {
  const { outcome, reason, counts, unread, unreadRows } = ending;
  await sql`
    update sync.listings
       set is_open = false, finished_at = clock_timestamp(), outcome = ${outcome}, reason = ${reason},
           rows_unread = ${unreadRows}, ${setCounts(sql, counts, unread)},
           completed_at = case when ${outcome} = 'complete' then clock_timestamp() else completed_at end
     where ${isMine(sql, key)}`;
}

/**
 * Makes a recent complete listing of an earlier run count for this run too; null if there is none. So a run that
 * continues after a crash need not read again what the previous one finished.
 * @param anyRun also accept a run that finished; otherwise only an unfinished one
 */
export async function inheritListing(
  sql: Queryable,
  { kind, model, runId }: ListingKey,
  maxAgeSeconds: number,
  anyRun: boolean,
): Promise<Pick<ListingEnding, 'reason' | 'unread'> | null> {
  const [row] = await sql`
    update sync.listings
       set run_id = ${runId}
     where kind = ${kind} and model = ${model} and outcome = 'complete' and not is_open
       and (${anyRun} or run_id in (${unfinishedRuns(sql, kind, runId)}))
       and started_at > clock_timestamp() - ${maxAgeSeconds} * interval '1 second'
    returning reason, unread`;
  return (row ?? null) as Pick<ListingEnding, 'reason' | 'unread'> | null;
}

/** Notes how many rows the guard keeps although the latest sweep did not list them. */
export async function noteHeld(sql: Queryable, model: string, rows: number): Promise<void> {
  await sql`update sync.listings set rows_held = ${rows} where kind = 'sweep' and model = ${model} and rows_held <> ${rows}`;
}

/** The number of rows kept although the latest sweep did not list them, by model. */
export async function heldRows(sql: Queryable): Promise<readonly { readonly model: string; readonly held: number }[]> {
  return sql`select model, rows_held::int as held from sync.listings where rows_held > 0 order by model`;
}

/** A model whose latest listing was incomplete. */
export interface UnreadModel {
  readonly model: string;
  readonly outcome: ListingOutcome;
  readonly reason: string | null;
}

/** Prefix of the reasons of listings refused for lack of a right, not because the portal lacks the model. */
export const REFUSED = 'refused: ';
/** Prefix of the reasons of listings of models that the portal lacks. */
export const ABSENT = 'not in this portal';

/** How the latest listing of each model ended. A refusal does not count if a later listing is receiving rows. */
const latestEndings = (sql: Queryable) => sql`(
  select distinct on (model) model, outcome, reason from sync.listings
   where outcome is not null and not (outcome = 'skipped' and is_open and rows_read > 0)
   order by model, finished_at desc) as latest`;

/** Models whose last listing failed or was incomplete, except those that the portal lacks. */
export async function unreadModels(sql: Queryable): Promise<readonly UnreadModel[]> {
  return sql<UnreadModel[]>`
    select model, outcome, reason from ${latestEndings(sql)}
     where outcome in ('failed', 'incomplete') or reason like ${`${REFUSED}%`} or (outcome = 'complete' and reason is not null)
     order by model`;
}

/** Models that the portal lacked at the last request. */
export async function absentModels(sql: Queryable): Promise<ReadonlySet<string>> {
  const rows = await sql`
    select model from ${latestEndings(sql)} where outcome = 'skipped' and reason like ${`${ABSENT}%`}`;
  return new Set(rows.map(({ model }) => model as string));
}

/** Models that were once listed completely, whether or not they are being listed again. */
export async function listedModels(sql: Queryable): Promise<readonly string[]> {
  const rows = await sql`select distinct model from sync.listings where completed_at is not null order by model`;
  return rows.map(({ model }) => model as string);
}

/** A first reading of all models that is not complete yet. */
export interface FirstReading {
  /** Null if no listing has begun. */
  readonly since: string | null;
  /** Models to read, and how many of them have been read. */
  readonly models: number;
  readonly modelsDone: number;
  readonly rows: number;
  /** Based on the portal's counts so far; a model not begun counts as the average of the others. */
  readonly rowsExpected: number;
  /** At the pace of the requests so far; null before the first. */
  readonly left_s: number | null;
}

const ROWS_PER_REQUEST = 100;

/** How far the first reading of these models has come; null if all have been read once. */
export async function firstReading(sql: Queryable, models: readonly string[]): Promise<FirstReading | null> {
  // Models read first are chosen for their content, and say nothing about the size of the rest.
  const rest = models.filter((name) => !isNewestFirst(name));
  const [row] = await sql`
    select count(*)::int as begun, count(finished_at)::int as done, coalesce(sum(rows_read), 0)::float8 as rows,
           coalesce(sum(greatest(total, rows_read)), 0)::float8 as known, coalesce(sum(requests), 0)::float8 as requests,
           to_json(min(started_at)) #>> '{}' as since,
           coalesce(avg(greatest(total, rows_read)) filter (where model = any(${rest}::text[])), 0)::float8 as average,
           extract(epoch from clock_timestamp() - min(started_at))::float8 as age_s
      from sync.listings where kind = 'backfill' and model = any(${models as string[]}::text[])`;
  type Count = 'begun' | 'done' | 'rows' | 'known' | 'average' | 'requests' | 'age_s';
  const { since, ...counts } = row as unknown as Record<Count, number> & Pick<FirstReading, 'since'>;
  const { begun, done, rows, known, average, requests, age_s } = counts;
  if (done === models.length) return null;
  const waiting = models.length - begun;
  const rowsExpected = Math.round(known + waiting * average);
  const requestsLeft = waiting + Math.max(0, rowsExpected - rows) / ROWS_PER_REQUEST;
  const left_s = requests > 0 ? (requestsLeft * age_s) / requests : null;
  return { since, models: models.length, modelsDone: done, rows, rowsExpected, left_s };
}

export interface RunProgress {
  readonly models: number;
  readonly rows: number;
  readonly requests: number;
}

/** Of several runs together: the lanes of `serve` have one each. */
export async function progressOf(sql: Queryable, runIds: readonly string[]): Promise<RunProgress> {
  const [row] = await sql`
    select count(*) filter (where not is_open)::int as models, coalesce(sum(rows_read), 0)::float8 as rows,
           coalesce(sum(requests), 0)::float8 as requests
      from sync.listings where run_id::text = any(${runIds as string[]}::text[])`;
  return row as unknown as RunProgress;
}
