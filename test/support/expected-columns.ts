/**
 * What a typed column must hold, told from the source's own record and the documentation's facts alone.
 *
 * Shares nothing with the service's coercion, so that a mistake there cannot agree with itself.
 */
import { findModel as factsOf } from '../simulator/catalog.ts';
import { ExactNumber, type SimRecord, toJson, type Value } from '../simulator/index.ts';

/** Column name → type as `information_schema` spells it. */
export type ColumnTypes = ReadonlyMap<string, string>;

/** The value as a canonical text, or null: comparable with `canonical` of what the database holds. */
export function expectedColumn(
  model: string,
  column: string,
  type: string,
  record: SimRecord,
  zone: string,
): string | null {
  const names = Object.keys(record);
  const key = names.includes(column) ? column : names.find((name) => name.toLowerCase() === column);
  const value = key === undefined ? null : (record[key] as Value);
  if (value === null) return null;
  if (type === 'text') return textOf(value);
  const word = value instanceof ExactNumber ? value.text : String(value).trim();
  // What has another form has no place in the column; the record keeps it.
  if (word === '' || !(FORMS[type] as RegExp).test(word)) return null;
  switch (type) {
    case 'bigint':
    case 'integer':
      return isLink(model, column) && Number(word) === 0 ? null : BigInt(word).toString();
    case 'numeric':
      return decimal(word);
    case 'boolean':
      return ANSWERS[word] ?? null;
    case 'date':
      return isEmptyDate(word) ? null : word.slice(0, 10);
    case 'timestamp with time zone':
      return isEmptyDate(word) ? null : momentOf(word, zone).toISOString();
    default:
      throw new Error(`no expectation for a column of type ${type}`);
  }
}

const FORMS: Readonly<Record<string, RegExp>> = {
  bigint: /^-?\d+$/,
  integer: /^-?\d+$/,
  numeric: /^-?\d+(\.\d+)?$/,
  boolean: /^/,
  date: /^(0|\d{4}-\d\d-\d\d.*)$/,
  'timestamp with time zone': /^(\d+|\d{4}-\d\d-\d\d.*)$/,
};

const ANSWERS: Readonly<Record<string, string>> = { '1': 'true', true: 'true', '0': 'false', false: 'false' };

const momentOf = (word: string, zone: string) =>
  /^\d+$/.test(word) ? new Date(Number(word) * 1_000) : instantOf(word, zone);

/** What the driver read, in the form of `expectedColumn`. */
export function canonical(type: string, value: unknown): string | null {
  if (value === null) return null;
  if (value instanceof Date) return value.toISOString();
  return type === 'numeric' ? decimal(String(value)) : String(value);
}

function textOf(value: Value): string {
  const text = typeof value === 'string' ? value : toJson(value);
  // jsonb and text hold neither NUL nor half a surrogate pair.
  return text.replaceAll('\u0000', '\uFFFD').toWellFormed();
}

/** Where the facts' guess at a kind is not the last word: codes that are named like links, and files named like texts. */
const LINKS: Readonly<Record<string, boolean>> = {
  'agile.projects_users.role_id': false,
  'fin.estimate.status_id': false,
  'fin.organization.invoice_logo': true,
  'fin.organization.invoice_print_sign': true,
};

function isLink(model: string, column: string): boolean {
  const kind = factsOf(model)?.fields.find(([name]) => name.toLowerCase() === column)?.[2];
  return LINKS[`${model}.${column}`] ?? kind === 'ref';
}

const isEmptyDate = (word: string) => word === '0' || word.startsWith('0000-00-00');

function decimal(word: string): string {
  const [, sign, whole = '', fraction = ''] = /^([+-]?)(\d*)\.?(\d*)$/.exec(word) ?? [];
  if (sign === undefined) throw new Error(`not a plain decimal: ${word}`);
  const digits = `${whole.replace(/^0+(?=\d)/, '') || '0'}.${fraction}`.replace(/\.?0*$/, '');
  return sign === '-' && digits !== '0' ? `-${digits}` : digits || '0';
}

const formats = new Map<string, Intl.DateTimeFormat>();
const offsets = new Map<string, number>();
/** No zone's clock switches within half an hour of UTC that begins at a full or half hour. */
const STEADY_MS = 1_800_000;

/** The wall clock of a zone at an instant, read as if it were UTC. */
function wallAt(ms: number, zone: string): number {
  const key = `${zone} ${Math.floor(ms / STEADY_MS)}`;
  const offset = offsets.get(key) ?? wallOf(ms, zone) - ms;
  offsets.set(key, offset);
  return ms + offset;
}

function wallOf(ms: number, zone: string): number {
  const format =
    formats.get(zone) ?? new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' });
  formats.set(zone, format);
  return Date.parse(`${format.format(ms).replace(' ', 'T')}Z`);
}

/** The first instant at which clocks of the zone show a wall time; a time that they skip is read with the offset before. */
function instantOf(wall: string, zone: string): Date {
  const wallMs = Date.parse(`${wall.slice(0, 10)}T${wall.length > 10 ? wall.slice(11) : '00:00:00'}Z`);
  const around = [-86_400_000, 86_400_000].map((shift) => wallAt(wallMs + shift, zone) - (wallMs + shift));
  const candidates = around.map((offset) => wallMs - offset);
  const shown = candidates.filter((at) => wallAt(at, zone) === wallMs);
  return new Date(shown.length > 0 ? Math.min(...shown) : (candidates[0] as number));
}
