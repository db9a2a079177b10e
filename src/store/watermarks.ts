/** How far each model is known to agree with the portal, and how it catches up. */

import { models } from '../catalog/index.ts';
import type { Model } from '../catalog/types.ts';
import { formatMicros, type Micros } from '../core/time.ts';
import { MAX_OTHERS_TOLD, newestVersion } from '../mirror-rows/reads.ts';
import { isAhead } from '../postgres/clock.ts';
import type { Queryable } from '../postgres/connection.ts';

/** Ways to find changes, best first. */
export type Strategy =
  /** A date interval on the version field. */
  | 'interval'
  /** Newest first, until rows are older than the watermark. */
  | 'newest'
  /** Everything again. */
  | 'reread';

export interface Watermark {
  /** Changes up to this source time are in the mirror; null for models without versions. */
  readonly version: Micros | null;
  readonly strategy: Strategy | null;
  readonly strategyCheckedAt: Micros | null;
}

/** A time of `sync.watermarks w`; null if it lies in the future, since the clock was then set back. */
const believed = (sql: Queryable, column: 'watermark' | 'strategy_checked_at' | 'last_reconciled_at') =>
  sql`case when not ${isAhead(sql, `w.${column}`)} then w.${sql(column)} end`;

export async function findWatermark(sql: Queryable, model: string): Promise<Watermark | null> {
  const [row] = await sql`
    select (extract(epoch from ${believed(sql, 'watermark')}) * 1000000)::bigint::text as version, strategy,
           (extract(epoch from ${believed(sql, 'strategy_checked_at')}) * 1000000)::bigint::text as strategy_checked_at
      from sync.watermarks w where model = ${model} and last_reconciled_at is not null`;
  if (row === undefined) return null;
  const micros = (text: string | null) => (text === null ? null : Number(text));
  return {
    version: micros(row.version),
    strategy: row.strategy as Strategy | null,
    strategyCheckedAt: micros(row.strategy_checked_at),
  };
}

/**
 * After a complete listing: everything up to its fence is in the mirror.
 *
 * The watermark is a source time. It stays below the fence, and below the newest version by the duration of the
 * listing: a row listed early may have changed since, unseen, with a version up to that much older than the newest one.
 * This is true whatever the portal's clock or zone.
 */
export async function confirmListing(sql: Queryable, model: Model, fence: Micros): Promise<void> {
  const newest = await newestVersion(sql, model);
  const at = formatMicros(fence);
  // Without any version, a catch-up has nowhere to begin; `least` alone would ignore that.
  await sql`
    insert into sync.watermarks as w (model, watermark, last_reconciled_at)
    values (${model.name},
            case when ${newest}::timestamptz is not null
                 then least(${at}::timestamptz, ${newest}::timestamptz - (clock_timestamp() - ${at}::timestamptz)) end,
            ${at}::timestamptz)
        on conflict (model) do update
       set watermark = greatest(${believed(sql, 'watermark')}, excluded.watermark), last_error = null,
           last_reconciled_at = greatest(${believed(sql, 'last_reconciled_at')}, excluded.last_reconciled_at)`;
}

/** After a complete catch-up whose first request was sent at `fence`. */
export async function confirmIncrement(
  sql: Queryable,
  model: Model,
  fence: Micros,
  strategy: Strategy,
  checked: boolean,
): Promise<void> {
  const newest = await newestVersion(sql, model);
  const at = formatMicros(fence);
  await sql`
    update sync.watermarks w
       set watermark = greatest(${believed(sql, 'watermark')},
                                least(${at}::timestamptz, ${newest}::timestamptz - (clock_timestamp() - ${at}::timestamptz))),
           last_reconciled_at = greatest(${believed(sql, 'last_reconciled_at')}, ${at}::timestamptz), strategy = ${strategy},
           strategy_checked_at = case when ${checked} then clock_timestamp() else strategy_checked_at end,
           last_error = null
     where model = ${model.name}`;
}

/** Notes that no better way works. */
export async function rememberStrategy(sql: Queryable, model: string, strategy: Strategy): Promise<void> {
  await sql`
    update sync.watermarks set strategy = ${strategy}, strategy_checked_at = clock_timestamp() where model = ${model}`;
}

export async function noteFailure(sql: Queryable, model: string, error: string): Promise<void> {
  await sql`update sync.watermarks set last_error = ${error} where model = ${model}`;
}

export interface CatchUpError {
  readonly model: string;
  readonly last_error: string;
}

export async function catchUpErrors(sql: Queryable): Promise<readonly CatchUpError[]> {
  return sql<CatchUpError[]>`select model, last_error from sync.watermarks where last_error is not null order by model`;
}

/** When each model was last known to agree with the portal, in Unix seconds. */
export async function lastReconciled(sql: Queryable): Promise<ReadonlyMap<string, number>> {
  const rows = await sql`
    select model, extract(epoch from last_reconciled_at)::float8 as at
      from sync.watermarks where last_reconciled_at is not null`;
  return new Map(rows.map(({ model, at }) => [model as string, at as number]));
}

/** Seconds since a model last agreed with the portal, 0 if the clock cannot tell; null if none ever did. */
export async function lastAgreement(sql: Queryable): Promise<number | null> {
  const [row] = await sql`
    select coalesce(extract(epoch from clock_timestamp() - max(${believed(sql, 'last_reconciled_at')})), case when count(last_reconciled_at) > 0 then 0 end)::float8 as age_s
      from sync.watermarks w`;
  return row?.age_s as number | null;
}

/** Times are ISO 8601. */
export interface ModelStatus {
  readonly model: string;
  readonly rows: number;
  readonly deleted_rows: number;
  readonly last_change_at: string | null;
  readonly last_reconciled_at: string | null;
  /** Seconds since the model last agreed with the portal; null before the first time. */
  readonly lag_seconds: number | null;
  readonly doubtful_rows: number;
  readonly announced_share: number | null;
  readonly found_by_polling: number;
  readonly oldest_compared_seconds: number | null;
  readonly compared_95_seconds: number | null;
  readonly change_shows_seconds: number | null;
  readonly delete_shows_seconds: number | null;
  readonly read_share: number | null;
  /** How changes are found: `interval`, `newest` or `reread`; null before the first catch-up. */
  readonly strategy: string | null;
  /** Changes up to this source time are in the mirror; null for models without versions. */
  readonly watermark: string | null;
  /** Why the last catch-up failed, or null. */
  readonly last_error: string | null;
}

/** The state of all models of the catalogue and the largest others, listed ones first; by name. Exact row counts. */
export async function modelStatuses(sql: Queryable): Promise<readonly ModelStatus[]> {
  const catalogued = sql`s.model = any(${models.map(({ name }) => name)}::text[])`;
  return sql<ModelStatus[]>`
    with told as materialized (
      select s.*, w.strategy, w.watermark, w.last_error, ${catalogued} as is_catalogued,
             row_number() over (partition by ${catalogued} order by w.model is null, s.rows desc, s.model) as place
        from flowlu_live.sync_status s left join sync.watermarks w using (model))
    select s.model, s.rows::float8 as rows, s.deleted_rows::float8 as deleted_rows,
           to_json(s.last_change_at) #>> '{}' as last_change_at,
           to_json(s.last_reconciled_at) #>> '{}' as last_reconciled_at, s.lag_seconds::float8 as lag_seconds,
           s.doubtful_rows::float8 as doubtful_rows, s.announced_share::float8 as announced_share,
           s.found_by_polling::float8 as found_by_polling, s.oldest_compared_seconds::float8 as oldest_compared_seconds,
           s.compared_95_seconds::float8 as compared_95_seconds, s.change_shows_seconds::float8 as change_shows_seconds,
           s.delete_shows_seconds::float8 as delete_shows_seconds, s.read_share::float8 as read_share, s.strategy,
           to_json(s.watermark) #>> '{}' as watermark, s.last_error
      from told s where s.is_catalogued or s.place <= ${MAX_OTHERS_TOLD} order by s.model`;
}
