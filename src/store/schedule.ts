/** What the scheduler of all replicas knows about each model: when it was read, at what cost, what webhooks missed. */
import { formatMicros, type Micros } from '../core/time.ts';
import { isAhead } from '../postgres/clock.ts';
import type { Queryable } from '../postgres/connection.ts';

/** One model. Times in seconds, on the database's clock. */
export interface ScheduleRow {
  readonly model: string;
  readonly polledAt: number | null;
  readonly pollRequests: number | null;
  readonly sweptAt: number | null;
  readonly sweepRequests: number;
  /** Found by the last complete reading; null before it. */
  readonly rows: number | null;
  readonly missedAt: number | null;
  readonly announced: number;
  readonly retryAt: number | null;
}

export async function readSchedule(
  sql: Queryable,
): Promise<{ readonly now: number; readonly rows: readonly ScheduleRow[] }> {
  const rows = await sql`
    select extract(epoch from clock_timestamp())::float8 as now, s.model,
           extract(epoch from polled_at)::float8 as "polledAt", poll_requests as "pollRequests",
           extract(epoch from swept_from)::float8 as "sweptAt", sweep_requests as "sweepRequests", rows,
           extract(epoch from missed_at)::float8 as "missedAt", announced_since::float8 as announced,
           extract(epoch from retry_at)::float8 as "retryAt"
      from (select) as always left join sync.schedule s on true`;
  const known = rows.filter(({ model }) => model !== null) as unknown as readonly ScheduleRow[];
  return { now: rows[0]?.now as number, rows: known };
}

/** Number of changes above which the older half of the counts is dropped. */
const COUNTED = 1_000;

/** A model read for the first time counts as if a change had been missed this long ago, or at its newest change. */
const FIRST_CALM_SECONDS = 600;

export async function noteListed(
  sql: Queryable,
  model: string,
  done: {
    readonly fence: Micros;
    readonly requests: number;
    readonly rows: number;
    readonly missed: number;
    readonly newest: string | null;
  },
): Promise<void> {
  const { requests, rows, missed, newest } = done;
  const fence = sql`${formatMicros(done.fence)}::timestamptz`;
  await sql`
    insert into sync.schedule as s (model, poll_requests, swept_from, swept_until, sweep_requests, rows, missed_at)
    values (${model}, 1, ${fence}, clock_timestamp(), ${Math.max(1, requests)}, ${rows},
            case when ${newest}::timestamptz is not null
                 then greatest(least(${newest}::timestamptz, ${fence}),
                               ${fence} - ${FIRST_CALM_SECONDS} * interval '1 second') end)
        on conflict (model) do update
       set poll_requests = coalesce(s.poll_requests, 1), sweep_requests = excluded.sweep_requests,
           rows = excluded.rows,
           sweep_interval = greatest(0, extract(epoch from excluded.swept_from - s.swept_from)),
           swept_from = excluded.swept_from, swept_until = excluded.swept_until, failures = 0, retry_at = null,
           missed = s.missed + ${missed},
           announced_since = case when ${missed}::int > 0 then 0 else s.announced_since end,
           missed_at = case when ${missed}::int > 0 then clock_timestamp() else coalesce(s.missed_at, excluded.missed_at) end`;
}

export async function noteNewest(sql: Queryable, model: string): Promise<void> {
  await sql`
    insert into sync.schedule as s (model, polled_at) values (${model}, clock_timestamp())
        on conflict (model) do update set polled_at = excluded.polled_at`;
}

/** After a catch-up; `requests` is null if none is possible. */
export async function notePolled(
  sql: Queryable,
  model: string,
  done: {
    readonly requests: number | null;
    readonly interval_s: number;
    readonly missed: number;
    readonly announced: number;
    readonly began: number;
  },
): Promise<void> {
  const { requests, interval_s, missed, announced, began } = done;
  await sql`
    update sync.schedule
       set polled_at = to_timestamp(${began}::float8), poll_requests = ${requests}, failures = 0, retry_at = null,
           poll_interval = ${Math.ceil(interval_s)},
           announced = (announced + ${announced}) / case when announced + missed > ${COUNTED} then 2 else 1 end,
           missed = (missed + ${missed}) / case when announced + missed > ${COUNTED} then 2 else 1 end,
           announced_since = case when ${missed}::int > 0 then 0 else announced_since + ${announced} end,
           missed_at = case when ${missed}::int > 0 then clock_timestamp() else missed_at end
     where model = ${model}`;
}

/** Recent changes, by model, that catch-ups and sweeps found before any webhook announced them. */
export async function foundChanges(sql: Queryable): Promise<ReadonlyMap<string, number>> {
  const rows = await sql`select model, missed::float8 as found from sync.schedule where missed > 0`;
  return new Map(rows.map(({ model, found }): [string, number] => [model, found]));
}

/** Models last read completely at a time now in the future, and how far ahead the latest of these times lies. */
export async function readAhead(sql: Queryable, models: readonly string[]) {
  const [row] = await sql`
    select array_agg(model order by model) as models, extract(epoch from max(swept_from) - clock_timestamp())::float8 as ahead_s
      from sync.schedule where model = any(${models as string[]}::text[]) and ${isAhead(sql, 'swept_from')}`;
  return (row?.models === null ? null : row) as { readonly models: readonly string[]; readonly ahead_s: number } | null;
}

/** Leaves a model alone for `atLeast_s`, doubled with each further failure up to `most_s`. */
export async function noteTrouble(sql: Queryable, model: string, atLeast_s: number, most_s: number): Promise<void> {
  await sql`
    insert into sync.schedule as s (model, failures, retry_at)
    values (${model}, 1, clock_timestamp() + ${atLeast_s} * interval '1 second')
        on conflict (model) do update
       set failures = s.failures + 1,
           retry_at = clock_timestamp() + least(${most_s}, ${atLeast_s} * 2 ^ least(s.failures, 12)) * interval '1 second'`;
}
