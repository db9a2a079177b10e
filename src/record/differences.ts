import type { Json, JsonObject } from '../core/json.ts';
import { recordFields, type Shape, sameValue } from './record.ts';
import { isOneText } from './spelling.ts';

/**
 * The fields, under their canonical names, whose values differ in meaning.
 * @param names the only fields to compare; null for all fields of either record
 */
export function differingFields(
  shape: Shape,
  ours: JsonObject,
  theirs: JsonObject,
  names: readonly string[] | null,
): readonly string[] {
  const held = recordFields(shape, ours);
  const told = recordFields(shape, theirs);
  const looked = names ?? [...new Set([...Object.keys(told), ...Object.keys(held)])];
  return looked.filter((name) => {
    const isTold = Object.hasOwn(told, name);
    if (isTold !== Object.hasOwn(held, name)) return true;
    return isTold && !sameValue(shape, name, held[name] as Json, told[name] as Json);
  });
}

/** The fields that differ between a record and the next, under their canonical names. */
export interface Patch {
  /** Old and new values. Both have the same keys; null stands for a field that is missing. */
  readonly before: JsonObject;
  readonly after: JsonObject;
  /** False if no value differs: some fields only appear or are no longer shown. */
  readonly changesValues: boolean;
}

/** How two records of one entity differ in meaning, whatever their spelling; null if they do not. */
export function patchBetween(shape: Shape, old: JsonObject, now: JsonObject): Patch | null {
  const held = recordFields(shape, old);
  const told = recordFields(shape, now);
  const changed: [name: string, before: Json, after: Json][] = [];
  let changesValues = false;
  let common = 0;
  for (const name in told) {
    const value = told[name] as Json;
    // Nearly all fields end here.
    const isSame = held[name] === value;
    if (!isSame && !Object.hasOwn(held, name)) {
      changed.push([name, null, value]);
      continue;
    }
    common += 1;
    if (isSame || isOneText(held[name], value) || sameValue(shape, name, held[name] as Json, value)) continue;
    changesValues = true;
    changed.push([name, held[name] as Json, value]);
  }
  if (common < Object.keys(held).length) {
    for (const name in held) if (!Object.hasOwn(told, name)) changed.push([name, held[name] as Json, null]);
  }
  if (changed.length === 0) return null;
  // `fromEntries`, because a key may be any word, including `__proto__`.
  return {
    before: Object.fromEntries(changed.map(([name, before]) => [name, before])),
    after: Object.fromEntries(changed.map(([name, , after]) => [name, after])),
    changesValues,
  };
}
