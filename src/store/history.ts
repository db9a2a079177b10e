/** What the history keeps of a change, and the statement that writes it. */
import type { Micros } from '../core/instant.ts';
import { type JsonObject, stringifyJson } from '../core/json.ts';
import { ROWS_SOURCE, type RowItem, rowsText } from '../postgres/arrays.ts';
import type { Transaction } from '../postgres/connection.ts';

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
  await tx.unsafe(APPEND, rowsText(entries.map(valuesOf)), { prepare: true });
}

const typed = (type: string) => (value: string) => `${value}::${type}`;
/** From microseconds since the epoch: for either side less work than a date written out. */
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
  select clock_timestamp(), ${COLUMNS.map(([, read], index) => read(`n.v[${index + 1}]`)).join(', ')}
    from ${ROWS_SOURCE} as n`;

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
