import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findModel, models } from '../../src/catalog/index.ts';
import type { Sql } from '../../src/postgres/connection.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openReader } from '../support/reader.ts';

let database: TestDatabase;
let reader: { readonly sql: Sql; close(): Promise<void> };

beforeAll(async () => {
  database = await createTestDatabase();
  reader = await openReader(database);
});
afterAll(async () => {
  await reader?.close();
  await database.close();
});

interface Entry {
  readonly table_schema: string;
  readonly table_name: string;
  readonly column_name: string;
  readonly data_type: string;
  readonly meaning: string | null;
  readonly refers_to: string | null;
  readonly filled_percent: string | null;
  readonly coverage: string | null;
  readonly estimated_rows: string | null;
  readonly table_meaning: string | null;
}

const entries = () => reader.sql<Entry[]>`select * from flowlu_live.data_dictionary`;
const entry = async (table: string, column: string, schema = 'flowlu_live') => {
  const found = (await entries()).filter(
    (row) => row.table_schema === schema && row.table_name === table && row.column_name === column,
  );
  expect(found).toHaveLength(1);
  return found[0] as Entry;
};

describe('the data dictionary, as an analyst reads it', () => {
  it('has a line with a meaning for every column that the reader may select, and for no other', async () => {
    const rows = await entries();
    const told = rows.map((row) => `${row.table_schema}.${row.table_name}.${row.column_name}`).toSorted();
    const real = await reader.sql<{ name: string }[]>`
      select table_schema || '.' || table_name || '.' || column_name as name
      from information_schema.columns where table_schema like 'flowlu%' order by 1`;
    expect(real.length).toBeGreaterThan(2_000);
    expect(told).toEqual(real.map(({ name }) => name).toSorted());
    expect(rows.filter(({ meaning, table_meaning }) => !meaning || !table_meaning)).toEqual([]);
    expect(rows.filter(({ meaning }) => meaning?.includes('→'))).toEqual([]);
  });

  it('says for each link which column it points at, in the schema that it stands in', async () => {
    const links = models.flatMap((model) =>
      Object.entries(model.fields).flatMap(([field, { references }]) => {
        const target = findModel(references ?? '');
        return target === undefined
          ? []
          : ['flowlu', 'flowlu_live'].map((schema) => `${schema}.${model.table}.${field} ${schema}.${target.table}.id`);
      }),
    );
    expect(links.length).toBeGreaterThan(500);
    const told = (await entries())
      .filter(({ table_schema, refers_to }) => ['flowlu', 'flowlu_live'].includes(table_schema) && refers_to !== null)
      .map((row) => `${row.table_schema}.${row.table_name}.${row.column_name} ${row.refers_to}`);
    expect(told.toSorted()).toEqual(links.toSorted());
  });

  it('tells how well a column is filled, empty texts not counted', async () => {
    await database.sql.unsafe(`
      insert into flowlu.crm_account (id, name, email, owner_id, _record, _observed_at, _source, _hash)
      select i, 'Account ' || i, case when i % 4 = 0 then 'a@b.c' else '' end, case when i % 2 = 0 then 7 end,
             '{}', now(), 'api', gen_random_uuid()
      from generate_series(1, 1000) i;
      analyze flowlu.crm_account`);
    expect(await entry('crm_account', 'name')).toMatchObject({ filled_percent: '100.0', estimated_rows: '1000' });
    expect(await entry('crm_account', 'email')).toMatchObject({ filled_percent: '25.0' });
    expect(await entry('crm_account', 'owner_id')).toMatchObject({ filled_percent: '50.0' });
    expect(await entry('crm_account', 'owner_id', 'flowlu')).toMatchObject({ filled_percent: '50.0' });
    expect(await entry('crm_lead', 'name')).toMatchObject({ filled_percent: null, estimated_rows: null });
  });

  it('tells how a table is filled', async () => {
    await database.sql.unsafe(`
      insert into sync.watermarks (model, last_reconciled_at) values ('crm.account', now()), ('crm.lead', now());
      insert into sync.listings (model, kind, started_at, outcome, reason)
      values ('crm.account', 'backfill', now(), 'complete', null),
             ('crm.lead', 'backfill', now() - interval '1 day', 'complete', null),
             ('crm.lead', 'sweep', now(), 'skipped', 'access denied'),
             ('task.tasks', 'backfill', now(), 'incomplete', 'cut off'),
             ('system.comments', 'backfill', now(), 'skipped', 'the API has no list of it; webhooks fill it')`);
    const coverage = async (table: string) => (await entry(table, 'id')).coverage;
    expect(await coverage('crm_account')).toBe('complete');
    expect(await coverage('crm_lead')).toBe('not readable: access denied');
    expect(await coverage('task_tasks')).toBe('partial');
    expect(await coverage('system_comments')).toBe('webhooks only');
    expect((await entry('sync_status', 'model')).coverage).toBeNull();
  });

  it('keeps up with views that come and go, without being told', async () => {
    await database.sql.unsafe(`
      create view flowlu_live.hot_deals as select id, customer_id as buyer from flowlu_live.crm_lead;
      comment on column flowlu_live.hot_deals.buyer is 'Who buys → flowlu_live.crm_account.id';
      grant select on flowlu_live.hot_deals to flowlu_reader`);
    expect(await entry('hot_deals', 'buyer')).toMatchObject({
      data_type: 'bigint',
      meaning: 'Who buys',
      refers_to: 'flowlu_live.crm_account.id',
    });
    await database.sql`drop view flowlu_live.hot_deals`;
    expect((await entries()).filter(({ table_name }) => table_name === 'hot_deals')).toEqual([]);
  });
});
