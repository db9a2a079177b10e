/** The casts of custom fields against the coercion that typed columns go through: one value, one meaning. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FieldKind } from '../../src/catalog/types.ts';
import { coerce, MISFIT } from '../../src/record/coerce.ts';
import { createZone } from '../../src/record/zone.ts';
import { castText } from '../../src/views/values.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(async () => {
  await database.close();
});

/** What the cast yields for each text, in a form that is the same for two spellings of one value. */
async function cast(type: string, texts: readonly string[], zone: string): Promise<readonly (string | null)[]> {
  const shown = type === 'timestamptz' ? 'extract(epoch from x)::numeric(30, 6)::text' : 'x::text';
  const rows = await database.sql.unsafe(
    `select ${shown} as value from (
       select ${castText(type, 'v', zone)} as x, n from unnest($1::text[]) with ordinality as t (v, n)
     ) as casts order by n`,
    [[...texts]],
  );
  return rows.map((row) => row.value as string | null);
}

/** What the typed column of a field of this kind would hold, in the same form. */
async function typed(kind: FieldKind, type: string, texts: readonly string[], zone: string) {
  const values = texts.map((text) => coerce({ kind, doc: '' }, text, createZone(zone)));
  const shown =
    type === 'timestamptz' ? `extract(epoch from v::timestamptz)::numeric(30, 6)::text` : `v::${type}::text`;
  const rows = await database.sql.unsafe(
    `select ${shown} as value from jsonb_array_elements_text($1::text::jsonb) with ordinality as t (v, n) order by n`,
    [JSON.stringify(values.map((value) => (value === MISFIT ? null : value)))],
  );
  return rows.map((row) => row.value as string | null);
}

/** What is read as nothing, or as the same, whatever the type. */
const ODD = [
  '\u00a08\ufeff',
  '\u20031.50',
  '1.0',
  '\t8',
  '8\n',
  `1.${'0'.repeat(20_000)}`,
  `2024-02-29 10:00:00.${'3'.repeat(300)}`,
  `2024-02-29 10:00:00.${'3'.repeat(70)}`,
  `${' '.repeat(100)}1`,
  '9'.repeat(150_000),
  'true',
  'FALSE',
  '0.000',
];
const KINDS_OF_TYPES = [
  ['integer', 'bigint'],
  ['decimal', 'numeric'],
  ['flag', 'boolean'],
  ['date', 'date'],
  ['datetime', 'timestamptz'],
] as const;

it.each(KINDS_OF_TYPES)(
  'an odd or overlong value reads alike as %s in both, and raises no error',
  async (kind, type) => {
    expect(await cast(type, ODD, 'Europe/Berlin')).toEqual(await typed(kind, type, ODD, 'Europe/Berlin'));
  },
);

const ZONES = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'UTC', 'America/Sao_Paulo'];

describe('the cast of a custom field', () => {
  it.each([
    [
      'integer',
      'bigint',
      [
        '',
        '0',
        '-5',
        '+7',
        '12.0',
        '12.5',
        '1e3',
        'x',
        '9223372036854775807',
        '9223372036854775808',
        '-9223372036854775808',
        '99999999999999999999999999',
        ' 8 ',
      ],
    ],
    [
      'decimal',
      'numeric',
      [
        '',
        '0',
        '12.50',
        '-0.001',
        '.5',
        '5.',
        '1e3',
        '1E-2',
        '1,5',
        '1 000',
        '--1',
        'NaN',
        'Infinity',
        '12345678901234567890.123456789',
      ],
    ],
    ['flag', 'boolean', ['', '0', '1', 'true', 'FALSE', 'yes', '2', '10']],
    [
      'date',
      'date',
      [
        '',
        '0',
        '0000-00-00',
        '2024-02-29',
        '2023-02-29',
        '1900-02-29',
        '2000-02-29',
        '2024-02-30',
        '2024-04-31',
        '2024-13-01',
        '2024-00-10',
        '2024-01-05 10:11:12',
        '2024-1-5',
        '05.01.2024',
        '0000-01-01',
        '9999-12-31',
      ],
    ],
    [
      'datetime',
      'timestamptz',
      [
        '',
        '0',
        '0000-00-00 00:00:00',
        '2024-03-31 02:30:00',
        '2024-10-27 02:30:00',
        '2024-10-27 03:30:00',
        '2024-07-01',
        '2024-07-01 10:11',
        '2024-07-01T10:11:12Z',
        '2024-07-01 10:11:12+02:00',
        '2024-07-01 10:11:12.345678',
        '2024-07-01 24:00:00',
        '1751328000',
        '999999999999999',
        '-1',
        '2024-02-30 10:00:00',
        'now',
        'tomorrow',
        'infinity',
      ],
    ],
  ] as const)('reads what a typed column of kind %s would', async (kind, type, texts) => {
    for (const zone of ZONES) expect(await cast(type, texts, zone)).toEqual(await typed(kind, type, texts, zone));
  });

  it('puts every wall time where typed columns put it, also where the clocks change', async () => {
    const two = (n: number) => String(n).padStart(2, '0');
    const wall = fc
      .tuple(
        fc.integer({ min: 1996, max: 2036 }),
        fc.constantFrom(1, 2, 3, 4, 10, 11),
        fc.integer({ min: 1, max: 31 }),
        fc.integer({ min: 0, max: 23 }),
        fc.integer({ min: 0, max: 59 }),
      )
      .map(([year, month, day, hour, minute]) => `${year}-${two(month)}-${two(day)} ${two(hour)}:${two(minute)}:00`);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...ZONES),
        fc.array(wall, { minLength: 200, maxLength: 200 }),
        async (zone, walls) => {
          expect(await cast('timestamptz', walls, zone)).toEqual(await typed('datetime', 'timestamptz', walls, zone));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('never fails, whatever the text', async () => {
    const near = fc.stringMatching(/^[-+ 0-9eE.:TZ]{0,24}$/);
    const texts = fc.array(fc.oneof(near, fc.string({ unit: 'grapheme' })), { minLength: 100, maxLength: 100 });
    await fc.assert(
      fc.asyncProperty(texts, async (values) => {
        const clean = values.map((value) => value.replaceAll('\u0000', ''));
        for (const type of ['text', 'text[]', 'bigint', 'numeric', 'boolean', 'date', 'timestamptz', 'jsonb']) {
          expect((await cast(type, clean, 'Europe/Berlin')).length).toBe(clean.length);
        }
      }),
      { numRuns: 20 },
    );
  });
});
