/**
 * A record without what must not be stored: chosen fields are left out, or replaced by a keyed hash. Pure.
 *
 * A field is recognized in upper and lower case, by a custom field's number or alias, by its label (`cf_12_value`), in
 * the array that describes custom fields, and in objects within the record. A name that may be that of a protected
 * field counts as protected.
 */
import { createHmac } from 'node:crypto';
import { LosslessNumber } from 'lossless-json';
import { isJsonObject, type Json, type JsonObject, parseJson, stringifyJson } from '../core/json.ts';
import { idOf } from '../record/id.ts';
import { sortedDeep } from '../record/record.ts';

export type Treatment = 'omit' | 'hash';

/** Which fields of a record are protected. */
export interface Protection {
  /** Name in lower case, custom fields as `cf_{id}` → treatment. */
  readonly fields: ReadonlyMap<string, Treatment>;
  /** For custom fields under an alias without a definition; null if no custom field is protected. */
  readonly unknownAlias: Treatment | null;
  /** Second names of custom fields, in lower case → treatment of the field, or null. */
  readonly aliases: ReadonlyMap<string, Treatment | null>;
  /** For records within the record, which may be of any model: anything with an id counts as one. */
  readonly nested?: Protection;
}

export type HashValue = (value: Json) => Json;

const MARK = 'hmac:';
const HASHED = /^hmac:[0-9a-f]{64}$/;

/**
 * Makes the hash function: HMAC-SHA256 of the value as text, in hexadecimal after `hmac:`. A number and its text have
 * the same hash, since Flowlu writes both. Empty values and hashes stay unchanged.
 */
export function keyedHash(secret: string): HashValue {
  return (value) => {
    const text = textOf(value);
    if (text === '' || HASHED.test(text)) return value;
    return MARK + createHmac('sha256', secret).update(text).digest('hex');
  };
}

function textOf(value: Json): string {
  if (value === null) return '';
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (value instanceof LosslessNumber) return value.value;
  return typeof value === 'object' ? stringifyJson(sortedDeep(value)) : String(value);
}

/** The record as it may be stored; the same object if nothing had to change. */
export function redact(record: JsonObject, protection: Protection, hash: HashValue): JsonObject {
  let changed = false;
  const named = namedTreatment(record, protection);
  const entries = Object.entries(record).flatMap(([key, value]): [string, Json][] => {
    const treatment = treatmentOf(key, protection) ?? (named !== null && A_VALUE.test(key) ? named : null);
    const next = treatment === null ? redactWithin(key, value, protection, hash) : treated(value, treatment, hash);
    changed ||= next !== value;
    return next === undefined ? [] : [[key, next]];
  });
  return changed ? Object.fromEntries(entries) : record;
}

/** Keys with the name of a field, in objects that pair it with its values, such as a log of changes. */
const A_NAME = /^(field|field_?name|name|key|code|alias|attribute|property)$/i;
/** The same, with the number of a custom field. */
const A_NUMBER = /^(cf|(custom_?)?field)_?id$/i;
const A_VALUE = /^(\w+_)?(values?|old|new|from|to|before|after|text|label)$/i;

function namedTreatment(record: JsonObject, protection: Protection): Treatment | null {
  for (const [key, value] of Object.entries(record)) {
    const isNumber = A_NUMBER.test(key);
    if (!isNumber && !A_NAME.test(key)) continue;
    const treatment = treatmentOfNamed(
      isNumber && /^\d+$/.test(textOf(value)) ? `cf_${textOf(value)}` : value,
      protection,
    );
    if (treatment !== null) return treatment;
  }
  return null;
}

const MAX_NAME_LENGTH = 200;

const treatmentOfNamed = (name: Json | undefined, protection: Protection) =>
  typeof name === 'string' && name.length <= MAX_NAME_LENGTH ? treatmentOf(name, protection) : null;

function treated(value: Json, treatment: Treatment, hash: HashValue): Json | undefined {
  return treatment === 'omit' ? undefined : hash(value);
}

/** The treatment of a field of this name; null if it may be stored. */
function treatmentOf(key: string, { fields, aliases, unknownAlias }: Protection): Treatment | null {
  const name = key.toLowerCase();
  const exact = fields.get(name);
  if (exact !== undefined || unknownAlias === null || !name.startsWith('cf_')) return exact ?? null;
  const plain = name.replace(/_value$/, '');
  const own = fields.get(plain) ?? aliases.get(name) ?? aliases.get(plain);
  if (own !== undefined && own !== null) return own;
  const isExplained = own === null || /^cf_\d+$/.test(plain);
  return isExplained ? null : unknownAlias;
}

function redactWithin(key: string, value: Json, protection: Protection, hash: HashValue): Json {
  if (typeof value === 'string') return redactText(value, protection, hash);
  if (typeof value !== 'object' || value === null || value instanceof LosslessNumber) return value;
  if (/^custom_?fields$/i.test(key)) return redactDescribed(value, protection, hash);
  if (isJsonObject(value)) return redactObject(value, protection, hash);
  const items = value as readonly Json[];
  const [name, ...values] = items;
  const named = values.length > 0 && values.length <= MAX_VALUES ? treatmentOfNamed(name, protection) : null;
  const kept = named === 'omit' ? items.slice(0, 1) : items;
  const next = kept.map((item, index) =>
    named === 'hash' && index > 0 ? hash(item) : redactWithin('', item, protection, hash),
  );
  return next.length < items.length || next.some((item, index) => item !== items[index]) ? next : value;
}

/** Values after the field name in a list: before and after. Longer lists contain only names. */
const MAX_VALUES = 2;

/** Redacts an object within a record. If it is a record itself, it is also treated as one. */
function redactObject(value: JsonObject, protection: Protection, hash: HashValue): JsonObject {
  const own = redact(value, protection, hash);
  const { nested } = protection;
  return nested === undefined || idOf(own) === null ? own : redact(own, nested, hash);
}

/** Redacts a text that is itself JSON. */
function redactText(text: string, protection: Protection, hash: HashValue): Json {
  if (!/^\s*["[{]/.test(text)) return text;
  let inner: Json;
  try {
    inner = parseJson(text.trim());
  } catch {
    return text;
  }
  const next = redactWithin('', inner, protection, hash);
  return next === inner ? text : stringifyJson(next);
}

/** Parts of the description of a custom field other than its value. */
const DESCRIPTION = /^(id|title|name|alias|type|\w+_use_alias)$/i;

/** The array, or the object by number, that describes custom fields one by one. */
function redactDescribed(value: Json, protection: Protection, hash: HashValue): Json {
  if (Array.isArray(value)) return value.flatMap((item) => redactDescription(item, idIn(item), protection, hash));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) =>
      redactDescription(item, /^\d+$/.test(key) ? key : idIn(item), protection, hash).map((next) => [key, next]),
    ),
  );
}

const idIn = (item: Json) => (isJsonObject(item) ? idOf(item) : null);

function redactDescription(item: Json, id: string | null, protection: Protection, hash: HashValue): readonly Json[] {
  const treatment = id === null ? protection.unknownAlias : (protection.fields.get(`cf_${id}`) ?? null);
  if (treatment === null) return [item];
  if (treatment === 'omit') return [];
  if (!isJsonObject(item)) return [hash(item)];
  const entries = Object.entries(item).map(([key, value]) => [key, DESCRIPTION.test(key) ? value : hash(value)]);
  return [Object.fromEntries(entries)];
}
