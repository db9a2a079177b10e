import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { migrate } from '../../src/migrate/migrate.ts';
import { applyViews, dropViews } from '../../src/migrate/views.ts';
import { transaction } from '../../src/postgres/connection.ts';
import { allViews } from '../../src/reports/all.ts';
import { NO_FACTS } from '../../src/views/live-columns.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(async () => {
  await database.close();
});

const columnsOf = async (view: string) => {
  const rows = await database.sql<{ name: string }[]>`
    select attname as name from pg_attribute
    where attrelid = ${`flowlu_live.${view}`}::regclass and attnum > 0 and not attisdropped order by attnum`;
  return rows.map(({ name }) => name);
};

const insert = (id: number, deleted: boolean) => database.sql`
  insert into flowlu.crm_account (id, name, _record, _observed_at, _source, _deleted_at, _hash)
  values (${id}, 'Ann', '{"id":1}', '2026-03-01T10:00:00.123456Z', 'api', ${deleted ? new Date() : null}, gen_random_uuid())`;

describe('a live view', () => {
  it('shows live records only, without the meta columns', async () => {
    await insert(1, false);
    await insert(2, true);
    const rows = await database.sql`select * from flowlu_live.crm_account`;
    expect(rows.map(({ id }) => id)).toEqual(['1']);
    expect((await columnsOf('crm_account')).filter((name) => name.startsWith('_'))).toEqual([]);
    await database.sql`truncate flowlu.crm_account`;
  });

  it('shows the records of unknown models with their content', async () => {
    await database.sql`
      insert into flowlu.uncatalogued (module, model, id, _record, _observed_at, _source, _hash)
      values ('new', 'thing', 5, '{"id":5,"a":1}', now(), 'webhook', gen_random_uuid())`;
    const rows = await database.sql`select * from flowlu_live.uncatalogued`;
    expect([...rows]).toEqual([{ module: 'new', model: 'thing', id: '5', record: { id: 5, a: 1 } }]);
    await database.sql`truncate flowlu.uncatalogued`;
  });
});

describe('flowlu_live.sync_status', () => {
  const statusOf = async (model: string) => {
    const [row] = await database.sql`select * from flowlu_live.sync_status where model = ${model}`;
    return row;
  };

  it('counts rows, and has no lag before the first reconciliation', async () => {
    await insert(1, false);
    await insert(2, true);
    await insert(3, true);
    await database.sql`insert into sync.doubtful (model, entity_id, reason) values ('crm.account', 1, 'tie')`;
    expect(await statusOf('crm.account')).toMatchObject({
      model: 'crm.account',
      rows: '1',
      deleted_rows: '2',
      last_change_at: new Date('2026-03-01T10:00:00.123Z'),
      last_reconciled_at: null,
      lag_seconds: null,
      doubtful_rows: '1',
    });
    expect(await statusOf('crm.lead')).toMatchObject({ rows: '0', last_change_at: null, doubtful_rows: '0' });
  });

  it('says how many seconds ago the model was in step', async () => {
    await database.sql`
      insert into sync.watermarks (model, last_reconciled_at) values ('crm.account', now() - interval '90 seconds')`;
    expect(Number((await statusOf('crm.account'))?.lag_seconds)).toBeGreaterThanOrEqual(90);
    expect(Number((await statusOf('crm.account'))?.lag_seconds)).toBeLessThan(120);
  });
});

describe('a changed view', () => {
  beforeEach(async () => {
    await migrate(database.sql);
  });

  it('gets new columns at its end, so that what stands on it stays', async () => {
    const before = await columnsOf('core_tag');
    // As an earlier version of the catalogue would have left it: without the first column but one.
    await database.sql.unsafe(`
      drop view flowlu_live.crm_source;
      create view flowlu_live.crm_source as select id from flowlu.crm_source where _deleted_at is null;
      create view public.mine as select * from flowlu_live.crm_source;`);
    expect((await migrate(database.sql)).keptViews).toEqual([]);
    expect((await columnsOf('crm_source'))[0]).toBe('id');
    expect((await columnsOf('crm_source')).length).toBeGreaterThan(1);
    expect(await columnsOf('core_tag')).toEqual(before);
    expect((await database.sql`select * from public.mine`).length).toBe(0);
    await database.sql`drop view public.mine`;
  });

  const makeIncompatible = () =>
    database.sql.unsafe(`
      drop view flowlu_live.crm_source;
      create view flowlu_live.crm_source as select id, 1 as gone from flowlu.crm_source;
      grant select on flowlu_live.crm_source to public;`);

  it('is made anew when a column has to go, and keeps its grants', async () => {
    await makeIncompatible();
    expect((await migrate(database.sql)).keptViews).toEqual([]);
    expect(await columnsOf('crm_source')).not.toContain('gone');
    const [row] = await database.sql`
      select relacl::text as acl, obj_description(oid, 'pg_class') is not null as explained
      from pg_class where oid = 'flowlu_live.crm_source'::regclass`;
    expect(row?.acl).toMatch(/[{,]=r\//);
    expect(row?.acl).toContain('flowlu_reader_');
    expect(row?.explained).toBe(true);
  });

  it('keeps a column that has to go, and is reported, while somebody’s own view stands on it', async () => {
    await makeIncompatible();
    await database.sql`create view public.mine as select * from flowlu_live.crm_source`;
    const { keptViews } = await migrate(database.sql);
    expect(keptViews.map(({ view, columns }) => ({ view, columns }))).toEqual([
      { view: 'crm_source', columns: ['gone'] },
    ]);
    expect(keptViews[0]?.reason).toContain('mine');
    expect((await columnsOf('crm_source')).slice(0, 2)).toEqual(['id', 'gone']);
    expect(await columnsOf('crm_source')).toContain('name');
    await database.sql`drop view public.mine`;
    expect((await migrate(database.sql)).keptViews).toEqual([]);
    expect(await columnsOf('crm_source')).not.toContain('gone');
  });

  it('comes back with its grants after a migration that had to take it away', async () => {
    await database.sql`grant select on flowlu_live.crm_source to public`;
    await database.sql`create view flowlu_live.own as select 1 as one`;
    const acl = await transaction(database.sql, {}, async (tx) => {
      const grants = await dropViews(tx);
      const [left] = await tx`
        select array_agg(relname::text) as views from pg_class
        where relnamespace = 'flowlu_live'::regnamespace and relkind = 'v'`;
      expect(left?.views).toEqual(['own']);
      await applyViews(tx, allViews(NO_FACTS), grants);
      const [row] = await tx`select relacl::text as acl from pg_class where oid = 'flowlu_live.crm_source'::regclass`;
      return String(row?.acl);
    });
    expect(acl).toMatch(/[{,]=r\//);
    await database.sql`drop view flowlu_live.own`;
  });
});
