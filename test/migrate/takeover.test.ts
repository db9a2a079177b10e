/** Databases of earlier versions: their rows stay, and their schema becomes the one that an empty database gets. */
import { readdirSync, readFileSync } from 'node:fs';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrate, schemaState } from '../../src/migrate/migrate.ts';
import { knownMigrations } from '../../src/migrate/migrations.ts';
import { connect, type Sql } from '../../src/postgres/connection.ts';
import { type Service, startService } from '../intake/service.ts';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../support/database.ts';
import { until } from '../support/eventually.ts';

/** The three migrations of 25 November 2026, each below a line with the moment it was made. */
const UNRELEASED = gunzipSync(readFileSync(new URL('unreleased.sql.gz', import.meta.url)))
  .toString()
  .split(/^-- (?=\d)/m)
  .slice(1)
  .map((text) => ({ made_ms: Number.parseInt(text, 10), sql: text.slice(text.indexOf('\n')) }));

/**
 * A database of each released version, filled and served by that version: `pg_dump --inserts --load-via-partition-root
 * --no-owner --no-privileges --no-comments`, without comments and lines for psql, and with `overriding system value` where
 * it inserts into sync.history.
 */
const RELEASED = new URL('released/', import.meta.url);
const released = readdirSync(RELEASED).map((name) => name.replace('.sql.br', ''));

async function restore(url: string, version: string): Promise<void> {
  const dump = brotliDecompressSync(readFileSync(new URL(`${version}.sql.br`, RELEASED))).toString();
  // A connection of its own: the dump changes the search path.
  const sql = connect(url, { applicationName: 'flowlu-mirror tests', max: 1 });
  await sql.unsafe(dump).finally(() => sql.end());
}

/** Every row of the mirror, the ledger and the history, in the columns that the version had. */
async function rowsOf(sql: Sql, columns: ReadonlyMap<string, string>): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  for (const [table, list] of columns) {
    const rows = await sql.unsafe(`select row(${list})::text as row from ${table}`);
    if (rows.length > 0) found.set(table, rows.map(({ row }) => row as string).toSorted());
  }
  return found;
}

/** Columns of released versions that later ones have dropped: a replica of the older one does not know. */
const DROPPED = ['sync.doubtful.refused_at', 'sync.deal_states.stay'];

async function columnsOf(sql: Sql): Promise<ReadonlyMap<string, string>> {
  const rows = await sql`
    select attrelid::regclass::text as table, string_agg(quote_ident(attname), ', ' order by attnum) as columns
      from pg_attribute join pg_class c on c.oid = attrelid
     where relnamespace in ('flowlu'::regnamespace, 'sync'::regnamespace) and relkind in ('r', 'p') and not relispartition
       and attnum > 0 and not attisdropped and attrelid::regclass::text not in ('sync.migrations', 'sync.settings')
       and attrelid::regclass || '.' || attname <> all(${DROPPED}::text[])
     group by 1`;
  return new Map(rows.map(({ table, columns }) => [table, columns]));
}

/** What is defined, regardless of the order in which columns were added, and of the months that history has tables for. */
async function schemaOf(sql: Sql): Promise<readonly string[]> {
  const rows = await sql<{ line: string }[]>`
    with own as (select oid, relnamespace::regnamespace || '.' || relname as name from pg_class
                  where relnamespace in ('flowlu'::regnamespace, 'sync'::regnamespace) and relkind in ('r', 'p') and not relispartition)
    select concat_ws(' ', name, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, pg_get_expr(adbin, adrelid)) as line
      from own join pg_attribute on attrelid = own.oid and attnum > 0 and not attisdropped
      left join pg_attrdef on adrelid = attrelid and adnum = attnum
    union all select concat_ws(' ', name, conname, pg_get_constraintdef(c.oid)) from own join pg_constraint c on conrelid = own.oid and contype <> 'n'
    union all select pg_get_indexdef(indexrelid) from own join pg_index on indrelid = own.oid`;
  return rows.map(({ line }) => line).toSorted();
}

let fresh: TestDatabase;
beforeAll(async () => {
  fresh = await createTestDatabase();
});
afterAll(() => fresh.close());

it.each([1, 2, 3])('a database that has had %i of the unreleased migrations is taken over', async (count) => {
  const old = await createEmptyDatabase();
  const { sql } = old;
  try {
    expect(UNRELEASED).toHaveLength(3);
    await sql.unsafe(`create schema drizzle;
      create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint)`);
    for (const migration of UNRELEASED.slice(0, count)) {
      await sql.unsafe(migration.sql);
      await sql`insert into drizzle.__drizzle_migrations (hash, created_at) values ('', ${migration.made_ms})`;
    }
    await sql`insert into flowlu.crm_account (id, name, _record, _observed_at, _source, _hash)
              values (7, 'Ada', '{}', now(), 'api', gen_random_uuid())`;
    await sql`insert into sync.deliveries (status, body) values ('pending', '{}')`;
    expect(await schemaState(sql)).toBe('behind');
    expect((await migrate(old.url)).applied).toEqual(knownMigrations().map(({ tag }) => tag));
    expect(await schemaState(sql)).toBe('current');
    expect(await schemaOf(sql)).toEqual(await schemaOf(fresh.sql));
    expect(await sql`select name from flowlu.crm_account`).toEqual([{ name: 'Ada' }]);
    expect(await sql`select status from sync.deliveries`).toEqual([{ status: 'pending' }]);
    expect((await migrate(old.url)).applied).toEqual([]);
  } finally {
    await old.close();
  }
});

function announce(service: Service, id: number): Promise<Response> {
  const current = { id, name: `Account ${id}`, updated_date: '2026-11-29 12:00:00' };
  return service.post({ meta: { module: 'crm', model: 'account', action: 'create' }, current, previous: null });
}

it('there is a database of every version that the changelog dates', () => {
  const changelog = readFileSync(new URL('../../CHANGELOG.md', import.meta.url), 'utf8');
  expect(released).toEqual(
    [...changelog.matchAll(/^## (\d+\.\d+\.\d+) \(/gm)].map(([, version]) => version).toSorted(),
  );
});

it.each(released)('a database of version %s keeps every row, and serves', async (version) => {
  const old = await createEmptyDatabase();
  const { sql, url } = old;
  try {
    await restore(url, version);
    const columns = await columnsOf(sql);
    const before = await rowsOf(sql, columns);
    for (const table of ['flowlu.crm_account', 'sync.listings', 'sync.deliveries', 'sync.history', 'sync.doubtful'])
      expect(before.has(table), table).toBe(true);
    await migrate(url);
    expect(await schemaState(sql)).toBe('current');
    expect(await schemaOf(sql)).toEqual(await schemaOf(fresh.sql));
    expect(await rowsOf(sql, columns)).toEqual(before);
    const service = await startService(url);
    const { status } = await announce(service, 4711);
    await service.close();
    expect(status).toBe(200);
    const live = await sql`select name from flowlu_live.crm_account where id = 4711`;
    expect(live).toEqual([{ name: 'Account 4711' }]);
  } finally {
    await old.close();
  }
});

it('a replica goes on applying webhooks while a later version migrates and after it, and says that it is to be replaced', async () => {
  const own = await createTestDatabase();
  const service = await startService(own.url);
  const waiting = async () => (await own.sql`select from sync.deliveries where status = 'pending'`).length;
  try {
    expect((await announce(service, 1)).status).toBe(200);
    await own.sql.begin(async (later) => {
      await later.unsafe(`alter table flowlu.crm_account add column later text; create table sync.later (id bigint);
        insert into sync.migrations (hash, made_ms) values ('later', 4102444800000)`);
      // Answered while the table is locked: recorded, and applied when the migration is done.
      expect((await announce(service, 2)).status).toBe(200);
      expect(await waiting()).toBe(1);
    });
    expect((await announce(service, 3)).status).toBe(200);
    await until(async () => (await waiting()) === 0);
    expect(await own.sql`select id::int, name from flowlu.crm_account order by id`).toEqual(
      [1, 2, 3].map((id) => ({ id, name: `Account ${id}` })),
    );
    await until(async () => (await fetch(`${service.url}/readyz`)).status === 503);
    expect(await (await fetch(`${service.url}/readyz`)).json()).toMatchObject({
      problem: 'The database schema is newer than this program',
      remedy: expect.stringMatching(/^Replace this program by the version that has migrated it/),
    });
  } finally {
    await service.close();
    await own.close();
  }
});
