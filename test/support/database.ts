/** Databases for tests: real ones, a fresh one in some 100 ms where the data of the server are in memory. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { inject } from 'vitest';
import { connect, errorCode, type Sql } from '../../src/postgres/connection.ts';

export interface TestDatabase {
  readonly url: string;
  readonly name: string;
  /** A pool of the test's own; `close` ends it. */
  readonly sql: Sql;
  /**
   * Drops the database.
   * @throws Error when the code under test has left a connection open.
   */
  close(): Promise<void>;
}

const CLONE_ATTEMPTS = 50;
const LEAVING_MAX_MS = 3_000;

/** The address of another database on the server of the tests, or of another user of it. */
export function urlOf(database: string, as?: { readonly user: string; readonly password: string }): string {
  const url = new URL(inject('serverUrl'));
  url.pathname = `/${database}`;
  if (as !== undefined) {
    url.username = as.user;
    url.password = as.password;
  }
  return url.href;
}

/** A database with the current schema and no rows; call it once per test file. */
export function createTestDatabase(): Promise<TestDatabase> {
  return create(`template ${inject('template')}`);
}

/** A database without anything in it, for tests of the migration itself. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return create('');
}

async function create(options: string): Promise<TestDatabase> {
  const admin = connect(inject('serverUrl'), { applicationName: 'flowlu-mirror tests', max: 1 });
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  try {
    await createDatabase(admin, `create database ${name} ${options}`);
  } catch (error) {
    await admin.end({ timeout: 5 });
    throw error;
  }
  const url = urlOf(name);
  const sql = connect(url, { applicationName: 'flowlu-mirror test', max: 5 });
  const close = async () => {
    await sql.end({ timeout: 5 });
    const leaked = await leakedConnections(admin, name);
    await admin.unsafe(`drop database ${name} with (force)`);
    await admin.end({ timeout: 5 });
    if (leaked.length > 0) throw new Error(`connections left open: ${leaked.join(', ')}`);
  };
  return { url, name, sql, close };
}

/** A template cannot be cloned while anybody, such as autovacuum, is connected to it. */
async function createDatabase(admin: Sql, statement: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await admin.unsafe(statement);
      return;
    } catch (error) {
      if (errorCode(error) !== '55006' || attempt === CLONE_ATTEMPTS) throw error;
      await delay(100);
    }
  }
}

async function leakedConnections(admin: Sql, database: string): Promise<readonly string[]> {
  const deadline = Date.now() + LEAVING_MAX_MS;
  for (;;) {
    const rows = await admin<{ application_name: string }[]>`
      select application_name from pg_stat_activity where datname = ${database} and backend_type = 'client backend'`;
    if (rows.length === 0 || Date.now() > deadline) return rows.map((row) => row.application_name);
    await delay(50);
  }
}
