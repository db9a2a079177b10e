/** A running service follows the portal's custom fields: nobody restarts it, nobody runs a command. */
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createLogger } from '../../src/core/log.ts';
import { INTERVALS } from '../../src/service/background.ts';
import { SECRET, type Service, startService } from '../intake/service.ts';
import { type Simulator, startSimulator } from '../simulator/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { runHere } from './command.ts';

/** The machine may have other work. */
vi.setConfig({ testTimeout: 60_000 });

let source: Simulator;
let database: TestDatabase;
let replicas: readonly Service[] = [];
const { customFieldsMs } = INTERVALS;
const lines: string[] = [];

beforeAll(async () => {
  INTERVALS.customFieldsMs = 300;
  source = await startSimulator({
    rowsPerModel: { 'crm.lead': 20, 'customfields.fields': 8, 'customfields.fieldoptions': 40, 'core.user': 3 },
  });
  database = await createTestDatabase();
  const settings = {
    FLOWLU_BASE_URL: source.baseUrl,
    FLOWLU_API_KEY: source.apiKey,
    FLOWLU_REQUESTS_PER_SECOND: '0',
    FLOWLU_MODELS: 'crm.lead,core.user,customfields.*',
    RECONCILE_INTERVAL: '0',
    SWEEP_INTERVAL: '0',
  };
  const env = { ...settings, DATABASE_URL: database.url, WEBHOOK_SECRET: SECRET };
  const { code, stderr } = await runHere(['backfill'], { cwd: tmpdir(), env });
  expect(code, stderr).toBe(0);
  const log = createLogger({ level: 'info', stream: { write: (line) => void lines.push(line) } });
  const start = () => startService(database.url, settings, { log, isWhole: true });
  replicas = await Promise.all([start(), start()]);
  source.webhooks.configure({ url: `${replicas[0]?.url}/webhooks/flowlu/${SECRET}`, mode: 'live', retries: 3 });
}, 180_000);
afterAll(async () => {
  INTERVALS.customFieldsMs = customFieldsMs;
  await source?.close();
  await Promise.all(replicas.map((replica) => replica.close()));
  await database?.close();
});

const customColumns = async () => {
  const rows = await database.sql<{ name: string }[]>`
    select attname as name from pg_attribute
     where attrelid = 'flowlu_live.crm_lead'::regclass and attname like 'cf%' and not attisdropped order by attnum`;
  return rows.map(({ name }) => name);
};

it('a backfill ends with the custom fields as columns', async () => {
  expect(await customColumns()).toEqual(['cf_select_single_2', 'cf_select_single_2_raw', 'cf_smalltext_6']);
});

it('adding, renaming and deleting a field shows in the view within seconds', async () => {
  const { portal } = source;
  const soon = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 30_000, interval: 250 });
  portal.create('customfields.fields', {
    id: 700,
    module: 'crm',
    model: 'lead',
    name: 'Сумма договора',
    type: 'price',
    alias: '',
    api_use_alias: 0,
    webhook_use_alias: 0,
  });
  portal.update('crm.lead', 1, { cf_700: '1000000.01' });
  await soon(async () => {
    expect(await customColumns()).toContain('cf_summa_dogovora');
    const [row] = await database.sql`select cf_summa_dogovora as value from flowlu_live.crm_lead where id = 1`;
    expect(row?.value).toBe('1000000.01');
  });

  portal.update('customfields.fields', 700, { name: 'Contract value' });
  await soon(async () => {
    const [row] = await database.sql.unsafe(
      'select cf_contract_value as value, cf_summa_dogovora as former from flowlu_live.crm_lead where id = 1',
    );
    expect(row).toEqual({ value: '1000000.01', former: '1000000.01' });
  });

  portal.remove('customfields.fields', 700);
  await soon(async () =>
    expect(await customColumns()).toEqual(['cf_select_single_2', 'cf_select_single_2_raw', 'cf_smalltext_6']),
  );
  expect(lines.join('')).not.toMatch(/looking for custom fields failed/);
});
