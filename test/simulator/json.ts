/** JSON that can carry what JavaScript numbers cannot: 64-bit ids and exact decimals. */
import { parse } from 'lossless-json';

/** A number kept as the text that stands in the JSON. */
export class ExactNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  toString(): string {
    return this.text;
  }
}

export type Value =
  | string
  | number
  | bigint
  | boolean
  | null
  | ExactNumber
  | readonly Value[]
  | { [key: string]: Value };

/** One entity as the API's `get` gives it. Never changed in place. */
export type SimRecord = { readonly [key: string]: Value };

/** Integers above 2^53 are bigint, everything smaller a plain number. */
export type Id = number | bigint;

/** Reads an id from a path, a filter or a test; undefined when it is not a whole number. */
export function toId(raw: unknown): Id | undefined {
  if (typeof raw === 'bigint') return raw <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(raw) : raw;
  const text = String(raw);
  if (!/^\d{1,19}$/.test(text)) return undefined;
  const small = Number(text);
  return Number.isSafeInteger(small) ? small : BigInt(text);
}

/** Serialises a value; bigint and exact numbers come out as bare JSON numbers. */
export function toJson(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object') return JSON.stringify(value);
  if (value instanceof ExactNumber) return value.text;
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${toJson(member)}`).join(',')}}`;
}

function parseNumber(text: string): number | bigint | ExactNumber {
  const number = Number(text);
  if (/^-?\d+$/.test(text)) return Number.isSafeInteger(number) ? number : BigInt(text);
  return String(number) === text ? number : new ExactNumber(text);
}

/** Parses JSON without rounding any number. Throws SyntaxError. */
export const fromJson = (text: string): Value => parse(text, undefined, parseNumber) as Value;
