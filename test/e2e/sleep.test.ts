/** DATABASE_SLEEP: a service that nobody needs leaves its database alone, and goes on as soon as somebody comes. */
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { ensureBuilt, runCli, SECRET, type Service, startServe } from '../chaos/processes.ts';
import { type Simulator, startSimulator } from '../simulator/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

vi.setConfig({ testTimeout: 120_000 });

let source: Simulator;
let database: TestDatabase;
let service: Service;

beforeAll(async () => {
  await ensureBuilt();
  source = await startSimulator({ rowsPerModel: { 'crm.lead': 20 } });
  database = await createTestDatabase();
  const settings = {
    DATABASE_URL: database.url,
    FLOWLU_BASE_URL: source.baseUrl,
    FLOWLU_API_KEY: source.apiKey,
    FLOWLU_REQUESTS_PER_SECOND: '0',
    FLOWLU_MODELS: 'crm.lead',
    RECONCILE_INTERVAL: '500ms',
    SETTLE_GRACE: '100ms',
  };
  const { code, output } = await runCli(['backfill'], settings);
  expect(code, output).toBe(0);
  service = await startServe({ ...settings, DATABASE_SLEEP: '8s' });
}, 180_000);
afterAll(async () => {
  await service?.stop();
  await source?.close();
  await database?.close();
});

const connections = async () => {
  const [row] = await database.sql`
    select count(*)::int as open from pg_stat_activity
     where datname = current_database() and application_name = 'flowlu-mirror serve'`;
  return row?.open as number;
};
const asleep = () => eventually(connections, (open) => open === 0, 60_000);
const nameOf = async (id: number) =>
  (await database.sql`select name from flowlu.crm_lead where id = ${id}`)[0]?.name as string | undefined;
const becomes = (id: number, name: string) =>
  eventually(
    () => nameOf(id),
    (found) => found === name,
    60_000,
  );

it('leaves the database alone, also for checks of health and metrics, and finds after a nap what nobody has announced', async () => {
  // Of what was never asked, nothing is known.
  expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
  await asleep();
  expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
  expect((await fetch(`${service.url}/metrics`)).status).toBe(200);
  expect(await connections()).toBe(0);
  source.portal.update('crm.lead', 3, { name: 'unannounced' });
  await becomes(3, 'unannounced');
});

it('takes a webhook at once and does all that is to be done with it, and shows who looks how things are', async () => {
  await asleep();
  source.portal.update('crm.lead', 4, { name: 'unannounced as well' });
  source.webhooks.configure({ url: `${service.url}/webhooks/flowlu/${SECRET}`, mode: 'live', retries: 3 });
  await source.webhooks.send(source.portal.update('crm.lead', 5, { name: 'announced' }));
  expect(await nameOf(5)).toBe('announced');
  await becomes(4, 'unannounced as well');
  await asleep();
  const status = await fetch(`${service.url}/status.json`);
  expect(await status.json()).toMatchObject({ state: 'good', needs_person: false });
  expect(await connections()).toBeGreaterThan(0);
});

it('is refused beside several workers', async () => {
  const { code, output } = await runCli(['serve', '--workers', '2'], {
    DATABASE_URL: database.url,
    DATABASE_SLEEP: '30m',
  });
  expect(code).toBe(2);
  expect(output).toContain('DATABASE_SLEEP is for one process');
});
