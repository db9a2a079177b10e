/** What the driver gets wrong, each mended in src/postgres: every test here fails without its repair. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { connect, type Sql, transaction, within } from '../../src/postgres/connection.ts';
import { DEADLINES } from '../../src/postgres/deadline.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { until } from '../support/eventually.ts';
import { createLogin } from '../support/logins.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { startWireProxy } from '../support/wire-proxy.ts';

Object.assign(DEADLINES, { answerGraceMs: 200, secondLookMs: 50, replacedPoolSeconds: 1 });
let database: TestDatabase;
let proxy: TcpProxy;
let sql: Sql;
const unhandled: unknown[] = [];
const note = (error: unknown) => void unhandled.push(error);

beforeAll(async () => {
  process.on('unhandledRejection', note);
  database = await createTestDatabase();
});
afterAll(async () => {
  await database.close();
  process.off('unhandledRejection', note);
});
beforeEach(async () => {
  proxy = await startTcpProxy(database.url);
});
afterEach(async () => {
  await sql.end({ timeout: 1 });
  await proxy.close();
});

/** A pool behind the proxy. */
const open = (max: number) => connect(proxy.url(database.url), { applicationName: 'flowlu-mirror test', max });
/** As many statements at once as there are connections, and more: each place of the pool is of use. */
const useAll = (max: number) =>
  Promise.all(Array.from({ length: 2 * max }, () => within(sql`select pg_sleep(0.01)`, 5_000)));
const failure = (promise: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(promise).then(
    () => null,
    (error: unknown) => error,
  );
const isIdle = async () =>
  (
    await database.sql`select from pg_stat_activity
      where datname = current_database() and query like '%pg_sleep(10)%' and state = 'active' and pid <> pg_backend_pid()`
  ).length === 0;

describe('a statement that is taken back', () => {
  it('leaves no error unhandled where the server cannot be reached for that', async () => {
    sql = open(2);
    await useAll(2);
    proxy.shut();
    expect(await failure(within(sql`select pg_sleep(10)`, 50))).toMatchObject({ name: 'TimeoutError' });
    await until(() => proxy.refused() > 0);
    proxy.heal();
    await until(async () => (await failure(useAll(2))) === null);
    expect(unhandled).toEqual([]);
  });

  it('does not make the host look as if it had failed: the server closes the request to cancel without an answer', async () => {
    sql = open(4);
    await sql`select 1`;
    expect(await failure(within(sql`select pg_sleep(10)`, 50))).toMatchObject({ name: 'TimeoutError' });
    await until(isIdle);
    await useAll(4);
  });

  it('does not cost the connection that is opened for it', async () => {
    sql = open(1);
    proxy.stall();
    expect(await failure(within(sql`select 1`, 50))).toMatchObject({ name: 'TimeoutError' });
    proxy.heal();
    await useAll(1);
  });

  it('does not cost its connection when it begins a transaction, and is answered after all', async () => {
    sql = open(1);
    await transaction(sql, {}, (tx) => tx`select 1`);
    proxy.stall();
    const late = transaction(sql, { statementTimeoutMs: 50 }, (tx) => tx`select 1`);
    expect(await failure(late)).toMatchObject({ code: 'ETIMEDOUT' });
    proxy.heal();
    await useAll(1);
    await transaction(sql, {}, (tx) => tx`select 1`);
  });
});

it('a statement asked for while a connection that the server has ended closes does not cost its place in the pool', async () => {
  sql = open(1);
  let turns = 0;
  let asked: Promise<unknown> | undefined;
  const onSocket = (message: unknown) => {
    const { socket } = message as { socket: Socket };
    socket.once('end', async () => {
      for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
      asked = failure(within(sql`select 1`, 5_000));
    });
  };
  subscribe('net.client.socket', onSocket);
  try {
    // The moment that matters is one turn of the event loop.
    for (; turns < 6; turns += 1) {
      asked = undefined;
      await within(sql`select ${'to be ended'}::text`, 5_000);
      await database.sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and state = 'idle' and client_port is not null
          and query like 'select $1::text%'`;
      await until(() => asked !== undefined);
      await asked;
    }
  } finally {
    unsubscribe('net.client.socket', onSocket);
  }
});

it.each(['search_path', 'statement_timeout'])(
  'a pooler that takes no %s with the connection gets our settings with each transaction',
  async (refusesParameter) => {
    const pooler = await startWireProxy(database.url, { refusesParameter });
    sql = connect(pooler.url(database.url), { applicationName: 'flowlu-mirror test', max: 2 });
    try {
      expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
      const path = await transaction(sql, {}, async (tx) => [
        ...(await tx`select current_setting('search_path') as path, current_setting('statement_timeout') as most`),
      ]);
      expect(path).toEqual([{ path: 'pg_catalog, pg_temp', most: '30s' }]);
    } finally {
      await sql.end({ timeout: 1 });
      await pooler.close();
    }
  },
);

it('the limits of a role are not ours, but for who reads as that login', async () => {
  const login = await createLogin(database);
  await database.sql.unsafe(`alter role ${login.user} set statement_timeout = '1ms'`);
  const pools = [false, true].map((asLogin) =>
    connect(login.url, { applicationName: 'flowlu-mirror test', max: 1, asLogin }),
  );
  try {
    const asked = await Promise.allSettled(pools.map((own) => own`select pg_sleep(0.1)`));
    expect(asked).toMatchObject([{ status: 'fulfilled' }, { status: 'rejected', reason: { code: '57014' } }]);
  } finally {
    await Promise.all(pools.map((own) => own.end({ timeout: 1 })));
    await login.drop();
  }
});

describe.each(['', '?prepare=false'])('a statement with values%s', (parameter) => {
  const VALUES: readonly (readonly [type: string, value: unknown, text: string | null])[] = [
    ['text', 'a\\b', 'a\\b'],
    ['text', null, null],
    ['int', 7, '7'],
    ['int8', 9_007_199_254_740_993n, '9007199254740993'],
    ['int8', '9223372036854775807', '9223372036854775807'],
    ['numeric', 0.1, '0.1'],
    ['float8', 1e-7, '1e-07'],
    ['bool', true, 'true'],
    ['bool', false, 'false'],
    ['date', '2026-02-28', '2026-02-28'],
    ['timestamptz', new Date('2026-01-01T00:00:00.123Z'), '2026-01-01 00:00:00.123+00'],
    ['timestamptz', '2026-01-01T00:00:00.123456Z', '2026-01-01 00:00:00.123456+00'],
    ['jsonb', '{"a": 9223372036854775807}', '{"a": 9223372036854775807}'],
    ['text[]', '{a,b}', '{a,b}'],
    ['text[]', ['a,"b', 'c'], '{"a,\\"b",c}'],
  ];

  it('is sent with them at once, and means the same as when its types are known', async () => {
    const sent: string[] = [];
    const watched = await startWireProxy(database.url, {
      fateOf({ direction, type }) {
        if (direction === 'to server') sent.push(type);
        return 'pass';
      },
    });
    sql = connect(`${watched.url(database.url)}${parameter}`, { applicationName: 'flowlu-mirror test', max: 1 });
    try {
      await sql`set time zone 'UTC'`;
      for (const [type, value, text] of VALUES) {
        for (const _ of ['first', 'again']) {
          sent.length = 0;
          const [row] = await sql.unsafe(`select $1::${type}::text as text`, [value as string], { prepare: true });
          expect([type, row?.text]).toEqual([type, text]);
          // An array is written as its type demands: that is asked for first.
          if (!Array.isArray(value)) expect(sent).not.toContain('H');
        }
      }
      expect(await sql`select ${sql.json({ a: 1 })}::jsonb ->> 'a' as a`).toEqual([{ a: '1' }]);
    } finally {
      await sql.end({ timeout: 1 });
      await watched.close();
    }
  });
});
