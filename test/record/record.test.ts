/** Records compared by what they mean: spellings of one value, merging, containment and the content hash. */
import fc from 'fast-check';
import { LosslessNumber } from 'lossless-json';
import { describe, expect, it } from 'vitest';
import { findModel } from '../../src/catalog/index.ts';
import { type Json, type JsonObject, parseJson, stringifyJson } from '../../src/core/json.ts';
import { contains, contentHash, fieldValue, mergeRecords, UNKNOWN_SHAPE } from '../../src/record/record.ts';

const account = findModel('crm.account') ?? UNKNOWN_SHAPE;
const same = (a: JsonObject, b: JsonObject, shape = account) => contentHash(shape, a) === contentHash(shape, b);
const exact = (digits: string) => new LosslessNumber(digits);

describe('the content hash', () => {
  it.each([
    ['ids', { owner_id: 3 }, { owner_id: '3' }],
    ['no link', { owner_id: 0 }, { owner_id: '' }],
    ['no link, again', { owner_id: null }, { owner_id: '0' }],
    ['flags', { active: 1 }, { active: true }],
    ['flags, again', { active: '0' }, { active: false }],
    ['codes', { type: 2 }, { type: '2' }],
    ['money', { organization_revenue: 12.5 }, { organization_revenue: '12.50' }],
    ['money without a fraction', { organization_revenue: 12 }, { organization_revenue: '12.00' }],
    [
      'much money',
      { organization_revenue: exact('12345678901234567.80') },
      { organization_revenue: '12345678901234567.8' },
    ],
    ['huge ids', { owner_id: exact('9007199254740993') }, { owner_id: '9007199254740993' }],
    ['empty dates', { organization_registration_date: null }, { organization_registration_date: '0000-00-00' }],
    ['empty times', { created_date: '' }, { created_date: '0000-00-00 00:00:00' }],
    ['the case of known keys', { VAT: 'DE1' }, { vat: 'DE1' }],
    ['the order of keys', { name: 'A', vat: 'B' }, { vat: 'B', name: 'A' }],
    ['the order of keys within', { cf_1: { a: 1, b: [2] } }, { cf_1: { b: [2], a: 1 } }],
    ['numbers in text', { name: 17 }, { name: '17' }],
  ])('is equal for two spellings of %s', (_, a, b) => {
    expect(same({ id: 1, ...a }, { id: 1, ...b })).toBe(true);
  });

  it.each([
    ['values', { name: 'A' }, { name: 'B' }],
    ['null and empty text', { name: null }, { name: '' }],
    ['a key that is missing and one that is null', {}, { name: null }],
    [
      'ids that one double cannot tell apart',
      { owner_id: exact('9007199254740993') },
      { owner_id: exact('9007199254740992') },
    ],
    ['tens', { organization_revenue: 100 }, { organization_revenue: 10 }],
    ['powers of ten', { organization_revenue: 1.5e30 }, { organization_revenue: 1.5e300 }],
    ['no flag and no', { active: null }, { active: 0 }],
    ['no number and zero', { organization_employee_count: null }, { organization_employee_count: 0 }],
    ['the case of unknown keys', { cf_A: 1 }, { cf_a: 1 }],
    ['lists in another order', { cf_1: [1, 2] }, { cf_1: [2, 1] }],
    ['values that changed places', { first_name: 'A', last_name: 'B' }, { first_name: 'B', last_name: 'A' }],
  ])('differs for different %s', (_, a, b) => {
    expect(same({ id: 1, ...a }, { id: 1, ...b })).toBe(false);
  });

  it('differs for any two contents, be they made of what it is put together with', () => {
    const piece = fc.constantFrom('\u0001', '\u0002', 'n', '1', 'true', '[]', '"');
    const odd = fc.oneof(
      fc.constantFrom<Json>(null, '', 1, true, [], '\u0001', '\u0002', '\u00021', '\u0002true'),
      fc.array(piece, { maxLength: 3 }).map((pieces) => pieces.join('')),
    );
    const record = fc.record({ cf_1: odd, cf_2: odd });
    fc.assert(
      fc.property(record, record, (a, b) => {
        expect(same(a, b, UNKNOWN_SHAPE)).toBe(stringifyJson(a) === stringifyJson(b));
      }),
      { numRuns: 2_000 },
    );
  });

  it('survives the way through PostgreSQL’s jsonb, which sorts keys', () => {
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom('name', 'owner_id', 'active', 'cf_1', 'Z', '__proto__', 'toString'),
          fc.jsonValue({ maxDepth: 2 }),
        ),
        (made) => {
          const record = parseJson(JSON.stringify(made)) as JsonObject;
          const sorted = Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? 1 : -1)));
          expect(same(record, parseJson(stringifyJson(sorted)) as JsonObject)).toBe(true);
        },
      ),
    );
  });
});

const field = fc.constantFrom(
  'id',
  'name',
  'NAME',
  'owner_id',
  'active',
  'created_date',
  'VAT',
  'vat',
  'cf_1',
  'toString',
  '__proto__',
);
const value = fc.oneof(
  fc.constantFrom(null, '', 0, '0', 1, '1', true, 'x', '2026-01-01'),
  fc.jsonValue({ maxDepth: 1 }),
);
const records = fc.dictionary(field, value).map((made) => parseJson(JSON.stringify(made)) as JsonObject);

describe('merging', () => {
  it('takes everything that the patch knows and keeps the rest, under any spelling of known keys', () => {
    expect(mergeRecords(account, { id: 1, VAT: 'old', cf_1: 'kept', Other: 1 }, { vat: 'new', other: 2 })).toEqual({
      id: 1,
      vat: 'new',
      cf_1: 'kept',
      Other: 1,
      other: 2,
    });
  });

  it('contains its patch, and is the base again when the patch is empty', () => {
    fc.assert(
      fc.property(records, records, (base, patch) => {
        const merged = mergeRecords(account, base, patch);
        expect(mergeRecords(account, base, {})).toEqual(base);
        if (Object.keys(patch).length > 0) expect(contains(account, merged, patch)).toBe(true);
        expect(same(mergeRecords(account, merged, patch), merged)).toBe(true);
      }),
    );
  });

  it('gives fields by their name, whatever spelling stands there; an empty one gives way to a full one', () => {
    expect(fieldValue(account, { VAT: 'A' }, 'vat')).toBe('A');
    expect(fieldValue(account, { VAT: 'A', vat: null }, 'vat')).toBe('A');
    expect(fieldValue(account, { vat: 'B', VAT: 'A' }, 'vat')).toBe('B');
    expect(fieldValue(account, {}, 'vat')).toBeUndefined();
  });
});

describe('containment', () => {
  it('looks through spellings, and asks for every key of the part', () => {
    const whole = { id: 7, owner_id: '3', active: 1, name: 'A' };
    expect(contains(account, whole, { id: '7', owner_id: 3, ACTIVE: true })).toBe(true);
    expect(contains(account, whole, { id: 7, email: null })).toBe(false);
    expect(contains(account, whole, { id: 7, name: 'B' })).toBe(false);
    expect(contains(account, whole, { toString: null })).toBe(false);
  });

  it('of nothing tells nothing', () => {
    expect(contains(account, { id: 7 }, {})).toBe(false);
  });

  it('holds for a record and itself, and agrees with the hash', () => {
    fc.assert(
      fc.property(records, records, (a, b) => {
        if (Object.keys(a).length > 0) expect(contains(account, a, a)).toBe(true);
        if (same(a, b) && Object.keys(a).length > 0)
          expect(contains(account, a, b) && contains(account, b, a)).toBe(true);
      }),
    );
  });
});
