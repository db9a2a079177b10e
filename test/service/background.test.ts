/** What runs by itself, and what it counts. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { startBackground } from '../../src/service/background.ts';
import { openSession } from '../../src/service/session.ts';
import { until } from '../support/eventually.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';

let mirror: Mirror;
beforeAll(async () => {
  mirror = await startMirror({ rowsPerModel: { 'crm.account': 30 } });
  await mirror.fill('crm.account');
  await mirror.sql`update sync.schedule set swept_from = swept_from - interval '2 hours'`;
});
afterAll(() => mirror.close());

const settings = () => ({
  DATABASE_URL: mirror.database.url,
  FLOWLU_MODELS: 'crm.account',
  RECONCILE_INTERVAL: '0',
  SWEEP_INTERVAL: '0',
  WEBHOOK_SECRET: 'a-secret-of-enough-length-4711',
});
const open = (given: Record<string, string>, stop: AbortController) =>
  openSession(loadConfig(given), { log: mirror.log, signal: stop.signal, command: 'test', onMirror: 'define' });

it('deliveries that wait keep the database from being left alone', async () => {
  const stop = new AbortController();
  const session = await open(settings(), stop);
  let stirred = 0;
  const naps = { ...session.naps, stir: () => (stirred += 1) };
  const background = startBackground({ ...session, naps }, null, stop.signal);
  try {
    await mirror.sql.begin(async (tx) => {
      await tx`lock table flowlu.crm_account`;
      await mirror.sql`
        insert into sync.deliveries (status, module, model, action, entity_id, body)
        values ('pending', 'crm', 'account', 'update', 1, ${'{"meta":{"module":"crm","model":"account","action":"update"},"current":{"id":1}}'})`;
      await until(() => stirred >= 2);
    });
  } finally {
    stop.abort();
    await Promise.all(background.all.map(({ ended }) => ended));
    await session.close();
  }
});

it('a sweep counts the rows that it found as they were, and those that it wrote', async () => {
  mirror.portal.portal.create('crm.account');
  const stop = new AbortController();
  const api = {
    FLOWLU_BASE_URL: mirror.portal.baseUrl,
    FLOWLU_API_KEY: mirror.portal.apiKey,
    FLOWLU_REQUESTS_PER_SECOND: '0',
  };
  const session = await open({ ...settings(), ...api, SWEEP_INTERVAL: '1h' }, stop);
  const background = startBackground(session, { client: mirror.client, background: mirror.client }, stop.signal);
  const rows = async (outcome: string) => {
    const { values } = await session.metrics.sweepRows.get();
    return values.find(({ labels }) => labels.outcome === outcome)?.value ?? 0;
  };
  try {
    await until(async () => (await rows('written')) + (await rows('unchanged')) >= 31);
    expect([await rows('written'), await rows('unchanged')]).toEqual([1, 30]);
  } finally {
    stop.abort();
    await Promise.all(background.all.map(({ ended }) => ended));
    await session.close();
  }
});
