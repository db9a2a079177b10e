/** Turns Flowlu's loose values into what typed columns hold. A value that does not fit is reported. Pure. */
import { LosslessNumber } from 'lossless-json';
import type { Field, Fields, Model } from '../catalog/types.ts';
import { type Json, type JsonObject, MAX_SCALAR_LENGTH, stringifyJson } from '../core/json.ts';
import { formatMicros, MICROS_PER_SECOND } from '../core/time.ts';
import { fieldValues } from './record.ts';
import type { Zone } from './zone.ts';

/** A form that PostgreSQL's input functions read exactly. */
export type ColumnValue = string | boolean | null;

/** The value does not fit into its column; only the record keeps it. */
export const MISFIT = Symbol('invalidValue');

const WHOLE = /^[+-]?\d{1,30}(?:\.0*)?$/;
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?$/;
const EMPTY_DATE = /^(?:0000-00-00.*|0)?$/;
const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n };
const INT32 = { min: -(2n ** 31n), max: 2n ** 31n - 1n };
/** The last second of the year 9999. */
const MAX_UNIX_SECONDS = 253_402_300_799;

export function coerce(field: Field, value: Json | undefined, zone: Zone): ColumnValue | typeof MISFIT {
  if (value === null || value === undefined) return null;
  switch (field.kind) {
    case 'text':
      return toText(value);
    case 'id':
    case 'integer':
      return toWhole(value, INT64);
    case 'link': {
      const id = toWhole(value, INT64);
      return id === '0' ? null : id;
    }
    case 'code':
      return toWhole(value, INT32);
    case 'decimal':
      return toDecimal(value);
    case 'flag':
      return toFlag(value);
    case 'date':
      return toDate(value, zone);
    case 'datetime':
    case 'unix':
      return toMoment(value, zone);
  }
}

/**
 * All typed columns of a record. They depend on the record alone, so they can be rebuilt from it.
 * @returns one for each field of the model, in its order, null where the record has no fitting value; and the names of
 * the fields with other values
 */
export function coerceRecord(model: Pick<Model, 'fields'>, record: JsonObject, zone: Zone) {
  const invalid: string[] = [];
  const fields = fieldsOf(model.fields);
  const columns = fieldValues(model, record).map((given, index): ColumnValue => {
    const [name, field] = fields[index] as (typeof fields)[number];
    const value = coerce(field, given, zone);
    if (value !== MISFIT) return value;
    invalid.push(name);
    return null;
  });
  return { columns, invalid };
}

const fieldLists = new WeakMap<Fields, readonly (readonly [string, Field])[]>();

/** The fields as a list, cached since every record needs it. */
function fieldsOf(fields: Fields): readonly (readonly [string, Field])[] {
  const known = fieldLists.get(fields);
  if (known !== undefined) return known;
  const list = Object.entries(fields);
  fieldLists.set(fields, list);
  return list;
}

function toText(value: Json): string {
  if (typeof value === 'string') return value;
  if (value instanceof LosslessNumber) return value.value;
  return typeof value === 'object' ? stringifyJson(value) : String(value);
}

/** The digits of a scalar, '' if it is empty; null if it is not a scalar or too long to be read as one. */
function scalarDigits(value: Json): string | null {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? '1' : '0';
  const text = value instanceof LosslessNumber ? value.value : value;
  return typeof text === 'string' && text.length <= MAX_SCALAR_LENGTH ? text.trim() : null;
}

function toWhole(value: Json, range: { min: bigint; max: bigint }): string | null | typeof MISFIT {
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 1e9) return String(value + 0);
  const digits = scalarDigits(value);
  if (digits === '') return null;
  if (digits === null || !WHOLE.test(digits)) return MISFIT;
  if (digits.length < 10) return String(Math.trunc(Number(digits)) + 0);
  const whole = BigInt(digits.replace(/\..*$/, '').replace(/^\+/, ''));
  return whole < range.min || whole > range.max ? MISFIT : String(whole);
}

function toDecimal(value: Json): string | null | typeof MISFIT {
  const digits = scalarDigits(value);
  if (digits === '') return null;
  return digits !== null && DECIMAL.test(digits) ? digits : MISFIT;
}

function toFlag(value: Json): boolean | null | typeof MISFIT {
  if (value === 1 || value === true || value === '1') return true;
  if (value === 0 || value === false || value === '0') return false;
  const digits = scalarDigits(value);
  if (digits === null) return MISFIT;
  if (digits === '') return null;
  if (/^(?:1(?:\.0*)?|true)$/i.test(digits)) return true;
  if (/^(?:0(?:\.0*)?|false)$/i.test(digits)) return false;
  return MISFIT;
}

function toDate(value: Json, zone: Zone): string | null | typeof MISFIT {
  const text = scalarDigits(value);
  if (text === null) return MISFIT;
  if (EMPTY_DATE.test(text)) return null;
  return zone.resolve(text) === null ? MISFIT : text.slice(0, 10);
}

function toMoment(value: Json, zone: Zone): string | null | typeof MISFIT {
  const text = scalarDigits(value);
  if (text === null) return MISFIT;
  const wall = zone.resolve(text);
  if (wall !== null) return formatMicros(wall.at);
  if (EMPTY_DATE.test(text)) return null;
  const seconds = WHOLE.test(text) ? Number(text) : 0;
  return seconds > 0 && seconds <= MAX_UNIX_SECONDS ? formatMicros(seconds * MICROS_PER_SECOND) : MISFIT;
}
