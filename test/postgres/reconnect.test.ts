/** Connections that break at any moment: every caller gets an answer, the process lives, and the pool recovers. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, isConnectionError, isRetryable, type Sql, transaction } from '../../src/postgres/connection.ts';
import { eventually } from '../intake/service.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

let db: TestDatabase;
let proxy: TcpProxy;
let pool: Sql;
const unhandled: unknown[] = [];
const note = (error: unknown) => void unhandled.push(error);

beforeAll(async () => {
  process.on('uncaughtException', note).on('unhandledRejection', note);
  db = await createTestDatabase();
  proxy = await startTcpProxy(db.url);
  pool = connect(proxy.url(db.url), { applicationName: 'flowlu-mirror test', max: 4 });
  await db.sql`create table public.pairs (id int primary key, halves int not null)`;
});
afterAll(async () => {
  await pool?.end({ timeout: 2 });
  await proxy?.close();
  await db?.close();
  process.off('uncaughtException', note).off('unhandledRejection', note);
});

/** Longest time that any call may take while connections break; the driver's own wait to connect is 10 s. */
const HUNG_MS = 6_000;

describe.each([
  ['cut by the network', () => proxy.cut(), () => proxy.heal()],
  [
    'ended by the server',
    () =>
      db.sql`select pg_terminate_backend(pid) from pg_stat_activity
                  where datname = ${db.name} and pid <> pg_backend_pid() and application_name = 'flowlu-mirror test'
                    and pid in (select pid from pg_stat_activity where client_port is not null)`.catch(() => {}),
    () => {},
  ],
])('connections that are %s under load', (_, breakOff, mend) => {
  it('leave no caller waiting, no half transaction, no error unhandled', async () => {
    await db.sql`truncate public.pairs`;
    const failures: unknown[] = [];
    let done = 0;
    let last = 0;
    let stopped = false;

    const once = async (id: number) => {
      await transaction(pool, {}, async (tx) => {
        await tx`insert into public.pairs values (${id}, 1)`;
        await Promise.all([tx`select pg_sleep(0.001)`, tx.unsafe('select $1::text', ['a'], { prepare: true })]);
        await tx`update public.pairs set halves = 2 where id = ${id}`;
      });
      done += 1;
    };
    const worker = async () => {
      while (!stopped) {
        last += 1;
        const hung = sleep(HUNG_MS, 'hung', { ref: false });
        const result = await Promise.race([once(last).catch((error: unknown) => error), hung]);
        if (result !== undefined) failures.push(result);
        // Calls of any phase of the event loop, right after a failure, too.
        if (last % 2 === 0) await new Promise(setImmediate);
        if (last % 3 === 0) await pool`select 1`.catch((error: unknown) => failures.push(error));
      }
    };
    const workers = Array.from({ length: 3 }, worker);
    for (let round = 0; round < 15; round += 1) {
      await sleep(40 + 13 * (round % 5));
      await breakOff();
      if (round % 2 === 0) await sleep(20);
      mend();
    }
    const before = done;
    await eventually(
      async () => done,
      (now) => now > before,
      10_000,
    );
    stopped = true;
    await Promise.all(workers);

    expect(failures.length).toBeGreaterThan(0);
    expect(failures.filter((failure) => !isConnectionError(failure) && !isRetryable(failure))).toEqual([]);
    expect(unhandled).toEqual([]);
    expect(await db.sql`select id from public.pairs where halves <> 2`).toEqual([]);
    const [row] = await db.sql`select count(*)::int as pairs from public.pairs`;
    expect(row?.pairs).toBeGreaterThanOrEqual(done);
  });
});
