/** What the status page says and does not say, without a browser; `npm run test:pages` looks at it in one. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createLogger } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { connect, type Sql } from '../../src/postgres/connection.ts';
import { appRoutes } from '../../src/status/app-routes.ts';
import type { Expectations } from '../../src/status/facts.ts';
import { statusRoutes } from '../../src/status/routes.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { sourceOf } from './source.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(
  () =>
    database.sql`truncate sync.runs, sync.deliveries, sync.measurements, sync.listings, sync.watermarks, sync.doubtful`,
);
afterAll(() => database.close());

/** A new service each time, since readings are kept for some seconds. */
function surfaces(given: Partial<Expectations> = {}, sql: Sql = database.sql) {
  const source = sourceOf(sql, given);
  const log = createLogger({ level: 'silent' });
  const status = statusRoutes({ ...source, metrics: createMetrics(), log, token: null, isStopping: () => false });
  const app = appRoutes({ health: source.health, frameAncestors: [] });
  return {
    page: async (query = '') => (await status.request(`/status${query}`)).text(),
    data: async () =>
      (await (await status.request('/status.json')).json()) as Record<string, unknown> & {
        findings: { code: string }[];
      },
    ready: async () => (await status.request('/readyz')).json(),
    metrics: async () => (await status.request('/metrics')).text(),
    app: async () => (await app.request('/app')).text(),
    response: (path: string) => status.request(path),
  };
}

const titleOf = (page: string) => page.match(/<title>(.*?)<\/title>/)?.[1];
const compared = () =>
  database.sql`insert into sync.watermarks (model, last_reconciled_at) values ('crm.lead', now() - interval '2 minutes')`;
const listing = (
  model: string,
  rows: number,
  total: number,
  isFinished: boolean,
  reason: string | null = null,
) => database.sql`
  insert into sync.listings (model, kind, started_at, rows_read, total, requests, finished_at, outcome, reason)
  values (${model}, 'backfill', now() - interval '1 minute', ${rows}, ${total}, ${Math.ceil(rows / 100)},
          ${isFinished ? database.sql`now()` : null}, ${isFinished ? (reason === null ? 'complete' : 'skipped') : null}, ${reason})`;
const arrived = (status: string, reason: string | null = null) => database.sql`
  insert into sync.deliveries (received_at, status, module, model, action, entity_id, body, reason)
  values (now() - interval '12 seconds', ${status}, 'crm', 'account', 'update', 1, '{}', ${reason})`;

it('is up to date where nothing is wrong: in a headline, a sentence and the title', async () => {
  await compared();
  await arrived('applied');
  await listing('crm.account', 5, 5, true);
  await listing('crm.lead', 5, 5, true);
  const { page, data, ready, app } = surfaces();
  const text = await page();
  expect(titleOf(text)).toMatch(/^✔ Up to date/);
  expect(text).toMatch(
    /Last webhook 1\d s ago, last comparison 1\d\d s ago|Last webhook 1\d s ago, last comparison 2 min ago/,
  );
  // The exact time is there for whoever points at the age.
  expect(text).toMatch(/<time datetime="20[^"]+" title="20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC">1\d s ago<\/time>/);
  expect(await data()).toMatchObject({ state: 'good', findings: [], needs_person: false });
  expect(await ready()).toEqual({ ready: true, last_recorded_at: null });
  expect(await app()).toContain('up to date');
});

it('calls nothing wrong during the first reading, and says how far it is', async () => {
  await database.sql`
    with run as (insert into sync.runs (kind, status) values ('reconcile', 'running') returning id)
    insert into sync.leases select 'run ' || id, 'one', now() + interval '1 hour' from run`;
  await listing('crm.account', 4_000, 4_000, true);
  await listing('crm.lead', 200, 16_000, false);
  const { page, data, app } = surfaces();
  const text = await page();
  expect(text).toMatch(/First reading: 1 of 2 models, 4,200 of about 20,000 rows, \d+ min left/);
  expect(text).toContain('<progress');
  expect(text).not.toMatch(/Needs a look|Out of order/);
  expect(await data()).toMatchObject({ state: 'reading', needs_person: false, running: { models: 0 } });
  expect(await app()).toContain('is being filled');
});

it('puts what is wrong on top, since when and with what to type, and every surface says the same', async () => {
  await compared();
  await arrived('failed', 'numeric field overflow');
  await listing('crm.account', 5, 5, true, 'refused: no right <script>alert(1)</script>');
  await listing('crm.lead', 5, 5, true);
  await database.sql`
    insert into sync.measurements (model, fact, value, measured_at) values ('*', 'refused', '"error 11"', now() - interval '3 hours')`;
  const { page, data, ready, metrics, app } = surfaces();
  const text = await page();
  expect(titleOf(text)).toMatch(/^✖ Flowlu refuses the API key \(error 11\)/);
  const at = (words: string) => text.indexOf(words);
  const places = [
    'refuses the API key (error 11)</h1>',
    'flowlu-mirror reconcile',
    'replay --failed',
    'Models</h2>',
  ].map(at);
  expect(places.every((place) => place > 0)).toBe(true);
  expect(places).toEqual(places.toSorted((a, b) => a - b));
  expect(text).toContain('1 model not read in full: crm.account');
  expect(text).not.toContain('<script>alert');
  const codes = ['key_refused', 'deliveries_failed', 'models_unreadable'];
  expect((await data()).findings.map(({ code }) => code)).toEqual(codes);
  expect(await data()).toMatchObject({ state: 'bad', needs_person: true });
  expect(await ready()).toMatchObject({ ready: true, degraded: codes });
  for (const code of codes) expect(await metrics()).toContain(`flowlu_mirror_findings{code="${code}"`);
  expect(await app()).toContain('needs a look');
});

it('finds models by a part of their names without its script', async () => {
  await database.sql`insert into flowlu.crm_account (id, _record, _hash, _observed_at, _source) values (1, '{}', gen_random_uuid(), now(), 'api')`;
  const { page } = surfaces();
  expect(await page('?q=ACCOUNT')).toContain('>account<');
  expect(await page('?q=lead')).not.toContain('>account<');
  expect(await page('?q=%22%3E%3Cscript%3Ealert')).not.toContain('<script>alert');
  await database.sql`truncate flowlu.crm_account`;
});

it('runs its own script alone, and loads nothing from elsewhere', async () => {
  const response = await surfaces().response('/status');
  const text = await response.text();
  const script = text.match(/<script>(.*?)<\/script>/s)?.[1] ?? '';
  const hash = createHash('sha256').update(script).digest('base64');
  const policy = response.headers.get('content-security-policy');
  expect(policy).toContain(`script-src 'sha256-${hash}'`);
  expect(policy).toMatch(/^default-src 'none'.*frame-ancestors 'none'$/);
  expect(text).not.toMatch(/src=|url\(|@import|\son\w+=|href="(?!data:)/);
});

it('is a page with 503 while the database is away, and says what to check', async () => {
  const nobody = connect('postgres://nobody@127.0.0.1:1/nothing', { applicationName: 'flowlu-mirror test' });
  const { response, ready } = surfaces({}, nobody);
  const answer = await response('/status');
  const text = await answer.text();
  expect(answer.status).toBe(503);
  expect(titleOf(text)).toMatch(/^✖ The database is away/);
  expect(text).toContain('Look at the server and at DATABASE_URL');
  expect(await ready()).toMatchObject({ ready: false, problem: 'The database is away' });
  await nobody.end({ timeout: 1 });
});
