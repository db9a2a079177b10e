/** What `doctor` says as a whole: each cause once, in the words of the status page. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { createLogger } from '../../src/core/log.ts';
import type { Check } from '../../src/doctor/check.ts';
import { examine } from '../../src/doctor/examine.ts';
import { beginLogin, completeLogin, readAnswer } from '../../src/oauth/login.ts';
import { loginDepsOf } from '../../src/service/authorization.ts';
import { noteTrouble } from '../../src/store/measurements.ts';
import { startService } from '../intake/service.ts';
import { type Simulator, startSimulator } from '../simulator/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { until } from '../support/eventually.ts';
import { never } from '../support/mirror.ts';

const REDIRECT = 'http://127.0.0.1:1/oauth/callback';

let portal: Simulator;
let database: TestDatabase;
beforeAll(async () => {
  [portal, database] = await Promise.all([
    startSimulator({
      rowsPerModel: { 'crm.account': 3 },
      oauth: { clientId: 'app', clientSecret: 'a-client-secret', redirectUrls: [REDIRECT], lifetime_s: 3_600 },
    }),
    createTestDatabase(),
  ]);
});
beforeEach(() => database.sql`truncate sync.oauth_grant, sync.measurements`);
afterAll(async () => {
  await portal.close();
  await database.close();
});

const oauth = () => ({
  FLOWLU_CLIENT_ID: 'app',
  FLOWLU_CLIENT_SECRET: 'a-client-secret',
  FLOWLU_OAUTH_AUTHORIZE_URL: `${portal.oauthUrl}/authorize`,
  FLOWLU_OAUTH_TOKEN_URL: `${portal.oauthUrl}/token`,
  FLOWLU_OAUTH_REDIRECT_URL: REDIRECT,
  TOKEN_KEY: '9f'.repeat(32),
});

/** What fails. */
async function failures(env: Record<string, string>): Promise<readonly Check[]> {
  return (await checksOf(env)).filter(({ status }) => status === 'fail');
}

async function checksOf(env: Record<string, string>): Promise<readonly Check[]> {
  const checks: Check[] = [];
  const config = configOf(env);
  const log = createLogger({ level: 'silent' });
  await examine({ config, log, signal: never, say: () => {} }, { quick: true }, (check) => checks.push(check));
  return checks;
}

const configOf = (env: Record<string, string>) =>
  loadConfig({
    DATABASE_URL: database.url,
    FLOWLU_BASE_URL: portal.baseUrl,
    FLOWLU_MODELS: 'crm.account',
    FLOWLU_REQUESTS_PER_SECOND: '0',
    WEBHOOK_SECRET: 'a-secret-of-enough-length-4711',
    ...env,
  });

it('says once, and as the page does, that nobody is logged in', async () => {
  expect(await failures(oauth())).toEqual([
    {
      name: 'login',
      status: 'fail',
      found: 'Nobody is logged in to Flowlu, so nothing is read',
      advice: 'Log in; until then changes come by webhook only. Run: flowlu-mirror login',
    },
  ]);
});

it('speaks of the login where the portal withdraws what it has granted, however lately', async () => {
  const logIn = async () => {
    const config = configOf(oauth()).flowlu.oauth;
    if (config === null) throw new Error('no OAuth');
    const deps = loginDepsOf(config, database.sql);
    const { url } = await beginLogin(deps);
    const { headers } = await fetch(url, { redirect: 'manual' });
    await completeLogin(deps, readAnswer(headers.get('location') ?? ''));
  };
  await logIn();
  expect(await failures(oauth())).toEqual([]);
  portal.faults.http401 = { probability: 1 };
  const refused = await failures(oauth());
  delete portal.faults.http401;
  expect(refused).toMatchObject([{ name: 'login', found: expect.stringMatching(/^Flowlu refuses the login \(/) }]);
  portal.oauth?.revokeAll();
  expect(await failures(oauth())).toMatchObject([
    { name: 'login', found: expect.stringMatching(/^Flowlu has withdrawn the login \(the portal refuses/) },
  ]);
});

it('says once, and as the page does, that the key is refused, whether or not that was known', async () => {
  for (const since of ['unknown', 'known']) {
    if (since === 'known') await noteTrouble(database.sql, 'refused', 'error 11: an earlier answer');
    expect(await failures({ FLOWLU_API_KEY: 'a-key-that-was-revoked' })).toEqual([
      {
        name: 'key',
        status: 'fail',
        found: expect.stringMatching(/^Flowlu refuses the API key \(error [^/]*revoked"\)$/),
        advice: expect.stringMatching(/^Make a new key .*\. Run: flowlu-mirror reconcile$/),
      },
    ]);
  }
});

it('asks for the models that the settings name beside the catalogue, and counts them in what reading everything takes', async () => {
  const [used, empty] = await Promise.all([
    startSimulator({ rowsPerModel: { 'crm.account': 7, 'crm.lead': 250 } }),
    createTestDatabase(),
  ]);
  try {
    const config = configOf({
      FLOWLU_BASE_URL: used.baseUrl,
      FLOWLU_API_KEY: used.apiKey,
      FLOWLU_EXTRA_MODELS: 'crm.lead,asset.asset',
      DATABASE_URL: empty.url,
    });
    const checks: Check[] = [];
    const log = createLogger({ level: 'silent' });
    await examine({ config, log, signal: never, say: () => {} }, {}, (check) => checks.push(check));
    const found = (name: string) => checks.find((check) => check.name === name)?.found;
    expect(found('rights at the portal')).toBe('2 of 3 models asked for can be read');
    expect(found('not in this portal')).toContain('asset.asset');
    expect(found('to read everything')).toMatch(/^257 rows take about 5 requests/);
  } finally {
    await Promise.all([used.close(), empty.close()]);
  }
});

it('tells what is found also where a look at the views fails', async () => {
  const { sql } = database;
  await sql`alter view flowlu_reports.invoices rename to invoices_elsewhere`;
  await sql`insert into sync.deliveries (status, body) values ('failed', '{}')`;
  try {
    const names = (await checksOf({ FLOWLU_API_KEY: portal.apiKey })).flatMap(({ name, status, found }) =>
      status === 'ok' ? [] : [`${name}: ${found}`],
    );
    expect(names).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^codes and invoices: could not be looked at: .*does not exist/),
        'mirror: 1 delivery could not be applied',
      ]),
    );
  } finally {
    await sql`delete from sync.deliveries`;
    await sql`alter view flowlu_reports.invoices_elsewhere rename to invoices`;
  }
});

it('does not wait for a webhook that nobody would receive, and says why one is refused', async () => {
  const checksFor = async (port: string) => {
    const checks: Check[] = [];
    const config = configOf({ PORT: port, HOST: '127.0.0.1' });
    const context = { config, log: createLogger({ level: 'silent' }), signal: never };
    const texts: string[] = [];
    const say = (text: string) => void texts.push(text);
    const said = (pattern: RegExp) => until(() => texts.some((text) => pattern.test(text)));
    const done = examine({ ...context, say }, { quick: true, webhook: true }, (check) => checks.push(check));
    return { said, webhook: done.then(() => checks.filter(({ name }) => name === 'webhook')) };
  };
  const service = await startService(database.url);
  const port = new URL(service.url).port;
  try {
    const { said, webhook } = await checksFor(port);
    await said(/waiting for a webhook/);
    await fetch(`${service.url}/webhooks/flowlu/a-guess`, { method: 'POST', body: '{}' });
    await said(/may be of strangers.*still waiting/);
    await service.post('no JSON');
    await service.session.tally.flush();
    const found = expect.stringMatching(/right secret cannot be read/);
    expect(await webhook).toEqual([expect.objectContaining({ status: 'fail', found })]);
  } finally {
    await service.close();
  }
  const { webhook } = await checksFor(port);
  const found = `no \`serve\` is running here: nothing listens on 127.0.0.1:${port}`;
  expect(await webhook).toMatchObject([{ status: 'fail', found }]);
});
