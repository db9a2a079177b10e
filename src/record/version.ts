/** The source's own time of last change: what orders two observations of one record. */
import type { Model } from '../catalog/types.ts';
import type { JsonObject } from '../core/json.ts';
import { MICROS_PER_DAY, type Micros } from '../core/time.ts';
import { fieldValue } from './record.ts';
import type { WallInstant, Zone } from './zone.ts';

export type Version = WallInstant | null;

/** Names that Flowlu gives to a last-change field; for models that the catalogue does not know. */
const USUAL_VERSION_FIELDS = ['updated_date', 'updated_at', 'updated'];

export function versionOf(model: Pick<Model, 'version' | 'fields'> | null, record: JsonObject, zone: Zone): Version {
  const names = model === null ? USUAL_VERSION_FIELDS : model.version === null ? [] : [model.version];
  for (const name of names) {
    const value = model === null ? record[name] : fieldValue(model, record, name);
    const version = typeof value === 'string' ? zone.resolve(value) : null;
    if (version !== null) return version;
  }
  return null;
}

/** How far ahead of its observation a version may lie and still be believed. */
const MAX_LEAD: Micros = MICROS_PER_DAY;

/** The version to decide by: null for one dated far into the future, so that one wrong date cannot freeze a row. */
export function credible(version: Version, observedAt: Micros): Version {
  return version !== null && version.at > observedAt + MAX_LEAD ? null : version;
}

/** Below zero when `a` is older, zero when neither is newer, above zero when `a` is newer; null when one is missing. */
export function compareVersions(a: Version, b: Version): number | null {
  return a === null || b === null ? null : a.order - b.order;
}
