/** JSON without loss: digits that a double cannot hold, text that jsonb cannot hold, and the way through PostgreSQL. */
import fc from 'fast-check';
import { LosslessNumber } from 'lossless-json';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isJsonObject, type Json, parseJson, stringifyJson, TooMuchError } from '../../src/core/json.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

describe('parsing', () => {
  it('keeps the digits of what a double would round, and gives plain numbers otherwise', () => {
    const text =
      '{"id":9223372036854775807,"price":12345678901234567.89,"small":1.5,"year":2026,"text":"9223372036854775807"}';
    const parsed = parseJson(text) as Record<string, Json>;
    expect(parsed.id).toEqual(new LosslessNumber('9223372036854775807'));
    expect([parsed.small, parsed.year, parsed.text]).toEqual([1.5, 2026, '9223372036854775807']);
    expect(stringifyJson(parsed)).toBe(text);
  });

  it('gives U+FFFD for NUL and half surrogate pairs, in values and keys, and leaves whole pairs alone', () => {
    expect(parseJson('["a\\u0000b","\\ud83d","\\ude00x","\\ud83d\\ude00","😀",{"k\\u0000":1}]')).toEqual([
      'a\uFFFDb',
      '\uFFFD',
      '\uFFFDx',
      '😀',
      '😀',
      { 'k\uFFFD': 1 },
    ]);
  });

  it('takes the last of repeated keys, also where digits matter', () => {
    expect(parseJson('{"a":1,"a":2}')).toEqual({ a: 2 });
    expect(parseJson('{"a":1,"a":9007199254740993}')).toEqual({ a: new LosslessNumber('9007199254740993') });
  });

  it.each(['', '{', '[1,]', '{"a":1}x', "{'a':1}", 'NaN', '\u0000', '[01]', '"\t"'])('refuses %j', (text) => {
    expect(() => parseJson(text)).toThrow(SyntaxError);
  });

  it('refuses what nests too deep, at once and without a stack running over', () => {
    const nested = (levels: number, [open, close] = ['[', ']']) => open.repeat(levels) + close.repeat(levels);
    expect(parseJson(nested(100))).toBeInstanceOf(Array);
    for (const text of [nested(101), nested(100_000), `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`]) {
      expect(() => parseJson(text)).toThrow(TooMuchError);
    }
  });

  it('refuses a text full of brackets before it is parsed, and no text for brackets within its words', () => {
    const large = 200_000;
    for (const text of ['['.repeat(large), `${'{"a":'.repeat(large)}1`, `[${'['.repeat(large)}"]"`]) {
      expect(() => parseJson(text)).toThrow(/^brackets without/);
    }
    const words = `${'['.repeat(large)}\\"{`;
    expect(parseJson(JSON.stringify([words]))).toEqual([words]);
    expect(parseJson(`[${'[],'.repeat(large)}[]]`)).toHaveLength(large + 1);
  });

  it('tells objects from what only looks like one', () => {
    expect([{}, { a: 1 }].every(isJsonObject)).toBe(true);
    expect([null, [], new LosslessNumber('1'), 'x', undefined].some((one) => isJsonObject(one as Json))).toBe(false);
  });
});

describe('the way through jsonb', () => {
  let db: TestDatabase;
  beforeAll(async () => {
    db = await createTestDatabase();
  });
  afterAll(() => db?.close());

  const digits = (least: number, most: number) => fc.stringMatching(new RegExp(`^[1-9]\\d{${least},${most}}$`));
  const numberText = fc.oneof(
    digits(0, 40),
    fc
      .tuple(fc.constantFrom('', '-'), fc.oneof(fc.constant('0'), digits(0, 24)), fc.stringMatching(/^\d{1,24}$/))
      .map(([sign, whole, part]) => `${sign}${whole}.${part}`),
    fc
      .tuple(digits(0, 20), fc.constantFrom('e', 'E'), fc.integer({ min: -200, max: 200 }))
      .map(([mantissa, e, power]) => `${mantissa}${e}${power}`),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((one) => JSON.stringify(one)),
    fc.constantFrom(
      '9223372036854775807',
      '-9223372036854775808',
      '9007199254740993',
      '0.1',
      '1e400',
      '-0',
      '99999999999999999999.99',
    ),
  );

  it('keeps every number equal to what was sent', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(numberText, { minLength: 1, maxLength: 60 }), async (numbers) => {
        const document = stringifyJson(parseJson(`[${numbers.join(',')}]`));
        const [row] = await db.sql`
          select bool_and((a.value #>> '{}')::numeric = (b.value #>> '{}')::numeric) as same, count(*)::int as count,
                 ${document}::text::jsonb as read
            from jsonb_array_elements(${document}::text::jsonb) with ordinality as a(value, n)
            join jsonb_array_elements(${`[${numbers.join(',')}]`}::text::jsonb) with ordinality as b(value, n) using (n)`;
        expect(row).toMatchObject({ same: true, count: numbers.length });
        // And read back, it is written the same once more.
        const again = stringifyJson(row?.read as Json);
        const [second] = await db.sql`select ${again}::text::jsonb = ${document}::text::jsonb as same`;
        expect(second?.same).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  it('takes every text that JSON can spell', async () => {
    const text = fc.string({
      unit: fc.oneof(
        fc.constantFrom('\u0000', '\ud800', '\udfff', '\u2028', '\\', '"', 'é', '😀'),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
      ),
      maxLength: 20,
    });
    await fc.assert(
      fc.asyncProperty(fc.dictionary(text, fc.oneof(text, fc.array(text), fc.dictionary(text, text))), async (made) => {
        const value = parseJson(JSON.stringify(made));
        const [row] = await db.sql`select ${stringifyJson(value)}::text::jsonb as read`;
        expect(row?.read).toEqual(value);
      }),
      { numRuns: 100 },
    );
  });
});
