/** Connections that die without a word: every wait ends, and what comes next gets connections that work. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  connect,
  isConnectionError,
  LastFlight,
  type Sql,
  transaction,
  within,
} from '../../src/postgres/connection.ts';
import { DEADLINES } from '../../src/postgres/deadline.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const CONNECTIONS = 3;
Object.assign(DEADLINES, { answerGraceMs: 200, secondLookMs: 50, replacedPoolSeconds: 1 });
let database: TestDatabase;
let proxy: TcpProxy;
let sql: Sql;

beforeEach(async () => {
  database = await createTestDatabase();
  proxy = await startTcpProxy(database.url);
  sql = connect(proxy.url(database.url), { applicationName: 'flowlu-mirror test', max: CONNECTIONS });
  await Promise.all(Array.from({ length: CONNECTIONS }, () => transaction(sql, {}, (tx) => tx`select pg_sleep(0.1)`)));
  expect(proxy.clients()).toBe(CONNECTIONS);
});
afterEach(async () => {
  vi.useRealTimers();
  await sql.end({ timeout: 1 });
  await proxy.close();
  await database.close();
});

const failure = (promise: PromiseLike<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );
const LIMITS = { statementTimeoutMs: 100 };

/** New connections work, and nothing of the old ones is kept. */
async function expectRenewed(): Promise<void> {
  // A host that has not answered is left alone for a moment.
  await eventually(
    () => transaction(sql, LIMITS, (tx) => tx`select 1 as one`).catch(() => null),
    (rows) => rows !== null,
    10_000,
  );
  await eventually(
    async () => proxy.clients(),
    (clients) => clients <= 1,
    10_000,
  );
}

describe('a connection that passes nothing any more', () => {
  it('rejects a transaction that would begin on it', async () => {
    proxy.forget();
    expect(await failure(transaction(sql, LIMITS, (tx) => tx`select 1`))).toSatisfy(isConnectionError);
    await expectRenewed();
  });

  it('rejects a transaction that is under way, and its statements', async () => {
    let statement: unknown = null;
    const begun = transaction(sql, LIMITS, async (tx) => {
      await tx`select 1`;
      proxy.forget();
      statement = await failure(tx`select 2`);
      await tx`select 3`;
    });
    expect(await failure(begun)).toSatisfy(isConnectionError);
    expect(statement).toSatisfy(isConnectionError);
    await expectRenewed();
  });

  it('rejects a transaction that waits for its commit', async () => {
    const begun = transaction(sql, LIMITS, async (tx) => {
      await tx`select 1`;
      proxy.forget();
      return new LastFlight(Promise.resolve('sent'));
    });
    expect(await failure(begun)).toSatisfy(isConnectionError);
    await expectRenewed();
  });

  it('is given up when a statement that has its own limit gets no answer even to being cancelled', async () => {
    proxy.forget();
    expect(await failure(within(sql`select 1`, 100))).toMatchObject({ name: 'TimeoutError' });
    await eventually(
      async () => proxy.clients(),
      (clients) => clients < CONNECTIONS,
      10_000,
    );
    await expectRenewed();
  });

  it('is given up when a statement that has no limit gets no answer for half a minute', async () => {
    proxy.forget();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const asked = failure(sql`select 1`);
    await new Promise(setImmediate);
    await vi.advanceTimersByTimeAsync(40_000);
    expect(await asked).toSatisfy(isConnectionError);
    vi.useRealTimers();
    await expectRenewed();
  });
});

describe('the end of a pool', () => {
  it('does not wait for a statement that gets no answer', async () => {
    proxy.forget();
    const asked = failure(sql`select 1`);
    await new Promise(setImmediate);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const ended = sql.end();
    await vi.advanceTimersByTimeAsync(6_000);
    vi.useRealTimers();
    await ended;
    expect(await asked).toSatisfy(isConnectionError);
  });

  it('leaves no socket open, though nobody hears that it takes leave', async () => {
    const sockets = () => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
    const before = sockets();
    proxy.stall();
    await sql.end({ timeout: 1 });
    await eventually(
      async () => sockets(),
      (now) => now <= before - CONNECTIONS,
    );
  });
});

it('a statement outside a transaction has half a minute, unless it has a limit of its own', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const patient = within(sql`select pg_sleep(0.5), 'answer' as one`, 120_000);
  const other = failure(sql`select pg_sleep(0.5)`);
  await new Promise(setImmediate);
  await vi.advanceTimersByTimeAsync(31_000);
  vi.useRealTimers();
  expect(await other).toMatchObject({ code: 'ETIMEDOUT' });
  expect(await patient).toMatchObject([{ one: 'answer' }]);
});

it('a statement that waits for a free connection past its limit is not sent later', async () => {
  await database.sql`create table public.late (id int)`;
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const busy = Array.from({ length: CONNECTIONS }, () => transaction(sql, {}, () => held));
  const late = [
    failure(within(sql`insert into public.late values (${1})`, 100)),
    failure(transaction(sql, LIMITS, (tx) => tx`insert into public.late values (2)`)),
  ];
  expect(await Promise.all(late)).toMatchObject([{ name: 'TimeoutError' }, { code: 'ETIMEDOUT' }]);
  release();
  await Promise.all(busy);
  // Each connection is good for a transaction again.
  await Promise.all(Array.from({ length: 3 * CONNECTIONS }, () => transaction(sql, {}, (tx) => tx`select 1`)));
  expect(await database.sql`select id from public.late`).toEqual([]);
  expect(proxy.clients()).toBe(CONNECTIONS);
});

it('a statement that a transaction no longer waits for does not go on at the server', async () => {
  const asleep = () =>
    database.sql`select from pg_stat_activity where query like '%pg_sleep(61)%' and pid <> pg_backend_pid()`;
  const given = transaction(sql, LIMITS, async (tx) => {
    await tx`set local statement_timeout = 0`;
    return await tx`select pg_sleep(61)`;
  });
  expect(await failure(given)).toMatchObject({ code: 'ETIMEDOUT' });
  await eventually(asleep, (rows) => rows.length === 0, 10_000);
});
