/** The version orders two observations of one record. */
import type { Model } from '../catalog/types.ts';
import type { JsonObject } from '../core/json.ts';
import { MICROS_PER_DAY, type Micros } from '../core/time.ts';
import { fieldValue } from './record.ts';
import type { WallInstant, Zone } from './zone.ts';

export type Version = WallInstant | null;

/** Flowlu's names for the field of the last change, for models that the catalogue does not know. */
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

/** How far in the future of its observation a version may lie and still be believed. */
const MAX_LEAD: Micros = MICROS_PER_DAY;

/** The version to decide by. It is null if dated far in the future, so that one wrong date cannot freeze a row. */
export function credible(version: Version, observedAt: Micros): Version {
  return version !== null && version.at > observedAt + MAX_LEAD ? null : version;
}

/** Negative if `a` is older, zero if neither is newer, positive if `a` is newer; null if one is missing. */
export function compareVersions(a: Version, b: Version): number | null {
  return a === null || b === null ? null : a.order - b.order;
}
