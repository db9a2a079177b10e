/**
 * Compares records by what they mean.
 *
 * Flowlu writes one value in several ways (`1`, `"1"`, `true`; `VAT`, `vat`; null, `""`, `0000-00-00`), depending on
 * the path. Stored records keep the spelling; comparing, merging and hashing ignore it.
 */
import { hash } from 'node:crypto';
import { LosslessNumber } from 'lossless-json';
import type { FieldKind, Model } from '../catalog/types.ts';
import { isJsonObject, type Json, type JsonObject, MAX_SCALAR_LENGTH, stringifyJson, weightOf } from '../core/json.ts';

/** What a record is compared by: the fields of the model, or none for a model that the catalogue does not know. */
export interface Shape extends Pick<Model, 'fields'> {
  /** Second names of custom fields, `cf_{alias}` → `cf_{id}`. Webhooks and the API may use different ones. */
  readonly aliases?: ReadonlyMap<string, string>;
}

export const UNKNOWN_SHAPE: Shape = { fields: {} };

/** The value of a known field, however its name is spelt. */
export function fieldValue(shape: Shape, record: JsonObject, name: string): Json | undefined {
  return record[name] ?? recordFields(shape, record)[name];
}

/** The record under canonical keys: known fields in lower case, others as they came. */
export function recordFields(shape: Shape, record: JsonObject): JsonObject {
  return digestOf(shape, record).fields;
}

/** The values of the shape's fields, in their order; undefined where the record has none. */
export function fieldValues(shape: Shape, record: JsonObject): readonly (Json | undefined)[] {
  const { fields, order } = digestOf(shape, record);
  const values = Object.values(fields);
  return order.fieldsAt.map((at) => values[at]);
}

/** What is computed once about a record and used several times on its way into a row. */
type Digest = ReturnType<typeof newDigest>;

/** Records never change, so these need no invalidation. */
const digests = new WeakMap<JsonObject, Digest>();

function digestOf(shape: Shape, record: JsonObject): Digest {
  const known = digests.get(record);
  if (known?.shape === shape) return known;
  const digest = newDigest(shape, record);
  digests.set(record, digest);
  return digest;
}

function newDigest(shape: Shape, record: JsonObject) {
  const order = orderOf(shape, Object.keys(record));
  const fields = order.isCanonical ? record : renamed(shape, record);
  const own = order.isCanonical ? order : orderOf(shape, Object.keys(fields));
  return { shape, fields, order: own, hash: null as string | null };
}

/** What depends only on the keys of a record, not on its values. */
type KeyOrder = ReturnType<typeof newOrder>;

/** Rows of one page share one order of keys and stored rows another, so a few orders nearly always suffice. */
const recentOrders = new WeakMap<Shape, readonly KeyOrder[]>();
const MAX_RECENT_ORDERS = 8;
/** In characters. Records with more or longer keys are unlikely to come again. */
const MAX_REMEMBERED_LENGTH = 100_000;

function orderOf(shape: Shape, keys: readonly string[]): KeyOrder {
  const recent = recentOrders.get(shape) ?? [];
  const known = recent.find((order) => sameKeys(order.keys, keys));
  if (known !== undefined) return known;
  const order = newOrder(shape, keys);
  if (order.prefix.length > MAX_REMEMBERED_LENGTH) return order;
  recentOrders.set(shape, [order, ...recent.slice(0, MAX_RECENT_ORDERS - 1)]);
  return order;
}

function newOrder(shape: Shape, keys: readonly string[]) {
  const names = [...keys].sort();
  const places = new Map(keys.map((key, at) => [key, at]));
  const placeOf = (name: string) => places.get(name) ?? -1;
  return {
    keys,
    /** Whether every key is spelt as in the shape. */
    isCanonical: keys.every((key) => canonicalKey(shape, key) === key),
    /** Positions and kinds of the values to hash, in the order of their sorted names. */
    sorted: names.map((name) => ({ at: placeOf(name), kind: shape.fields[name]?.kind })),
    /** The sorted keys as JSON; the hashed text begins with it. */
    prefix: JSON.stringify(names),
    /** The position of the value of each of the shape's fields; -1 if missing. */
    fieldsAt: Object.keys(shape.fields).map(placeOf),
  };
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((key, index) => key === b[index]);
}

function renamed(shape: Shape, record: JsonObject): JsonObject {
  // A map, because a key may be any word, including `__proto__`.
  const canonical = new Map<string, Json>();
  for (const [key, value] of Object.entries(record)) {
    const name = canonicalKey(shape, key);
    // If a name occurs in two spellings, the exact one counts, unless it is empty.
    if (canonical.has(name) && (name !== key || value === null || value === '')) continue;
    canonical.set(name, value);
  }
  return Object.fromEntries(canonical);
}

/** Memory limit for a record that many messages have built up. Real records weigh a thousandth of it. */
const MAX_MERGED_BYTES = 4 * 2 ** 20;

/**
 * The stored record with the values of the patch. Keys that the patch lacks keep their values, unless the result would
 * be larger than any real record.
 */
export function mergeRecords(shape: Shape, base: JsonObject, patch: JsonObject): JsonObject {
  const patched = new Set(Object.keys(patch).map((key) => canonicalKey(shape, key)));
  const kept = Object.entries(base).filter(([key]) => !patched.has(canonicalKey(shape, key)));
  // The same object, so that its digest is reused.
  if (kept.length === 0) return patch;
  const merged = { ...Object.fromEntries(kept), ...patch };
  return weightOf(merged) > MAX_MERGED_BYTES ? patch : merged;
}

/** Whether `whole` contains everything in `part` with the same meaning. False if `part` is empty. */
export function contains(shape: Shape, whole: JsonObject, part: JsonObject): boolean {
  const values = recordFields(shape, whole);
  const entries = Object.entries(recordFields(shape, part));
  return (
    entries.length > 0 &&
    entries.every(([name, value]) => Object.hasOwn(values, name) && sameValue(shape, name, values[name] as Json, value))
  );
}

/** Whether two values of one field mean the same, however they are spelt. */
export function sameValue(shape: Shape, name: string, a: Json, b: Json): boolean {
  if (a === b) return true;
  const kind = shape.fields[name]?.kind;
  return sameMeaning(meaning(kind, a), meaning(kind, b));
}

/**
 * Whether `whole` has a field of `part` under two names, as happens when a custom field's alias became known only
 * later. Merging `part` leaves one of them.
 */
export function hasAlias(shape: Shape, whole: JsonObject, part: JsonObject): boolean {
  const keys = Object.keys(whole);
  if (keys.length === Object.keys(recordFields(shape, whole)).length) return false;
  const told = recordFields(shape, part);
  const names = keys.map((key) => canonicalKey(shape, key)).filter((name) => Object.hasOwn(told, name));
  return new Set(names).size < names.length;
}

/** A 128-bit hash of the record's meaning, as a UUID: equal for all spellings of the same content. */
export function contentHash(shape: Shape, record: JsonObject): string {
  const digest = digestOf(shape, record);
  digest.hash ??= hashFields(digest);
  return digest.hash;
}

/** NUL, which no record contains, separates names and meanings. JSON would take twice as long. */
function hashFields({ fields, order }: Digest): string {
  const values = Object.values(fields);
  let text = order.prefix;
  for (const { at, kind } of order.sorted) text += `\0${hashable(meaning(kind, values[at] as Json))}`;
  const hex = hash('sha256', text, 'hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}

/** Prefixes of values that are not strings, so that no string can look like one. */
const [NOTHING, NO_TEXT] = ['\u0001', '\u0002'];

/** A different text for each meaning: null, strings, and everything else as JSON. */
function hashable(value: Json): string {
  if (value === null) return NOTHING;
  if (typeof value !== 'string') return NO_TEXT + stringifyJson(value);
  return value.startsWith(NOTHING) || value.startsWith(NO_TEXT) ? NOTHING + value : value;
}

/** One form for all spellings of a value of this kind. */
function meaning(kind: FieldKind | undefined, value: Json): Json {
  if (kind === 'text' && typeof value === 'string') return value;
  if (value instanceof LosslessNumber) {
    const isRead = kind !== undefined && kind !== 'text' && value.value.length <= MAX_SCALAR_LENGTH;
    return isRead ? meaningOfWord(kind, value.value) : value.value;
  }
  if (kind === undefined || typeof value === 'object') return sortedDeep(value);
  if (kind === 'text') return typeof value === 'number' ? String(value) : value;
  // Columns do not read it either.
  if (typeof value === 'string' && value.length > MAX_SCALAR_LENGTH) return value;
  const word = scalarWord(value);
  return word === '' ? null : meaningOfWord(kind, word);
}

function scalarWord(value: boolean | number | string): string {
  if (typeof value === 'boolean') return value ? '1' : '0';
  return typeof value === 'number' ? String(value) : value.trim();
}

function meaningOfWord(kind: FieldKind, word: string): string | null {
  switch (kind) {
    case 'link':
      return word === '0' ? null : word;
    case 'flag':
      return word === 'true' ? '1' : word === 'false' ? '0' : word;
    case 'decimal':
      return word.includes('.') && !/e/i.test(word) ? withoutTrailingZeros(word) : word;
    case 'date':
    case 'datetime':
    case 'unix':
      return word === '0' || word.startsWith('0000-00-00') ? null : word;
    default:
      return word;
  }
}

function withoutTrailingZeros(decimal: string): string {
  let end = decimal.length;
  while (decimal[end - 1] === '0') end -= 1;
  return decimal.slice(0, decimal[end - 1] === '.' ? end - 1 : end);
}

function sameMeaning(a: Json, b: Json): boolean {
  return a === b || (typeof a === 'object' && typeof b === 'object' && stringifyJson(a) === stringifyJson(b));
}

/** Sorts the keys of nested objects, since jsonb does not keep their order. */
export function sortedDeep(value: Json): Json {
  if (Array.isArray(value)) return value.map(sortedDeep);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sortedDeep(value[key] as Json)]),
  );
}

const canonicalKeys = new WeakMap<Shape, Map<string, string>>();
/** Distinct keys remembered per model: custom fields add to those of the catalogue. */
const MAX_REMEMBERED_KEYS = 5_000;

function canonicalKey(shape: Shape, key: string): string {
  let known = canonicalKeys.get(shape);
  if (known === undefined) {
    known = new Map();
    canonicalKeys.set(shape, known);
  }
  let name = known.get(key);
  if (name === undefined) {
    name = findCanonicalKey(shape, key);
    if (known.size < MAX_REMEMBERED_KEYS && key.length <= MAX_SCALAR_LENGTH) known.set(key, name);
  }
  return name;
}

function findCanonicalKey({ fields, aliases }: Shape, key: string): string {
  const lower = key.toLowerCase();
  if (Object.hasOwn(fields, lower)) return lower;
  const alias = aliases?.get(key);
  if (alias !== undefined) return alias;
  // A reference comes with its label, as `cf_{id}_value`.
  const labelled = key.endsWith('_value') ? aliases?.get(key.slice(0, -'_value'.length)) : undefined;
  return labelled === undefined ? key : `${labelled}_value`;
}
