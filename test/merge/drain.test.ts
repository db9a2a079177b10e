/** Deliveries that the ledger holds and the mirror does not: applied in order, shared between replicas, poison set aside. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { findModel } from '../../src/catalog/index.ts';
import { createLogger } from '../../src/core/log.ts';
import { createBlockedModels } from '../../src/merge/blocked.ts';
import type { DeliveryContext } from '../../src/merge/deliveries.ts';
import { drainPending } from '../../src/merge/drain.ts';
import { connect, type Sql } from '../../src/postgres/connection.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { SECOND, zone } from './world.ts';

const log = createLogger({ level: 'silent', version: 'test', secrets: [] });
const context: DeliveryContext = {
  zone,
  settleGrace: 60 * SECOND,
  blocked: createBlockedModels(),
  tableOf: (module, model) => ({ name: `${module}.${model}`, model: findModel(`${module}.${model}`) ?? null }),
};
let db: TestDatabase;
let other: Sql;
beforeAll(async () => {
  db = await createTestDatabase();
  other = connect(db.url, { applicationName: 'flowlu-mirror test', max: 3 });
});
afterAll(async () => {
  await other?.end();
  await db?.close();
});
beforeEach(async () => {
  await db.sql`truncate sync.deliveries, sync.doubtful, flowlu.crm_account, flowlu.crm_lead restart identity`;
});

const drain = (sql = db.sql, signal = new AbortController().signal) => drainPending({ sql, context, log }, signal);
const body = (id: number, name: string, second: number) =>
  JSON.stringify({
    meta: { module: 'crm', model: 'account', action: 'update' },
    current: {
      id,
      name,
      updated_date: `2026-06-01 10:${String(Math.floor(second / 60)).padStart(2, '0')}:${String(second % 60).padStart(2, '0')}`,
    },
  });

async function store(bodies: readonly string[]): Promise<void> {
  await db.sql`
    insert into sync.deliveries (status, module, model, action, body)
    select 'pending', 'crm', 'account', 'update', b.body
      from jsonb_array_elements_text(${JSON.stringify(bodies)}::text::jsonb) with ordinality as b(body, n) order by n`;
}
const statuses = async () =>
  Object.fromEntries(
    (await db.sql`select status, count(*)::int as count from sync.deliveries group by 1`).map(({ status, count }) => [
      status,
      count,
    ]),
  );

it('applies everything pending, more than one batch of it, in the order of arrival', async () => {
  await store(Array.from({ length: 450 }, (_, n) => body((n % 40) + 1, `n${n}`, n)));
  expect(await drain()).toBe(450);
  expect(await statuses()).toEqual({ applied: 450 });
  const rows = await db.sql`select name from flowlu.crm_account order by id`;
  expect(rows.map(({ name }) => name)).toEqual(Array.from({ length: 40 }, (_, id) => `n${id + (id < 10 ? 440 : 400)}`));
  const [line] =
    await db.sql`select attempts, applied_at is not null as timed, entity_id::text as id, decision, version is not null as dated from sync.deliveries order by deliveries.id limit 1`;
  expect(line).toEqual({ attempts: 1, timed: true, id: '1', decision: 'inserted', dated: true });
  expect(await drain()).toBe(0);
});

it('sets aside what cannot be applied, each with its reason, and applies all the rest', async () => {
  await db.sql`alter table flowlu.crm_account add constraint poison check (name not like 'poison%')`;
  try {
    const names = Array.from({ length: 60 }, (_, n) => (n % 20 === 7 ? `poison ${n}` : `fine ${n}`));
    await store([...names.map((name, n) => body(n + 1, name, n)), '{"meta":{"module":"crm"}}', 'no json at all']);
    expect(await drain()).toBe(62);
    expect(await statuses()).toEqual({ applied: 57, failed: 5 });
    const failed = await db.sql`select reason from sync.deliveries where status = 'failed' order by id`;
    expect(failed.map(({ reason }) => reason)).toEqual([
      ...Array(3).fill(expect.stringContaining('violates check constraint "poison"')),
      expect.stringContaining('meta.model'),
      expect.stringMatching(/JSON|token/i),
    ]);
    expect(await db.sql`select from flowlu.crm_account`).toHaveLength(57);
    expect(await drain()).toBe(0);
  } finally {
    await db.sql`alter table flowlu.crm_account drop constraint poison`;
  }
});

it('shares the work between replicas: each delivery is applied once, and nothing is lost', async () => {
  await store(Array.from({ length: 900 }, (_, n) => body((n % 7) + 1, `n${n}`, n)));
  const taken = await Promise.all([drain(), drain(other), drain(), drain(other)]);
  expect(taken.reduce((sum, count) => sum + count)).toBe(900);
  await drain();
  expect(await statuses()).toEqual({ applied: 900 });
  expect(await db.sql`select max(attempts) as most from sync.deliveries`).toEqual([{ most: 1 }]);
  const rows = await db.sql`select name from flowlu.crm_account order by id`;
  expect(rows.map(({ name }) => name)).toEqual(['n896', 'n897', 'n898', 'n899', 'n893', 'n894', 'n895']);
});

it('stops at its signal, between batches, and goes on from there', async () => {
  await store(Array.from({ length: 500 }, (_, n) => body(n + 1, 'x', n)));
  const stop = new AbortController();
  stop.abort();
  expect(await drain(db.sql, stop.signal)).toBe(0);
  expect(await drain()).toBe(500);
});

it('leaves what is blocked for later, not set aside, and applies the rest meanwhile', async () => {
  const lead = (id: number) => body(id, 'lead', id).replace('"account"', '"lead"');
  await store([body(1, 'one', 1), body(2, 'two', 2)]);
  await db.sql`insert into sync.deliveries (status, module, model, action, body) values
    ('pending', 'crm', 'lead', 'update', ${lead(1)}), ('pending', 'crm', 'lead', 'update', ${lead(2)})`;
  const blocked = createBlockedModels();
  const run = () => drainPending({ sql: other, context: { ...context, blocked }, log }, new AbortController().signal);
  await db.sql.begin(async (tx) => {
    await tx`lock table flowlu.crm_account`;
    expect(await run()).toBe(2);
    expect([...blocked.now().keys()]).toEqual(['crm.account']);
    // Known by now to be blocked, it costs the next call no wait.
    expect(await run()).toBe(0);
  });
  expect(await statuses()).toEqual({ applied: 2, pending: 2 });
  expect(await drain()).toBe(2);
  expect(await statuses()).toEqual({ applied: 4 });
});

it('leaves everything for later, without asking again at once, while a table that all models share is locked', async () => {
  await store([body(1, 'one', 1)]);
  const blocked = createBlockedModels();
  const run = (sql: Sql) => drainPending({ sql, context: { ...context, blocked }, log }, new AbortController().signal);
  await db.sql.begin(async (tx) => {
    await tx`lock table sync.history`;
    expect(await run(other)).toBe(0);
    // A pool that would fail: nothing is asked of it.
    expect(await run(null as unknown as Sql)).toBe(0);
  });
  expect(await statuses()).toEqual({ pending: 1 });
  expect(await drain()).toBe(1);
});
