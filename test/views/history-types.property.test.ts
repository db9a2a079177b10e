/** Values of the past are read in SQL, those of the present in TypeScript: both must read alike. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { FieldKind } from '../../src/catalog/types.ts';
import { parseJson, stringifyJson } from '../../src/core/json.ts';
import { coerce, MISFIT } from '../../src/record/coerce.ts';
import { createZone } from '../../src/record/zone.ts';
import { noteHistorySettings } from '../../src/store/settings.ts';
import { sqlTypes } from '../../src/tables/facts.ts';
import { typedValue } from '../../src/views/values.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const KINDS = Object.keys(sqlTypes) as FieldKind[];

const two = (min: number, max: number) => fc.integer({ min, max }).map((n) => String(n).padStart(2, '0'));
/** Wall times, impossible ones and those around the switches of zones among them. */
const wall = fc
  .tuple(
    fc.constantFrom('0000', '0001', '1969', '1900', '2000', '2024', '2025', '2026', '2199'),
    two(0, 13),
    two(0, 32),
    fc.option(
      fc.tuple(
        fc.constantFrom(' ', 'T'),
        two(0, 25),
        two(0, 61),
        fc.option(fc.tuple(two(0, 60), fc.constantFrom('', '.5', '.123456'))),
        fc.constantFrom('', '', '', 'Z', '+02:00', '-0530', '+09', ' +01:00'),
      ),
    ),
  )
  .map(([year, month, day, time]) => {
    if (time === null) return `${year}-${month}-${day}`;
    const [join, hour, minute, seconds, offset] = time;
    return `${year}-${month}-${day}${join}${hour}:${minute}${seconds === null ? '' : `:${seconds.join('')}`}${offset}`;
  });
const switches = fc
  .tuple(
    fc.constantFrom('2026-03-29', '2026-10-25', '2026-03-08', '2026-11-01', '2026-04-05', '2026-10-04'),
    two(0, 4),
    two(0, 59),
  )
  .map(([day, hour, minute]) => `${day} ${hour}:${minute}:00`);
const number = fc.oneof(
  fc.integer().map(String),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String),
  fc.tuple(fc.integer(), fc.nat(999_999)).map(([whole, rest]) => `${whole}.${rest}`),
  fc.constantFrom(
    '0',
    '-0',
    '007',
    '+5',
    '5.',
    '.5',
    '1e3',
    '1.50',
    '9'.repeat(150_000),
    `1.${'5'.repeat(600)}`,
    '2147483648',
    '9223372036854775808',
    '253402300800',
  ),
);
const word = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    'true',
    'FALSE',
    'yes',
    '0000-00-00',
    '0000-00-00 00:00:00',
    '1.0',
    '\u00a08',
    `1.${'0'.repeat(20_000)}`,
    `2024-02-29 10:00:00.${'3'.repeat(300)}`,
    `2024-02-29 10:00:00.${'3'.repeat(80)}`,
    '9'.repeat(90),
    `${' '.repeat(100)}1`,
    `.${'0'.repeat(150_000)}1`,
    '12,5',
    'NaN',
    'Infinity',
  ),
  fc.string({ unit: 'grapheme-ascii' }),
  number,
  number.map((digits) => ` ${digits}\t`),
  wall,
  switches,
);
const value: fc.Arbitrary<string> = fc.oneof(
  word.map((text) => JSON.stringify(text)),
  number.filter((digits) => /^-?(0|[1-9]\d*)(\.\d+)?(e\d+)?$/.test(digits)),
  fc.constantFrom('true', 'false', 'null', '[]', '{}', '[1,2]', '{"a":1}'),
);

it('a value of any kind is read from the history as it is read into its column', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata'),
      fc.array(value, { minLength: 50, maxLength: 50 }),
      async (zoneName, texts) => {
        await noteHistorySettings(database.sql, { timezone: zoneName, keeps: true });
        const zone = createZone(zoneName);
        const columns = KINDS.flatMap((kind) => [
          `(${typedValue(kind, 'v.value')})::text as past_${kind}`,
          `(v.${kind})::text as now_${kind}`,
        ]);
        const document = texts.map((text) => {
          const parsed = parseJson(text);
          const typed = KINDS.map((kind) => {
            const column = coerce({ kind, doc: '' }, parsed, zone);
            return [kind, column === MISFIT ? null : column] as const;
          });
          return `{"value":${stringifyJson(parsed)},${JSON.stringify(Object.fromEntries(typed)).slice(1)}`;
        });
        const types = KINDS.map((kind) => `${kind} ${sqlTypes[kind]}`).join(', ');
        const rows = await database.sql.unsafe(
          `select ${columns.join(', ')} from jsonb_to_recordset($1::text::jsonb) as v(value jsonb, ${types})`,
          [`[${document.join(',')}]`],
        );
        for (const [index, row] of rows.entries()) {
          for (const kind of KINDS) {
            const text = texts[index] as string;
            if (kind === 'text' && /^[[{]/.test(text)) continue; // jsonb spaces its text otherwise
            expect(`${text} as ${kind}: ${row[`past_${kind}`]}`).toBe(`${text} as ${kind}: ${row[`now_${kind}`]}`);
          }
        }
      },
    ),
    { numRuns: 60 },
  );
});
