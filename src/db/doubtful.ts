/** Doubtful rows: what the merge rules could not decide and a reading of the record will settle. */
import { formatMicros, type Micros } from '../catalog/instant.ts';
import type { Transaction } from './connection.ts';

export interface Doubt {
  /** `module.model`. */
  readonly model: string;
  readonly entityId: string;
  readonly reason: string;
}

/** Marks entities as doubtful; a new doubt about the same one starts its waiting anew. */
export async function raiseDoubts(tx: Transaction, doubts: readonly Doubt[]): Promise<void> {
  if (doubts.length === 0) return;
  const document = JSON.stringify(
    doubts.map(({ model, entityId, reason }) => ({ model, entity_id: entityId, reason })),
  );
  await tx`
    insert into sync.doubtful as d (model, entity_id, reason)
    select n.model, n.entity_id, n.reason
      from jsonb_to_recordset(${document}::text::jsonb) as n(model text, entity_id bigint, reason text)
     order by n.model, n.entity_id
        on conflict (model, entity_id) do update
       set reason = excluded.reason, since = clock_timestamp(), attempts = 0, next_attempt_at = clock_timestamp(),
           last_error = null`;
}

/** What the API has made plain. */
export interface Clarification {
  readonly model: string;
  readonly entityId: string;
  /** The moment before the request was sent: doubts raised later stand. */
  readonly observedAt: Micros;
}

/** Takes back doubts that a later reading has settled. */
export async function clearDoubts(tx: Transaction, settled: readonly Clarification[]): Promise<void> {
  if (settled.length === 0) return;
  const document = JSON.stringify(
    settled.map(({ model, entityId, observedAt }) => ({
      model,
      entity_id: entityId,
      observed_at: formatMicros(observedAt),
    })),
  );
  await tx`
    delete from sync.doubtful d
     using jsonb_to_recordset(${document}::text::jsonb) as n(model text, entity_id bigint, observed_at timestamptz)
     where d.model = n.model and d.entity_id = n.entity_id and d.since < n.observed_at`;
}
