/** Where two records of one entity differ, by what they mean. */
import type { JsonObject } from '../json.ts';
import { contains, recordFields, type Shape } from './record.ts';

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
    return isTold && !contains(shape, held, { [name]: told[name] ?? null });
  });
}
