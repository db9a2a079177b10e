/** What others who may use the same database or server could do to the owner of the mirror, and to its neighbours. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Check } from '../../src/doctor/check.ts';
import { checkDatabase } from '../../src/doctor/database.ts';
import { migrate } from '../../src/migrate/migrate.ts';
import { refreshViews } from '../../src/migrate/refresh.ts';
import { roleOf } from '../../src/migrate/roles.ts';
import { connect, errorCode, type Sql, transaction } from '../../src/postgres/connection.ts';
import { noteHistorySettings, storedHistorySettings } from '../../src/store/settings.ts';
import { createEmptyDatabase, type TestDatabase, urlOf } from '../support/database.ts';
import { createLogin, type Login } from '../support/logins.ts';
import { openReader, type Reader } from '../support/reader.ts';

let database: TestDatabase;
let reader: Reader;
let writer: Login;
beforeAll(async () => {
  database = await createEmptyDatabase();
  await migrate(database.sql);
  reader = await openReader(database);
  writer = await createLogin(database, roleOf('flowlu_writer', database.name));
});
afterAll(async () => {
  await database.sql.unsafe(`drop owned by ${reader.login}`);
  await reader.close();
  await writer.drop();
  await database.close();
});

async function as<T>(url: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = connect(url, { applicationName: 'flowlu-mirror test', max: 1, asLogin: true });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

/** Readers are read-only by default, against mistakes; a stranger lifts that. */
const bold = (url: string, statement: string) =>
  as(url, async (sql) => {
    await sql.unsafe('set default_transaction_read_only = off');
    return sql.unsafe(statement);
  });

/** What doctor says of one thing about the database. */
async function checkOf({ sql }: TestDatabase, name: string): Promise<Check | undefined> {
  const checks: Check[] = [];
  await checkDatabase(sql, 'here', (check) => checks.push(check));
  return checks.find((check) => check.name === name);
}

describe('a planted function', () => {
  // Better matches than the server's own for the types that catalogues are made of.
  const TYPES = ['name', 'json', 'char', 'oid'];
  const NAMES = ['lower', 'length', 'md5', 'to_json', 'quote_ident', 'format', 'coalesce_all', 'replace', 'trunc'];

  it('is never called by the owner, though everybody may create in the schema public, as on PostgreSQL 14', async () => {
    await database.sql.unsafe(
      'create table public.called (by text); grant insert on public.called to public; grant create on schema public to public',
    );
    const statements = NAMES.flatMap((name) =>
      TYPES.map(
        (type) => `create function public.${name}(v "${type}") returns text language plpgsql as
          $$ begin insert into public.called values ('${name} ' || current_user); return v::text; end $$`,
      ),
    );
    await as(reader.url, async (sql) => {
      await sql.unsafe('set default_transaction_read_only = off');
      await sql.unsafe(`${statements.join(';\n')};
        create function public.step(a name, b name) returns name language plpgsql as
          $$ begin insert into public.called values ('max ' || current_user); return b; end $$;
        create aggregate public.max(name) (sfunc = public.step, stype = name);
        create function public.equals(a text, b name) returns boolean language plpgsql as
          $$ begin insert into public.called values ('= ' || current_user); return false; end $$;
        create operator public.= (leftarg = text, rightarg = name, function = public.equals)`);
    });
    await migrate(database.sql);
    await refreshViews(database.sql, { zone: 'Europe/Berlin' });
    const [row] = await database.sql`select max(nspname) as name from pg_namespace where nspname = 'flowlu'`;
    expect(row).toEqual({ name: 'flowlu' });
    expect(await database.sql`select * from public.called`).toEqual([]);
    // What nobody may close by himself is told, with the statement that closes it.
    expect(await checkOf(database, 'schema public')).toMatchObject({
      status: 'warn',
      advice: expect.stringContaining('revoke create on schema public from public'),
    });
  });

  it('is not called by a transaction either when a pooler has left the session another path', async () => {
    await database.sql.unsafe('set search_path = public, pg_catalog');
    const [row] = await transaction(database.sql, {}, (tx) => tx`select current_setting('search_path') as path`);
    expect(row).toEqual({ path: 'pg_catalog, pg_temp' });
  });
});

describe('the time zone of the portal', () => {
  it('can be noted once by the service, and changed by the owner alone', async () => {
    await database.sql`delete from sync.settings where key = 'timezone'`;
    await as(writer.url, async (sql) => {
      await noteHistorySettings(sql, { timezone: 'Europe/Berlin', keeps: true });
      await noteHistorySettings(sql, { timezone: 'Europe/Berlin', keeps: true });
      await expect(noteHistorySettings(sql, { timezone: 'Asia/Tokyo', keeps: true })).rejects.toMatchObject({
        code: '42501',
      });
      await sql`update sync.settings set value = '"Asia/Tokyo"' where key = 'timezone'`;
      await sql`delete from sync.settings where key = 'timezone'`;
    });
    expect(await storedHistorySettings(database.sql)).toMatchObject({ timezone: 'Europe/Berlin' });
    await noteHistorySettings(database.sql, { timezone: 'Europe/Paris', keeps: true });
    expect(await storedHistorySettings(database.sql)).toMatchObject({ timezone: 'Europe/Paris' });
  });
});

describe('a reader', () => {
  it('cannot store anything', async () => {
    const fresh = await createEmptyDatabase();
    try {
      await migrate(fresh.sql);
      const own = await openReader(fresh);
      try {
        for (const statement of [
          "select lo_from_bytea(0, 'x')",
          'select lo_create(0)',
          'select lo_creat(0)',
          'create temporary table heap (id int)',
          'create table public.heap (id int)',
          'create schema heap',
        ]) {
          await expect(bold(own.url, statement), statement).rejects.toMatchObject({ code: '42501' });
        }
        const mistake = own.sql.unsafe('delete from crm_account').catch(errorCode);
        expect(['25006', '42501']).toContain(await mistake);
        expect(await own.sql`show default_transaction_read_only`).toMatchObject([
          { default_transaction_read_only: 'on' },
        ]);
      } finally {
        await own.close();
      }
    } finally {
      await fresh.close();
    }
  });

  it('leaves a database alone that holds more than the mirror', async () => {
    const shared = await createEmptyDatabase();
    try {
      await shared.sql`create table public.orders (id int)`;
      await migrate(shared.sql);
      const [row] = await shared.sql`select has_database_privilege('public', current_database(), 'temporary') as open`;
      expect(row).toEqual({ open: true });
    } finally {
      await shared.close();
    }
  });

  it('holds up neither migrate nor the views, whatever locks it takes', async () => {
    let release = () => {};
    let hold = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const held = new Promise<void>((resolve) => {
      hold = resolve;
    });
    const stranger = as(reader.url, (sql) =>
      sql.begin(async (tx) => {
        await tx`select pg_advisory_lock(7310575178423296), pg_advisory_lock(7310575178423297)`;
        await expect(
          tx.savepoint((inner) => inner.unsafe('lock table sync.migrations in share update exclusive mode')),
        ).rejects.toThrow();
        await expect(tx.savepoint((inner) => inner.unsafe('lock table sync.history in share mode'))).rejects.toThrow();
        hold();
        await released;
      }),
    );
    await held;
    try {
      await migrate(database.sql);
    } finally {
      release();
      await stranger;
    }
  });
});

describe('two mirrors on one server', () => {
  it('are closed to the readers and the service of each other', async () => {
    const other = await createEmptyDatabase();
    try {
      await migrate(other.sql);
      const there = (url: string) => {
        const { username: user, password } = new URL(url);
        return urlOf(other.name, { user, password });
      };
      const refused = { code: '42501' };
      await expect(bold(there(reader.url), 'select * from flowlu.crm_account')).rejects.toMatchObject(refused);
      await expect(bold(there(reader.url), 'select * from flowlu_live.crm_account')).rejects.toMatchObject(refused);
      await expect(bold(there(writer.url), 'delete from sync.deliveries')).rejects.toMatchObject(refused);
      await bold(writer.url, 'delete from sync.deliveries');
    } finally {
      await other.close();
    }
  });

  it('are both open to the roles that have their names from no database, and doctor names who has them', async () => {
    const other = await createEmptyDatabase();
    const login = await createLogin(database, 'flowlu_reader');
    try {
      const reach = () => checkOf(database, 'reach of logins');
      expect(await bold(login.url, 'select * from flowlu.crm_account')).toHaveLength(0);
      await migrate(other.sql);
      expect(await reach()).toMatchObject({ status: 'warn', found: expect.stringContaining(login.user) });
      await database.sql.unsafe(`revoke flowlu_reader from ${login.user};
        grant ${roleOf('flowlu_reader', database.name)} to ${login.user}`);
      expect((await reach())?.found ?? '').not.toContain(login.user);
    } finally {
      await login.drop();
      await other.close();
    }
  });
});

it('what the owner drops is what the owner has made, whatever the service writes', async () => {
  await database.sql`create view flowlu_live.of_somebody as select 1 as one`;
  const planted = `{"of_somebody": "${randomUUID()}"}`;
  await bold(writer.url, `update sync.settings set value = value || '${planted}'::jsonb where key = 'views'`);
  await bold(writer.url, `delete from sync.settings where key in ('views', 'live_facts')`);
  const forged = `insert into sync.settings (key, value) values ('live_facts', '${planted}')`;
  await expect(bold(writer.url, forged)).rejects.toMatchObject({ code: '42501' });
  await migrate(database.sql);
  expect(await database.sql`select one from flowlu_live.of_somebody`).toEqual([{ one: 1 }]);
});

it('processes that meet in an empty database migrate it together', async () => {
  const empty = await createEmptyDatabase();
  try {
    const reports = await Promise.all([1, 2, 3].map(() => migrate(empty.url)));
    expect(reports.filter(({ applied }) => applied.length > 0)).toHaveLength(1);
  } finally {
    await empty.close();
  }
});
