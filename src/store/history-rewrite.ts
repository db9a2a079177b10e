/** Changes of the past, taken up once more to be kept in other words. */
import { type JsonObject, parseJson, stringifyJson } from '../core/json.ts';
import type { Queryable, Transaction } from '../postgres/connection.ts';

/** The values that a change tells of. */
export interface KeptChange {
  readonly entityId: string;
  readonly number: string;
  /** As the database writes it; chooses the partition. */
  readonly recordedAt: string;
  readonly before: JsonObject | null;
  readonly after: JsonObject | null;
}

/** Where to go on; the beginning when null. */
export type ChangePosition = Pick<KeptChange, 'entityId' | 'number'> | null;

/** Names, as `module.model`, of all models that have a history. */
export async function modelsWithHistory(sql: Queryable): Promise<string[]> {
  const rows = await sql`select distinct model from sync.history order by 1`;
  return rows.map(({ model }) => model as string);
}

/** Changes of one model, by record and in their order; they stay locked for the transaction. */
export async function takeChanges(
  tx: Transaction,
  model: string,
  position: ChangePosition,
  limit: number,
): Promise<KeptChange[]> {
  const { entityId = '-1', number = '0' } = position ?? {};
  const rows = await tx`
    select h.entity_id::text as "entityId", h.number::text as number, h.recorded_at::text as "recordedAt",
           h.before::text as before, h.after::text as after
      from sync.history h
     where h.model = ${model} and (h.entity_id, h.number) > (${entityId}::bigint, ${number}::bigint)
     order by h.entity_id, h.number
     limit ${limit}
       for update`;
  const values = (text: string | null) => (text === null ? null : (parseJson(text) as JsonObject));
  return rows.map((row) => ({
    ...(row as unknown as KeptChange),
    before: values(row.before),
    after: values(row.after),
  }));
}

/** Puts other values in the place of those that were kept. */
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
