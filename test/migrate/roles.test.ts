/** Least privilege: what the owner, the service and the analysts may do in the database, and what they may not. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyRoles, roleOf, rolesScript } from '../../src/migrate/roles.ts';
import { connect, type Sql, transaction } from '../../src/postgres/connection.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { createLogin, type Login } from '../support/logins.ts';

let database: TestDatabase;
const logins: Login[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  await transaction(database.sql, {}, applyRoles);
  await database.sql`create schema private`;
  await database.sql`create table private.payroll (id int)`;
});
afterAll(async () => {
  for (const login of logins) await login.drop();
  await database.close();
});

async function as<T>(groups: readonly string[], work: (sql: Sql, login: Login) => Promise<T>): Promise<T> {
  const login = await createLogin(database, ...groups);
  logins.push(login);
  const sql = connect(login.url, { applicationName: 'flowlu-mirror test', max: 1 });
  try {
    return await work(sql, login);
  } finally {
    await sql.end();
  }
}

async function expectRefused(sql: Sql, statements: readonly string[]): Promise<void> {
  for (const statement of statements) {
    await expect(sql.unsafe(statement), statement).rejects.toMatchObject({ code: '42501' });
  }
}

/** The rights that a role holds on the tables of our schemas and beyond, as `schema: privileges`. */
async function rightsOf(role: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const rows = await database.sql<{ place: string; privileges: string[] }[]>`
    select n.nspname || case when c.relname = 'uncatalogued' then '.' || c.relname else '' end as place,
           array_agg(distinct acl.privilege_type::text) as privileges
      from pg_class c join pg_namespace n on n.oid = c.relnamespace, aclexplode(c.relacl) as acl
     where acl.grantee = (select oid from pg_roles where rolname = ${role})
     group by 1`;
  return Object.fromEntries(rows.map(({ place, privileges }) => [place, privileges.sort()]));
}

describe('the role flowlu_writer', () => {
  it('holds exactly the rights that the service needs', async () => {
    expect(await rightsOf(roleOf('flowlu_writer', database.name))).toEqual({
      flowlu: ['INSERT', 'SELECT', 'UPDATE'],
      'flowlu.uncatalogued': ['DELETE', 'INSERT', 'SELECT', 'UPDATE'],
      flowlu_history: ['SELECT'],
      'flowlu_history.uncatalogued': ['SELECT'],
      flowlu_live: ['SELECT'],
      'flowlu_live.uncatalogued': ['SELECT'],
      flowlu_reports: ['SELECT'],
      sync: ['DELETE', 'INSERT', 'SELECT', 'UPDATE'],
    });
    const [role] = await database.sql`
      select rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls from pg_roles where rolname = 'flowlu_writer'`;
    expect(new Set(Object.values(role ?? {}))).toEqual(new Set([false]));
  });

  it('can neither change nor empty what is there, nor make anything, nor read elsewhere', async () => {
    await as(['flowlu_writer'], async (sql) => {
      await expectRefused(sql, [
        'drop table flowlu.crm_account',
        'drop view flowlu_live.crm_account',
        'drop schema sync cascade',
        'truncate flowlu.crm_account',
        'truncate sync.deliveries',
        'delete from flowlu.crm_account',
        'alter table flowlu.crm_account add column extra int',
        'alter table sync.deliveries drop column body',
        'alter view flowlu_live.crm_account rename to stolen',
        'create table flowlu.own (id int)',
        'create view flowlu_live.own as select 1',
        'create index on flowlu.crm_account (name)',
        'create schema own',
        'create trigger spy after insert on flowlu.crm_account execute function suppress_redundant_updates_trigger()',
        'update flowlu_live.crm_account set name = null',
        'insert into sync.migrations (hash, made_ms) values (1, 1)',
        'select * from private.payroll',
        'select * from pg_authid',
        'set role flowlu_reader',
        "copy flowlu.crm_account to program 'cat'",
      ]);
      // Not an error, only a warning: it hands on nothing.
      await sql`grant select on flowlu.crm_account to public`;
    });
  });

  it('may write the tables that a later version brings', async () => {
    await database.sql`create table sync.later (id bigint)`;
    await database.sql`create table flowlu.later (id bigint)`;
    await as(['flowlu_writer'], async (sql) => {
      await sql`insert into sync.later values (1)`;
      await sql`delete from sync.later`;
      await sql`insert into flowlu.later values (1)`;
      await expectRefused(sql, ['truncate sync.later', 'delete from flowlu.later']);
    });
    await database.sql`drop table sync.later, flowlu.later`;
  });
});

describe('the role flowlu_reader', () => {
  it('holds the right to read the mirror and its views, and no other', async () => {
    expect(await rightsOf(roleOf('flowlu_reader', database.name))).toEqual({
      flowlu: ['SELECT'],
      'flowlu.uncatalogued': ['SELECT'],
      flowlu_history: ['SELECT'],
      'flowlu_history.uncatalogued': ['SELECT'],
      flowlu_live: ['SELECT'],
      'flowlu_live.uncatalogued': ['SELECT'],
      flowlu_reports: ['SELECT'],
    });
  });

  it('writes nothing and sees nothing of the ledger', async () => {
    await as(['flowlu_reader'], async (sql) => {
      await sql`select * from flowlu_live.sync_status`;
      const tables = await database.sql<{ name: string }[]>`
        select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('sync', 'private')`;
      expect(tables.length).toBeGreaterThan(9);
      await expectRefused(
        sql,
        tables.map(({ name }) => `select * from ${name}`),
      );
      await expectRefused(sql, [
        'insert into flowlu.crm_account (id) values (1)',
        "update flowlu.crm_account set name = ''",
        'truncate flowlu.crm_account',
        'select * from flowlu.crm_account for update',
        'create view flowlu_live.own as select 1',
      ]);
    });
  });
});

describe('roles are applied', () => {
  it('by an owner who may not create them where they exist, and as a script for an administrator where they do not', async () => {
    // Roles belong to the whole server, and other tests use ours: what a missing one leads to is shown under other names.
    const undo = new Error('all of it is undone');
    const owner = await createLogin(database);
    logins.push(owner);
    const asked = database.sql.begin(async (tx) => {
      await tx.unsafe(`alter role flowlu_reader rename to reader_elsewhere; alter role flowlu_writer rename to writer_elsewhere;
        alter role flowlu_reader_${database.name} rename to own_reader_elsewhere; alter role flowlu_writer_${database.name} rename to own_writer_elsewhere;
        alter database ${database.name} owner to ${owner.user};
        do $$ declare name text; begin
          foreach name in array array['flowlu', 'flowlu_live', 'flowlu_reports', 'flowlu_history', 'sync'] loop
            execute format('alter schema %I owner to ${owner.user}', name);
          end loop;
          for name in select format('%I.%I', schemaname, tablename) from pg_tables where schemaname in ('flowlu', 'sync') loop
            execute format('alter table %s owner to ${owner.user}', name);
          end loop;
          for name in select format('%I.%I', schemaname, viewname) from pg_views where schemaname in ('flowlu_live', 'flowlu_reports', 'flowlu_history') loop
            execute format('alter view %s owner to ${owner.user}', name);
          end loop;
        end $$;
        set local role ${owner.user}`);
      const script = await applyRoles(tx);
      expect(script).toContain('create role flowlu_reader nologin;');
      expect(script).toContain('create role flowlu_writer nologin;');
      // The administrator's turn; then nothing is missing any more.
      await tx.unsafe('reset role');
      await tx.unsafe(script ?? '');
      await tx.unsafe(`set local role ${owner.user}`);
      expect(await applyRoles(tx)).toBeNull();
      const [row] = await tx`
        select has_table_privilege('flowlu_writer', 'sync.deliveries', 'insert') as writer,
               has_table_privilege('flowlu_reader', 'flowlu_live.crm_account', 'select') as reader`;
      expect(row).toEqual({ writer: true, reader: true });
      throw undo;
    });
    await expect(asked).rejects.toBe(undo);
  });
});

it('the page for operators shows the script as it is', () => {
  const page = readFileSync(new URL('../../docs/operators.md', import.meta.url), 'utf8');
  expect(page).toContain(`\n${rolesScript('flowlu', 'flowlu_owner')}\n`);
});
