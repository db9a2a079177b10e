/** Work for one process at a time. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { thisHolder } from '../../src/core/holder.ts';
import { LeaseTakenError, takenModels, withLease } from '../../src/reconcile/lease.ts';
import { takeLease } from '../../src/store/leases.ts';
import { journaled, lastRuns } from '../../src/store/runs.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually, until } from '../support/eventually.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const options = (name: string, holder: string) => ({
  sql: database.sql,
  name,
  holder,
  signal: new AbortController().signal,
  waitMs: 0,
});
const expiry = async (name: string) =>
  (
    await database.sql`select expires_at, expires_at > clock_timestamp() as held from sync.leases where name = ${name}`
  )[0];

it('a lease is renewed before it runs out, for as long as the work goes on', async () => {
  await withLease({ ...options('short', 'one'), seconds: 3 }, async (signal) => {
    const first = (await expiry('short'))?.expires_at as Date;
    // Twice as long as it would last by itself.
    await until(async () => {
      const now = await expiry('short');
      expect(now?.held).toBe(true);
      return now?.expires_at.getTime() > first.getTime() + 6_000;
    });
    expect(await takeLease(database.sql, 'short', 'two', 3)).toBe(false);
    expect(signal.aborted).toBe(false);
  });
  expect(await expiry('short')).toBeUndefined();
});

it('by default it outlasts two renewals that do not come', async () => {
  await withLease(options('whole', 'one'), async () => {
    const [row] = await database.sql`
      select extract(epoch from expires_at - clock_timestamp())::float as seconds from sync.leases where name = 'whole'`;
    expect(row?.seconds).toBeGreaterThan(15);
    expect(row?.seconds).toBeLessThanOrEqual(45);
    await expect(withLease(options('whole', 'two'), async () => {})).rejects.toBeInstanceOf(LeaseTakenError);
  });
});

it('work ends when its lease was lost', async () => {
  const lost = withLease({ ...options('stolen', 'one'), seconds: 3 }, async (signal) => {
    await database.sql`update sync.leases set holder = 'two', expires_at = clock_timestamp() + interval '1 minute'
                        where name = 'stolen'`;
    await eventually(
      () => signal.aborted,
      (aborted) => aborted,
    );
    throw signal.reason;
  });
  await expect(lost).rejects.toThrow('lost the lease of stolen');
  expect((await expiry('stolen'))?.held).toBe(true);
});

it('a lease that lies ahead of the clock ends when one taken now would, unless its holder renews it', async () => {
  const { sql } = database;
  await sql`insert into sync.leases values ('model crm.lead', 'dead', clock_timestamp() + interval '1 year')`;
  expect(await takenModels(sql)).toMatchObject({ held: new Set() });
  expect(await takeLease(sql, 'model crm.lead', 'two', 40)).toBe(false);
  expect(await takenModels(sql)).toMatchObject({ held: new Set(['crm.lead']) });
  const seconds = async () =>
    (
      await sql`select extract(epoch from expires_at - clock_timestamp())::float as left from sync.leases
                where name = 'model crm.lead' and holder = 'dead'`
    )[0]?.left;
  expect(await seconds()).toBeLessThanOrEqual(40);
  expect(await takeLease(sql, 'model crm.lead', 'dead', 60)).toBe(true);
  expect(await seconds()).toBeGreaterThan(40);
  await sql`update sync.leases set expires_at = clock_timestamp() where name = 'model crm.lead'`;
  expect(await takeLease(sql, 'model crm.lead', 'two', 40)).toBe(true);
});

it('a lease that could not be given back does not keep its own process from the model', async () => {
  const { sql } = database;
  const [name, holder] = ['model crm.account', thisHolder()];
  const held = async () => (await takenModels(sql)).held.has('crm.account');
  await takeLease(sql, name, holder, 45);
  expect(await held()).toBe(false);
  await withLease(options(name, holder), async () => expect(await held()).toBe(true));
  await takeLease(sql, name, 'another process', 45);
  expect(await held()).toBe(true);
});

it('a run is listed as running while its process lives, and as abandoned once that was killed', async () => {
  const { sql } = database;
  const run = { kind: 'backfill', holder: 'one', signal: new AbortController().signal, summary: () => [] } as const;
  const status = async () => (await lastRuns(sql, 1))[0]?.status;
  await journaled(sql, run, async (id) => {
    expect(await status()).toBe('running');
    // What is left of a process that was killed, once its lease has run out.
    await sql`update sync.leases set expires_at = clock_timestamp() - interval '1 s' where name = ${`run ${id}`}`;
    expect(await status()).toBe('abandoned');
  });
  expect(await status()).toBe('done');
});
