/** What the history keeps of a change, and the statement that writes it. */
import type { Micros } from '../../catalog/instant.ts';
import { type JsonObject, stringifyJson } from '../../json.ts';
import { type ArrayItem, columnLiterals, unnested } from '../arrays.ts';
import type { Transaction } from '../connection.ts';

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
  await tx.unsafe(APPEND, columnLiterals(entries, COLUMNS.length, valuesOf), { prepare: true });
}

const typed = (type: string) => (name: string) => `n.${name}::${type}`;
/** From microseconds since the epoch: for either side less work than a date written out. */
const instant = (name: string) => `timestamptz 'epoch' + n.${name}::bigint * interval '1 microsecond'`;

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
const NAMES = COLUMNS.map(([name]) => name);

const APPEND = `
  insert into sync.history (recorded_at, ${NAMES.join(', ')})
  select clock_timestamp(), ${COLUMNS.map(([name, read]) => read(name)).join(', ')}
    from ${unnested('n', NAMES)}`;

/** In the order of the columns. */
function valuesOf(entry: HistoryEntry): readonly ArrayItem[] {
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
