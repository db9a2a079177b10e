import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CustomField } from '../../src/mirror-rows/custom-fields.ts';
import type { GivenName } from '../../src/store/custom-columns.ts';
import { baseName, nameColumns } from '../../src/views/custom-columns.ts';

const field = (id: number, title: string, alias = '', type = 'smalltext'): CustomField => ({
  id: String(id),
  model: 'crm.lead',
  alias,
  title,
  type,
});
const DAY_MS = 86_400_000;
const START = Date.parse('2026-03-01T00:00:00Z');

/** Names after each of several states of the portal, one after the other. */
function course(...steps: readonly (readonly [day: number, fields: readonly CustomField[]])[]) {
  let given: readonly GivenName[] = [];
  return steps.map(([day, fields]) => {
    const { columns, names } = nameColumns(fields, given, new Set(['id', 'cf_own']), START + day * DAY_MS);
    given = names;
    return Object.fromEntries(
      columns.map(({ field: { id }, name, former }) => [id, [name, ...former.map((row) => row.name)].join(' ')]),
    );
  });
}

describe('the name of a custom field', () => {
  it.each([
    ['Region', '', 'cf_region'],
    ['Contract value, net (€)', '', 'cf_contract_value_net_eur'],
    ['Größe', '', 'cf_grosse'],
    ['Источник сделки', '', 'cf_istochnik_sdelki'],
    ['Źródło', '', 'cf_zrodlo'],
    ['Region', 'sales_area', 'cf_sales_area'],
    ['Region', 'cf_area', 'cf_area'],
    ['?!', '', 'cf_7'],
    ['', '', 'cf_7'],
    ['Region', '—', 'cf_region'],
    ["x'); drop table a;--", '', 'cf_x_drop_table_a'],
    ['2024', '', 'cf_2024'],
  ])('of %j with alias %j is %s', (title, alias, name) => {
    expect(baseName({ id: '7', title, alias })).toBe(name);
  });

  it('is always an identifier that needs no quotes and leaves room for what is appended', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), (title, alias) => {
        expect(baseName({ id: '9', title, alias })).toMatch(/^cf_[a-z0-9]([a-z0-9_]{0,38}[a-z0-9])?$/);
      }),
    );
  });

  it('has the number behind it where another field was first, and keeps it when that one goes', () => {
    const first = field(1, 'Region');
    const second = field(2, 'region');
    expect(course([0, [first, second]], [1, [second]])).toEqual([
      { 1: 'cf_region', 2: 'cf_region_2' },
      { 2: 'cf_region_2' },
    ]);
  });

  it('is never one of the model’s own, nor what another field may append to its name', () => {
    expect(course([0, [field(1, 'Own'), field(2, 'Area'), field(3, 'Area label'), field(4, 'Area raw')]])).toEqual([
      { 1: 'cf_own_1', 2: 'cf_area', 3: 'cf_area_label_3', 4: 'cf_area_raw_4' },
    ]);
  });

  it('follows a new title at once, and the former name stays beside it for thirty days', () => {
    const steps = course(
      [0, [field(1, 'Region')]],
      [1, [field(1, 'Area')]],
      [30.9, [field(1, 'Area')]],
      [31, [field(1, 'Area')]],
    );
    expect(steps.map((names) => names[1])).toEqual(['cf_region', 'cf_area cf_region', 'cf_area cf_region', 'cf_area']);
  });

  it('does not follow the title where there is an alias', () => {
    const steps = course([0, [field(1, 'Region', 'area')]], [1, [field(1, 'Something else', 'area')]]);
    expect(steps.map((names) => names[1])).toEqual(['cf_area', 'cf_area']);
  });

  it('comes back with the former title', () => {
    const steps = course([0, [field(1, 'Region')]], [1, [field(1, 'Area')]], [2, [field(1, 'Region')]]);
    expect(steps.at(-1)).toEqual({ 1: 'cf_region cf_area' });
  });

  it('goes to no other field while it is shown as a former one, also when two fields exchange their titles', () => {
    const steps = course(
      [0, [field(1, 'Region'), field(2, 'Area')]],
      [1, [field(1, 'Area'), field(2, 'Region')]],
      [2, [field(1, 'Area'), field(2, 'Region'), field(3, 'Region')]],
      [60, [field(1, 'Area'), field(2, 'Region'), field(3, 'Region'), field(4, 'Region')]],
    );
    expect(steps[1]).toEqual({ 1: 'cf_area_1 cf_region', 2: 'cf_region_2 cf_area' });
    expect(steps[2]).toEqual({ 1: 'cf_area_1 cf_region', 2: 'cf_region_2 cf_area', 3: 'cf_region_3' });
    expect(steps[3]).toEqual({ 1: 'cf_area_1', 2: 'cf_region_2', 3: 'cf_region_3', 4: 'cf_region' });
  });

  it('waits for a field that was deleted, unless another one asks for it', () => {
    const region = field(1, 'Region');
    const other = field(2, 'Other');
    expect(course([0, [region, other]], [1, [other]], [2, [region, other]]).at(-1)).toEqual({
      1: 'cf_region',
      2: 'cf_other',
    });
    expect(course([0, [region]], [1, []], [2, [field(9, 'Region')]], [3, [region, field(9, 'Region')]])).toEqual([
      { 1: 'cf_region' },
      {},
      { 9: 'cf_region' },
      { 1: 'cf_region_1', 9: 'cf_region' },
    ]);
  });

  it('is one field’s alone and stays while alias and title do, whatever happens to the others', () => {
    const titles = fc.constantFrom('Region', 'region!', 'Area', 'Area label', '2', '3', '', 'Own');
    const state = fc.uniqueArray(fc.record({ id: fc.integer({ min: 1, max: 6 }), title: titles, alias: titles }), {
      selector: ({ id }) => id,
    });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), state), { minLength: 2, maxLength: 8 }),
        (steps) => {
          let given: readonly GivenName[] = [];
          let day = 0;
          let before = new Map<string, readonly [name: string, asked: string]>();
          for (const [days, rows] of steps) {
            day += days;
            const fields = rows.map(({ id, title, alias }) => field(id, title, alias)).sort((a, b) => +a.id - +b.id);
            const { columns, names } = nameColumns(fields, given, new Set(['cf_own']), START + day * DAY_MS);
            const shown = columns.flatMap(({ name, former }) => [name, ...former.map((row) => row.name)]);
            const all = shown.flatMap((name) => [name, `${name}_raw`, `${name}_label`]);
            expect(new Set([...all, 'cf_own']).size).toBe(all.length + 1);
            expect(new Set(names.map(({ name }) => name)).size).toBe(names.length);
            const after = new Map(
              columns.map(({ field: own, name }) => [own.id, [name, `${own.alias}|${own.title}`]] as const),
            );
            for (const [id, [name, asked]] of before) {
              const now = after.get(id);
              if (now !== undefined && now[1] === asked) expect(now[0]).toBe(name);
            }
            before = after;
            given = names;
          }
        },
      ),
    );
  });

  it('of an earlier alias is still read where a record knows no other, unless another field has that alias now', () => {
    const { names } = nameColumns([field(1, 'Region', 'old')], [], new Set(), START);
    const [kept] = nameColumns([field(1, 'Region', 'new')], names, new Set(), START).columns;
    expect(kept?.oldKeys).toEqual(['cf_old']);
    const [lost] = nameColumns([field(1, 'Region', 'new'), field(2, 'X', 'old')], names, new Set(), START).columns;
    expect(lost?.oldKeys).toEqual([]);
  });
});
