/** `serve` left to itself: an empty mirror that fills under webhooks, and a mirror that comes back after an absence. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pruneDeliveries } from '../../src/store/deliveries/replay.ts';
import { compareWithSource } from '../simulator/compare.ts';
import { type Simulator, startSimulator } from '../simulator/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { ledgerProblems, startLoad } from './load.ts';
import { API_KEY, ensureBuilt, runCli, type Service, type Settings, startServe } from './processes.ts';
import { type Chance, chanceFor } from './random.ts';

const MODELS = ['crm.account', 'crm.lead', 'crm.industry', 'task.tasks', 'crm.lead_accounts'];

let db: TestDatabase;
let source: Simulator;
let chance: Chance;
let settings: Settings;
let service: Service;

beforeAll(async () => {
  await ensureBuilt();
  chance = chanceFor('unattended');
  [db, source] = await Promise.all([
    createTestDatabase(),
    startSimulator({
      seed: chance.seed,
      apiKey: API_KEY,
      latencyMs: 40,
      rowsPerModel: Object.fromEntries(MODELS.map((name) => [name, name === 'crm.industry' ? 60 : 900])),
    }),
  ]);
  settings = {
    DATABASE_URL: db.url,
    FLOWLU_BASE_URL: source.baseUrl,
    FLOWLU_API_KEY: API_KEY,
    FLOWLU_MODELS: MODELS.join(','),
    FLOWLU_REQUESTS_PER_SECOND: '0',
    RECONCILE_INTERVAL: '1s',
    SWEEP_INTERVAL: '3s',
    SETTLE_GRACE: '200ms',
  };
}, 180_000);

afterAll(async () => {
  await service?.kill();
  await source?.close();
  await db?.close();
});

const nextBody = () => source.webhooks.body(source.portal.randomChange(chance.next, MODELS));
const differences = async () => (await compareWithSource(db.url, source.portal, MODELS)).differences;

describe('serve', () => {
  it('on an empty mirror takes webhooks from the first second, backfills by itself and is right at the end', async () => {
    service = await startServe(settings);
    const load = startLoad({ target: () => service.url, next: nextBody, connections: 4, pauseMs: 20 });
    await eventually(
      async () => load.acknowledged.size,
      (size) => size >= 60,
      20_000,
    );
    await load.stop();
    expect(load.answers.every(({ status }) => status === 200)).toBe(true);
    await eventually(differences, (left) => left.length === 0, 40_000);
    expect(await ledgerProblems(db.sql, load.acknowledged)).toEqual([]);
  }, 90_000);

  it('after an absence finds what it missed, deletions included, and announces nothing that is not so', async () => {
    await service.stop();
    for (let n = 0; n < 150; n += 1) source.portal.randomChange(chance.next, MODELS);
    service = await startServe(settings);
    await eventually(differences, (left) => left.length === 0, 40_000);
    await service.stop();
  }, 90_000);
});

describe('exit codes of reconcile', () => {
  const reconcile = (...words: string[]) => runCli(['reconcile', ...words], settings);
  const tombstones = async () =>
    (await db.sql`select count(*)::int as gone from flowlu.crm_account where _deleted_at is not null`)[0]
      ?.gone as number;

  it('are 1 for a key revoked in the middle of a sweep, 3 for a module that is refused, and nothing is tombstoned', async () => {
    source.limits.latencyMs = 0;
    expect(await reconcile('--full')).toMatchObject({ code: 0 });
    const before = await tombstones();
    source.faults.errorCode = { value: 11, skip: 4 };
    const revoked = await reconcile('--full');
    expect(revoked.code).toBe(1);
    expect(revoked.output).toMatch(/authorization failed/);
    for (const value of [22, 31]) {
      source.faults.errorCode = { value, models: ['crm.account'] };
      for (const flags of [['--full'], []]) {
        const refused = await reconcile(...flags);
        expect(refused.code).toBe(3);
        expect(refused.output).toMatch(/crm\.account: guarded, refused, though it was listed before/);
      }
    }
    delete source.faults.errorCode;
    expect(await tombstones()).toBe(before);
  }, 60_000);

  it('are 3 for a listing that shrank beyond the guard, until the operator types how many rows may go: no row is buried that the source has', async () => {
    const before = await tombstones();
    source.faults.cutListing = { models: ['crm.account'] };
    const cut = await reconcile('--full', 'crm.account');
    expect(cut.code).toBe(3);
    expect(cut.output).toMatch(/--allow-deletes \d+/);
    // Even confirmed, each row is asked for; the source has them all.
    expect((await reconcile('--full', 'crm.account', '--allow-deletes', '1000')).code).toBe(0);
    delete source.faults.cutListing;
    expect(await tombstones()).toBe(before);

    const gone = [...source.portal.rows('crm.account')].slice(0, 200).map(({ id }) => String(id));
    for (const id of gone) source.portal.remove('crm.account', id);
    // A few are asked for in each sweep all the same, and what only webhooks have told of.
    expect((await reconcile('--full', 'crm.account', '--allow-deletes', '1')).code).toBe(3);
    expect(await tombstones()).toBeLessThan(before + 200);
    expect((await reconcile('--full', 'crm.account', '--allow-deletes', '200')).code).toBe(0);
    expect(await tombstones()).toBe(before + 200);
    expect(await differences()).toEqual([]);
  }, 60_000);
});

describe('letting go of old deliveries', () => {
  it('includes failed ones after a time of their own, and says so', async () => {
    await db.sql`
      insert into sync.deliveries (received_at, status, body, reason)
      select clock_timestamp() - n * interval '1 day', 'failed', 'x', 'test' from generate_series(6, 8) n`;
    service = await startServe({ ...settings, RECONCILE_INTERVAL: '0', SWEEP_INTERVAL: '0', FAILED_RETENTION: '7d' });
    const left = async () => (await db.sql`select from sync.deliveries where status = 'failed'`).length;
    await eventually(left, (count) => count === 1, 30_000);
    await eventually(
      async () => service.output(),
      (text) => /"deliveries":2,.*older than FAILED_RETENTION/.test(text),
      30_000,
    );
    await service.stop();
  }, 60_000);

  it('never holds up intake, and keeps what has failed or still waits', async () => {
    await db.sql`
      insert into sync.deliveries (received_at, status, module, model, action, entity_id, body, reason)
      select clock_timestamp() - interval '40 days',
             case when n % 1000 = 0 then 'failed' when n % 1000 = 1 then 'pending' else 'applied' end,
             'crm', 'account', 'update', n, '{"meta":{"module":"crm","model":"account","action":"noted"},"current":{"id":1}}', null
        from generate_series(1, 30000) n`;
    service = await startServe({
      ...settings,
      RECONCILE_INTERVAL: '0',
      SWEEP_INTERVAL: '0',
      DELIVERY_RETENTION: '30d',
    });
    const load = startLoad({ target: () => service.url, next: nextBody, connections: 4, pauseMs: 5 });
    const old = async () => {
      const rows = await db.sql`
        select status, count(*)::int as count from sync.deliveries
         where received_at < clock_timestamp() - interval '30 days' group by 1`;
      return Object.fromEntries(rows.map(({ status, count }) => [status, count])) as Record<string, number>;
    };
    // The pending ones are applied first and go with the next round, which this test does not wait for.
    await eventually(old, ({ applied = 0 }) => applied <= 30, 30_000);
    await pruneDeliveries(db.sql, 30 * 86_400_000, new AbortController().signal);
    await load.stop();
    expect((await old()).failed).toBe(30);
    expect(await pruneDeliveries(db.sql, 41 * 86_400_000, new AbortController().signal, 'failed')).toBe(0);
    expect(await pruneDeliveries(db.sql, 39 * 86_400_000, new AbortController().signal, 'failed')).toBe(30);
    expect((await old()).failed).toBeUndefined();
    expect(load.answers.every(({ status }) => status === 200)).toBe(true);
  }, 60_000);
});
