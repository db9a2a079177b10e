/** The story of one entity: its row, its doubt, its deliveries and the decision on each. Reads only. */

import { splitName } from '../catalog/name.ts';
import type { Json, JsonObject } from '../core/json.ts';
import { formatMicros } from '../core/time.ts';
import { readDelivery } from '../delivery/delivery.ts';
import { readColumns, readRow } from '../mirror-rows/reads.ts';
import type { MirrorTable } from '../mirror-rows/rows.ts';
import type { Sql } from '../postgres/connection.ts';
import { differingFields } from '../record/differences.ts';
import { recordFields, type Shape } from '../record/record.ts';
import { plainWords } from '../status/words.ts';
import { type DeliveryStory, deliveriesAbout } from '../store/deliveries/reports.ts';
import { type DoubtDetails, doubtAbout } from '../store/doubts.ts';
import { absentModels } from '../store/listings.ts';
import { lastFact } from '../store/measurements.ts';
import { type ApiChange, apiChanges } from './api-changes.ts';

const TWO_SWEEPS =
  'two complete sweeps, an hour or more apart, did not list it, and the portal reads no single records of this model';

const LACKING =
  'the portal said twice, an hour or more apart, that it has no such model, and no reading ever brought the record';

const MAX_DELIVERIES = 200;
const MAX_API_CHANGES = 200;

export interface FieldChange {
  readonly field: string;
  /** Absent if the field did not exist. */
  readonly from?: Json;
  readonly to?: Json;
}

export interface ExplainedRow {
  readonly state: 'live' | 'deleted';
  readonly version: string | null;
  readonly observed_at: string;
  readonly source: string;
  readonly deleted_at: string | null;
  /** Why it counts as deleted, if not because the portal said so about this record. */
  readonly deleted_because: string | null;
  /** Typed columns with a value; for a model that the catalogue does not know, the record's fields. */
  readonly values: JsonObject;
  readonly record: JsonObject;
}

export interface ExplainedDelivery extends Omit<DeliveryStory, 'body'> {
  readonly told: string;
  /** What this delivery changed, by its own content or compared with the one before. */
  readonly changes: readonly FieldChange[];
}

export interface Explanation {
  readonly model: string;
  readonly id: string;
  readonly table: string;
  readonly row: ExplainedRow | null;
  readonly doubt: DoubtDetails | null;
  /** All deliveries about it. The newest of them follow. */
  readonly deliveries_total: number;
  /** In order of arrival. */
  readonly deliveries: readonly ExplainedDelivery[];
  /** What readings through the API changed, the newest of it, in order. */
  readonly api_changes: readonly (ApiChange & { readonly changes: readonly FieldChange[] })[];
}

export async function explain(sql: Sql, table: MirrorTable, id: string, shape: Shape): Promise<Explanation> {
  const { module, model } = splitName(table.name);
  const [row, doubt, story, read] = await Promise.all([
    explainRow(sql, table, id),
    doubtAbout(sql, table.name, id),
    deliveriesAbout(sql, { module, model, id }, MAX_DELIVERIES),
    apiChanges(sql, table.name, id, MAX_API_CHANGES),
  ]);
  return {
    model: table.name,
    id,
    table: `flowlu.${table.model?.table ?? 'uncatalogued'}`,
    row,
    doubt,
    deliveries_total: story.total,
    deliveries: explainDeliveries(story.deliveries, shape),
    api_changes: read.map((change) => ({ ...change, changes: changesBetween(shape, change.before, change.after) })),
  };
}

async function explainRow(sql: Sql, table: MirrorTable, id: string): Promise<ExplainedRow | null> {
  const [row, read] = await Promise.all([readRow(sql, table, id), readColumns(sql, table, id)]);
  if (row === null || read === null) return null;
  const { record, source, observedAt, deletedAt } = row;
  const values = table.model === null ? record : read.columns;
  const isUnconfirmed = deletedAt !== null && source === 'api' && (await lastFact(sql, table.name, 'get')) !== null;
  return {
    state: deletedAt === null ? 'live' : 'deleted',
    version: read.version,
    observed_at: formatMicros(observedAt),
    source,
    deleted_at: deletedAt === null ? null : formatMicros(deletedAt),
    deleted_because: isUnconfirmed ? ((await absentModels(sql)).has(table.name) ? LACKING : TWO_SWEEPS) : null,
    values: Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== '')),
    record,
  };
}

function explainDeliveries(stories: readonly DeliveryStory[], shape: Shape): readonly ExplainedDelivery[] {
  let before: JsonObject | null = null;
  return stories.map(({ body, ...story }) => {
    const { current = null, previous = null } = (body === null ? null : readDelivery(body))?.announcement ?? {};
    const from = previous ?? before;
    const changes = changesBetween(shape, from, current);
    before = current ?? before;
    return { ...story, told: plainWords(story), changes };
  });
}

/** Fields whose meaning differs between two states, except those that the later one lacks; none where one is unknown. */
export function changesBetween(shape: Shape, from: JsonObject | null, to: JsonObject | null): readonly FieldChange[] {
  if (from === null || to === null) return [];
  const [held, told] = [recordFields(shape, from), recordFields(shape, to)];
  return differingFields(shape, from, to, Object.keys(told)).map((field) => ({
    field,
    ...(Object.hasOwn(held, field) && { from: held[field] as Json }),
    ...(Object.hasOwn(told, field) && { to: told[field] as Json }),
  }));
}
