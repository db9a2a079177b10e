/** Turns an HTTP answer into Flowlu's response, or into an error with its meaning. */
import { ACCESS_WORDS, type Access } from '../core/access.ts';
import { isJsonObject, type Json, type JsonObject, parseJson } from '../core/json.ts';
import type { Redact } from '../core/redact.ts';
import { idOf } from '../record/id.ts';
import { FlowluError, type FlowluErrorKind } from './errors.ts';
import type { HttpAnswer } from './http.ts';

export interface ListedRows {
  readonly items: readonly JsonObject[];
  /** Rows that match the filters; null if the portal does not say. */
  readonly total: number | null;
  /** False if the format of the answer hides the order in which the portal sent the rows. */
  readonly ordered: boolean;
}

const MAX_MESSAGE_LENGTH = 300;
const THROTTLED = /too many requests|request rate|rate limit|requests? per second|throttl/i;
const DENIED = /denied|forbidden|permission|not allowed|no (access|rights)/i;
/** Texts that identify firewalls and bot filters. */
const FIREWALL =
  /just a moment|attention required|checking your browser|cloudflare|captcha|ddos|firewall|incapsula|sucuri/i;
const HTML = /^\s*</;
const FAILING: Readonly<Record<number, FlowluErrorKind>> = { 408: 'timeout', 429: 'rate_limited' };
const REFUSED: Readonly<Record<number, FlowluErrorKind>> = { 401: 'unauthorized', 403: 'forbidden' };
/** The limit applies to the account, and other integrations use it too. */
const RATE_ADVICE = '; if that goes on, set FLOWLU_REQUESTS_PER_SECOND lower';
/** Meanings of Flowlu's codes. 10 is "unknown error" and says nothing about the request; it is treated like 13. */
const KINDS: Readonly<Record<number, FlowluErrorKind>> = {
  10: 'server',
  11: 'unauthorized',
  12: 'invalid_request',
  13: 'server',
  20: 'not_found',
  21: 'validation',
  22: 'forbidden',
  30: 'unknown_method',
  31: 'unknown_module',
  32: 'unknown_module',
};
const HOST = 'is this the address of a Flowlu API, with the right company sub-domain?';

/**
 * The `response` of an answer.
 * @param what the request, as named in errors
 * @param access what it was authorized by
 * @throws FlowluError for everything but a valid response; of kind `not_found` only for error 20
 */
export function responseOf(answer: HttpAnswer, what: string, redact: Redact, access: Access = 'key'): Json {
  const { status, retryAfterMs } = answer;
  const fail = (kind: FlowluErrorKind, text: string, more: { code?: number | null; garbled?: boolean } = {}) =>
    new FlowluError(kind, `${what}: ${redact(text).slice(0, MAX_MESSAGE_LENGTH)}`, { status, retryAfterMs, ...more });

  const body = tryParse(answer.text);
  const error = isJsonObject(body) && isSet(body.error) ? readError(body) : null;
  const said = error === null ? '' : ` (${error.message})`;

  if (status >= 300 && status < 400) throw fail('protocol', `HTTP ${status} to ${originOf(answer.location)}; ${HOST}`);
  if (body === undefined && (status === 403 || (HTML.test(answer.text) && FIREWALL.test(answer.text)))) {
    throw fail('blocked', `HTTP ${status}: a firewall in front of the portal answered in its place; it may pass`);
  }
  // A server error outranks the body, which then says nothing about a record.
  const outranking = kindOfFailing(status);
  const advice = status === 429 ? RATE_ADVICE : '';
  if (outranking) throw fail(outranking, `HTTP ${status}${said}${advice}`, { code: error?.code ?? null });
  if (error) throw fail(kindOf(error, status), explain(error, access), { code: error.code });
  // The client knows whether other paths of this portal answer.
  if (status === 404) throw fail('protocol', `HTTP 404; ${HOST}`, { garbled: true });
  if (status < 200 || status >= 300) throw fail(REFUSED[status] ?? 'protocol', `HTTP ${status}; ${HOST}`);
  if (body === undefined) throw fail(...kindOfText(answer), { garbled: true });
  if (!isJsonObject(body) || body.response === undefined) {
    throw fail('protocol', `JSON without "response" or "error" came; ${HOST}`);
  }
  return body.response;
}

/**
 * The rows of a list.
 * @param filtered whether filters were sent: then only `total_result` counts the matching rows
 * @throws FlowluError of kind protocol for an invalid envelope, which must never count as an empty list
 */
export function rowsOf(response: Json, filtered: boolean, what: string): ListedRows {
  if (Array.isArray(response)) return { items: objects(response, what), total: null, ordered: true };
  if (!isJsonObject(response)) throw new FlowluError('protocol', `${what}: the response is no list`);
  const total = count(response.total_result) ?? (filtered ? null : count(response.total));
  const items = response.items;
  if (Array.isArray(items)) return { items: objects(items, what), total, ordered: true };
  if (isJsonObject(items)) {
    const keys = Object.keys(items);
    if (!keys.every((key) => /^\d+$/.test(key))) throw new FlowluError('protocol', `${what}: items are no list`);
    // Parsing sorts numeric keys. If they count 0, 1, 2…, that is the order sent; if they are ids, it may not be.
    const first = Number(keys[0] ?? 0);
    const ordered = first <= 1 && keys.every((key, index) => Number(key) === first + index);
    return { items: objects(Object.values(items), what), total, ordered };
  }
  const announced = count(response.count) ?? total;
  if (items === null ? !announced : items === undefined && announced === 0) return { items: [], total, ordered: true };
  throw new FlowluError('protocol', `${what}: the response has no items`);
}

/**
 * The record of a get; some models answer with a list of one.
 * @throws FlowluError of kind protocol if another record or none came: an empty answer does not prove absence
 */
export function recordOf(response: Json, id: string | null, what: string): JsonObject {
  const wrapped = isJsonObject(response) && response.id === undefined && response.items !== undefined;
  const candidates = Array.isArray(response) || wrapped ? rowsOf(response, true, what).items : [response];
  const wanted = id?.replace(/^0+(?=\d)/, '');
  const isWanted = (found: string | null) => (wanted === undefined ? found !== null : found === wanted);
  const record = candidates.find((candidate) => isJsonObject(candidate) && isWanted(idOf(candidate)));
  if (!isJsonObject(record)) throw new FlowluError('protocol', `${what}: the answer is not the record asked for`);
  return record;
}

const kindOfFailing = (status: number) => (status >= 500 ? 'server' : FAILING[status]);

interface SaidError {
  readonly code: number | null;
  readonly message: string;
}

function readError(body: JsonObject): SaidError {
  const error = body.error;
  const description = text(body.description);
  if (!isJsonObject(error)) return { code: null, message: [text(error), description].filter(Boolean).join(': ') };
  return { code: count(error.error_code), message: text(error.error_msg) || description || 'no message' };
}

/** A body that is not JSON: a throttle may answer in plain text; anything else did not come from the API. */
function kindOfText({ text: body, contentType }: HttpAnswer): [FlowluErrorKind, string] {
  if (body.length < MAX_MESSAGE_LENGTH && THROTTLED.test(body)) return ['rate_limited', body];
  const looks = HTML.test(body) ? 'an HTML page' : `${body.length} characters that are not JSON`;
  return ['protocol', `${looks} came (content type "${contentType}"); ${HOST}`];
}

function kindOf({ code, message }: SaidError, status: number): FlowluErrorKind {
  if (THROTTLED.test(message)) return 'rate_limited';
  const refused = REFUSED[status];
  if (refused) return refused;
  if (code === 30 && DENIED.test(message)) return 'forbidden';
  const known = code === null ? undefined : KINDS[code];
  if (known !== undefined) return known;
  if (/token|api.?key|unauthori|authori[sz]ation|authentication/i.test(message)) return 'unauthorized';
  if (DENIED.test(message)) return 'forbidden';
  if (/^validation\b/i.test(message)) return 'validation';
  if (/server error|internal error|temporar|unavailable/i.test(message)) return 'server';
  return status === 400 ? 'invalid_request' : 'protocol';
}

function explain({ code, message }: SaidError, access: Access): string {
  if (code === null) return `error "${message}"`;
  if (code !== 11) return `error ${code}, ${message}`;
  const hint = /not loaded/i.test(message)
    ? 'keys of free plans have been seen not to work at all: try to log in by OAuth'
    : ACCESS_WORDS[access].check;
  return `error ${code}, ${message}; ${hint}`;
}

function tryParse(text: string): Json | undefined {
  try {
    return parseJson(text);
  } catch {
    // Not JSON, which the caller recognizes by undefined.
    return undefined;
  }
}

function objects(values: readonly Json[], what: string): readonly JsonObject[] {
  if (!values.every((value) => isJsonObject(value))) {
    throw new FlowluError('protocol', `${what}: items hold something that is no record`);
  }
  return values as readonly JsonObject[];
}

/** A non-negative whole number, given as number or digits; otherwise null. */
function count(value: Json | undefined): number | null {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null;
}

function text(value: Json | undefined): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

/** An `error` of null, false, 0, "" or [] next to a response means that there is none. */
function isSet(error: Json | undefined): boolean {
  return Array.isArray(error) ? error.length > 0 : Boolean(error);
}

function originOf(location: string | null): string {
  return location !== null && URL.canParse(location) ? new URL(location).origin : 'another path';
}
