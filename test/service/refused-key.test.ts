/** A key that Flowlu refuses is seen at once, everywhere, and is tried again rarely. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLogger } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { createClient } from '../../src/flowlu/client.ts';
import { createPace, localBudget } from '../../src/flowlu/pace.ts';
import { watchPortal } from '../../src/service/portal-watch.ts';
import { statusRoutes } from '../../src/status/routes.ts';
import { type Simulator, startSimulator } from '../simulator/index.ts';
import { sourceOf } from '../status/source.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startMirror } from '../support/mirror.ts';

const ACCOUNT = { module: 'crm', model: 'account', name: 'crm.account' } as const;
const never = new AbortController().signal;
const log = createLogger({ level: 'silent', version: 'test', secrets: [] });

let portal: Simulator;
let database: TestDatabase;

beforeAll(async () => {
  [portal, database] = await Promise.all([
    startSimulator({ rowsPerModel: { 'crm.account': 3 } }),
    createTestDatabase(),
  ]);
});
afterAll(async () => {
  await portal.close();
  await database.close();
});

const surfaces = () =>
  statusRoutes({
    ...sourceOf(database.sql),
    metrics: createMetrics(),
    log,
    token: null,
    isStopping: () => false,
  });
const ready = async () =>
  (await (await surfaces().request('/readyz')).json()) as { ready: boolean; degraded?: string[] };

it('is told by the page, the status and the readiness, since when and in whose words, until it works again', async () => {
  const { sql } = database;
  const process = (apiKey: string) => {
    const watch = watchPortal({ sql, log, requestsPerSecond: 1, byKey: true });
    const pace = createPace(0, localBudget());
    const client = createClient({
      baseUrl: portal.baseUrl,
      apiKey,
      pace,
      onRequest: watch.onRequest,
      retry: { baseMs: 1 },
    });
    return { watch, ask: () => client.list(ACCOUNT, {}, never).catch(() => null) };
  };
  expect(await ready()).not.toHaveProperty('degraded');

  const revoked = process('a-key-that-was-revoked');
  expect(await revoked.watch.mayAsk()).toBe(true);
  await revoked.ask();
  await expect.poll(ready).toMatchObject({ ready: true, degraded: ['key_refused'] });
  const page = await (await surfaces().request('/status')).text();
  expect(page).toMatch(/Flowlu refuses the API key \(.*error 11/);
  expect(page).toContain('Make a new key');
  expect(page).not.toContain('a-key-that-was-revoked');
  const refusedSince = async () => {
    const { findings } = await sourceOf(sql).health();
    return findings.find(({ code }) => code === 'key_refused')?.since;
  };
  const since = await refusedSince();
  expect(since).toMatch(/^2/);
  await revoked.ask();
  expect(await refusedSince()).toBe(since);
  // Once more after a start, in case that the key is a new one; then it rests.
  expect([await revoked.watch.mayAsk(), await revoked.watch.mayAsk()]).toEqual([true, false]);

  const renewed = process(portal.apiKey);
  expect(await renewed.watch.mayAsk()).toBe(true);
  await renewed.ask();
  await expect.poll(async () => Object.keys(await ready())).not.toContain('degraded');
  expect(await renewed.watch.mayAsk()).toBe(true);

  // Two processes with two keys: whatever the one notes, the other's next answer tells.
  await revoked.ask();
  await expect.poll(ready).toMatchObject({ degraded: ['key_refused'] });
  expect(await renewed.watch.mayAsk()).toBe(false);
  await renewed.ask();
  await expect.poll(async () => Object.keys(await ready())).not.toContain('degraded');
});

it('of a free plan, or at too high a rate, is told with what to do', async () => {
  const client = createClient({
    baseUrl: portal.baseUrl,
    apiKey: portal.apiKey,
    pace: createPace(0, localBudget()),
    retry: { attempts: 1 },
  });
  portal.faults.http429 = true;
  await expect(client.list(ACCOUNT, {}, never)).rejects.toThrow('FLOWLU_REQUESTS_PER_SECOND');
});

it('models that are refused for one reason are one finding, whatever their addresses are', async () => {
  const mirror = await startMirror({ rowsPerModel: { 'crm.account': 2, 'crm.lead': 2 } });
  try {
    mirror.portal.faults.errorCode = { value: 22 };
    await mirror.fill('crm.account', 'crm.lead');
    const { findings } = await sourceOf(mirror.sql).health();
    expect(findings.filter(({ code }) => code === 'models_unreadable')).toEqual([
      expect.objectContaining({
        sentence: '2 models not read: crm.account, crm.lead: refused: error 22, access denied',
        models: ['crm.account', 'crm.lead'],
      }),
    ]);
  } finally {
    await mirror.close();
  }
});

it('is kept before a command ends its connections', async () => {
  const other = await createTestDatabase();
  const watch = watchPortal({ sql: other.sql, log, requestsPerSecond: 1, byKey: true });
  const answer = { method: 'get', model: 'crm.account', status: 200, attempt: 1, duration_ms: 1 } as const;
  watch.onRequest({ ...answer, outcome: 'unauthorized', problem: 'api key revoked' });
  await watch.settled();
  const [row] = await other.sql`select value #>> '{}' as words from sync.measurements where fact = 'refused'`;
  expect(row).toEqual({ words: 'api key revoked' });
  await other.close();
});
