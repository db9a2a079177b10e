/** The custom app as its user meets it: manifest, login, replicas that rotate tokens, the page in the frame. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { PLANS } from '../../src/reconcile/work.ts';
import { INTERVALS } from '../../src/service/background.ts';
import { loggerFor } from '../../src/service/session.ts';
import { ensureBuilt } from '../chaos/processes.ts';
import { type Service, startService } from '../intake/service.ts';
import { type Simulator, startSimulator } from '../simulator/index.ts';
import type { OAuthOptions, OAuthServer } from '../simulator/oauth.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { until } from '../support/eventually.ts';
import { type Command, type CommandOptions, runHere, start } from './command.ts';

vi.setConfig({ testTimeout: 120_000 });

const CLIENT_SECRET = 'the-client-secret-of-the-app';
const TOKEN_KEY = '9f'.repeat(32);

/** Where `login` listens itself, or `serve`, as the app has it registered. */
let loopback: string;
let port: number;
let cwd: string;
let outputs: string[] = [];
const usual = { ...INTERVALS, ...PLANS };

beforeAll(async () => {
  await ensureBuilt();
  cwd = await mkdtemp(join(tmpdir(), 'flowlu-mirror-app-'));
  INTERVALS.refusedMs = 500;
  PLANS.maxWait_s = 0.5;
  port = await freePort();
  loopback = `http://127.0.0.1:${port}/oauth/callback`;
}, 180_000);
afterAll(async () => {
  INTERVALS.refusedMs = usual.refusedMs;
  PLANS.maxWait_s = usual.maxWait_s;
  await rm(cwd, { recursive: true, force: true });
});

/** A port that was free a moment ago: a redirect address has to be known beforehand. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port: free } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return free;
}

describe('manifest', () => {
  const manifest = (words: string, env: Record<string, string> = {}) =>
    runHere(['manifest', ...words.split(' ').filter(Boolean)], {
      cwd,
      env: { FLOWLU_MODELS: 'crm.*,agile.*', ...env },
    });
  const PUBLIC = { PUBLIC_URL: 'https://mirror.example.com/' };

  it('prints the manifest alone on stdout, and what to tick and what is guessed on stderr', async () => {
    const { code, stdout, stderr } = await manifest('', PUBLIC);
    expect(code).toBe(0);
    const printed = JSON.parse(stdout);
    expect(printed.permissions).toEqual(['agile.read', 'crm.accounts.read', 'crm.deals.read']);
    expect(printed.entrypointURL).toBe('https://mirror.example.com/app');
    const { version } = JSON.parse((await runHere(['--version'], { cwd })).stdout.replace(/(.+)/, '{"version":"$1"}'));
    expect(printed.version).toBe(version);
    expect(stderr).toMatch(/crm\.lead +create update delete/);
    expect(stderr).toMatch(/Guessed.*agile\.read/);
    expect(printed).not.toHaveProperty('webhookURL');
  });

  it('without a public address ends with exit code 3 and addresses that lead nowhere', async () => {
    const { code, stdout, stderr } = await manifest('--json');
    expect(code).toBe(3);
    const { manifest: printed, scopes, triggers, notes } = JSON.parse(stdout);
    expect(new URL(printed.entrypointURL).hostname).toMatch(/\.invalid$/);
    expect(notes.join(' ')).toContain('PUBLIC_URL');
    expect(scopes).toContainEqual(expect.objectContaining({ permission: 'agile.read', basis: 'guessed' }));
    expect(triggers).toContainEqual({ model: 'crm.lead', actions: ['create', 'update', 'delete'] });
    expect(stderr).toBe('');
  });

  it('puts the webhook address in on request only', async () => {
    const env = { ...PUBLIC, WEBHOOK_SECRET: 'a-secret-of-enough-length' };
    expect((await manifest('', env)).stdout).not.toContain('a-secret');
    const { code, stdout, stderr } = await manifest('--webhook-url', env);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).webhookURL).toBe('https://mirror.example.com/webhooks/flowlu/a-secret-of-enough-length');
    expect(stderr).toContain('keep the manifest to yourself');
    expect((await manifest('--webhook-url', PUBLIC)).code).toBe(2);
  });

  it('compares with the installed one: 0 when it is the same, 3 when not, 2 for what is no manifest', async () => {
    const file = join(cwd, 'installed.json');
    await writeFile(file, (await manifest('', PUBLIC)).stdout);
    expect((await manifest(`--diff ${file}`, PUBLIC)).code).toBe(0);
    const narrower = await manifest(`--diff ${file} --json`, { ...PUBLIC, FLOWLU_MODELS: 'crm.*,fin.invoice' });
    expect(narrower.code).toBe(3);
    expect(JSON.parse(narrower.stdout)).toMatchObject({
      same: false,
      scopes_added: ['fin.read'],
      scopes_removed: ['agile.read'],
    });
    const words = await manifest(`--diff ${file}`, { ...PUBLIC, FLOWLU_MODELS: 'crm.*,fin.invoice' });
    expect(words.stdout).toMatch(/Webhooks that Flowlu will remove.*agile\.issues/s);
    expect(words.stdout).toMatch(/Webhooks that become possible.*fin\.invoice/s);
    await writeFile(file, '{"appId":"x"}');
    const broken = await manifest(`--diff ${file}`, PUBLIC);
    expect(broken).toMatchObject({ code: 2, stdout: '' });
    expect(broken.stderr).toContain('permissions');
    expect((await manifest('--diff /nowhere.json', PUBLIC)).code).toBe(2);
  });
});

describe('OAuth', () => {
  let source: Simulator;
  let server: OAuthServer;
  let db: TestDatabase;
  let env: Record<string, string>;
  let oauth: OAuthOptions;
  let running: Command[] = [];
  let here: Service[] = [];

  beforeEach(async () => {
    oauth = { clientId: 'app', clientSecret: CLIENT_SECRET, redirectUrls: [loopback], lifetime_s: 3_600 };
    source = await startSimulator({ rowsPerModel: { 'crm.account': 40, 'crm.lead': 20 }, oauth });
    server = source.oauth as OAuthServer;
    db = await createTestDatabase();
    env = {
      DATABASE_URL: db.url,
      FLOWLU_BASE_URL: source.baseUrl,
      FLOWLU_CLIENT_ID: 'app',
      FLOWLU_CLIENT_SECRET: CLIENT_SECRET,
      FLOWLU_OAUTH_AUTHORIZE_URL: `${source.oauthUrl}/authorize`,
      FLOWLU_OAUTH_TOKEN_URL: `${source.oauthUrl}/token`,
      FLOWLU_OAUTH_REDIRECT_URL: loopback,
      TOKEN_KEY,
      FLOWLU_REQUESTS_PER_SECOND: '0',
      FLOWLU_MODELS: 'crm.account,crm.lead',
      WEBHOOK_SECRET: 'a-secret-of-enough-length-4711',
      PORT: '0',
      LOG_LEVEL: 'trace',
      RECONCILE_INTERVAL: '300ms',
      SWEEP_INTERVAL: '0',
    };
    outputs = [];
  });
  afterEach(async () => {
    for (const command of running) {
      command.child.kill('SIGKILL');
      await command.ended;
      outputs.push(command.stdout(), command.stderr());
    }
    running = [];
    await Promise.all(here.map((service) => service.close()));
    here = [];
    const rows = await db.sql`select to_json(g)::text as text from sync.oauth_grant g
                              union all select to_json(r)::text from sync.oauth_requests r
                              union all select to_json(r)::text from sync.runs r`;
    const all = [...outputs, ...rows.map(({ text }) => text)].join('\n');
    const told = [...server.secrets, CLIENT_SECRET, TOKEN_KEY].filter((secret) => all.includes(secret));
    await source.close();
    await db.close();
    expect(told).toEqual([]);
  });

  const options = (more: Record<string, string> = {}): CommandOptions => ({ cwd, env: { ...env, ...more } });
  const cli = async (words: string, more: Record<string, string> = {}) => {
    const result = await runHere(words.split(' '), options(more));
    outputs.push(result.stdout, result.stderr);
    return result;
  };
  const begin = (words: string, more: Record<string, string> = {}) => {
    const command = start(words.split(' '), options(more));
    running.push(command);
    return command;
  };
  /** Follows the address that `login` prints, as a browser does. */
  const allow = async (login: Command, follow: 'follow' | 'manual' = 'follow') => {
    const [address = ''] = await login.says(/http:\/\/127\.0\.0\.1:\d+\/oauth\/authorize\S+/);
    return fetch(address, { redirect: follow });
  };
  /** What `serve` does, within this process, where its intervals can be shorter. */
  const serveHere = async () => {
    const write = (line: string) => void outputs.push(line);
    const log = loggerFor(loadConfig(options().env ?? {}), { write });
    const service = await startService(db.url, env, { log, isWhole: true });
    here.push(service);
    return service;
  };
  const logIn = async () => {
    const login = begin('login --json');
    expect((await allow(login)).status).toBe(200);
    expect(await login.ended).toBe(0);
    return login;
  };
  const state = async () =>
    (await db.sql`select state, generation::int as generation, problem from sync.oauth_grant`)[0];

  it('begins with a login that listens on loopback; then the portal is read with a token and no key', async () => {
    expect(await cli('backfill')).toMatchObject({ code: 2, stderr: expect.stringContaining('flowlu-mirror login') });
    const login = await logIn();
    expect(JSON.parse(login.stdout())).toMatchObject({ logged_in: true, expires_at: expect.any(String) });
    const backfill = await cli('backfill --json');
    expect(backfill.code).toBe(0);
    expect((await db.sql`select count(*)::int as rows from flowlu.crm_account`)[0]?.rows).toBe(40);
    const status = await cli('status --json');
    expect(JSON.parse(status.stdout).oauth).toMatchObject({ state: 'active', client_id: 'app' });
    const doctor = await cli('doctor --quick');
    expect(doctor.stdout).toMatch(/✔ login: logged in/);
    expect(doctor.stdout).toMatch(/✔ login: accepted/);
    const logout = await cli('logout');
    expect(logout.code).toBe(0);
    expect((await cli('backfill')).code).toBe(2);
    expect((await cli('logout --json')).stdout).toContain('"logged_out":false');
  });

  it('can end elsewhere: serve takes the answer, or a person pastes it', async () => {
    const serve = begin('serve', { PORT: String(port), RECONCILE_INTERVAL: '0' });
    await serve.says(/"listening"/);
    const login = begin('login');
    const response = await allow(login);
    expect(response.url).toContain(loopback);
    expect(await response.text()).toContain('Logged in');
    expect(await login.ended).toBe(0);
    serve.child.kill('SIGTERM');
    await serve.ended;

    // Registered for loopback only: the portal does not know another address.
    const second = begin('login', { FLOWLU_OAUTH_REDIRECT_URL: 'https://mirror.example.com/oauth/callback' });
    expect((await allow(second, 'manual')).status).toBe(400);

    const third = begin('login');
    const address = (await allow(third, 'manual')).headers.get('location') ?? '';
    const wrong = address.replace(/state=[^&]+/, `state=${'A'.repeat(43)}`);
    expect((await cli(`login --answer ${wrong}`)).code).toBe(1);
    const pasted = await cli(`login --answer ${address}`);
    expect(pasted.code).toBe(0);
    expect(await third.ended).toBe(0);
    expect((await cli(`login --answer ${address}`)).code).toBe(1);
    expect(await state()).toMatchObject({ state: 'active', generation: 2 });
  });

  it('ends too when the address is pasted into the waiting login, after a mistake as well', async () => {
    const login = start(['login'], { ...options(), input: true });
    running.push(login);
    const address = (await allow(login, 'manual')).headers.get('location') ?? '';
    login.child.stdin?.write('what shall I paste here?\n');
    await login.says(/that is not the address/);
    login.child.stdin?.write(`${address}\n`);
    expect(await login.ended).toBe(0);
    expect(await state()).toMatchObject({ state: 'active', generation: 1 });
  });

  it('two replicas rotate short-lived tokens for a while without using one twice', async () => {
    await logIn();
    oauth.lifetime_s = 2;
    await logIn();
    const before = server.log.length;
    await Promise.all([serveHere(), serveHere()]);
    await until(() => server.log.length >= before + 3, 60_000);
    const said = server.log.slice(before);
    expect(new Set(said)).toEqual(new Set(['refresh']));
    expect(await state()).toMatchObject({ state: 'active', problem: null });
    expect((await db.sql`select count(*)::int as rows from flowlu.crm_account`)[0]?.rows).toBe(40);
    expect(await db.sql`select kind from sync.runs where status = 'failed'`).toEqual([]);
  });

  it('a withdrawn authorization stops the asking, shows everywhere, and is mended by logging in', async () => {
    await logIn();
    const { url } = await serveHere();
    await expect
      .poll(async () => (await db.sql`select 1 from sync.watermarks`).length, { timeout: 20_000 })
      .toBeGreaterThan(0);
    server.revokeAll();
    await db.sql`update sync.oauth_grant set issued_at = issued_at - interval '1 minute', expires_at = expires_at - interval '1 minute'`;
    await expect.poll(async () => (await state())?.state, { timeout: 40_000 }).toBe('refused');
    // What is due looks at the grant, again and again, and asks nobody.
    const looks = async () =>
      Number(
        (
          await db.sql`select seq_scan + coalesce(idx_scan, 0) as n from pg_stat_user_tables where relname = 'oauth_grant'`
        )[0]?.n,
      );
    const resting = await looks();
    await until(async () => (await looks()) > resting, 60_000);
    source.requests.clear();
    const [asked, begun] = [server.log.length, await looks()];
    await until(async () => (await looks()) > begun + 1, 60_000);
    expect(source.requests.total()).toBe(0);
    expect(server.log.length).toBe(asked);
    const status = await cli('status');
    expect(status.code).toBe(3);
    expect(status.stdout).toMatch(/the portal refuses the refresh token.*flowlu-mirror login/);
    const doctor = await cli('doctor --quick');
    expect(doctor.code).toBe(3);
    expect(doctor.stdout).toMatch(/✖ login: Flowlu has withdrawn the login \(the portal refuses the refresh token/);
    expect(await (await fetch(`${url}/app`)).text()).toContain('needs a look');
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    await logIn();
    await expect.poll(() => source.requests.total(), { timeout: 20_000 }).toBeGreaterThan(0);
    expect((await cli('status')).code).toBe(0);
  });

  it('a process killed between the portal and the database leaves a plain reason behind', async () => {
    await logIn();
    server.faults.slowMs = 3_000;
    await db.sql`update sync.oauth_grant set expires_at = clock_timestamp()`;
    const killed = begin('backfill');
    await expect.poll(() => server.log.at(-1), { timeout: 30_000 }).toBe('refresh');
    killed.child.kill('SIGKILL');
    await killed.ended;
    delete server.faults.slowMs;
    const next = await cli('backfill');
    expect(next.code).not.toBe(0);
    expect((await state())?.problem).toContain('an earlier refresh was cut off, and the tokens it brought are lost');
    expect(server.log.slice(-2)).toEqual(['refresh', 'invalid_grant']);
  });

  it('is never mixed with a key, and says what it lacks', async () => {
    const both = await cli('backfill', { FLOWLU_API_KEY: 'a-key-that-must-not-be' });
    expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining('set together with FLOWLU_API_KEY') });
    const { code, stderr } = await cli('backfill', { TOKEN_KEY: '', FLOWLU_OAUTH_TOKEN_URL: '' });
    expect(code).toBe(2);
    expect(stderr).toContain('TOKEN_KEY');
    expect(stderr).toContain('FLOWLU_OAUTH_TOKEN_URL');
    expect((await cli('login', { FLOWLU_CLIENT_ID: '' })).code).toBe(2);
  });

  it('survives a rotation of the key, and says so where the former one is missing', async () => {
    await logIn();
    const young = '11'.repeat(32);
    const rotated = await cli('doctor --quick', { TOKEN_KEY: `${young},${TOKEN_KEY}` });
    expect(rotated.stdout).toMatch(/! login: .*former key/);
    expect((await cli('backfill', { TOKEN_KEY: `${young},${TOKEN_KEY}` })).code).toBe(0);
    const lost = await cli('backfill', { TOKEN_KEY: young });
    expect(lost.code).toBe(1);
    expect(lost.stderr).toContain('TOKEN_KEY does not list');
  });

  it('the page in the frame answers GET and POST, big or small, and logs nothing of what it is sent', async () => {
    const serve = begin('serve', { RECONCILE_INTERVAL: '0' });
    const [, url = ''] = await serve.says(/"url":"([^"]+)"/);
    const page = await fetch(`${url}/app?member=acme&lang=en`);
    expect(page.status).toBe(200);
    expect(page.headers.get('content-security-policy')).toContain(`frame-ancestors ${new URL(source.baseUrl).origin}`);
    const body = new URLSearchParams({ access_token: 'user-token-4711', refresh_token: 'user-refresh-4711' });
    expect((await fetch(`${url}/app`, { method: 'POST', body })).status).toBe(200);
    const big = await fetch(`${url}/app`, { method: 'POST', body: 'x'.repeat(5_000_000) }).catch(() => null);
    expect(big === null || big.status === 200 || big.status === 413).toBe(true);
    for (const path of ['/status', '/oauth/callback?code=user-code-4711&state=x', '/app/icon.svg']) {
      const { headers } = await fetch(`${url}${path}`);
      expect(headers.get('content-security-policy'), path).toContain("frame-ancestors 'none'");
    }
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    expect(serve.stdout() + serve.stderr()).not.toContain('4711');
  });
});
