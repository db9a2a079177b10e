/**
 * JSON in a form that PostgreSQL can store, without losing digits.
 *
 * Flowlu ids are 64-bit and its amounts are decimal(20,2), but `JSON.parse` rounds both to a double, and jsonb rejects
 * NUL and lone surrogates. The few texts that contain any of these are parsed exactly but slowly; all others go through
 * the built-in parser.
 */
import { randomUUID } from 'node:crypto';
import { isSafeNumber, LosslessNumber, stringify as stringifyExactly } from 'lossless-json';

/** Any JSON value; a number that a double cannot hold exactly is a `LosslessNumber`. */
export type Json = null | boolean | number | string | LosslessNumber | readonly Json[] | JsonObject;

export interface JsonObject {
  readonly [key: string]: Json;
}

/** Matches a number of sixteen digits or more, or with an exponent: it may not fit into a double. */
const MAY_LOSE_DIGITS = /[:[,]\s*-?\d(?:[\d.]{15}|[\d.]*[eE][+-]?\d)|^\s*-?\d/;
const LONG_NUMBER = 16;
/**
 * The longest number, date or word that is read as such, here and in SQL. Anything longer stays text, and is null in a
 * column of any other type: reading it costs more than its size suggests, and no portal sends it.
 */
export const MAX_SCALAR_LENGTH = 100;
/** Matches what looks like an exponent, even inside a string. */
const EXPONENT = /\d[eE][+-]?\d/;
/** Matches strings, and numbers outside of strings. */
const TEXT_OR_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;
/** Matches escapes of NUL and of surrogates. Valid pairs match too and stay unchanged. */
const MAY_NOT_BE_STORABLE = /\\u(?:0000|[dD][89a-fA-F])/;
/** No record nests this deep. PostgreSQL's own parser runs out of stack after a few thousand levels. */
const MAX_DEPTH = 100;
/** Characters above which the nesting is checked before parsing: a megabyte of brackets takes the parser 0.1 s. */
const LARGE_TEXT = 32_768;
/** Digits, without an exponent, of the longest number kept as a number. The limit of jsonb is far higher. */
const MAX_NUMBER_LENGTH = 1_000;
const TOO_DEEP = `JSON nested deeper than ${MAX_DEPTH} levels`;
/** Character codes. Square and curly brackets differ by one bit. */
const [QUOTE, BACKSLASH, OPENING, CLOSING, CURLY_BIT] = [0x22, 0x5c, 0x7b, 0x7d, 0x20];
const REPLACEMENT = '\uFFFD';

/** Valid JSON, but nested too deep or with too many values. */
export class TooMuchError extends SyntaxError {
  override readonly name = 'TooMuchError';
}

/**
 * Parses JSON text. NUL and lone surrogates become U+FFFD.
 * @param maxValues the limit, counting those inside lists and objects
 * @throws SyntaxError if the text is not JSON
 * @throws TooMuchError, a SyntaxError, if it nests deeper than 100 levels or has more values
 */
export function parseJson(text: string, maxValues = Number.POSITIVE_INFINITY): Json {
  if (text.length > LARGE_TEXT) checkDepth(text);
  const plain = JSON.parse(text) as Json;
  check(plain, MAX_DEPTH, { left: maxValues });
  const exact = mayLoseDigits(text) ? parseDigits(text, plain) : plain;
  return text.includes('\\u') && MAY_NOT_BE_STORABLE.test(text) ? storable(exact) : exact;
}

/** Counts the brackets outside of strings. */
function checkDepth(text: string): void {
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfText(text, at);
    else if ((code | CURLY_BIT) === OPENING) deepest = Math.max(deepest, ++depth);
    else if ((code | CURLY_BIT) === CLOSING) depth -= 1;
  }
  if (deepest <= MAX_DEPTH) return;
  throw depth === 0 ? new TooMuchError(TOO_DEEP) : new SyntaxError('brackets without their counterparts');
}

/** The position of the quotation mark that ends the string starting at `start`. */
function endOfText(text: string, start: number): number {
  for (let end = start; ; ) {
    end = text.indexOf('"', end + 1);
    if (end < 0) return text.length;
    let first = end;
    while (text.charCodeAt(first - 1) === BACKSLASH) first -= 1;
    if ((end - first) % 2 === 0) return end;
  }
}

/** The regular expression alone would cost twice as much as the parser; cheaper checks rule out most texts. */
function mayLoseDigits(text: string): boolean {
  const isSuspect = text.length < LONG_NUMBER || hasLongNumber(text) || EXPONENT.test(text);
  return isSuspect && MAY_LOSE_DIGITS.test(text);
}

/** Looks at every sixteenth character, since no run of digits this long fits in between. */
function hasLongNumber(text: string): boolean {
  for (let at = LONG_NUMBER - 1; at < text.length; at += LONG_NUMBER) {
    let first = at;
    while (isDigitOrPoint(text.charCodeAt(first))) first -= 1;
    if (first === at) continue;
    let last = at;
    while (isDigitOrPoint(text.charCodeAt(last + 1))) last += 1;
    if (last - first >= LONG_NUMBER) return true;
  }
  return false;
}

/** False beyond the ends of the text, where the code is NaN. */
function isDigitOrPoint(code: number): boolean {
  return (code >= 48 && code <= 57) || code === 46;
}

/** Whether this process has met a number that a double cannot hold. Most never do and can skip the search. */
let exactNumbersOccur = false;

/** Writes JSON text. Exact numbers keep their digits. */
export function stringifyJson(value: Json): string {
  return exactNumbersOccur && hasExactNumber(value) ? (stringifyExactly(value) as string) : JSON.stringify(value);
}

/** True for a plain object, false for arrays, null and exact numbers. */
export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof LosslessNumber);
}

/**
 * Like `JSON.parse`, but exact. Numbers that a double cannot hold are parsed as marked strings and then turned back
 * into numbers: the parser of `lossless-json` takes a hundred times as long as the built-in one.
 */
function parseDigits(text: string, plain: Json): Json {
  const mark = randomUUID();
  let isMarked = false;
  const marked = text.replace(TEXT_OR_NUMBER, (token) => {
    if (token.startsWith('"') || isSafeNumber(token)) return token;
    isMarked = true;
    return `"${mark}${token}"`;
  });
  return isMarked ? numbersOf(JSON.parse(marked) as Json, mark) : plain;
}

function numbersOf(value: Json, mark: string): Json {
  if (typeof value === 'string') return value.startsWith(mark) ? numberOf(value.slice(mark.length)) : value;
  if (Array.isArray(value)) return value.map((item) => numbersOf(item, mark));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, numbersOf(item, mark)]));
}

function numberOf(digits: string): string | LosslessNumber {
  const exponent = /[eE]([+-]?\d+)$/.exec(digits)?.[1] ?? 0;
  if (digits.length + Math.abs(Number(exponent)) > MAX_NUMBER_LENGTH) return digits;
  exactNumbersOccur = true;
  return new LosslessNumber(digits);
}

function storable(value: Json): Json {
  if (typeof value === 'string') return value.replaceAll('\u0000', REPLACEMENT).toWellFormed();
  if (Array.isArray(value)) return value.map(storable);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [storable(key) as string, storable(item)]));
}

/** Checks all values, in time proportional to their number. */
function check(value: Json, levels: number, counted: { left: number }): void {
  counted.left -= 1;
  if (counted.left < 0) throw new TooMuchError('JSON of too many values');
  if (typeof value !== 'object' || value === null) return;
  if (levels === 0) throw new TooMuchError(TOO_DEEP);
  // `for in` over an array would create a string for each index.
  if (Array.isArray(value)) for (const item of value) check(item, levels - 1, counted);
  else for (const key in value) check((value as JsonObject)[key] as Json, levels - 1, counted);
}

/** Approximate memory of a value, in bytes: two per character of a string, and a fixed amount per value. */
export function weightOf(value: Json): number {
  if (typeof value === 'string') return VALUE_BYTES + 2 * value.length;
  if (typeof value !== 'object' || value === null) return VALUE_BYTES;
  let weight = VALUE_BYTES;
  if (Array.isArray(value)) for (const item of value) weight += weightOf(item);
  else for (const key in value as JsonObject) weight += 2 * key.length + weightOf((value as JsonObject)[key] as Json);
  return weight;
}

const VALUE_BYTES = 50;

function hasExactNumber(value: Json): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (value instanceof LosslessNumber) return true;
  if (Array.isArray(value)) return value.some(hasExactNumber);
  for (const key in value as JsonObject) {
    if (hasExactNumber((value as JsonObject)[key] as Json)) return true;
  }
  return false;
}
