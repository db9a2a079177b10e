/** What the history keeps of a change, and the statements that write and forget it. */
import { formatMicros, type Micros } from '../../catalog/instant.ts';
import { type JsonObject, stringifyJson } from '../../json.ts';
import type { Queryable, Transaction } from '../connection.ts';

/** Through what the mirror learnt of a change. */
export type ChangePath = 'webhook' | 'list' | 'get';

/** The state that a change put an end to; nulls where it is not known. */
export interface Prior {
  readonly priorVersion: Micros | null;
  readonly priorObservedAt: Micros | null;
}

/** One accepted change of one entity. */
export interface Change extends Prior {
  readonly kind: 'created' | 'updated' | 'deleted' | 'revived';
  /** When it happened by the source's own clock; null where the source does not tell. */
  readonly version: Micros | null;
  /** When the mirror learnt it: a webhook's arrival, or the moment before the API was asked. */
  readonly observedAt: Micros;
  readonly path: ChangePath;
  /** The values that went, and those that came, of the fields that changed; null where the change tells of none. */
  readonly before: JsonObject | null;
  readonly after: JsonObject | null;
}

/** A change, and whose. */
export interface HistoryEntry extends Change {
  /** `module.model`. */
  readonly model: string;
  readonly entityId: string;
}

/**
 * Appends changes, of one entity in the order given. The number and the moment of recording are taken under the locks of
 * the rows concerned, so for one entity both rise with every change.
 */
export async function appendChanges(tx: Transaction, entries: readonly HistoryEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await tx.unsafe(APPEND, [`[${entries.map(entryDocument).join(',')}]`], { prepare: true });
}

/** Forgets all that is known of the past of these entities; returns how many changes that were. */
export async function eraseHistory(sql: Queryable, model: string, ids: readonly string[]): Promise<number> {
  const { count } = await sql`
    delete from sync.history where model = ${model} and entity_id = any(${`{${ids.join(',')}}`}::text::bigint[])`;
  return count;
}

const APPEND = `
  insert into sync.history (recorded_at, model, entity_id, change, version, observed_at, path, before, after,
                            prior_version, prior_observed_at)
  select clock_timestamp(), n.model, n.id, n.change, n.version, n.observed_at, n.path, n.before, n.after,
         n.prior_version, n.prior_observed_at
    from jsonb_to_recordset($1::text::jsonb) as n(
         model text, id bigint, change text, version timestamptz, observed_at timestamptz, path text,
         before jsonb, after jsonb, prior_version timestamptz, prior_observed_at timestamptz)`;

function entryDocument(entry: HistoryEntry): string {
  const plain = JSON.stringify({
    model: entry.model,
    id: entry.entityId,
    change: entry.kind,
    version: moment(entry.version),
    observed_at: moment(entry.observedAt),
    path: entry.path,
    prior_version: moment(entry.priorVersion),
    prior_observed_at: moment(entry.priorObservedAt),
  });
  return `${plain.slice(0, -1)},"before":${patchDocument(entry.before)},"after":${patchDocument(entry.after)}}`;
}

const moment = (at: Micros | null) => (at === null ? null : formatMicros(at));
const patchDocument = (patch: JsonObject | null) => (patch === null ? 'null' : stringifyJson(patch));
