/** Where two records of one entity differ, by what they mean. */
import type { Json, JsonObject } from '../core/json.ts';
import { recordFields, type Shape, sameValue } from './record.ts';
import { isOneText } from './spelling.ts';

/**
 * The fields, under their canonical names, in which two records do not mean the same.
 * @param names the only fields to look at; null for all that either record has.
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

/** What leads from one record to the next and back: the fields that differ, under their canonical names. */
export interface Patch {
  /** The values that went, and those that came; both have the same keys, and null stands for a field that is not there. */
  readonly before: JsonObject;
  readonly after: JsonObject;
  /** False when no field has another value: some are only shown now, or not shown any more. */
  readonly changesValues: boolean;
}

/** How two records of one entity differ by what they mean, however they spell it; null when they mean the same. */
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
  // From entries, because a key may be any word, `__proto__` included.
  return {
    before: Object.fromEntries(changed.map(([name, before]) => [name, before])),
    after: Object.fromEntries(changed.map(([name, , after]) => [name, after])),
    changesValues,
  };
}
