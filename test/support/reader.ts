/** An analyst: a login made by the product, connected to a test database. */
import { randomUUID } from 'node:crypto';
import { grantReader } from '../../src/migrate/reader-logins.ts';
import { connect, type Sql } from '../../src/postgres/connection.ts';
import { type TestDatabase, urlOf } from './database.ts';

export interface Reader {
  readonly login: string;
  readonly password: string;
  readonly url: string;
  readonly sql: Sql;
  /** Ends the connections and removes the login. */
  close(): Promise<void>;
}

export async function openReader({ sql: owner, name }: TestDatabase, statementTimeout_ms = 60_000): Promise<Reader> {
  const login = `reader_${randomUUID().slice(0, 8)}`;
  const { password } = await grantReader(owner, { login, statementTimeout_ms });
  if (password === null) throw new Error(`the login ${login} was there before`);
  const url = urlOf(name, { user: login, password });
  const sql = connect(url, { applicationName: 'flowlu-mirror test reader', max: 2, asLogin: true });
  return {
    login,
    password,
    url,
    sql,
    async close() {
      await sql.end({ timeout: 5 });
      await owner.unsafe(`drop role ${login}`);
    },
  };
}
