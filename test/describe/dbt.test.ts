import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { findModel, models } from '../../src/catalog/index.ts';
import { dbtSources, toYaml } from '../../src/describe/dbt.ts';
import { readDictionary } from '../../src/views/dictionary.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

interface Relationships {
  readonly relationships: {
    readonly arguments: { readonly to: string; readonly field: string };
    readonly config: { readonly severity: string };
  };
}
interface Column {
  readonly name: string;
  readonly description: string;
  readonly data_type: string;
  readonly data_tests?: readonly Relationships[];
}
interface Table {
  readonly name: string;
  readonly description: string;
  readonly columns: readonly Column[];
  readonly config?: { readonly loaded_at_query: string; readonly freshness: Record<string, unknown> };
}
interface Source {
  readonly name: string;
  readonly schema: string;
  readonly tables: readonly Table[];
}

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

/** What was parsed last: it takes a second. */
let known = { text: '', parsed: {} as { readonly version: number; readonly sources: readonly Source[] } };
const sources = async () => {
  const text = dbtSources(await readDictionary(database.sql));
  if (text !== known.text) known = { text, parsed: parse(text) };
  const { version, sources: found } = known.parsed;
  expect(version).toBe(2);
  return new Map(found.map((source) => [source.name, source]));
};
const tableOf = async (schema: string, name: string) => {
  const table = (await sources()).get(schema)?.tables.find((found) => found.name === name);
  expect(table).toBeDefined();
  return table as Table;
};

describe('the sources for dbt', () => {
  it('hold every table and view with its columns, types and meanings', async () => {
    const real = await database.sql<{ name: string; columns: string[] }[]>`
      select c.relname as name, array_agg(a.attname::text order by a.attnum) as columns
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'flowlu_live'::regnamespace and c.relkind = 'v' group by 1`;
    const live = (await sources()).get('flowlu_live');
    expect(live?.schema).toBe('flowlu_live');
    expect(new Map(live?.tables.map(({ name, columns }) => [name, columns.map((column) => column.name)]))).toEqual(
      new Map(real.map(({ name, columns }) => [name, columns])),
    );
    const column = (await tableOf('flowlu_live', 'crm_lead')).columns.find(({ name }) => name === 'active');
    expect(column).toMatchObject({ data_type: 'integer', description: expect.stringContaining('2 lost') });
    const mirrored = (await sources()).get('flowlu')?.tables.map(({ name }) => name);
    expect(mirrored?.toSorted()).toEqual([...models.map(({ table }) => table), 'uncatalogued'].toSorted());
  });

  it('test every link of the live views, as a warning', async () => {
    const tested = (await sources()).get('flowlu_live')?.tables.flatMap((table) =>
      table.columns.flatMap((column) =>
        (column.data_tests ?? []).map(({ relationships: { arguments: target, config } }) => {
          expect(config).toEqual({ severity: 'warn' });
          return `${table.name}.${column.name} ${target.to} ${target.field}`;
        }),
      ),
    );
    const links = models.flatMap((model) =>
      Object.entries(model.fields).flatMap(([field, { references }]) => {
        const target = findModel(references ?? '');
        return target === undefined ? [] : [`${model.table}.${field} source('flowlu_live', '${target.table}') id`];
      }),
    );
    expect(tested?.toSorted()).toEqual(links.toSorted());
  });

  it('call a table fresh by its last agreement with the portal, and by its last change where nobody asks the portal', async () => {
    const { config } = await tableOf('flowlu', 'crm_account');
    expect(config?.freshness).toEqual({
      warn_after: { count: 6, period: 'hour' },
      error_after: { count: 2, period: 'day' },
    });
    // As dbt's adapter for PostgreSQL asks.
    const ask = async () => {
      const [row] = await database.sql.unsafe(
        `with source_query as (${config?.loaded_at_query}) select (select * from source_query) as loaded_at`,
      );
      return row?.loaded_at as Date | null;
    };
    expect(await ask()).toBeNull();
    await database.sql`
      insert into flowlu.crm_account (id, _record, _observed_at, _source, _hash)
      values (1, '{}', '2026-01-01T00:00:00Z', 'webhook', gen_random_uuid())`;
    expect(await ask()).toEqual(new Date('2026-01-01T00:00:00Z'));
    await database.sql`insert into sync.watermarks (model, last_reconciled_at) values ('crm.account', '2026-03-01T00:00:00Z')`;
    expect(await ask()).toEqual(new Date('2026-03-01T00:00:00Z'));
    const plan = await database.sql.unsafe(`explain ${config?.loaded_at_query}`);
    expect(
      plan.filter(
        (row) => /Seq Scan on/.test(String(row['QUERY PLAN'])) && /agile_|task_/.test(String(row['QUERY PLAN'])),
      ),
    ).toEqual([]);
  });

  it('ask for no freshness of what the key may not read', async () => {
    expect((await tableOf('flowlu', 'crm_lead')).config).toBeDefined();
    await database.sql`
      insert into sync.listings (model, kind, started_at, outcome, reason)
      values ('crm.lead', 'backfill', now(), 'skipped', 'access denied')`;
    expect((await tableOf('flowlu', 'crm_lead')).config).toBeUndefined();
    expect((await tableOf('flowlu', 'uncatalogued')).config).toBeUndefined();
  });

  it('carry any text of a custom field without harm', async () => {
    const [column = ''] = ['colour: "a\u0085b" {{ env }} {% x %} #\u2028 \'q\' \\ 😀'];
    await database.sql.unsafe(`
      create view flowlu_live.odd as select 1 as "Größe: {x}", 2 as yes;
      comment on column flowlu_live.odd.yes is '${column.replaceAll("'", "''")}'`);
    const odd = await tableOf('flowlu_live', 'odd');
    expect(odd.columns.map(({ name }) => name)).toEqual(['Größe: {x}', 'yes']);
    expect(odd.columns[1]?.description).toBe(column.replace('{{', '{ {').replace('{%', '{ %'));
    await database.sql`drop view flowlu_live.odd`;
  });
});

it('YAML comes back as it was written, in both versions of the language', () => {
  const value = { a: [1, -0.5, true, null, [], {}, [[2], { b: 'no' }]], 'x y': { empty: [], on: 'on', '1e3': '1e3' } };
  for (const version of ['1.1', '1.2'] as const) expect(parse(toYaml(value), { version })).toEqual(value);
});
