/** Taking one entity's values out of the ledger; what stays is that there was something about this id. */
import type { Transaction } from '../postgres/connection.ts';
import { identifier } from '../postgres/quote.ts';
import { HINT } from './doubts.ts';

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
export async function* candidateDeliveries(
  tx: Transaction,
  { module, model, id }: Entity,
): AsyncGenerator<readonly CandidateDelivery[]> {
  let after = '0';
  // Ends with the ledger: each turn moves on to greater ids.
  for (;;) {
    const rows = await tx`
      select d.id::text as id, d.body from sync.deliveries d
       where d.id > ${after} and (
             (d.module = ${module} and d.model = ${model} and (d.entity_id = ${id} or d.entity_id is null))
             or d.status = 'rejected')
       order by d.id
       limit ${BATCH_SIZE}
         for update`;
    if (rows.length === 0) return;
    yield rows as unknown as readonly CandidateDelivery[];
    after = rows.at(-1)?.id as string;
  }
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

/**
 * Deletes what the other tables of the ledger know of the entity; returns how many lines that were.
 *
 * Which tables these are, the database says: a table that comes to name entities by (model, entity_id) is not forgotten.
 */
export async function forgetEntity(tx: Transaction, { module, model, id }: Entity): Promise<number> {
  const tables = await tx<{ name: string }[]>`
    select c.relname as name
      from pg_class c
     where c.relnamespace = 'sync'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and 2 = (select count(*) from pg_attribute a
                 where a.attrelid = c.oid and a.attname in ('model', 'entity_id') and not a.attisdropped)
       and c.relname <> 'deliveries'
     order by 1`;
  let lines = 0;
  for (const { name } of tables) {
    const { count } = await tx.unsafe(`delete from sync.${identifier(name)} where model = $1 and entity_id = $2`, [
      `${module}.${model}`,
      id,
    ]);
    lines += count;
  }
  return lines;
}
