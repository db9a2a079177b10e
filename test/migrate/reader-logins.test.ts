import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Check } from '../../src/doctor/check.ts';
import { checkDatabase } from '../../src/doctor/database.ts';
import { grantReader, ReaderLoginError, unlimitedReaders } from '../../src/migrate/reader-logins.ts';
import { applyRoles } from '../../src/migrate/roles.ts';
import { connect, errorCode, transaction } from '../../src/postgres/connection.ts';
import { createEmptyDatabase, createTestDatabase, type TestDatabase, urlOf } from '../support/database.ts';
import { openReader } from '../support/reader.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await transaction(database.sql, {}, applyRoles);
});
afterAll(() => database.close());

const settingsOf = async (url: string) => {
  const sql = connect(url, { applicationName: 'flowlu-mirror test', max: 1, asLogin: true });
  try {
    const [row] = await sql`
      select current_setting('statement_timeout') as statement, current_setting('search_path') as path,
             current_setting('idle_in_transaction_session_timeout') as idle`;
    return row;
  } finally {
    await sql.end();
  }
};

describe('a reader login', () => {
  it('reads the live views without a prefix, and nothing but the mirror', async () => {
    const reader = await openReader(database);
    try {
      expect(await reader.sql`select * from crm_account`).toHaveLength(0);
      expect(await reader.sql`select * from flowlu.crm_account`).toHaveLength(0);
      for (const refused of [
        'select * from sync.deliveries',
        'insert into flowlu.crm_source (id) values (1)',
        'update crm_account set name = null',
        'create table flowlu_live.own (id int)',
        'create role another',
        'select pg_reload_conf()',
      ]) {
        const answer = await reader.sql.unsafe(refused).catch(errorCode);
        expect(['42501', '25006'], refused).toContain(answer);
      }
    } finally {
      await reader.close();
    }
  });

  it('is stopped by its time-out, in this database only', async () => {
    const reader = await openReader(database, 1_000);
    try {
      await expect(reader.sql`select pg_sleep(20)`).rejects.toMatchObject({ code: '57014' });
      expect(await settingsOf(reader.url)).toEqual({
        statement: '1s',
        path: 'flowlu_reports, flowlu_live, flowlu_history',
        idle: '10min',
      });
      const other = await createEmptyDatabase();
      const elsewhere = urlOf(other.name, { user: reader.login, password: reader.password });
      expect(await settingsOf(elsewhere)).toMatchObject({ statement: '0' });
      await other.close();
    } finally {
      await reader.close();
    }
  });

  it('keeps its password when it is granted again, unless a new one is asked for', async () => {
    const reader = await openReader(database);
    try {
      const again = await grantReader(database.sql, { login: reader.login, statementTimeout_ms: 7_000 });
      expect(again).toEqual({ created: false, password: null });
      expect(await settingsOf(reader.url)).toMatchObject({ statement: '7s' });
      const [role] =
        await database.sql`select rolconnlimit from pg_roles where rolname = ${new URL(reader.url).username}`;
      expect(role).toEqual({ rolconnlimit: 20 });
      const renewed = await grantReader(database.sql, {
        login: reader.login,
        statementTimeout_ms: 7_000,
        renewPassword: true,
      });
      await expect(settingsOf(reader.url)).rejects.toMatchObject({ code: '28P01' });
      const { login: user } = reader;
      expect(await settingsOf(urlOf(database.name, { user, password: renewed.password ?? '' }))).toBeDefined();
    } finally {
      await reader.close();
    }
  });

  it('is refused a name that needs quotes, or is taken by the mirror itself', async () => {
    const owner = new URL(database.url).username;
    const taken = [owner, 'postgres', 'flowlu_reader', `flowlu_reader_${database.name}`, 'flowlu_writer_of_another'];
    for (const login of ['Anna', 'pg_anna', 'anna; drop schema flowlu', '', ...taken]) {
      const refused = grantReader(database.sql, { login, statementTimeout_ms: 1_000 });
      await expect(refused, login).rejects.toThrow(ReaderLoginError);
    }
  });

  it('is refused the name of a role that somebody else made, until an administrator grants it the right', async () => {
    const login = `service_${randomUUID().slice(0, 8)}`;
    await database.sql.unsafe(`create role ${login} login`);
    try {
      const grant = () => grantReader(database.sql, { login, statementTimeout_ms: 1_000, renewPassword: true });
      const refusal = await grant().catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(ReaderLoginError);
      const [, sql = ''] = /(grant \S+ to \S+)$/.exec((refusal as ReaderLoginError).message) ?? [];
      await database.sql.unsafe(sql);
      expect(await grant()).toMatchObject({ created: false });
    } finally {
      await database.sql.unsafe(`drop role ${login}`);
    }
  });

  it('is left to an administrator, in SQL that works, where the mirror’s role may not make it', async () => {
    const [weak, login] = [`weak_${randomUUID().slice(0, 8)}`, `reader_${randomUUID().slice(0, 8)}`];
    await database.sql.unsafe(`create role ${weak} login password 'only-here'`);
    const sql = connect(urlOf(database.name, { user: weak, password: 'only-here' }), {
      applicationName: 'flowlu-mirror test',
      max: 1,
    });
    try {
      const refusal = await grantReader(sql, { login, statementTimeout_ms: 5_000 }).catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(ReaderLoginError);
      const [script = '', psql] = (refusal as ReaderLoginError).adminSql?.split('\n\\') ?? [];
      expect(psql).toBe(`password ${login}`);
      await database.sql.unsafe(script);
      const [row] =
        await database.sql`select has_table_privilege(${login}, 'flowlu_live.crm_account', 'select') as reads`;
      expect(row).toEqual({ reads: true });
    } finally {
      await sql.end();
      await database.sql.unsafe(`drop role if exists ${login}; drop role ${weak}`);
    }
  });
});

describe('a login that was granted flowlu_reader by hand', () => {
  it('has no time-out, whatever the role says, and doctor finds it', async () => {
    const login = `anna_${randomUUID().slice(0, 8)}`;
    const doctor = async () => {
      const checks: Check[] = [];
      await checkDatabase(database.sql, 'here', (check) => checks.push(check));
      return checks.find(({ name }) => name === 'readers');
    };
    await database.sql.unsafe(`
      create role ${login} login password 'only-here' in role flowlu_reader;
      alter role flowlu_reader set statement_timeout = '1s'`);
    try {
      expect(await settingsOf(urlOf(database.name, { user: login, password: 'only-here' }))).toMatchObject({
        statement: '0',
      });
      expect(await unlimitedReaders(database.sql)).toContain(login);
      expect(await doctor()).toMatchObject({ status: 'warn', found: expect.stringContaining(login) });
      await grantReader(database.sql, { login, statementTimeout_ms: 5_000 });
      expect(await unlimitedReaders(database.sql)).not.toContain(login);
    } finally {
      await database.sql.unsafe(`alter role flowlu_reader reset all; drop role ${login}`);
    }
  });
});
