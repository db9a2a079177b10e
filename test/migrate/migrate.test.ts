import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { models } from '../../src/catalog/index.ts';
import { expectedComments } from '../../src/migrate/comments.ts';
import { MigrationError, migrate, NewerDatabaseError, schemaState } from '../../src/migrate/migrate.ts';
import { compareMigrations, knownMigrations } from '../../src/migrate/migrations.ts';
import { refreshViews } from '../../src/migrate/refresh.ts';
import { connect } from '../../src/postgres/connection.ts';
import { allViews } from '../../src/reports/all.ts';
import { indexedColumns, mergedInto } from '../../src/tables/indexes.ts';
import { NO_FACTS } from '../../src/views/live-columns.ts';
import { createEmptyDatabase, type TestDatabase, urlOf } from '../support/database.ts';

let database: TestDatabase;

async function fresh<T>(work: (database: TestDatabase) => Promise<T>): Promise<T> {
  const own = await createEmptyDatabase();
  try {
    return await work(own);
  } finally {
    await own.close();
  }
}

beforeAll(async () => {
  database = await createEmptyDatabase();
});
afterAll(async () => {
  await database.close();
});

describe('migrate', () => {
  it('brings an empty database to the current schema', async () => {
    expect(await schemaState(database.sql)).toBe('empty');
    const report = await migrate(database.url);
    expect(report.applied).toEqual(knownMigrations().map(({ tag }) => tag));
    expect(report.keptViews).toEqual([]);
    expect(report.adminSql).toBeNull();
    expect(await schemaState(database.sql)).toBe('current');
  });

  it('changes nothing when it runs again', async () => {
    const catalogRows = async () =>
      await database.sql`
        select 'class' as of, xmin::text as version, oid::text as id from pg_class where oid >= 16384
        union all select 'comment', xmin::text, objoid || '.' || objsubid from pg_description where objoid >= 16384
        union all select 'setting', xmin::text, key from sync.settings
        order by 1, 3`;
    const before = await catalogRows();
    const report = await migrate(database.sql);
    expect(report.applied).toEqual([]);
    expect(await catalogRows()).toEqual(before);
  });

  it('lets four processes start together', async () => {
    await fresh(async ({ url, sql }) => {
      const reports = await Promise.all([1, 2, 3, 4].map(() => migrate(url)));
      expect(reports.map(({ applied }) => applied.length).sort()).toEqual([0, 0, 0, knownMigrations().length]);
      expect(await schemaState(sql)).toBe('current');
    });
  });

  it('works without prepared statements, as behind a transaction pooler', async () => {
    await fresh(async ({ url, sql }) => {
      const pooled = new URL(url);
      pooled.searchParams.set('prepare', 'false');
      await migrate(pooled.href);
      expect(await schemaState(sql)).toBe('current');
    });
  });

  it('leaves the database as it was when a step fails', async () => {
    await fresh(async ({ url, sql }) => {
      await sql`create schema sync`;
      await expect(migrate(url)).rejects.toThrow(/already exists/);
      const [row] = await sql`select to_regnamespace('flowlu') as flowlu, to_regclass('sync.migrations') as journal`;
      expect(row).toEqual({ flowlu: null, journal: null });
    });
  });

  it('has a journal of its own, which other programs that use drizzle do not touch', async () => {
    await fresh(async ({ url, sql }) => {
      await sql.unsafe(`create schema drizzle;
        create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)`);
      const foreign = (made: number) =>
        sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('foreign', ${made})`;
      await foreign(1);
      expect(await schemaState(sql)).toBe('empty');
      await migrate(url);
      await foreign(4102444800000);
      expect(await schemaState(sql)).toBe('current');
      expect((await migrate(url)).applied).toEqual([]);
      expect(await sql`select hash from drizzle.__drizzle_migrations`).toHaveLength(2);
    });
  });

  it('takes its lines over from the shared journal of earlier versions', async () => {
    await fresh(async ({ url, sql }) => {
      await migrate(url);
      await sql.unsafe(`create schema drizzle;
        create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint);
        insert into drizzle.__drizzle_migrations (hash, created_at) values ('foreign', 7);
        insert into drizzle.__drizzle_migrations (hash, created_at) select hash, made_ms from sync.migrations;
        drop table sync.migrations`);
      expect(await schemaState(sql)).toBe('behind');
      expect((await migrate(url)).applied).toEqual([]);
      expect(await schemaState(sql)).toBe('current');
    });
  });

  it('refuses a database newer than the program, naming both', async () => {
    await fresh(async ({ url, sql }) => {
      await migrate(url);
      await sql`insert into sync.migrations (hash, made_ms) values ('later', 4102444800000)`;
      expect(await schemaState(sql)).toBe('newer');
      const failure = await migrate(url).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(NewerDatabaseError);
      expect(String(failure)).toContain('2100-01-01');
      expect(String(failure)).toContain(knownMigrations().at(-1)?.tag);
    });
  });

  it('leaves the views of a newer database alone when custom fields change', async () => {
    await fresh(async ({ url, sql }) => {
      await migrate(url);
      await sql`delete from sync.settings where key = 'live_facts'`;
      await sql`insert into sync.migrations (hash, made_ms) values ('later', 4102444800000)`;
      expect(await refreshViews(sql, { zone: 'UTC' })).toBe(false);
      expect(await sql`select from sync.settings where key = 'live_facts'`).toHaveLength(0);
      await sql`delete from sync.migrations where hash = 'later'`;
      expect(await refreshViews(sql, { zone: 'UTC' })).toBe(true);
    });
  });

  it('tells a schema that is behind from a current and from a newer one', () => {
    const [first] = knownMigrations();
    if (first === undefined) throw new Error('there are no migrations');
    const ours = [first, { ...first, made_ms: first.made_ms + 1 }];
    const had = ours.map(({ made_ms }) => made_ms);
    const state = (applied: readonly number[] | null, known = ours) => compareMigrations(applied, known, new Set([7]));
    expect(state(null)).toBe('empty');
    expect(state(had.slice(0, 1))).toBe('behind');
    expect(state([7])).toBe('behind');
    expect(state(had)).toBe('current');
    expect(state(had, ours.slice(0, 1))).toBe('newer');
    expect(state([7, 8])).toBe('newer');
  });

  it('is quick when there is nothing to do', async () => {
    const report = await migrate(database.url);
    expect(report.duration_ms).toBeLessThan(3_000);
  });
});

describe('migrate as an owner without further rights', () => {
  const owner = { user: `owner_${process.pid}`, password: 'only-here' };

  beforeAll(async () => {
    await database.sql.unsafe(`create role ${owner.user} login password '${owner.password}' nosuperuser nocreaterole`);
  });
  afterAll(async () => {
    await database.sql.unsafe(`drop role ${owner.user}`);
  });

  it('does everything but create the role, and grants to the role where it exists', async () => {
    await fresh(async ({ name, sql }) => {
      await sql.unsafe(`alter database ${name} owner to ${owner.user}`);
      const report = await migrate(urlOf(name, owner));
      // Another database of this server has made the role already, so the owner can grant to it.
      expect(report.adminSql).toBeNull();
      const [row] = await sql`
        select tableowner, has_table_privilege('flowlu_reader', 'flowlu.crm_account', 'select') as readable
        from pg_tables where schemaname = 'flowlu' and tablename = 'crm_account'`;
      expect(row).toEqual({ tableowner: owner.user, readable: true });
    });
  });

  it('says what is missing when it may not create schemas', async () => {
    await fresh(async ({ name }) => {
      const failure = await migrate(urlOf(name, owner)).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(MigrationError);
      expect(String(failure)).toMatch(/CREATE/);
    });
  });
});

describe('the schema', () => {
  it('has a table and a view for every model of the catalogue', async () => {
    const rows = await database.sql<{ schema: string; names: string[] }[]>`
      select n.nspname as schema, array_agg(c.relname::text order by c.relname) as names
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('flowlu', 'flowlu_live') and c.relkind in ('r', 'v') group by 1 order by 1`;
    const tables = models.map(({ table }) => table);
    expect(rows.find(({ schema }) => schema === 'flowlu')?.names.sort()).toEqual([...tables, 'uncatalogued'].sort());
    expect(rows.find(({ schema }) => schema === 'flowlu_live')?.names.sort()).toEqual(
      [...tables, 'uncatalogued', 'sync_status', 'data_dictionary'].sort(),
    );
  });

  it('has no constraint on a mirror table but its primary key, and no index but that, those for readers and one of the version', async () => {
    const [row] = await database.sql`
      select (select count(*)::int from pg_constraint where connamespace = 'flowlu'::regnamespace and contype in ('f', 'u', 'c')) as constraints,
        (select count(*)::int from pg_indexes where schemaname = 'flowlu') as indexes,
        (select count(*)::int from pg_tables where schemaname = 'flowlu') as tables`;
    expect(row?.constraints).toBe(0);
    const versions = models.filter(({ version }) => version !== null);
    const chosen = [...Object.values(indexedColumns).flat(), ...Object.keys(mergedInto)];
    expect(row?.indexes).toBe(row?.tables + chosen.length + versions.length);
  });

  it('explains every table, view and column', async () => {
    const bare = await database.sql`
      select n.nspname, c.relname, a.attname
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where n.nspname in ('flowlu', 'flowlu_live') and c.relkind in ('r', 'v')
        and (coalesce(col_description(c.oid, a.attnum), '') = '' or coalesce(obj_description(c.oid, 'pg_class'), '') = '')`;
    expect([...bare]).toEqual([]);
    const ledger = await database.sql`
      select relname from pg_class
      where relnamespace = 'sync'::regnamespace and relkind = 'r' and obj_description(oid, 'pg_class') is null`;
    expect([...ledger]).toEqual([]);
    const references = expectedComments(allViews(NO_FACTS)).find(
      ({ relation, column }) => relation === 'crm_account' && column === 'owner_id',
    );
    expect(references?.text).toContain('→ flowlu.core_user.id');
  });

  it('puts a changed comment right again', async () => {
    await database.sql`comment on column flowlu.crm_account.id is 'nonsense'`;
    await migrate(database.sql);
    const [row] = await database.sql`select col_description('flowlu.crm_account'::regclass, 1) as text`;
    expect(row?.text).not.toBe('nonsense');
  });

  it('is the same when generated anew', async () => {
    const { generateDrizzleJson, generateMigration } = await import('drizzle-kit/api');
    const { tables } = await import('../../src/tables/index.ts');
    const { readFile } = await import('node:fs/promises');
    const last = String(knownMigrations().length - 1).padStart(4, '0');
    const snapshot = JSON.parse(
      await readFile(new URL(`../../drizzle/meta/${last}_snapshot.json`, import.meta.url), 'utf8'),
    ) as Parameters<typeof generateMigration>[0];
    const now = generateDrizzleJson(tables, snapshot.id, ['flowlu', 'sync']);
    expect(await generateMigration(snapshot, now)).toEqual([]);
  });
});

describe('the role flowlu_reader', () => {
  const analyst = { user: `analyst_${process.pid}`, password: 'only-here' };

  beforeAll(async () => {
    await database.sql.unsafe(`create role ${analyst.user} login password '${analyst.password}' in role flowlu_reader`);
  });
  afterAll(async () => {
    await database.sql.unsafe(`drop role ${analyst.user}`);
  });

  it('reads the mirror and the live views, and nothing else', async () => {
    const sql = connect(urlOf(database.name, analyst), { applicationName: 'flowlu-mirror test', max: 1 });
    try {
      await sql`select * from flowlu.crm_account`;
      await sql`select * from flowlu_live.crm_account`;
      await sql`select * from flowlu_live.uncatalogued`;
      expect((await sql`select * from flowlu_live.sync_status`).length).toBe(models.length);
      for (const refused of [
        'select * from sync.deliveries',
        'select * from sync.settings',
        'select * from sync.migrations',
        'delete from flowlu.crm_account',
        'update flowlu_live.crm_account set name = null',
        'create table flowlu.own (id int)',
      ]) {
        await expect(sql.unsafe(refused), refused).rejects.toMatchObject({ code: '42501' });
      }
    } finally {
      await sql.end();
    }
  });

  it('may read tables that come later', async () => {
    await database.sql`create table flowlu.later (id bigint)`;
    const [row] = await database.sql`select has_table_privilege('flowlu_reader', 'flowlu.later', 'select') as readable`;
    await database.sql`drop table flowlu.later`;
    expect(row).toEqual({ readable: true });
  });
});
