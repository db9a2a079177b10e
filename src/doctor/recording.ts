/**
 * A record of what the portal answered, to be sent with a bug report: every value replaced by its form, so that nobody's
 * data leaves the house. Counts, names of fields and the portal's own error messages stay.
 */
import { mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { isJsonObject, type Json, type JsonObject, parseJson } from '../core/json.ts';
import type { Redact } from '../core/redact.ts';
import { portalFetch } from '../flowlu/fetch.ts';
import { compareIds, idOf } from '../record/id.ts';

/** Numbers of an envelope, which count rows and tell nothing of them. */
const COUNTS: ReadonlySet<string> = new Set(['total', 'total_result', 'page', 'count']);
/** Rows of one answer whose forms are kept; the others are like them. */
const ROWS_KEPT = 3;
const FORMS: readonly (readonly [string, RegExp])[] = [
  ['empty', /^$/],
  ['date', /^\d{4}-\d\d-\d\d$/],
  ['datetime', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/],
  ['integer', /^-?\d+$/],
  ['decimal', /^-?\d+\.\d+$/],
  ['entities', /&(amp|lt|gt|quot|#\d+);/],
  ['html', /<\w+[ >]/],
  ['lines of Windows', /\r\n/],
  ['lines', /\n/],
];

/** Where records go; one file, only its owner may read it. */
export function openRecording(directory: string): { readonly path: string; add(line: object): void } {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, 'portal.ndjson');
  const file = openSync(path, 'w', 0o600);
  return { path, add: (line) => void writeSync(file, `${JSON.stringify(line)}\n`) };
}

export function recordingFetch(recording: { add(line: object): void }, redact: Redact): typeof fetch {
  return async (input, init) => {
    const url = new URL(String(input));
    url.searchParams.delete('api_key');
    const path = url.pathname.replace(/\/\d+$/, '').split('/');
    const asked = { asked: path.slice(-3).join('/'), query: Object.fromEntries([...url.searchParams].map(queryForm)) };
    const response = await portalFetch(input, init).catch((error: Error) => {
      recording.add({ ...asked, failed: redact(error.message) });
      throw error;
    });
    const body = new Uint8Array(await response.arrayBuffer());
    const form = bodyForm(Buffer.from(body).toString('utf8'), url.searchParams, redact);
    const type = response.headers.get('content-type') ?? '';
    recording.add({ ...asked, status: response.status, type, body: form });
    const bodiless = response.status === 204 || response.status === 304;
    return new Response(bodiless ? null : body, { status: response.status, headers: response.headers });
  };
}

/** Conditions name records and dates. */
function queryForm([name, value]: [string, string]): [string, string] {
  return [name, name.startsWith('filter[') ? value.replace(/\d/g, '9') : value];
}

function bodyForm(text: string, query: URLSearchParams, redact: Redact): Json {
  let body: Json;
  try {
    body = parseJson(text);
  } catch {
    return `${/^\s*</.test(text) ? 'HTML' : 'no JSON'}, ${text.length} characters`;
  }
  if (isJsonObject(body) && body.error !== undefined) return { error: errorForm(body.error, redact) };
  const response = isJsonObject(body) ? (body.response ?? null) : body;
  const items = isJsonObject(response) ? response.items : response;
  if (!Array.isArray(items)) return { response: formOf(response) };
  const rows = items.filter(isJsonObject);
  const counts = isJsonObject(response) ? Object.entries(response).filter(([key]) => COUNTS.has(key)) : [];
  return {
    response: { ...Object.fromEntries(counts), items: rows.slice(0, ROWS_KEPT).map(formOf) },
    rows: rows.length,
    order_of_ids: orderOf(rows),
    ...(rows.length > 1 && isInOrder(rows, query)),
  };
}

/** Codes and the portal's own words, which are no record's. */
function errorForm(error: Json, redact: Redact): Json {
  if (typeof error === 'string') return redact(error);
  if (!isJsonObject(error)) return formOf(error);
  const { error_code = null, error_msg = null } = error;
  return { error_code, error_msg: typeof error_msg === 'string' ? redact(error_msg) : formOf(error_msg) };
}

function formOf(value: Json): Json {
  if (value === null) return null;
  if (typeof value === 'boolean') return 'boolean';
  if (typeof value === 'string') {
    const form = FORMS.find(([, pattern]) => pattern.test(value))?.[0] ?? 'text';
    return `string, ${form}, ${value.length}`;
  }
  if (Array.isArray(value)) return value.slice(0, 1).map(formOf);
  if (isJsonObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, formOf(member)]));
  }
  const digits = String(value);
  return `number, ${digits.includes('.') ? 'decimal' : 'integer'}, ${digits.length}`;
}

/** Whether rows came in the order that was asked for, if one was. */
function isInOrder(rows: readonly JsonObject[], query: URLSearchParams): { readonly in_order: boolean } | null {
  const [name, field = ''] = [...query].find(([key]) => key.startsWith('order_by[')) ?? [];
  if (name === undefined) return null;
  const values = rows.map((row) => String(row[field] ?? ''));
  const sorted = values.toSorted((a, b) => (/^\d+$/.test(a + b) ? compareIds(a, b) : Number(a > b) - Number(a < b)));
  if (name.startsWith('order_by[desc]')) sorted.reverse();
  return { in_order: values.every((value, index) => value === sorted[index]) };
}

function orderOf(rows: readonly JsonObject[]): string {
  const ids = rows.flatMap((row) => idOf(row) ?? []);
  const steps = new Set(ids.slice(1).map((id, index) => Math.sign(compareIds(ids[index] as string, id))));
  if (ids.length < 2) return 'none';
  return steps.size > 1 ? 'mixed' : steps.has(-1) ? 'ascending' : 'descending';
}
