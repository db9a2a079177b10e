/** What people are shown of the ledger of deliveries. Reads only. */
import type { Queryable, Sql } from '../../postgres/connection.ts';
import type { Decision, DeliveryStatus } from './ledger.ts';

/** A delivery with what became of it. */
export interface DeliveryStory {
  readonly id: string;
  readonly received_at: string;
  readonly status: DeliveryStatus;
  readonly action: string | null;
  readonly version: string | null;
  readonly decision: Decision | null;
  readonly reason: string | null;
  readonly attempts: number;
  readonly body: string;
}

/** The newest deliveries about an entity, oldest first, and how many there are in all. */
export async function deliveriesAbout(
  sql: Queryable,
  subject: { readonly module: string; readonly model: string; readonly id: string },
  limit: number,
): Promise<{ readonly total: number; readonly deliveries: readonly DeliveryStory[] }> {
  const { module, model, id } = subject;
  const rows = await sql`
    select d.id::text as id, to_json(d.received_at) #>> '{}' as received_at, d.status, d.action,
           to_json(d.version) #>> '{}' as version, d.decision, d.reason, d.attempts, d.body,
           (count(*) over ())::float8 as total
      from sync.deliveries d
     where d.module = ${module} and d.model = ${model} and d.entity_id = ${id}
     order by d.id desc
     limit ${limit}`;
  const deliveries = rows.map(({ total: _, ...row }) => row as DeliveryStory).reverse();
  return { total: (rows[0]?.total ?? 0) as number, deliveries };
}

/** How many deliveries there are, and how they stand. */
export interface DeliveryCounts {
  readonly total: number;
  readonly pending: number;
  readonly failed: number;
  readonly rejected: number;
  readonly last_received_at: string | null;
  /** Age of the oldest delivery that is not applied yet. */
  readonly oldest_pending_seconds: number | null;
}

export async function deliveryCounts(sql: Queryable): Promise<DeliveryCounts> {
  const [row] = await sql`
    select count(*)::int as total, count(*) filter (where status = 'pending')::int as pending,
           count(*) filter (where status = 'failed')::int as failed,
           count(*) filter (where status = 'rejected')::int as rejected,
           to_json(max(received_at)) #>> '{}' as last_received_at,
           extract(epoch from clock_timestamp() - min(received_at) filter (where status = 'pending'))::float8
             as oldest_pending_seconds
      from sync.deliveries`;
  return row as unknown as DeliveryCounts;
}

/** How many deliveries wait to be applied; read from the index of open ones. */
export async function countPending(sql: Sql): Promise<number> {
  const [row] = await sql`select count(*)::int as pending from sync.deliveries where status = 'pending'`;
  return row?.pending as number;
}

/** A delivery without effect, for people. */
export interface FailedDelivery {
  readonly id: string;
  readonly received_at: string;
  readonly status: string;
  readonly model: string | null;
  readonly reason: string | null;
}

/** The newest deliveries that could not be applied or were rejected, latest first. */
export async function lastFailures(sql: Queryable, limit: number): Promise<readonly FailedDelivery[]> {
  const rows = await sql`
    select id::text as id, to_json(received_at) #>> '{}' as received_at, status, module || '.' || model as model, reason
      from sync.deliveries where status in ('failed', 'rejected') order by deliveries.id desc limit ${limit}`;
  return rows as unknown as readonly FailedDelivery[];
}

/** How long ago the last delivery arrived, null for never, and whether one could not be applied. */
export async function lastArrival(sql: Sql): Promise<{ readonly age_s: number | null; readonly hasFailed: boolean }> {
  const [row] = await sql`
    select (select extract(epoch from clock_timestamp() - received_at)::float8
              from sync.deliveries order by id desc limit 1) as age_s,
           exists (select from sync.deliveries where status = 'failed') as has_failed`;
  return { age_s: row?.age_s as number | null, hasFailed: row?.has_failed === true };
}

/** Whether any delivery has been recorded. */
export async function hasDeliveries(sql: Sql): Promise<boolean> {
  const [row] = await sql`select exists (select from sync.deliveries) as present`;
  return row?.present === true;
}

/** What webhooks have told of a model lately. */
export interface WebhookUse {
  readonly model: string;
  readonly deliveries: number;
  /** Those that said what the row said already. */
  readonly repeats: number;
  /** Those that changed a row. */
  readonly changes: number;
  readonly last_at: string;
  /** Longest time between two of them. */
  readonly longest_silence_s: number | null;
}

/** Newest deliveries that count for it. */
const USE_WINDOW = 20_000;

/** Webhooks by model, among the newest deliveries. */
export async function webhookUse(sql: Queryable): Promise<readonly WebhookUse[]> {
  const rows = await sql`
    with recent as (
      select module || '.' || model as model, decision, received_at,
             received_at - lag(received_at) over (partition by module, model order by d.id) as silence
        from (select * from sync.deliveries where module is not null order by id desc limit ${USE_WINDOW}) as d)
    select model, count(*)::int as deliveries, count(*) filter (where decision = 'duplicate')::int as repeats,
           count(*) filter (where decision in ('inserted', 'updated', 'tombstoned', 'revived'))::int as changes,
           to_json(max(received_at)) #>> '{}' as last_at,
           extract(epoch from max(silence))::float8 as longest_silence_s
      from recent group by model order by model`;
  return rows as unknown as readonly WebhookUse[];
}
