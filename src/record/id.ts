/** Record ids as digits. They are never numbers here, since 64-bit ids do not fit into a double. */
import { LosslessNumber } from 'lossless-json';
import type { JsonObject } from '../core/json.ts';

/** 0 means no record. */
const DIGITS = /^(?!0+$)\d{1,20}$/;
const MAX_ID = 2n ** 63n - 1n;

/** The id of a record as digits without leading zeros; null if it has none that is a whole number of 64 bits. */
export function idOf(record: JsonObject | null): string | null {
  const id = record?.id ?? record?.ID ?? record?.Id;
  if (typeof id !== 'string' && typeof id !== 'number' && !(id instanceof LosslessNumber)) return null;
  const digits = id.toString().trim();
  return isId(digits) ? digits.replace(/^0+(?=\d)/, '') : null;
}

/** Whether the text may be used as an id in a path. */
export function isId(text: string): boolean {
  return DIGITS.test(text) && BigInt(text) <= MAX_ID;
}

/** Negative, zero or positive, as `a` is less than, equal to or greater than `b`. Both as `idOf` returns them. */
export function compareIds(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : Number(a > b);
}
