/** Databases of unreleased versions: their rows stay, and their schema becomes the one that an empty database gets. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrate, schemaState } from '../../src/migrate/migrate.ts';
import { knownMigrations } from '../../src/migrate/migrations.ts';
import type { Sql } from '../../src/postgres/connection.ts';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../support/database.ts';

/** The three migrations of 25 November 2026, each below a line with the moment it was made. */
const UNRELEASED = gunzipSync(readFileSync(new URL('unreleased.sql.gz', import.meta.url)))
  .toString()
  .split(/^-- (?=\d)/m)
  .slice(1)
  .map((text) => ({ made_ms: Number.parseInt(text, 10), sql: text.slice(text.indexOf('\n')) }));

/** What is defined, regardless of the order in which columns were added. */
async function schemaOf(sql: Sql): Promise<readonly string[]> {
  const rows = await sql<{ line: string }[]>`
    with own as (select oid, relnamespace::regnamespace || '.' || relname as name from pg_class
                  where relnamespace in ('flowlu'::regnamespace, 'sync'::regnamespace) and relkind in ('r', 'p'))
    select concat_ws(' ', name, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, pg_get_expr(adbin, adrelid)) as line
      from own join pg_attribute on attrelid = own.oid and attnum > 0 and not attisdropped
      left join pg_attrdef on adrelid = attrelid and adnum = attnum
    union all select concat_ws(' ', name, conname, pg_get_constraintdef(c.oid)) from own join pg_constraint c on conrelid = own.oid
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
