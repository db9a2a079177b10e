/** Loose values into typed columns: each kind with what portals really send, and PostgreSQL's word on the result. */
import fc from 'fast-check';
import { LosslessNumber } from 'lossless-json';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findModel } from '../../src/catalog/index.ts';
import type { FieldKind } from '../../src/catalog/types.ts';
import { type Json, parseJson } from '../../src/core/json.ts';
import { coerce, coerceRecord, MISFIT } from '../../src/record/coerce.ts';
import { createZone } from '../../src/record/zone.ts';
import { sqlTypes } from '../../src/tables/facts.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const berlin = createZone('Europe/Berlin');
const as = (kind: FieldKind, value: Json | undefined, zone = berlin) => {
  const result = coerce({ kind, doc: '' }, value, zone);
  return result === MISFIT ? 'invalidValue' : result;
};
/** A number that a double cannot hold, as it is read. */
const exact = (digits: string) => (parseJson(`[${digits}]`) as Json[])[0] as Json;

const CASES: Readonly<Record<FieldKind, readonly (readonly [Json | undefined, string | boolean | null])[]>> = {
  text: [
    ['', ''],
    [' a ', ' a '],
    [0, '0'],
    [1.5, '1.5'],
    [true, 'true'],
    [exact('9007199254740993'), '9007199254740993'],
    [['a', 1], '["a",1]'],
    [{ a: exact('0.12345678901234567890') }, '{"a":0.12345678901234567890}'],
  ],
  id: [
    ['42', '42'],
    [' 007 ', '7'],
    [exact('9223372036854775807'), '9223372036854775807'],
    [exact('9223372036854775808'), 'invalidValue'],
    ['-9223372036854775808', '-9223372036854775808'],
    ['9'.repeat(40), 'invalidValue'],
  ],
  link: [
    [0, null],
    ['0', null],
    ['', null],
    ['000', null],
    ['0000000000000', null],
    [false, null],
    [-0, null],
    [5, '5'],
    ['12.0', '12'],
    ['abc', 'invalidValue'],
  ],
  integer: [
    [0, '0'],
    ['', null],
    ['-5', '-5'],
    ['+5', '5'],
    [1.5, 'invalidValue'],
    ['1e3', 'invalidValue'],
    [1e20, 'invalidValue'],
    [[], 'invalidValue'],
    [{}, 'invalidValue'],
  ],
  code: [
    ['10', '10'],
    [0, '0'],
    [2_147_483_647, '2147483647'],
    [2_147_483_648, 'invalidValue'],
    [-2_147_483_649, 'invalidValue'],
    ['issued', 'invalidValue'],
  ],
  decimal: [
    ['1250.50', '1250.50'],
    [0.1, '0.1'],
    [1e-7, '1e-7'],
    [exact('99999999999999999999.99'), '99999999999999999999.99'],
    ['.5', '.5'],
    ['-0.00', '-0.00'],
    ['', null],
    ['1,250.50', 'invalidValue'],
    ['12,50', 'invalidValue'],
    ['NaN', 'invalidValue'],
    ['Infinity', 'invalidValue'],
    ['0x10', 'invalidValue'],
    ['1e9999', 'invalidValue'],
  ],
  flag: [
    [1, true],
    ['1', true],
    ['true', true],
    [true, true],
    [0, false],
    ['0', false],
    [false, false],
    ['FALSE', false],
    ['', null],
    [2, 'invalidValue'],
    ['yes', 'invalidValue'],
  ],
  date: [
    ['2025-02-28', '2025-02-28'],
    ['2025-02-28 23:59:59', '2025-02-28'],
    ['0000-00-00', null],
    ['0000-00-00 00:00:00', null],
    ['', null],
    [0, null],
    ['0', null],
    ['2025-02-29', 'invalidValue'],
    ['2025-13-01', 'invalidValue'],
    ['28.02.2025', 'invalidValue'],
    ['tomorrow', 'invalidValue'],
  ],
  datetime: [
    ['2025-01-15 12:00:00', '2025-01-15T11:00:00.000000Z'],
    ['2025-07-15 12:00:00', '2025-07-15T10:00:00.000000Z'],
    ['2025-07-15T12:00:00', '2025-07-15T10:00:00.000000Z'],
    ['2025-07-15 12:00:00.123456', '2025-07-15T10:00:00.123456Z'],
    ['2025-07-15T12:00:00+05:30', '2025-07-15T06:30:00.000000Z'],
    ['2025-07-15T12:00:00Z', '2025-07-15T12:00:00.000000Z'],
    ['2025-07-15', '2025-07-14T22:00:00.000000Z'],
    ['1969-12-31 23:59:59', '1969-12-31T22:59:59.000000Z'],
    ['0000-00-00 00:00:00', null],
    ['0000-00-00', null],
    ['', null],
    [null, null],
    ['2025-07-15 24:00:00', 'invalidValue'],
    ['2025-07-15 12:60:00', 'invalidValue'],
    [true, '1970-01-01T00:00:01.000000Z'],
    [{}, 'invalidValue'],
  ],
  unix: [
    [1_700_000_000, '2023-11-14T22:13:20.000000Z'],
    ['1700000000', '2023-11-14T22:13:20.000000Z'],
    [0, null],
    ['', null],
    [-1, 'invalidValue'],
    [1e15, 'invalidValue'],
    ['2025-01-15 12:00:00', '2025-01-15T11:00:00.000000Z'],
  ],
};

describe.each(Object.entries(CASES) as [FieldKind, (typeof CASES)[FieldKind]][])('a %s', (kind, cases) => {
  it.each(
    cases.map(
      ([value, expected]) =>
        [value instanceof LosslessNumber ? value.value : JSON.stringify(value), expected, value] as const,
    ),
  )('of %s becomes %s', (_, expected, value) => {
    expect(as(kind, value)).toBe(expected);
  });

  it('is null where nothing is sent', () => {
    expect([as(kind, null), as(kind, undefined)]).toEqual([null, null]);
  });
});

it('reads known fields under any spelling, prefers the exact one unless it is empty, and names what does not fit', () => {
  const account = findModel('crm.account');
  if (account === undefined) throw new Error('no account');
  const { columns, invalid } = coerceRecord(
    account,
    { ID: 7, VAT: 'DE1', vat: '', Name: 'A', owner_id: 'x', cf_1: 'kept' },
    berlin,
  );
  const named = Object.fromEntries(Object.keys(account.fields).map((name, index) => [name, columns[index]]));
  expect(named).toMatchObject({ id: '7', vat: 'DE1', name: 'A', owner_id: null, email: null });
  expect(columns).toHaveLength(Object.keys(account.fields).length);
  expect(invalid).toEqual(['owner_id']);
});

describe('PostgreSQL', () => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await createTestDatabase();
    const columns = Object.entries(sqlTypes).map(([kind, type]) => `"${kind}" ${type}`);
    await db.sql.unsafe(`create table public.kinds (${columns.join(', ')})`);
  });
  afterAll(() => db?.close());

  const kinds = Object.keys(sqlTypes) as FieldKind[];
  const zones = ['UTC', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Apia', 'Europe/Berlin', 'Africa/Monrovia'].map(
    createZone,
  );
  const two = (max: number) => fc.integer({ min: 0, max }).map((n) => String(n).padStart(2, '0'));
  const wall = fc
    .tuple(
      fc.integer({ min: 0, max: 9999 }),
      two(13),
      two(32),
      two(25),
      two(60),
      two(60),
      fc.constantFrom('', 'Z', '+05:45', '-12', ' +1400'),
    )
    .chain(([year, month, day, hour, minute, second, offset]) => {
      const date = `${String(year).padStart(4, '0')}-${month}-${day}`;
      return fc.constantFrom(date, `${date} ${hour}:${minute}:${second}`, `${date}T${hour}:${minute}${offset}`);
    });
  const number = fc.oneof(
    fc
      .tuple(
        fc.constantFrom('', '-', '+'),
        fc.stringMatching(/^\d{1,25}$/),
        fc.stringMatching(/^(\.\d{0,20})?$/),
        fc.constantFrom('', 'e5', 'E-300', 'e+999'),
      )
      .map((parts) => parts.join('')),
    fc.constantFrom(
      '9223372036854775807',
      '9223372036854775808',
      '-9223372036854775808',
      '2147483647',
      '2147483648',
      '253402300799',
      '253402300800',
    ),
  );
  const value: fc.Arbitrary<Json> = fc.oneof(
    wall,
    number,
    number
      .filter((text) => /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text))
      .map((text) => parseJson(`[${text}]`) as Json[])
      .map(([one]) => one as Json),
    fc.constantFrom(
      '9999-12-31 23:59:59',
      '0001-01-01 00:00:00',
      '0000-00-00 00:00:00',
      '',
      ' ',
      'NaN',
      'infinity',
      'now',
      'epoch',
      'true',
      'on',
    ),
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.double(),
    fc.boolean(),
    fc.jsonValue({ maxDepth: 2 }).map((json) => parseJson(JSON.stringify(json))),
  );

  it('takes every value that coercion lets through, for every kind, in zones far and near', async () => {
    const insert = `insert into public.kinds select * from jsonb_populate_recordset(null::public.kinds, $1::text::jsonb)`;
    await fc.assert(
      fc.asyncProperty(
        fc.array(value, { minLength: 100, maxLength: 300, size: 'max' }),
        fc.constantFrom(...zones),
        async (values, zone) => {
          const rows = values.map((one) => {
            const storable = parseJson(JSON.stringify([one instanceof LosslessNumber ? one.value : one])) as Json[];
            return Object.fromEntries(
              kinds.map((kind) => {
                const column = as(kind, one instanceof LosslessNumber ? one : storable[0], zone);
                return [kind, column === 'invalidValue' ? null : column];
              }),
            );
          });
          await db.sql.unsafe(insert, [JSON.stringify(rows)]).catch((error: Error) => {
            throw new Error(`${zone.name}: ${error.message}`);
          });
        },
      ),
      { numRuns: Number(process.env.FLOWLU_MIRROR_TEST_RUNS ?? 60) },
    );
    const [row] =
      await db.sql`select count(*)::int as rows, count(datetime)::int as moments, count(decimal)::int as numbers from public.kinds`;
    expect(row?.rows).toBeGreaterThan(1_000);
    expect(row?.moments).toBeGreaterThan(100);
    expect(row?.numbers).toBeGreaterThan(100);
  });
});
