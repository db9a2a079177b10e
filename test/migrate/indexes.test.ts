import { is } from 'drizzle-orm';
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findModel, models } from '../../src/catalog/index.ts';
import { tables } from '../../src/tables/index.ts';
import { indexedColumns, mergedInto } from '../../src/tables/indexes.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openReader, type Reader } from '../support/reader.ts';

let database: TestDatabase;
let reader: Reader;
beforeAll(async () => {
  database = await createTestDatabase();
  reader = await openReader(database);
});
afterAll(async () => {
  await reader?.close();
  await database.close();
});

it('the migrations make every index and every table that the definitions name', async () => {
  const names = (rows: readonly { name: string }[]) => rows.map(({ name }) => name).toSorted();
  const defined = Object.values(tables)
    .filter((table) => is(table, PgTable))
    .map((table) => getTableConfig(table as PgTable));
  const made = await database.sql<{ name: string; kind: string }[]>`
    select relnamespace::regnamespace || '.' || relname as name, relkind as kind from pg_class c
     where relnamespace in ('flowlu'::regnamespace, 'sync'::regnamespace) and relkind in ('r', 'i')
       and not exists (select from pg_constraint where conindid = c.oid) and not relispartition`;
  expect(names(made.filter(({ kind }) => kind === 'i'))).toEqual(
    defined.flatMap(({ schema, indexes }) => indexes.map(({ config }) => `${schema}.${config.name}`)).toSorted(),
  );
  // The journal is there before the first migration is noted.
  const tablesMade = made.filter(({ kind, name }) => kind === 'r' && name !== 'sync.migrations');
  expect(names(tablesMade)).toEqual(defined.map(({ schema, name }) => `${schema}.${name}`).toSorted());
});

describe('the indexes for readers', () => {
  it('are those that were chosen, on columns that the catalogue has', async () => {
    const chosen = Object.entries(indexedColumns).flatMap(([table, columns]) =>
      columns.map((name) => `${table}.${name}`),
    );
    for (const place of chosen) {
      const [table = '', column = ''] = place.split('.');
      expect(findModel(table.replace('_', '.'))?.fields, place).toHaveProperty(column);
    }
    const rows = await database.sql<{ place: string }[]>`
      select c.relname || '.' || a.attname as place
        from pg_index i join pg_class c on c.oid = i.indrelid
        join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
       where c.relnamespace = 'flowlu'::regnamespace and not i.indisprimary and i.indisvalid and not i.indisunique`;
    const versions = models.flatMap(({ table, version }) => (version === null ? [] : [`${table}._version`]));
    const merged = Object.entries(mergedInto).flatMap(([table, column]) => [`${table}.${column}`, `${table}.id`]);
    expect(rows.map(({ place }) => place).toSorted()).toEqual([...chosen, ...versions, ...merged].toSorted());
  });

  it('serve the live views, whose estimates are near the truth', async () => {
    await database.sql.unsafe(`
      insert into flowlu.crm_lead (id, customer_id, closing_date, _record, _observed_at, _source, _hash, _deleted_at)
      select i, i % 500, date '2020-01-01' + i / 10, jsonb_build_object('text', repeat('x', 500)), now(), 'api',
             gen_random_uuid(), case when i % 4 = 0 then now() end
        from generate_series(1, 10000) i;
      analyze flowlu.crm_lead`);
    const plan = async (condition: string) => {
      const rows = await reader.sql.unsafe(`explain select * from crm_lead where ${condition}`);
      const text = rows.map((row) => row['QUERY PLAN']).join('\n');
      return { text, rows: Number(/rows=(\d+)/.exec(text)?.[1]) };
    };
    const ofCustomer = await plan('customer_id = 17');
    expect(ofCustomer.text).toContain('crm_lead_customer_id');
    const ofMonth = await plan("closing_date >= date '2021-01-01' and closing_date < date '2021-02-01'");
    expect(ofMonth.text).toContain('crm_lead_closing_date');
    // 310 rows, a quarter of them deleted.
    expect(ofMonth.rows).toBeGreaterThan(150);
    expect(ofMonth.rows).toBeLessThan(350);
  });

  it('serve the ready-made views where one month or one customer is asked for', async () => {
    const planOf = (query: string) =>
      database.sql.begin(async (tx) => {
        await tx.unsafe('set local enable_seqscan = off');
        return (await tx.unsafe(`explain ${query}`)).map((row) => row['QUERY PLAN']).join('\n');
      });
    const ofMonth = await planOf("select * from flowlu_reports.activity_by_person where month = date '2021-03-01'");
    for (const index of [
      'crm_lead_created_date',
      'crm_lead_closing_date',
      'task_tasks_closed_date',
      'fin_invoice_invoice_date',
    ])
      expect(ofMonth).toContain(index);
    const ofCustomer = await planOf('select * from flowlu_reports.open_tasks where customer_id = 17');
    expect(ofCustomer).toContain('task_tasks_crm_account_id');
  });
});
