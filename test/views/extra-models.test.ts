/** Models that the catalogue does not know, read through the API: a view with columns found from the records. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { refreshViews } from '../../src/migrate/refresh.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await createTestDatabase();
  await db.sql`insert into sync.listings (model, kind, started_at, finished_at, completed_at, outcome)
    values ('asset.asset', 'backfill', now(), now(), now(), 'complete'), ('crm.account', 'backfill', now(), now(), now(), 'complete')`;
}, 60_000);
afterAll(() => db?.close());

const refresh = () => refreshViews(db.sql, { zone: 'Europe/Berlin' });

async function put(id: number, record: Record<string, unknown>, model = 'asset'): Promise<void> {
  await db.sql`
    insert into flowlu.uncatalogued (module, model, id, _record, _observed_at, _source, _hash)
    values ('asset', ${model}, ${id}, ${JSON.stringify({ id, ...record })}::text::jsonb, now(), 'api', gen_random_uuid())`;
}

const columns = async () => {
  const rows = await db.sql`
    select column_name as name, data_type as type from flowlu_live.data_dictionary
     where table_schema = 'flowlu_live' and table_name = 'asset_asset' order by position`;
  return Object.fromEntries(rows.map(({ name, type }) => [name, type]));
};

const RECORD = {
  name: 'Drill',
  serial: '0042',
  phone: '4930123456',
  owner_id: '7',
  price: '12.50',
  count: 3,
  weight: 1.5,
  in_use: true,
  bought: '2026-03-01',
  updated_date: '2026-03-02 10:00:00',
  retired: '',
  tags: ['a'],
  'Größe (cm)': 12,
};

it('shows each field in a column whose type follows from the values, and empty ones as text', async () => {
  await put(1, RECORD);
  await put(2, { ...RECORD, price: 9, bought: '', updated_date: '0000-00-00 00:00:00', weight: 2, name: null });
  await put(9, { other: 1 }, 'unread');
  expect(await refresh()).toBe(true);
  expect(await columns()).toEqual({
    id: 'bigint',
    bought: 'date',
    count: 'bigint',
    grosse_cm: 'bigint',
    in_use: 'boolean',
    name: 'text',
    owner_id: 'bigint',
    phone: 'text',
    price: 'numeric',
    retired: 'text',
    serial: 'text',
    tags: 'jsonb',
    updated_date: 'timestamp with time zone',
    weight: 'numeric',
  });
  const rows = await db.sql`
    select id::int, price::text, owner_id::int, bought::text, updated_date at time zone 'UTC' = '2026-03-02 09:00' as utc
      from flowlu_live.asset_asset order by id`;
  expect(rows).toEqual([
    { id: 1, price: '12.50', owner_id: 7, bought: '2026-03-01', utc: true },
    { id: 2, price: '9', owner_id: 7, bought: null, utc: null },
  ]);
  const [told] = await db.sql`
    select meaning from flowlu_live.data_dictionary where table_name = 'asset_asset' and column_name = 'grosse_cm'`;
  expect(told?.meaning).toContain('Field Größe (cm), not in the catalogue; the records hold whole numbers');
  const unread = await db.sql`select to_regclass('flowlu_live.asset_unread') as view`;
  expect(unread[0]?.view).toBeNull();
  expect(await refresh()).toBe(false);
});

it('widens a type and keeps a name, also when the records that showed it are gone', async () => {
  await db.sql`update flowlu.uncatalogued set _deleted_at = now() where id = 1`;
  await put(3, { count: 'many', retired: '2026-05-05', 'grosse-cm': 'new' });
  expect(await refresh()).toBe(true);
  expect(await columns()).toMatchObject({
    count: 'text',
    retired: 'date',
    grosse_cm: 'bigint',
    grosse_cm_2: 'text',
    bought: 'date',
  });
  const rows = await db.sql`select id::int, count, grosse_cm_2 from flowlu_live.asset_asset order by id`;
  expect(rows).toEqual([
    { id: 2, count: '3', grosse_cm_2: null },
    { id: 3, count: 'many', grosse_cm_2: 'new' },
  ]);
});

it('goes when the mirror has no such model any more', async () => {
  await db.sql`delete from sync.listings where model = 'asset.asset'`;
  expect(await refresh()).toBe(true);
  expect(await columns()).toEqual({});
});
