/** Reads deliveries of the ledger again: to apply them, to store them with another body, or to prune them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatMicros, type Micros } from '../../core/time.ts';
import { SCAN_MAX_MS } from '../../mirror-rows/reads.ts';
import { plainArrayLiteral } from '../../postgres/arrays.ts';
import { type Queryable, type Sql, type Transaction, within } from '../../postgres/connection.ts';
import { eachPage } from '../../postgres/pages.ts';
import { HINT } from '../doubts.ts';
import { type StoredDelivery, takeFitting } from './ledger.ts';

/** All conditions must hold. */
export interface DeliveryFilter {
  readonly ids?: readonly string[];
  /** Only those not applied: failed, rejected or pending. */
  readonly failed?: boolean;
  /** Only those that arrived at or after this time. */
  readonly since?: Micros;
}

const EVERYTHING = '9223372036854775807';

function conditions(sql: Queryable, { ids, failed, since }: DeliveryFilter) {
  const one = ids === undefined ? sql`` : sql` and d.id = any(${plainArrayLiteral(ids)}::bigint[])`;
  const open = failed === true ? sql` and d.status in ('failed', 'rejected', 'pending')` : sql``;
  const late = since === undefined ? sql`` : sql` and d.received_at >= ${formatMicros(since)}::timestamptz`;
  return sql`${one}${open}${late}`;
}

/** How many deliveries match, and the id of the last one; later ones are not included. */
export async function countDeliveries(
  sql: Sql,
  filter: DeliveryFilter,
): Promise<{ readonly count: number; readonly last: string }> {
  const counted = sql`
    select count(*)::float8 as count, coalesce(max(d.id), 0)::text as last
      from sync.deliveries d where true${conditions(sql, filter)}`;
  const [row] = await within(counted, SCAN_MAX_MS);
  return { count: (row?.count ?? 0) as number, last: (row?.last ?? EVERYTHING) as string };
}

/** Takes deliveries in order of arrival, after `after` and up to `last`; locks them until the transaction ends. */
export function takeDeliveries(
  tx: Transaction,
  filter: DeliveryFilter,
  { after, last }: { readonly after: string | null; readonly last: string },
  limit: number,
): Promise<StoredDelivery[]> {
  return takeFitting(
    tx,
    tx`where d.id > ${after ?? '0'} and d.id <= ${last}${conditions(tx, filter)} order by d.id limit ${limit} for update`,
  );
}

/** A delivery with another body, and the hashes of what that body says. */
export interface RewrittenDelivery {
  readonly id: string;
  readonly body: string;
  readonly fromHash: string | null;
  readonly toHash: string | null;
}

/** Replaces bodies. A delivery that has no hashes gets none. */
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

export interface Entity {
  readonly module: string;
  readonly model: string;
  readonly id: string;
}

const BATCH_SIZE = 500;

/**
 * Returns in batches, locked, every delivery that may be about the entity: those known to be; those of its model that
 * were not parsed (pending, failed) or contain its id; and those that could not be understood.
 */
export function candidateDeliveries(tx: Transaction, { module, model, id }: Entity) {
  return eachPage(async (after: string | null) => {
    const deliveries = await takeFitting(
      tx,
      tx`where d.id > ${after ?? '0'} and (
               (d.module = ${module} and d.model = ${model}
                and (d.entity_id = ${id} or d.entity_id is null or strpos(d.body, ${id}::text) > 0))
               or d.status = 'rejected')
         order by d.id limit ${BATCH_SIZE} for update`,
    );
    return { deliveries, last: deliveries.at(-1)?.id };
  });
}

/**
 * Replaces bodies with ones without values and removes everything else derived from them. A delivery that was not
 * trusted on arrival keeps its mark, so that a replay does not trust it either.
 */
export async function withholdDeliveries(
  tx: Transaction,
  withheld: readonly Pick<StoredDelivery, 'id' | 'body'>[],
): Promise<void> {
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

const PRUNED_AT_A_TIME = 1_000;
/** Batches per call: ten million deliveries. The next call continues. */
const MAX_BATCHES = 10_000;
const PAUSE_MS = 50;

/** Deletes deliveries older than `retentionMs` that were processed, or those that failed. Pending ones stay. */
export async function pruneDeliveries(
  sql: Sql,
  retentionMs: number,
  signal: AbortSignal,
  which: 'done' | 'failed' = 'done',
): Promise<number> {
  // Open ones have an index by id.
  const chosen =
    which === 'failed'
      ? sql`status = 'failed' order by d.id`
      : sql`status <> all ('{pending,failed}') order by d.received_at`;
  let total = 0;
  for (let batch = 0; batch < MAX_BATCHES && !signal.aborted; batch += 1) {
    const { count } = await sql`
      delete from sync.deliveries
       where id in (
             select d.id from sync.deliveries d
              where d.received_at < clock_timestamp() - ${retentionMs} * interval '1 millisecond'
                and d.${chosen}
              limit ${PRUNED_AT_A_TIME}
                for update skip locked)`;
    total += count;
    if (count < PRUNED_AT_A_TIME) break;
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => {});
  }
  return total;
}
