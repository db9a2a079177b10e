/** What reports show of the ledger of deliveries. Reads only. */
import { models } from '../../catalog/index.ts';
import { MAX_OTHERS_TOLD } from '../../mirror-rows/reads.ts';
import type { Queryable } from '../../postgres/connection.ts';
import type { Decision, DeliveryStatus } from './ledger.ts';

export interface DeliveryStory {
  readonly id: string;
  readonly received_at: string;
  readonly status: DeliveryStatus;
  readonly action: string | null;
  readonly version: string | null;
  readonly decision: Decision | null;
  readonly reason: string | null;
  readonly attempts: number;
  /** Null for an older one that does not fit into memory with the others. */
  readonly body: string | null;
  readonly headers: Readonly<Record<string, string>> | null;
}

/** Bytes of bodies returned at a time. */
const MAX_BODY_BYTES = 8 * 2 ** 20;

/** The newest deliveries about an entity, oldest first, and the total number. */
export async function deliveriesAbout(
  sql: Queryable,
  subject: { readonly module: string; readonly model: string; readonly id: string },
  limit: number,
): Promise<{ readonly total: number; readonly deliveries: readonly DeliveryStory[] }> {
  const { module, model, id } = subject;
  const rows = await sql`
    select d.id::text as id, to_json(d.received_at) #>> '{}' as received_at, d.status, d.action,
           to_json(d.version) #>> '{}' as version, d.decision, d.reason, d.attempts,
           case when sum(octet_length(d.body)) over (order by d.id desc) <= ${MAX_BODY_BYTES} then d.body end as body,
           d.headers,
           (count(*) over ())::float8 as total
      from sync.deliveries d
     where d.module = ${module} and d.model = ${model} and d.entity_id = ${id}
     order by d.id desc
     limit ${limit}`;
  const deliveries = rows.map(({ total: _, ...row }) => row as DeliveryStory).reverse();
  return { total: (rows[0]?.total ?? 0) as number, deliveries };
}

/** Headers of the newest deliveries, each with its latest value. */
export async function lastHeaders(sql: Queryable): Promise<Readonly<Record<string, string>>> {
  const rows = await sql`
    select distinct on (h.key) h.key as name, h.value
      from (select id, headers from sync.deliveries order by id desc limit ${HEADERS_WINDOW}) as d
     cross join jsonb_each_text(d.headers) as h order by h.key, d.id desc limit ${MAX_HEADERS}`;
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}
const HEADERS_WINDOW = 200;
const MAX_HEADERS = 30;

export interface DeliveryCounts {
  readonly total: number;
  readonly pending: number;
  readonly failed: number;
  readonly rejected: number;
  readonly last_received_at: string | null;
  readonly oldest_pending_seconds: number | null;
}

export async function deliveryCounts(sql: Queryable): Promise<DeliveryCounts> {
  const [row] = await sql`
    select count(*)::int as total, count(*) filter (where status = 'pending')::int as pending,
           count(*) filter (where status = 'failed')::int as failed,
           count(*) filter (where status = 'rejected')::int as rejected,
           to_json(max(least(received_at, clock_timestamp()))) #>> '{}' as last_received_at,
           extract(epoch from clock_timestamp() - min(received_at) filter (where status = 'pending'))::float8
             as oldest_pending_seconds
      from sync.deliveries`;
  return row as unknown as DeliveryCounts;
}

export interface FailedDelivery {
  readonly id: string;
  readonly received_at: string;
  readonly status: string;
  readonly model: string | null;
  readonly reason: string | null;
}

/** The newest deliveries that failed or were rejected, latest first. */
export async function lastFailures(sql: Queryable, limit: number): Promise<readonly FailedDelivery[]> {
  return sql<FailedDelivery[]>`
    select id::text as id, to_json(received_at) #>> '{}' as received_at, status, module || '.' || model as model, reason
      from sync.deliveries where status in ('failed', 'rejected') order by deliveries.id desc limit ${limit}`;
}

/** The facts from which the health is judged. Read from indexes only, however many deliveries there are. */
export interface ArrivalFacts {
  /** The database's clock. */
  readonly now: string;
  readonly last_received_at: string | null;
  readonly pending: number;
  readonly pending_since: string | null;
  /** Why the newest of them is waiting. */
  readonly pending_reason: string | null;
  readonly failed: number;
  readonly failed_since: string | null;
  readonly failed_bytes: number;
}

export async function arrivalFacts(sql: Queryable): Promise<ArrivalFacts> {
  const [row] = await sql`
    select to_json(clock_timestamp()) #>> '{}' as now,
           (select to_json(received_at) #>> '{}' from sync.deliveries order by id desc limit 1) as last_received_at,
           (count(*) filter (where status = 'pending'))::int as pending,
           to_json(min(received_at) filter (where status = 'pending')) #>> '{}' as pending_since,
           (select reason from sync.deliveries where status = 'pending' order by id desc limit 1) as pending_reason,
           (count(*) filter (where status = 'failed'))::int as failed,
           to_json(min(received_at) filter (where status = 'failed')) #>> '{}' as failed_since,
           coalesce(sum(octet_length(body)) filter (where status = 'failed'), 0)::float8 as failed_bytes
      from sync.deliveries where status in ('pending', 'failed')`;
  return row as unknown as ArrivalFacts;
}

export interface Arrivals {
  readonly at: string;
  readonly deliveries: number;
  /** Median delay from Flowlu's time of the change to the mirror; null if no change has a version. */
  readonly lag_s: number | null;
}

/** Quarters of an hour shown: one day. */
export const QUARTERS = 96;

/** What arrived in the last day, by quarters of an hour, leaving out those without deliveries. */
export async function arrivalsOfTheDay(sql: Queryable): Promise<readonly Arrivals[]> {
  return sql<Arrivals[]>`
    select to_json(date_bin('15 minutes', received_at, timestamptz '2000-01-01')) #>> '{}' as at,
           count(*)::int as deliveries,
           (percentile_disc(0.5) within group (order by greatest(0, extract(epoch from applied_at - version)))
              filter (where version is not null and applied_at is not null))::float8 as lag_s
      from sync.deliveries where received_at > clock_timestamp() - interval '1 day' group by 1 order by 1`;
}

export async function hasDeliveries(sql: Queryable): Promise<boolean> {
  const [row] = await sql`select exists (select from sync.deliveries) as present`;
  return row?.present === true;
}

/** Recent webhooks of a model. */
export interface WebhookUse {
  readonly model: string;
  readonly deliveries: number;
  /** Those that repeated what the row already said. */
  readonly repeats: number;
  readonly changes: number;
  readonly last_at: string;
  readonly longest_silence_s: number | null;
}

/** The newest deliveries considered. */
const USE_WINDOW = 20_000;

/** Webhooks by model, among the newest deliveries: models of the catalogue, and the most frequent others. */
export async function webhookUse(sql: Queryable): Promise<readonly WebhookUse[]> {
  const catalogued = sql`model = any(${models.map(({ name }) => name)}::text[])`;
  return sql<WebhookUse[]>`
    with recent as (
      select module || '.' || model as model, decision, received_at,
             received_at - lag(received_at) over (partition by module, model order by d.id) as silence
        from (select * from sync.deliveries where module is not null order by id desc limit ${USE_WINDOW}) as d),
    placed as (
      select model, row_number() over (partition by ${catalogued} order by count(*) desc, model) as place
        from recent group by model)
    select model, count(*)::int as deliveries, count(*) filter (where decision = 'duplicate')::int as repeats,
           count(*) filter (where decision in ('inserted', 'updated', 'tombstoned', 'revived'))::int as changes,
           to_json(max(received_at)) #>> '{}' as last_at,
           extract(epoch from max(silence))::float8 as longest_silence_s
      from recent join placed using (model) where ${catalogued} or place <= ${MAX_OTHERS_TOLD}
     group by model order by model`;
}
