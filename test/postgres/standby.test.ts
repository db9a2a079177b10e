/** Servers that take no writes: recognised, named, and left for one that does. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, errorCode, isConnectionError, type Sql, transaction } from '../../src/postgres/connection.ts';
import { isLateToReadOnly } from '../../src/postgres/read-only.ts';
import { poolOf } from '../../src/postgres/renewal.ts';
import { type OwnServer, startOwnServer } from '../chaos/server.ts';

let primary: OwnServer;
let standby: OwnServer;
const pools: Sql[] = [];

beforeAll(async () => {
  primary = await startOwnServer();
  const sql = connect(primary.url, { applicationName: 'flowlu-mirror test', max: 1 });
  await sql`create table public.notes (id int)`;
  await sql.end();
  standby = await primary.standby();
}, 120_000);
afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.end({ timeout: 1 })));
  await Promise.all([primary?.close(), standby?.close()]);
});

function poolOn(servers: readonly OwnServer[], parameters = ''): Sql {
  const [first = ''] = servers.map(({ url }) => url);
  const list = servers.map(({ url }) => new URL(url).host).join(',');
  const sql = connect(`${first.replace(new URL(first).host, list)}${parameters}`, {
    applicationName: 'flowlu-mirror test',
    max: 2,
  });
  pools.push(sql);
  return sql;
}

const write = (sql: Sql) => transaction(sql, {}, (tx) => tx`insert into public.notes values (1)`);
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );
const where = async (sql: Sql) => {
  const [row] = await sql`select pg_is_in_recovery() as is_standby`;
  return row?.is_standby === true ? 'standby' : 'primary';
};

describe('a standby', () => {
  it('says so to who writes, and counts as a server that is away', async () => {
    const error = await failure(write(poolOn([standby])));
    expect(error).toMatchObject({ message: expect.stringMatching(/this server \(.*\) is a standby/), code: '25006' });
    expect(isConnectionError(error)).toBe(true);
  });

  it.each([
    ['', 'primary'],
    ['?target_session_attrs=read-write', 'primary'],
    ['?target_session_attrs=primary', 'primary'],
    ['?target_session_attrs=any', 'standby'],
    ['?target_session_attrs=read-only', 'standby'],
    ['?target_session_attrs=standby', 'standby'],
    ['?target_session_attrs=prefer-standby', 'standby'],
  ])('named first, with %s, ends at the %s', async (parameters, expected) => {
    expect(await where(poolOn([standby, primary], parameters))).toBe(expected);
  });

  it('is taken by prefer-standby only if there is one, and asked for in vain it is missed in words', async () => {
    expect(await where(poolOn([primary], '?target_session_attrs=prefer-standby'))).toBe('primary');
    expect(await failure(where(poolOn([primary], '?target_session_attrs=standby')))).toMatchObject({
      message: expect.stringContaining('takes writes, but target_session_attrs=standby'),
    });
  });
});

it('a database that is set to read-only is not written to, by no connection, until it is set back', async () => {
  const name = new URL(primary.url).pathname.slice(1);
  const admin = poolOn([primary]);
  const sql = poolOn([primary]);
  await Promise.all([write(sql), write(sql)]);
  await admin.unsafe(`alter database ${name} set default_transaction_read_only = on`);
  const [row] = await sql`select (${isLateToReadOnly(sql)}) as is_late`;
  expect(row).toEqual({ is_late: true });
  poolOf(sql).leave();
  const errors = await Promise.all([failure(write(sql)), failure(write(sql)), failure(write(poolOn([primary])))]);
  for (const error of errors) {
    expect(error).toMatchObject({ message: expect.stringContaining('is set to read-only') });
    expect(errorCode(error)).toBe('25006');
  }
  await admin.unsafe(
    `set default_transaction_read_only = off; alter database ${name} reset default_transaction_read_only`,
  );
  await expect.poll(() => failure(write(sql)), { timeout: 10_000, interval: 300 }).toBeNull();
});

it('a standby that is promoted is found when the primary is gone', async () => {
  const sql = poolOn([primary, standby]);
  await write(sql);
  await primary.crash();
  expect(isConnectionError(await failure(write(sql)))).toBe(true);
  await expect
    .poll(async () => ((await failure(write(sql))) as Error | null)?.message ?? '', { timeout: 10_000, interval: 300 })
    .toMatch(/is a standby/);
  const other = poolOn([standby]);
  await other`select pg_promote()`;
  await expect.poll(() => failure(write(sql)), { timeout: 15_000, interval: 300 }).toBeNull();
});
