/** The starter project for dbt, built as dbt would: its templates are filled in, its models made, its tests asked. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { dbtProject } from '../../src/describe/dbt-project.ts';
import { migrate } from '../../src/migrate/migrate.ts';
import { reportViews } from '../../src/reports/all.ts';
import { readDictionary } from '../../src/views/dictionary.ts';
import { NO_FACTS } from '../../src/views/live-columns.ts';
import { putRows } from '../reports/rows.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

interface Described {
  readonly name: string;
  readonly data_tests: readonly [{ readonly grain: { readonly arguments: { readonly columns: readonly string[] } } }];
  readonly columns?: readonly { readonly name: string }[];
}
interface Sources {
  readonly sources: readonly { readonly schema: string; readonly tables: readonly { readonly name: string }[] }[];
}

let database: TestDatabase;
let files: ReadonlyMap<string, string>;
beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.sql, { zone: 'Europe/Berlin' });
  files = dbtProject(await readDictionary(database.sql), reportViews(NO_FACTS));
});
afterAll(() => database?.close());

const read = <T>(path: string) => parse(files.get(path) ?? '') as T;

it('builds: every model reads a source that is declared, and is described with a grain that holds', async () => {
  const { sql } = database;
  await putRows(sql, 'crm_lead', [
    { id: 1, active: 1 },
    { id: 2, active: 3, closing_date: '2025-01-01' },
  ]);
  await putRows(sql, 'fin_transaction', [{ id: 1, type: 10, status: 10, income: 5, bcy_income: 5 }]);
  const declared = ['models/sources.yml', 'models/reports.yml'].flatMap((path) =>
    read<Sources>(path).sources.flatMap(({ schema, tables }) => tables.map(({ name }) => `${schema}.${name}`)),
  );
  const described = ['models/staging/staging.yml', 'models/marts/marts.yml'].flatMap(
    (path) => read<{ readonly models: readonly Described[] }>(path).models,
  );
  const built = [...files.keys()].flatMap((path) => /^models\/.*\/(\w+)\.sql$/.exec(path)?.[1] ?? []);
  expect(built.toSorted()).toEqual(described.map(({ name }) => name).toSorted());
  expect(built.length).toBeGreaterThan(30);

  const render = (text: string, words: Readonly<Record<string, string>>) =>
    text.replace(/\{\{ (.*?) \}\}/g, (_, word: string) => {
      const [, schema, table] = /^source\('(\w+)', '(\w+)'\)$/.exec(word) ?? [];
      if (schema !== undefined) expect(declared).toContain(`${schema}.${table}`);
      return schema === undefined ? (words[word] ?? `unknown: ${word}`) : `${schema}.${table}`;
    });
  const grain = files.get('tests/generic/grain.sql')?.replace(/\{%.*?%\}/g, '') ?? '';
  await sql`create schema built_by_dbt`;
  for (const [path, text] of files) {
    const name = /(\w+)\.sql$/.exec(path)?.[1];
    const model = described.find((one) => one.name === name);
    if (model === undefined) continue;
    const made = `built_by_dbt.${name}`;
    await sql.unsafe(`create table ${made} as ${render(text, {})}`);
    const { columns } = model.data_tests[0].grain.arguments;
    const doubled = await sql.unsafe(render(grain, { model: made, "columns | join(', ')": columns.join(', ') }));
    expect([...doubled], name).toEqual([]);
  }
  const [made] = await sql`select count(*)::integer as deals from built_by_dbt.deals`;
  expect(made).toEqual({ deals: 2 });
});

it('its parts are materialized as the project file says', () => {
  expect(read('dbt_project.yml')).toMatchObject({
    name: 'flowlu',
    'config-version': 2,
    models: { flowlu: { staging: { '+materialized': 'view' }, marts: { '+materialized': 'table' } } },
  });
});
