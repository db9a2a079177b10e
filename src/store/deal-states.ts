/**
 * `sync.deal_states`: how deals moved through their pipelines, one row per state of their `STAGE_FIELDS`. It is derived
 * from the history whenever a deal changes, so that readers need not go through all changes.
 */
import type { JsonObject } from '../core/json.ts';
import type { Queryable, Transaction } from '../postgres/connection.ts';
import { literal } from '../postgres/quote.ts';

export const DEALS = 'crm.lead';

/** The fields of deals that reports on pipelines use. Changes of other fields are skipped. */
export const STAGE_FIELDS = ['pipeline_id', 'pipeline_stage_id', 'active', 'budget', 'merged_to_id'] as const;

/** A condition on `sync.history h`: changes of these fields. */
export const STAGE_CHANGES = `h.model = ${literal(DEALS)} and (h.change <> 'updated' or h.before ?| array[${STAGE_FIELDS.map(literal).join(', ')}])`;

/** Columns other than the fields. */
export const STATE_COLUMNS = [
  'entity_id',
  'place',
  'valid_from',
  'valid_to',
  'entered_at',
  'enters_exactly',
  'ends_stay',
  'known_at',
] as const;

/**
 * The function that derives the states of `changed` deals again, and those of `others` if they have none yet.
 * @param select rows of `STATE_COLUMNS` and `STAGE_FIELDS` of the deals in the array `due`
 */
export const keeperOf = (select: string): string => `
create or replace function sync.keep_deal_states(changed bigint[], others bigint[]) returns void language plpgsql as $keep$
declare
  due constant bigint[] := changed || array(
    select o.id from unnest(others) o(id) where not exists (select from sync.deal_states k where k.entity_id = o.id));
begin
  delete from sync.deal_states k where k.entity_id = any (due);
  insert into sync.deal_states (model, kept_at, ${[...STATE_COLUMNS, ...STAGE_FIELDS].join(', ')})
  select ${literal(DEALS)}, clock_timestamp(), n.* from (${select}) n;
end $keep$`;

interface DealChange {
  readonly entityId: string;
  readonly kind: string;
  readonly before: JsonObject | null;
}

/** Derives the states of deals after these changes, which must be in the history by then. */
export async function keepStatesAfter(tx: Transaction, changes: readonly DealChange[]): Promise<void> {
  const moved = ({ kind, before }: DealChange) =>
    kind !== 'updated' || STAGE_FIELDS.some((field) => Object.hasOwn(before ?? {}, field));
  const ids = (some: readonly DealChange[]) => some.map(({ entityId }) => entityId);
  await keepDealStates(tx, ids(changes.filter(moved)), ids(changes));
}

/** Derives the states of `changed` deals again, and those of `others` if they have none yet. */
export async function keepDealStates(tx: Transaction, changed: readonly string[], others: readonly string[] = []) {
  if (changed.length + others.length === 0) return;
  const array = (ids: readonly string[]) => `{${[...new Set(ids)].join(',')}}`;
  await tx.unsafe(
    'select sync.keep_deal_states($1::text::bigint[], $2::text::bigint[])',
    [array(changed), array(others)],
    { prepare: true },
  );
}

/** Derives the states of all deals with a history, if there are no states yet. */
export async function fillDealStates(sql: Queryable): Promise<void> {
  await sql`
    select sync.keep_deal_states(array(select distinct entity_id from sync.history where model = ${DEALS}), '{}')
     where not exists (select from sync.deal_states)`;
}

export async function forgetDealStates(sql: Queryable, before: string): Promise<void> {
  await sql`delete from sync.deal_states where valid_to < ${before}::text::timestamptz`;
}
