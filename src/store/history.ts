/** The history: what it keeps of a change, the statement that writes it, and reading changes back to rewrite them. */

import { type JsonObject, parseJson, stringifyJson } from '../core/json.ts';
import type { Micros } from '../core/time.ts';
import { ROWS_SOURCE, type RowItem, rowsText, rowValue } from '../postgres/arrays.ts';
import { allAnswers, type Queryable, type Transaction } from '../postgres/connection.ts';
import { DEALS, keepStatesAfter } from './deal-states.ts';

export type ChangePath = 'webhook' | 'list' | 'get';

/** The state that a change ended; null if unknown. */
export interface Prior {
  readonly priorVersion: Micros | null;
  readonly priorObservedAt: Micros | null;
}

export interface Change extends Prior {
  readonly kind: 'created' | 'updated' | 'deleted' | 'revived';
  /** When it happened by Flowlu's clock; null if Flowlu does not say. */
  readonly version: Micros | null;
  /** When the mirror learnt of it: a webhook's arrival, or the moment before the API was asked. */
  readonly observedAt: Micros;
  readonly path: ChangePath;
  /** Old and new values of the changed fields; null if the change has none. */
  readonly before: JsonObject | null;
  readonly after: JsonObject | null;
}

export interface HistoryEntry extends Change {
  /** `module.model`. */
  readonly model: string;
  readonly entityId: string;
}

/**
 * Appends changes after their rows were written, those of one entity in the order given. Number and time of recording
 * are taken while the rows are locked, so for one entity both increase with every change.
 */
export async function appendChanges(tx: Transaction, entries: readonly HistoryEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const deals = entries.filter(({ model }) => model === DEALS);
  // Both are sent at once, in this order: a statement is sent when it is awaited.
  await allAnswers([
    (async () => tx.unsafe(APPEND, rowsText(entries.map(valuesOf)), { prepare: true }))(),
    keepStatesAfter(tx, deals),
  ]);
}

const typed = (type: string) => (value: string) => `${value}::${type}`;
/** From microseconds since the epoch: less work for both sides than a formatted date. */
const instant = (value: string) => `timestamptz 'epoch' + ${value}::bigint * interval '1 microsecond'`;

const COLUMNS = Object.entries({
  model: typed('text'),
  entity_id: typed('bigint'),
  change: typed('text'),
  version: instant,
  observed_at: instant,
  path: typed('text'),
  before: typed('jsonb'),
  after: typed('jsonb'),
  prior_version: instant,
  prior_observed_at: instant,
});

const APPEND = `
  insert into sync.history (recorded_at, ${COLUMNS.map(([name]) => name).join(', ')})
  select clock_timestamp(), ${COLUMNS.map(([, read], index) => read(rowValue(index + 1))).join(', ')}
    from ${ROWS_SOURCE}`;

/** In the order of the columns. */
function valuesOf(entry: HistoryEntry): readonly RowItem[] {
  return [
    entry.model,
    entry.entityId,
    entry.kind,
    moment(entry.version),
    String(entry.observedAt),
    entry.path,
    patch(entry.before),
    patch(entry.after),
    moment(entry.priorVersion),
    moment(entry.priorObservedAt),
  ];
}

const moment = (at: Micros | null) => (at === null ? null : String(at));
const patch = (values: JsonObject | null) => (values === null ? null : stringifyJson(values));

export interface KeptChange {
  readonly entityId: string;
  readonly number: string;
  /** As the database writes it; selects the partition. */
  readonly recordedAt: string;
  readonly before: JsonObject | null;
  readonly after: JsonObject | null;
}

export type ChangePosition = Pick<KeptChange, 'entityId' | 'number'>;

/** Names, as `module.model`, of all models that have a history. */
export async function modelsWithHistory(sql: Queryable): Promise<string[]> {
  const rows = await sql`select distinct model from sync.history order by 1`;
  return rows.map(({ model }) => model as string);
}

/** Bytes of values held in memory at a time. */
const MAX_BYTES = 4 * 2 ** 20;

/** Changes of one model by record and number, as many as fit into memory; locks them until the transaction ends. */
export async function takeChanges(
  tx: Transaction,
  model: string,
  after: ChangePosition | null,
  limit: number,
): Promise<KeptChange[]> {
  const { entityId = '-1', number = '0' } = after ?? {};
  const rows = await tx`
    with taken as materialized (
      select h.entity_id, h.number, h.recorded_at, h.before::text as before, h.after::text as after
        from sync.history h
       where h.model = ${model} and (h.entity_id, h.number) > (${entityId}::bigint, ${number}::bigint)
       order by h.entity_id, h.number
       limit ${limit}
         for update),
    placed as (
      select *, sum(octet_length(concat(before, after))) over (order by entity_id, number) as bytes,
             row_number() over (order by entity_id, number) as place
        from taken)
    select entity_id::text as "entityId", number::text as number, recorded_at::text as "recordedAt", before, after
      from placed where bytes < ${MAX_BYTES} or place = 1
     order by placed.entity_id, placed.number`;
  const values = (text: string | null) => (text === null ? null : (parseJson(text) as JsonObject));
  return rows.map((row) => ({
    ...(row as unknown as KeptChange),
    before: values(row.before),
    after: values(row.after),
  }));
}

/** Replaces the values kept in changes. The rows of the records already have theirs. */
export async function rewriteChanges(tx: Transaction, model: string, changes: readonly KeptChange[]): Promise<void> {
  if (changes.length === 0) return;
  const document = JSON.stringify(
    changes.map(({ entityId, number, recordedAt, before, after }) => ({
      entity_id: entityId,
      number,
      recorded_at: recordedAt,
      before: before === null ? null : stringifyJson(before),
      after: after === null ? null : stringifyJson(after),
    })),
  );
  await tx`
    update sync.history h set before = n.before::jsonb, after = n.after::jsonb
      from jsonb_to_recordset(${document}::text::jsonb)
           as n(entity_id bigint, number bigint, recorded_at timestamptz, before text, after text)
     where h.model = ${model} and h.entity_id = n.entity_id and h.number = n.number and h.recorded_at = n.recorded_at`;
}
