/** Deliveries of the ledger, taken up once more: to be applied again, or to be stored with another body. */
import { formatMicros, type Micros } from '../../core/instant.ts';
import { plainArrayLiteral } from '../../postgres/arrays.ts';
import type { Queryable, Sql, Transaction } from '../../postgres/connection.ts';
import { eachPage } from '../../postgres/pages.ts';
import { HINT } from '../doubts.ts';
import type { DeliveryStatus } from './ledger.ts';

/** Which deliveries; all conditions hold together. */
export interface DeliveryFilter {
  /** Only these. */
  readonly ids?: readonly string[];
  /** Only those that are not applied: failed, rejected or still pending. */
  readonly failed?: boolean;
  /** Only those that arrived then or later. */
  readonly since?: Micros;
}

export interface ReplayedDelivery {
  readonly id: string;
  readonly receivedAt: Micros;
  readonly status: DeliveryStatus;
  readonly reason: string | null;
  readonly body: string;
}

const EVERYTHING = '9223372036854775807';

function conditions(sql: Queryable, { ids, failed, since }: DeliveryFilter) {
  const one = ids === undefined ? sql`` : sql` and d.id = any(${plainArrayLiteral(ids)}::bigint[])`;
  const open = failed === true ? sql` and d.status in ('failed', 'rejected', 'pending')` : sql``;
  const late = since === undefined ? sql`` : sql` and d.received_at >= ${formatMicros(since)}::timestamptz`;
  return sql`${one}${open}${late}`;
}

/** How many deliveries there are, and the last of them: later ones are not meant. */
export async function countDeliveries(
  sql: Sql,
  filter: DeliveryFilter,
): Promise<{ readonly count: number; readonly last: string }> {
  const [row] = await sql`
    select count(*)::float8 as count, coalesce(max(d.id), 0)::text as last
      from sync.deliveries d where true${conditions(sql, filter)}`;
  return { count: (row?.count ?? 0) as number, last: (row?.last ?? EVERYTHING) as string };
}

/** Takes deliveries in order of arrival, after one and up to another; they stay locked for the transaction. */
export async function takeDeliveries(
  tx: Transaction,
  filter: DeliveryFilter,
  range: { readonly after: string | null; readonly last: string },
  limit: number,
): Promise<ReplayedDelivery[]> {
  const rows = await tx`
    select d.id::text as id, (extract(epoch from d.received_at) * 1000000)::bigint::text as received_at, d.status, d.reason, d.body
      from sync.deliveries d
     where d.id > ${range.after ?? '0'} and d.id <= ${range.last}${conditions(tx, filter)}
     order by d.id
     limit ${limit}
       for update`;
  return rows.map((row) => ({
    id: row.id as string,
    receivedAt: Number(row.received_at),
    status: row.status as DeliveryStatus,
    reason: row.reason as string | null,
    body: row.body as string,
  }));
}

/** Whom a delivery is about, once that has been understood. */
export interface NamedDelivery {
  readonly id: string;
  readonly module: string;
  readonly model: string;
  readonly action: string;
}

/** Notes whom deliveries are about that were not understood when they came. */
export async function nameDeliveries(tx: Transaction, named: readonly NamedDelivery[]): Promise<void> {
  if (named.length === 0) return;
  const document = JSON.stringify(named.map(({ id, module, model, action }) => ({ id, module, model, action })));
  await tx`
    update sync.deliveries d set module = n.module, model = n.model, action = n.action
      from jsonb_to_recordset(${document}::text::jsonb) as n(id bigint, module text, model text, action text)
     where d.id = n.id`;
}

/** A delivery with another body, and the hashes of what that one tells. */
export interface RewrittenDelivery {
  readonly id: string;
  readonly body: string;
  readonly fromHash: string | null;
  readonly toHash: string | null;
}

/** Puts other bodies in the place of those that came; a delivery without hashes gets none. */
export async function rewriteDeliveries(tx: Transaction, rewritten: readonly RewrittenDelivery[]): Promise<void> {
  if (rewritten.length === 0) return;
  const document = JSON.stringify(
    rewritten.map(({ id, body, fromHash, toHash }) => ({ id, body, from_hash: fromHash, to_hash: toHash })),
  );
  await tx`
    update sync.deliveries d
       set body = n.body, from_hash = case when d.to_hash is not null then n.from_hash end,
           to_hash = case when d.to_hash is not null then n.to_hash end
      from jsonb_to_recordset(${document}::text::jsonb) as n(id bigint, body text, from_hash uuid, to_hash uuid)
     where d.id = n.id`;
}

/** One entity. */
export interface Entity {
  readonly module: string;
  readonly model: string;
  readonly id: string;
}

/** A stored delivery that is, or may be, about the entity. */
export interface CandidateDelivery {
  readonly id: string;
  readonly body: string;
}

/** Deliveries taken up at a time. */
const BATCH_SIZE = 500;

/**
 * Hands out, in batches, every delivery that may tell of the entity, locked: those known to be about it, those about its
 * model that were not taken apart (pending, failed), and those that nobody understood.
 */
export function candidateDeliveries(tx: Transaction, { module, model, id }: Entity) {
  return eachPage(async (after: string | null) => {
    const rows = await tx`
      select d.id::text as id, d.body from sync.deliveries d
       where d.id > ${after ?? '0'} and (
             (d.module = ${module} and d.model = ${model} and (d.entity_id = ${id} or d.entity_id is null))
             or d.status = 'rejected')
       order by d.id
       limit ${BATCH_SIZE}
         for update`;
    const deliveries = rows as unknown as readonly CandidateDelivery[];
    return { deliveries, last: deliveries.at(-1)?.id };
  });
}

/**
 * Puts bodies without values in the place of those that came, and takes away whatever else was derived from them. One
 * that was not believed when it came keeps its mark: a replay must not believe it now.
 */
export async function withholdDeliveries(tx: Transaction, withheld: readonly CandidateDelivery[]): Promise<void> {
  if (withheld.length === 0) return;
  await tx`
    update sync.deliveries d
       set body = n.body, from_hash = null, to_hash = null, version = null,
           reason = case when starts_with(d.reason, ${HINT}) then ${HINT}
                         when d.status in ('failed', 'rejected') then ${REASON} end
      from jsonb_to_recordset(${JSON.stringify(withheld)}::text::jsonb) as n(id bigint, body text)
     where d.id = n.id`;
}

const REASON = 'erased on request';
