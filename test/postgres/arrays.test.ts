import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROWS_SOURCE, type RowItem, rowsText, rowValue } from '../../src/postgres/arrays.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

/** What arrives, value by value. */
async function travelled(rows: readonly (readonly RowItem[])[]): Promise<(string | null)[][]> {
  const values = rows[0]?.map((_, index) => `${rowValue(index + 1)} as v${index}`).join(', ');
  const found = await database.sql.unsafe(`select ${values} from ${ROWS_SOURCE}`, rowsText(rows));
  return found.map((row) => Object.values(row as Record<string, string | null>));
}

const asText = (item: RowItem) => (typeof item === 'boolean' ? (item ? 't' : 'f') : item);

describe('rows that travel as one text', () => {
  it('arrive as they were sent, in their order', async () => {
    const rows: RowItem[][] = [
      ['1', '', null, true, '{"a":"b, \\"c\\""}'],
      ['2', null, '', false, 'NULL'],
      ['3', '\n\t\\N', "'", null, ' {} '],
    ];
    expect(await travelled(rows)).toEqual(rows.map((row) => row.map(asText)));
  });

  it('arrive when there is one only, be it of empty texts', async () => {
    expect(await travelled([['', '']])).toEqual([['', '']]);
    expect(await travelled([[null, null]])).toEqual([[null, null]]);
  });

  it('arrive whatever characters they hold, those included that they are usually taken apart by', async () => {
    const character = fc.oneof(
      fc.constantFrom('\u001c', '\u001d', '\u001e', '\u001f', 'x', '"', '\\', '{', ',', 'é', '😀'),
      fc.integer({ min: 1, max: 31 }).map((code) => String.fromCharCode(code)),
    );
    const item = fc.oneof(
      fc.constantFrom<RowItem>(null, true, '', '\u001d'),
      fc.string({ unit: character, maxLength: 6 }),
    );
    const table = fc
      .integer({ min: 2, max: 5 })
      .chain((width) =>
        fc.array(fc.array(item, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 6 }),
      );
    await fc.assert(
      fc.asyncProperty(table, async (rows) => {
        expect(await travelled(rows)).toEqual(rows.map((row) => row.map(asText)));
      }),
      { numRuns: 300 },
    );
  });
});
