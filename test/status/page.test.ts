/** What the status page says and does not say, without a browser; `npm run test:pages` looks at it in one. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createLogger } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { connect, type Sql } from '../../src/postgres/connection.ts';
import { appRoutes } from '../../src/status/app-routes.ts';
import type { Expectations } from '../../src/status/facts.ts';
import type { ReportSource } from '../../src/status/report.ts';
import { statusRoutes } from '../../src/status/routes.ts';
import { grantWords } from '../../src/status/words.ts';
import type { GrantStatus } from '../../src/store/grant.ts';
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
function surfaces(given: Partial<Expectations> = {}, sql: Sql = database.sql, parts: Partial<ReportSource> = {}) {
  const source = { ...sourceOf(sql, given), ...parts };
  const log = createLogger({ level: 'silent' });
  const options = { ...source, metrics: createMetrics(), log, token: null, isStopping: () => false };
  const status = statusRoutes(options);
  const app = appRoutes({ health: source.health, frameAncestors: [] });
  return {
    page: async (query = '') => (await status.request(`/status${query}`)).text(),
    data: async () =>
      (await (await status.request('/status.json')).json()) as Record<string, unknown> & {
        findings: { code: string; severity: string; sentence: string; remedy: string | null; models?: string[] }[];
      },
    ready: async () => (await status.request('/readyz')).json(),
    guarded: async () => (await statusRoutes({ ...options, token: 'a-token' }).request('/readyz')).json(),
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
  insert into sync.listings (model, kind, started_at, rows_read, total, requests, is_open, finished_at, outcome, reason)
  values (${model}, 'backfill', now() - interval '1 minute', ${rows}, ${total}, ${Math.ceil(rows / 100)}, ${!isFinished},
          ${isFinished ? database.sql`now()` : null}, ${isFinished ? (reason === null ? 'complete' : 'skipped') : null}, ${reason})`;
const arrived = (status: string, reason: string | null = null) => database.sql`
  insert into sync.deliveries (received_at, status, module, model, action, entity_id, body, reason)
  values (now() - interval '12 seconds', ${status}, 'crm', 'account', 'update', 1, '{}', ${reason})`;

it.each([
  ['42501', /could not be read: the database role lacks a right/, /grant flowlu_writer/],
  ['XX000', /could not be read$/, /The log has the reason/],
])('says why it cannot be read, where the database answers %s', async (code, sentence, remedy) => {
  const readSecretUse = () => Promise.reject(Object.assign(new Error('no'), { code }));
  const { data, page } = surfaces({}, database.sql, { readSecretUse });
  const { state, findings } = await data();
  expect(state).toBe('bad');
  expect(findings[0]).toMatchObject({
    sentence: expect.stringMatching(sentence),
    remedy: expect.stringMatching(remedy),
  });
  expect(await page()).toMatch(remedy);
});

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
  // By whichever process, as after a restart.
  const last_recorded_at = expect.stringMatching(/^20\d\d-\d\d-\d\dT/);
  expect(await ready()).toEqual({ ready: true, last_recorded_at });
  expect(await app()).toContain('up to date');
});

it('does not call a mirror up to date into which nothing was read', async () => {
  const { page, data, app } = surfaces();
  const text = await page();
  expect(titleOf(text)).toMatch(/Nothing has been read from Flowlu yet/);
  expect(text).toContain('flowlu-mirror backfill');
  expect(await data()).toMatchObject({ state: 'reading', needs_person: false, first_reading: null });
  expect(await app()).not.toContain('up to date');
});

it('calls nothing wrong during the first reading, and says how far it is', async () => {
  await database.sql`
    with run as (insert into sync.runs (kind, status) values ('reconcile', 'running') returning id)
    insert into sync.leases select 'run ' || id, 'one', now() + interval '100 seconds' from run`;
  await listing('crm.account', 4_000, 4_000, true);
  await listing('crm.lead', 200, 16_000, false);
  await compared();
  const { page, data, app } = surfaces();
  const text = await page();
  expect(text).toMatch(/First reading: 1 of 2 models, 4,200 of about 20,000 rows, \d+ min left/);
  expect(text).toContain('<progress');
  expect(text).not.toMatch(/Needs a look|Out of order/);
  expect(await data()).toMatchObject({ state: 'reading', needs_person: false, running: { models: 0 } });
  const shown = await app();
  expect(shown).toContain('is being filled');
  expect(shown).not.toContain('was compared');
});

it.each([
  ['interrupted', 0],
  // Its process was killed.
  ['running', null],
  ['failed', 3_600],
  ['done', 3_600],
])(
  'says that the first reading was interrupted where the last run is %s and nobody goes on',
  async (status, ended_s) => {
    await database.sql`
    insert into sync.runs (kind, status, finished_at) values ('backfill', ${status}, now() - ${ended_s}::int * interval '1 second')`;
    await listing('crm.account', 4_000, 4_000, true);
    await listing('crm.lead', 200, 16_000, false);
    const { page, data } = surfaces();
    const text = await page();
    expect(titleOf(text)).toMatch(/^! The first reading was interrupted at 1 of 2 models, 4,200 of about 20,000 rows/);
    expect(text).toContain('flowlu-mirror backfill');
    expect(text).not.toMatch(/(s|min|h) left|being filled|<progress/);
    expect(await data()).toMatchObject({ state: 'care', needs_person: true });
    // A service begins its next run within moments.
    await database.sql`insert into sync.runs (kind, status, finished_at) values ('sweep', 'done', now())`;
    expect(await surfaces().data()).toMatchObject({ state: 'reading', needs_person: false });
  },
);

it('calls a first reading that has just begun no trouble, unless one has failed', async () => {
  await database.sql`
    with run as (insert into sync.runs (kind, status) values ('reconcile', 'running') returning id)
    insert into sync.leases select 'run ' || id, 'one', now() + interval '100 seconds' from run`;
  const begun = await surfaces().data();
  expect(begun).toMatchObject({
    state: 'reading',
    headline: 'First reading: 0 of 2 models, 0 rows',
    needs_person: false,
  });
  await database.sql`insert into sync.runs (kind, status, finished_at) values ('sweep', 'failed', now())`;
  expect(await surfaces().data()).toMatchObject({ state: 'bad', findings: [{ code: 'not_compared' }, {}] });
});

it('puts what is wrong on top, since when and with what to type, and every surface says the same', async () => {
  await compared();
  await arrived('failed', 'numeric field overflow');
  await listing('crm.account', 5, 5, true, 'refused: no right <script>alert(1)</script>');
  await listing('crm.lead', 5, 5, true);
  await database.sql`
    insert into sync.measurements (model, fact, value, measured_at) values ('*', 'refused', '"error 11"', now() - interval '3 hours')`;
  const { page, data, ready, metrics, app, guarded } = surfaces();
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
  expect(text).toContain('1 model not read: crm.account');
  expect(text).not.toContain('<script>alert');
  const codes = ['key_refused', 'deliveries_failed', 'models_unreadable'];
  expect((await data()).findings.map(({ code }) => code)).toEqual(codes);
  expect(await data()).toMatchObject({ state: 'bad', needs_person: true });
  const told = (await data()).findings.map(({ severity: _, models: __, ...finding }) => finding);
  expect(await ready()).toMatchObject({ ready: true, degraded: codes, findings: told });
  // Whoever has no token is told what the mirror suffers from, and nothing of what it holds.
  expect(await guarded()).toMatchObject({ ready: true, degraded: codes, findings: told.slice(0, 1) });
  for (const code of codes) expect(await metrics()).toContain(`flowlu_mirror_findings{code="${code}"`);
  expect(await app()).toContain('is out of order');
});

it('says everywhere that nobody is logged in where the portal is read by OAuth, whether or not anything was read before', async () => {
  for (const read of [async () => {}, compared]) {
    await read();
    const { page, data, ready, metrics, app } = surfaces({ oauthClient: 'app' });
    expect(titleOf(await page())).toMatch(/^✖ Nobody is logged in to Flowlu, so nothing is read/);
    const { state, needs_person, findings } = await data();
    expect({ state, needs_person }).toEqual({ state: 'bad', needs_person: true });
    expect(findings[0]).toMatchObject({ code: 'not_logged_in', command: 'flowlu-mirror login' });
    expect(await ready()).toMatchObject({ ready: true, degraded: ['not_logged_in'] });
    expect(await metrics()).toContain('flowlu_mirror_findings{code="not_logged_in"');
    expect(await app()).toContain('Nobody is logged in to Flowlu');
  }
  const grant = (client: string) => database.sql`
    insert into sync.oauth_grant (client_id, generation, state, sealed, granted_at, issued_at)
    values (${client}, 1, 'active', 'v1.x.y', now(), now())
        on conflict (id) do update set client_id = excluded.client_id`;
  await grant('another');
  expect(titleOf(await surfaces({ oauthClient: 'app' }).page())).toContain('of another app than FLOWLU_CLIENT_ID');
  await grant('app');
  expect((await surfaces({ oauthClient: 'app' }).data()).state).toBe('good');
  await database.sql`delete from sync.oauth_grant`;
  expect((await surfaces().data()).state).toBe('good');
});

it('speaks of a key where the portal is read by one, and of the login where it is read by OAuth', async () => {
  await compared();
  await listing('crm.account', 5, 5, true, 'refused: access denied');
  await database.sql`
    insert into sync.doubtful (model, entity_id, reason, refusal) values ('crm.lead', 7, 'a test', 'forbidden')`;
  await database.sql`
    insert into sync.oauth_grant (client_id, generation, state, sealed, granted_at, issued_at)
    values ('app', 1, 'active', 'v1.x.y', now(), now())`;
  const said = async (oauthClient: string | null) => {
    const { findings } = await surfaces({ oauthClient }).data();
    expect(findings.map(({ code }) => code)).toEqual(expect.arrayContaining(['models_unreadable', 'rows_hidden']));
    return findings.map(({ sentence, remedy }) => `${sentence}. ${remedy}`).join('\n');
  };
  const byKey = await said(null);
  expect(byKey).toContain("Give the key's user the right to read them");
  expect(byKey).toContain('The key sees fewer rows than there are: Flowlu refuses crm.lead id 7.');
  const byLogin = await said('app');
  await database.sql`delete from sync.oauth_grant`;
  expect(byLogin).toContain('Give the user who logged in the right to read them');
  expect(byLogin).toContain('The login sees fewer rows');
  expect(byLogin).toContain('Log in as an administrator');
  expect(byLogin).not.toMatch(/\bkey\b/i);
});

it('is one finding for all models with one thing to do, which fits the reason', async () => {
  await compared();
  await listing('crm.account', 5, 5, true, 'the portal counts 7 rows but sent 5');
  await listing('crm.lead', 5, 5, true, 'the portal counts 8 rows but sent 5');
  await listing('crm.emails', 5, 5, true, 'the portal counts 8 rows but sent 5; these break every list: 4');
  await listing('crm.industry', 5, 5, true, 'HTTP 502');
  await listing('crm.pipeline', 0, 0, true, 'the portal lists no row any more, and counts none');
  await database.sql`
    update sync.listings set outcome = case model when 'crm.industry' then 'failed' else 'incomplete' end`;
  const errors = { 'crm.account': 'HTTP 502', 'crm.emails': 'HTTP 503' };
  for (const [model, error] of Object.entries(errors))
    await database.sql`insert into sync.watermarks (model, last_error) values (${model}, ${error})`;
  const { findings } = await surfaces().data();
  const unread = findings.filter(({ code }) => code === 'models_unreadable');
  expect(unread).toEqual([
    expect.objectContaining({
      sentence:
        '2 models not read in full: crm.account (the portal counts 7 rows but sent 5), crm.lead (the portal counts 8 rows but sent 5)',
      remedy: expect.stringMatching(/does not list: deletes are asked for one by one.*nothing is to be done$/),
      models: ['crm.account', 'crm.lead'],
    }),
    expect.objectContaining({ models: ['crm.emails'], remedy: expect.stringMatching(/save them again/) }),
    expect.objectContaining({ models: ['crm.industry'], remedy: expect.stringMatching(/tried again by itself/) }),
    expect.objectContaining({ models: ['crm.pipeline'], remedy: expect.stringMatching(/mirrored of them is kept/) }),
  ]);
  expect(findings.filter(({ code }) => code === 'catch_up_failed')).toMatchObject([
    { sentence: '2 models could not be caught up: crm.account (HTTP 502), crm.emails (HTTP 503)' },
  ]);
});

it('says how much room failed deliveries take once they are many, and how long they stay', async () => {
  await compared();
  const fail = (deliveries: number) => database.sql`
    insert into sync.deliveries (status, body, reason)
    select 'failed', 'x', 'it names no record id' from generate_series(1, ${deliveries}::int)`;
  const finding = async () => (await surfaces().data()).findings.find(({ code }) => code === 'deliveries_failed');
  await fail(10_000);
  expect(await finding()).toMatchObject({ severity: 'care', sentence: '10,000 deliveries could not be applied' });
  await fail(1);
  expect(await finding()).toMatchObject({
    severity: 'bad',
    sentence: '10,001 deliveries could not be applied, 1 MiB of them',
  });
  expect(await surfaces().page()).toMatch(/kept for FAILED_RETENTION; .*change the secret/);
});

it('says that the database is left alone where DATABASE_SLEEP is set', async () => {
  await compared();
  const napping = surfaces({ sleep_s: 1_800 });
  expect(await napping.page()).toMatch(/left alone for up to 30 min at a time while nothing comes in/);
  expect(await napping.data()).toMatchObject({ database_sleep_seconds: 1_800 });
  expect(await surfaces().page()).not.toContain('left alone');
});

it('tells models that the portal lacks, and those not read yet, from empty ones', async () => {
  await database.sql`insert into sync.watermarks (model, last_reconciled_at) values ('crm.account', now())`;
  await listing('crm.lead', 0, 0, true, 'not in this portal (error 31)');
  await listing('crm.account', 0, 0, true);
  // Those that the settings leave out are not missed.
  const { page, data } = surfaces({ models: ['crm.account', 'crm.lead', 'crm.emails', 'system.comments'] });
  const text = await page();
  expect(text).toContain('1 model is not in this portal</summary><p class="inside muted">crm.lead</p>');
  expect(text).toContain('1 model is empty</summary><p class="inside muted">crm.account</p>');
  // Without a list there is nothing to be read.
  expect(text).toContain('1 model is filled by webhooks alone</summary><p class="inside muted">system.comments</p>');
  expect(text).toContain('1 model not read yet and without a row</summary><p class="inside muted">crm.emails</p>');
  const { models } = (await data()) as unknown as { models: { model: string; absent: boolean }[] };
  expect(models.filter(({ absent }) => absent).map(({ model }) => model)).toEqual(['crm.lead']);
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

it('says how old a login is and how long it lasts in words, not in timestamps', () => {
  const grant = {
    state: 'active',
    issued_at: '2026-05-01T10:00:00Z',
    expires_at: '2026-05-01T12:00:00Z',
    problem: null,
  } as GrantStatus;
  expect(grantWords(grant, '2026-05-01T10:30:00Z')).toBe('tokens given 30 min ago, good for another 90 min');
  expect(grantWords(grant, '2026-05-01T12:10:00Z')).toBe('tokens given 2 h ago, ended 10 min ago');
  expect(grantWords({ ...grant, expires_at: null }, '2026-05-01T10:00:09Z')).toBe('tokens given 9 s ago');
});

it('shows code as code, without the marks of the text', async () => {
  await arrived('failed', 'no good');
  await compared();
  const { page, data } = surfaces();
  expect((await data()).findings[0]?.remedy).toContain('`status` lists them');
  const text = (await page()).replace(/<script>.*<\/script>/s, '');
  expect(text).toContain('<code>status</code> lists them');
  expect(text).not.toContain('`');
});

it('says in words how long changes are on their way', async () => {
  await database.sql`
    insert into sync.deliveries (received_at, status, module, model, action, entity_id, body, version, applied_at)
    values (now(), 'applied', 'crm', 'account', 'update', 1, '{}', now() - interval '3 hours', now())`;
  const text = await surfaces().page();
  expect(text).toContain('lately half of them within 3 h');
  expect(text).toContain('at worst half of them within 3 h');
});
