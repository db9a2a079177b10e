/** Whatever comes in from outside, reading it costs about as much as its bytes do. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { models } from '../../src/catalog/index.ts';
import type { Field, FieldKind, Fields } from '../../src/catalog/types.ts';
import { type Json, type JsonObject, MAX_SCALAR_LENGTH, parseJson, stringifyJson } from '../../src/core/json.ts';
import { createRedactor } from '../../src/core/redact.ts';
import { type Accepted, readAnnouncement, readDelivery, WrongShapeError } from '../../src/delivery/delivery.ts';
import { protectDelivery } from '../../src/delivery/protect.ts';
import { recordOf, responseOf, rowsOf } from '../../src/flowlu/envelope.ts';
import { FlowluError } from '../../src/flowlu/errors.ts';
import { completeRow, mayTie } from '../../src/merge/rule/fold.ts';
import { linkOf } from '../../src/merge/rule/tie.ts';
import { createPrivacy } from '../../src/privacy/policy.ts';
import { coerce, coerceRecord, MISFIT } from '../../src/record/coerce.ts';
import { differingFields, patchBetween } from '../../src/record/differences.ts';
import { idOf } from '../../src/record/id.ts';
import { contains, contentHash, hasAlias, mergeRecords, type Shape, sameValue } from '../../src/record/record.ts';
import { versionOf } from '../../src/record/version.ts';
import { createZone } from '../../src/record/zone.ts';
import { baseName } from '../../src/views/custom-columns.ts';
import { cpuTime } from '../support/cpu-time.ts';

const zone = createZone('Europe/Berlin');
const KINDS = Object.keys({
  id: 0,
  text: 0,
  integer: 0,
  decimal: 0,
  flag: 0,
  date: 0,
  datetime: 0,
  unix: 0,
  link: 0,
  code: 0,
} satisfies Record<FieldKind, 0>) as FieldKind[];

/** A field of every kind, and second names of custom fields. */
const shape: Shape = {
  fields: Object.fromEntries(KINDS.map((kind) => [`a_${kind}`, { kind, doc: '' } as Field])) as Fields,
  aliases: new Map([['cf_named', 'cf_1']]),
};
const uncatalogued: Shape = { fields: {} };
const privacy = createPrivacy(
  {
    omit: [{ model: 'crm.lead', field: 'cf_1' }],
    hash: [{ model: 'crm.lead', field: 'a_text' }],
    hashSecret: 'a-secret-for-hashes-of-enough-length',
  },
  () => new Map([...(shape.aliases ?? [])].map(([alias, name]) => [alias, [name]])),
);

/** Every way that TypeScript has of looking at a record. */
const PATHS: Readonly<Record<string, (record: JsonObject, text: string, other: JsonObject) => unknown>> = {
  'parse and write': (_, text) => stringifyJson(parseJson(text)),
  'a webhook': (_, text) => readDelivery(text),
  'a webhook that is protected': (_, text) => privacy && protectDelivery(readDelivery(text) as Accepted, privacy),
  'a list of the API': (record) => rowsOf({ items: [record], total_result: '1' }, true, 'list'),
  'an answer of the API': (_, text) =>
    responseOf({ status: 200, text, contentType: 'application/json', location: null, retryAfterMs: null }, 'get', mask),
  'a single record': (record) => attempt(() => recordOf(record, '1', 'get')),
  coercion: (record) => coerceRecord(shape, record, zone),
  hash: (record) => contentHash(shape, record),
  'hash of an unknown model': (record) => contentHash(uncatalogued, record),
  merge: (record, _, other) => mergeRecords(shape, other, record),
  'comparison of two spellings': (record, _, other) => contains(shape, other, record),
  'second names': (record, _, other) => hasAlias(shape, other, record),
  version: (record) => [versionOf(MODEL, record, zone), versionOf(null, record, zone)],
  id: (record) => idOf(record),
  tie: (record, _, other) => linkOf(shape, record, other, false),
  row: (record) => completeRow({ record, observedAt: 0, source: 'api', deletedAt: null }, { model: null, shape, zone }),
  'differing fields': (record, _, other) => differingFields(shape, record, other, null),
  history: (record, _, other) => patchBetween(shape, record, other),
  'log and messages': (_, text) => mask(text),
};
const mask = createRedactor(['a-secret-word']);

const MODEL = { fields: shape.fields, version: 'a_datetime' };

/** The same values in another spelling, so that no comparison ends with the same object. */
const spelt = (record: JsonObject): JsonObject =>
  Object.fromEntries(
    Object.entries(record).map(([key, value]) => [key, typeof value === 'string' ? `${value} ` : value]),
  );

function attempt(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    if (error instanceof FlowluError || error instanceof WrongShapeError) return error;
    throw error;
  }
}

const BYTES = 60_000;
const KEYS = 20_000;
const fill = (unit: string) => unit.repeat(Math.ceil(BYTES / unit.length));
const DULL: Readonly<Record<string, string>> = {
  'zeros after a point': `0.${fill('0')}1`,
  'zeros before a digit': `${fill('0')}1`,
  points: fill('.'),
  dashes: fill('-'),
  digits: fill('7'),
  blanks: `${fill(' ')}x`,
  tabs: `1${fill('\t')}x`,
  'a date and blanks': `2024-02-29 10:00${fill(' ')}x`,
  'a date with decimals': `2024-02-29 10:00:00.${fill('3')}`,
  'an empty date': `0000-00-00${fill(' ')}x`,
  'zeros and points': fill('0.'),
  'a whole number with zeros': `1.${fill('0')}`,
  exponents: fill('1e1'),
  quotes: fill('"'),
  escapes: fill('\\u0000'),
  'halves of pairs': fill('\ud83d'),
  addresses: fill('a://b:'),
  'names of secrets': fill('api_key='),
  'ends of names': fill('_value'),
};
const inEveryField = (value: Json): JsonObject => ({
  ...Object.fromEntries(KINDS.map((kind) => [`a_${kind}`, value])),
  id: value,
  updated_date: value,
  cf_named: value,
});
const RECORDS: Readonly<Record<string, () => string>> = {
  ...Object.fromEntries(Object.entries(DULL).map(([name, value]) => [name, () => JSON.stringify(inEveryField(value))])),
  'many keys': () => JSON.stringify(Object.fromEntries(Array.from({ length: KEYS }, (_, at) => [`k${at}`, at]))),
  'many numbered keys': () => JSON.stringify(Object.fromEntries(Array.from({ length: KEYS }, (_, at) => [at * 3, 1]))),
  'many custom fields': () =>
    JSON.stringify(Object.fromEntries(Array.from({ length: KEYS }, (_, at) => [`CF_${at}_value`, 'x']))),
  'many keys within': () =>
    JSON.stringify({ customfields: Object.fromEntries(Array.from({ length: KEYS }, (_, at) => [`cf_${at}`, 1])) }),
  'a long key': () => JSON.stringify({ [fill('cf_')]: 1 }),
  'a long list': () => JSON.stringify({ a_text: Array.from({ length: 150_000 }, () => 1) }),
  nesting: () => `{"a":${'['.repeat(90)}${fill('[],')}1${']'.repeat(90)}}`,
  'overlong numbers': () => `{"a_decimal":0.${fill('0')}1,"a_integer":${fill('9')},"a_code":-${fill('1')}e5}`,
  'many exact numbers': () => `{"a":[${Array.from({ length: 15_000 }, (_, at) => `12345678901234567.${at}0`)}]}`,
};

/** A path may cost this many times what plain JSON costs, and a collection of garbage; a second try decides. */
const SHARE = 20;
const PAUSE_MS = 100;
const TRIES = 2;

it.each(Object.keys(RECORDS))(
  'reading %s costs a bounded share of what a plain parse does, on every path',
  (name) => {
    const record = RECORDS[name]?.() as string;
    const meta = '{"module":"crm","model":"lead","action":"update"}';
    const text = `{"meta":${meta},"response":1,"current":${record},"previous":${record}}`;
    const plain_ms = cpuTime(() => JSON.stringify(JSON.parse(text)));
    const isWithin = (path: string) => {
      // New objects each time: what was worked out about others is remembered.
      const parsed = parseJson(record) as JsonObject;
      const other = spelt(parsed);
      return cpuTime(() => PATHS[path]?.(parsed, text, other)) <= SHARE * plain_ms + PAUSE_MS;
    };
    const slow = Object.keys(PATHS).filter((path) => !Array.from({ length: TRIES }).some(() => isWithin(path)));
    expect(slow).toEqual([]);
  },
  120_000,
);

it('deep nesting is refused before anything looks at it', () => {
  const deep = `{"meta":{"module":"crm","model":"lead","action":"update"},"current":{"a":${fill('[')}${fill(']')}}}`;
  expect(() => readAnnouncement(deep)).toThrow(WrongShapeError);
});

it('names of any kind that are none are said to be none, whatever the objects in their place hold', () => {
  const odd = fc.constantFrom('1e400', '9223372036854775808', '-0', '[]', 'null', '"x"', '{"length":1e400}');
  const key = fc.constantFrom('length', 'valueOf', 'toString', 'then', '__proto__', 'a');
  const place = fc.constantFrom('module', 'model', 'action');
  fc.assert(
    fc.property(key, odd, place, (member, value, at) => {
      const names = { module: '"crm"', model: '"lead"', action: '"update"', [at]: `{"${member}":${value}}` };
      const meta = Object.entries(names).map(([one, text]) => `"${one}":${text}`);
      const body = `{"meta":{${meta}},"current":{"id":1}}`;
      expect(() => readAnnouncement(body)).toThrow(WrongShapeError);
      expect(() => readAnnouncement(body)).toThrow(/must be a name/);
    }),
  );
});

it('a number of 150,000 digits is kept as text, digit by digit', () => {
  const digits = `1${'0'.repeat(149_998)}7`;
  const record = parseJson(`{"id":1,"a_decimal":${digits},"other":[-${digits}.5]}`);
  expect(record).toEqual({ id: 1, a_decimal: digits, other: [`-${digits}.5`] });
});

it('a value longer than the bound is null in every column but text, and is compared as the text it is', () => {
  const scalar = fc.constantFrom('0', '1', '-1.50', '2024-02-29', '2024-02-29 10:00:00', 'true', '1700000000', '.5');
  const pad = fc.constantFrom(' ', '0', '.0', '\t');
  fc.assert(
    fc.property(scalar, pad, fc.boolean(), (value, unit, before) => {
      const padding = unit.repeat(MAX_SCALAR_LENGTH);
      const long = before ? padding + value : value + padding;
      for (const [name, field] of Object.entries(shape.fields)) {
        expect(coerce(field, long, zone)).toBe(field.kind === 'text' ? long : MISFIT);
        expect(sameValue(shape, name, long, value)).toBe(false);
        expect(sameValue(shape, name, long, `${long}`)).toBe(true);
      }
    }),
  );
});

it('many definitions of custom fields get their names in a bounded time', () => {
  expect(baseName({ id: '1', alias: '', title: fill('ж') })).toMatch(/^cf_[a-z]{40}$/);
});

it('every model of the catalogue reads many keys at the cost of their number', () => {
  const keys = Object.fromEntries(Array.from({ length: 5_000 }, (_, at) => [`k${at}`, at]));
  for (const model of models) expect(coerceRecord(model, { ...keys }, zone).invalid).toEqual([]);
});

it('whether deliveries may tie is known from their versions alone, in any number', () => {
  const version = (order: number) => ({ at: order, order });
  const announced = (order: number | null) =>
    ({ says: 'announced', version: order === null ? null : version(order) }) as Parameters<typeof mayTie>[1][number];
  const many = Array.from({ length: 50_000 }, (_, at) => announced(at));
  expect(mayTie(null, many)).toBe(false);
  expect(mayTie(null, [...many, announced(7)])).toBe(true);
  expect(mayTie(null, [...many, announced(null)])).toBe(true);
  expect(mayTie(null, [announced(null)])).toBe(false);
});
