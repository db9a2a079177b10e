import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { models } from '../../src/catalog/index.ts';
import { loadConfig } from '../../src/config/index.ts';
import type { Check } from '../../src/doctor/check.ts';
import { checkDatabase } from '../../src/doctor/database.ts';
import { measurePages } from '../../src/doctor/pages.ts';
import { checkPortal, checkPossible, checkUser, KEY, type Right } from '../../src/doctor/portal.ts';
import { probeQueries, type VersionedModel } from '../../src/doctor/probe.ts';
import { checkSettings } from '../../src/doctor/settings.ts';
import { checkZone } from '../../src/doctor/zone.ts';
import { webhookDelay } from '../../src/mirror-rows/reads.ts';
import { connect } from '../../src/postgres/connection.ts';
import { createZone } from '../../src/record/zone.ts';
import { answer, startPortal } from '../flowlu/portal.ts';
import { clearFaults } from '../simulator/index.ts';
import { createEmptyDatabase } from '../support/database.ts';
import { type Mirror, never, startMirror } from '../support/mirror.ts';
import { startWireProxy } from '../support/wire-proxy.ts';

let mirror: Mirror;
beforeAll(async () => {
  mirror = await startMirror({ rowsPerModel: { 'crm.account': 60 }, edition: 'flowlu' });
});
afterAll(() => mirror.close());
afterEach(() => clearFaults(mirror.portal.faults));

const ERROR_31 = '{"error":{"error_code":31,"error_msg":"unknown module"}}';
const brief = (checks: readonly Check[]) => Object.fromEntries(checks.map(({ name, status }) => [name, status]));

async function collect<T>(work: (report: (check: Check) => void) => Promise<T>) {
  const checks: Check[] = [];
  const result = await work((check) => checks.push(check));
  return { result, checks, brief: brief(checks) };
}

describe('doctor: settings', () => {
  const check = (env: Record<string, string>, node = '20.19.0') => brief(checkSettings(loadConfig(env), node));

  it('expects a Node.js that is new enough, a secret and a limit for a real portal', () => {
    const good = { WEBHOOK_SECRET: 'x'.repeat(48), FLOWLU_COMPANY: 'acme', FLOWLU_API_KEY: 'k' };
    expect(check(good)).toEqual({ 'Node.js': 'ok', 'webhook secret': 'ok', 'request rate': 'ok', models: 'ok' });
    expect(check(good, '20.18.9')['Node.js']).toBe('fail');
    expect(check({})['webhook secret']).toBe('warn');
    expect(check({ ...good, FLOWLU_REQUESTS_PER_SECOND: '0' })['request rate']).toBe('warn');
  });
});

describe('doctor: database', () => {
  it('finds a migrated database in order', async () => {
    const { result, brief } = await collect((report) => checkDatabase(mirror.sql, 'here', report));
    expect(result).toBe(true);
    // Other tests share the server, and make logins that reach all mirrors on it.
    const { 'reach of logins': _, durability, ...found } = brief;
    // The server of the tests is one that may forget.
    const [server] = await mirror.sql`select current_setting('fsync') as fsync`;
    expect(durability).toBe(server?.fsync === 'off' ? 'warn' : undefined);
    expect(new Set(Object.values(found))).toEqual(new Set(['ok']));
    expect(found).toMatchObject({ 'database version': 'ok', encoding: 'ok', clock: 'ok', rights: 'ok', schema: 'ok' });
  });

  it('writes a row, and says that a pooler forgets prepared statements', async () => {
    const { url } = mirror.database;
    const proxy = await startWireProxy(url, { forgetsStatements: true });
    const sql = connect(proxy.url(url), { applicationName: 'flowlu-mirror test', max: 4 });
    try {
      const { checks } = await collect((report) => checkDatabase(sql, 'here', report));
      const writing = checks.find(({ name }) => name === 'writing');
      expect(writing).toMatchObject({ status: 'warn', found: expect.stringContaining('a pooler') });
    } finally {
      await sql.end({ timeout: 1 });
      await proxy.close();
    }
  });

  it.each([
    ['a full disk', '', "raise exception 'no space' using errcode = 'disk_full'", /disk of the database is full/],
    [
      'a server that takes no writes',
      '?options=-c%20default_transaction_read_only%3Don',
      'return new',
      /takes no writes/,
    ],
    ['a missing right', '', "raise exception 'no' using errcode = '42501'", /lacks a right/],
  ])('writes a row, and says what is wrong where that fails: %s', async (_, parameters, statement, words) => {
    const { url, sql: owner } = mirror.database;
    await owner.unsafe(
      `create function public.refuse() returns trigger language plpgsql as 'begin ${statement.replaceAll("'", "''")}; end'`,
    );
    await owner`create trigger refuse before insert on sync.deliveries for each row execute function public.refuse()`;
    const sql = connect(`${url}${parameters}`, { applicationName: 'flowlu-mirror test', max: 2 });
    try {
      const { checks } = await collect((report) => checkDatabase(sql, 'here', report));
      expect(checks.find(({ name }) => name === 'writing')).toMatchObject({
        status: 'fail',
        found: expect.stringMatching(words),
      });
    } finally {
      await sql.end({ timeout: 1 });
      await owner`drop function public.refuse() cascade`;
    }
  });

  it('says that an empty database is not migrated, and that another one is away', async () => {
    const empty = await createEmptyDatabase();
    try {
      const { result, brief: found } = await collect((report) => checkDatabase(empty.sql, 'here', report));
      expect(result).toBe(false);
      expect(found).toMatchObject({ database: 'ok', schema: 'warn' });
    } finally {
      await empty.close();
    }
    const { result, brief: found } = await collect((report) => checkDatabase(empty.sql, 'here', report));
    expect(result).toBe(false);
    expect(found).toEqual({ database: 'fail' });
  });
});

describe('doctor: portal', () => {
  const ask = () => collect((report) => checkPortal(mirror.client, mirror.portal.baseUrl, models, report, never));

  it('asks once for each model, and names those without right and those that the edition lacks', async () => {
    mirror.portal.faults.errorCode = { models: ['fin.*'], value: 22 };
    mirror.portal.requests.clear();
    const { checks, brief: found, result } = await ask();
    expect(found).toMatchObject({ portal: 'ok', key: 'ok', 'no right': 'warn', 'not in this portal': 'ok' });
    expect(checks.find(({ name }) => name === 'no right')?.found).toMatch(/^fin\./);
    expect(mirror.portal.requests.entries.length).toBe(models.filter(({ listable }) => listable).length);
    expect(new Set(mirror.portal.requests.entries.map(({ query }) => query.limit))).toEqual(new Set(['1']));
    expect(result?.find(({ model }) => model.name === 'crm.account')?.total).toBe(60);
  });

  it('does not take a portal for none because it answers HTTP 404 for the models that are asked for first', async () => {
    mirror.portal.faults.http404 = { models: ['crm.account', 'crm.lead', 'agile.*'] };
    const { checks, brief: found } = await ask();
    clearFaults(mirror.portal.faults);
    expect(found).toMatchObject({ portal: 'ok', key: 'ok', 'not in this portal': 'ok' });
    expect(found).not.toHaveProperty('not readable now');
    expect(checks.find(({ name }) => name === 'not in this portal')?.found).toContain('crm.account');
  });

  it('tells whose rights the key has, and warns of a user who is no administrator', async () => {
    const user = (fields: string) =>
      startPortal((request, response, url) =>
        answer(200, url.pathname.endsWith('/core/user/get') ? `{"response":{"id":3,${fields}}}` : ERROR_31)(
          request,
          response,
          url,
        ),
      );
    for (const [fields, status, found] of [
      ['"name":"Ann","role_admin":1', 'ok', 'Ann'],
      ['"name":"Bo","role_admin":"0"', 'warn', 'Bo, not an administrator'],
      ['"username":"c@x"', 'ok', 'c@x'],
    ] as const) {
      await using portal = await user(fields);
      const { checks } = await collect((report) => checkUser(portal.client(), report, never));
      expect(checks).toMatchObject([{ status, found }]);
    }
  });

  it('advises to give rights to the user of the key, or to who logged in', async () => {
    await using portal = await startPortal((request, response, url) => {
      const user = '{"response":{"id":3,"name":"Bo","role_admin":"0"}}';
      const denied = '{"error":{"error_code":22,"error_msg":"access denied"}}';
      answer(200, url.pathname.endsWith('/core/user/get') ? user : denied)(request, response, url);
    });
    const adviceBy = async (right: Right) => {
      const { checks } = await collect(async (report) => {
        await checkPortal(portal.client(), portal.baseUrl, models, report, never, right);
        await checkUser(portal.client(), report, never, right);
      });
      return JSON.stringify(checks);
    };
    const byKey = await adviceBy(KEY);
    expect(byKey).toContain("give the key's user rights");
    expect(byKey).toContain('use the key of an administrator');
    const byLogin = await adviceBy({ ...KEY, name: 'login' });
    expect(byLogin).toContain('give the user who logged in rights');
    expect(byLogin).toContain('log in as an administrator');
    expect(byLogin).not.toMatch(/\bkey\b/i);
  });

  it('suggests models that the catalogue does not know and the portal has, beside those that are named already', async () => {
    await using portal = await startPortal((request, response, url) => {
      const isThere = /orgchart\/department|asset\/asset/.test(url.pathname);
      answer(200, isThere ? '{"response":{"total":0,"items":[]}}' : ERROR_31)(request, response, url);
    });
    const { checks } = await collect((report) => checkPossible(portal.client(), ['asset.asset'], report, never));
    expect(checks).toMatchObject([
      {
        found: 'this portal also has orgchart.department',
        advice: 'FLOWLU_EXTRA_MODELS=asset.asset,orgchart.department',
      },
    ]);
  });

  it('stops at a key that is refused, and at a portal that does not answer', async () => {
    mirror.portal.faults.errorCode = { value: 11 };
    expect(await ask()).toMatchObject({ result: null, brief: { portal: 'ok', key: 'fail' } });
    clearFaults(mirror.portal.faults);
    mirror.portal.faults.htmlLogin = true;
    expect(await ask()).toMatchObject({ result: null, brief: { portal: 'fail' } });
  });
});

describe('doctor: pages', () => {
  const RATE = { requestsPerSecond: 1, backgroundShare: 0.5 };

  it('names the models that the portal does not count beside what it takes to read the others', async () => {
    const readable = [
      { model: mirror.model('crm.account'), total: 60 },
      { model: mirror.model('crm.lead'), total: null },
    ];
    const checks = await measurePages(mirror.client, readable, { asked: 2, mirrored: 2, ...RATE }, never);
    expect(checks.at(-1)?.found).toMatch(/^60 rows .*; more for crm\.lead, which the portal does not count$/);
  });

  it('counts a request for each model that the portal lacks, and says when it has not asked for all', async () => {
    const readable = [{ model: mirror.model('crm.account'), total: 60 }];
    const said = async (asked: number) =>
      (await measurePages(mirror.client, readable, { asked, mirrored: 98, ...RATE }, never)).at(-1);
    expect(await said(98)).toMatchObject({
      name: 'to read everything',
      found: expect.stringMatching(/^60 rows take about (98|99) requests: (98|99) s by `backfill`, 3 min by `serve`$/),
    });
    expect(await said(1)).toMatchObject({
      name: 'to read these models',
      found: expect.stringMatching(/^60 rows of the 1 model asked for, of 98 mirrored, take about [12] requests/),
    });
  });
});

describe('doctor: sorting and filters', () => {
  const probe = async () => {
    const { checks, versions } = await probeQueries(
      mirror.client,
      mirror.model('crm.account') as VersionedModel,
      never,
    );
    return { checks, versions, found: brief(checks) };
  };
  const everything = {
    'sorting by id': 'ok',
    'filter on id': 'ok',
    'sorting by time of change': 'ok',
    'filter on time of change': 'ok',
  };

  it('finds what the portal honours', async () => {
    const { found, versions } = await probe();
    expect(found).toEqual(everything);
    expect(versions.length).toBeGreaterThan(20);
  });

  it.each([
    [{ ignoreFilters: true }, { 'filter on id': 'warn', 'filter on time of change': 'warn' }],
    [{ ignoreFilters: { value: 'date' } }, { 'filter on time of change': 'warn' }],
    [{ ignoreFilters: { value: 'more' } }, { 'filter on id': 'warn' }],
    [{ ignoreOrder: true }, { 'sorting by id': 'warn', 'sorting by time of change': 'warn' }],
    [{ ignoreOrder: { value: 'non-id' } }, { 'sorting by time of change': 'warn' }],
    [{ dateBounds: { value: 'exclusive' } }, {}],
  ] as const)('sees through %j, and blames nothing else', async (faults, expected) => {
    Object.assign(mirror.portal.faults, structuredClone(faults));
    expect((await probe()).found).toEqual({ ...everything, ...expected });
  });

  it.each([
    ['order_by', ['sorting by id', 'sorting by time of change']],
    ['filter[id]', ['filter on id']],
    ['filter[updated_date]', ['filter on time of change']],
  ])('tells a portal that refuses %s from one that ignores it, and blames nothing else', async (parameter, refused) => {
    mirror.portal.faults.http500 = { parameter };
    const { checks } = await probe();
    for (const { name, found } of checks) {
      expect(found).toBe(`${refused.includes(name) ? 'refused' : 'honoured'} (on crm.account)`);
    }
    mirror.portal.faults.http500 = {};
    await expect(probe()).rejects.toThrow('HTTP 500');
  });
});

describe('doctor: time zone', () => {
  const now = Date.parse('2026-06-01T12:00:00Z');
  const changes = (...versions: readonly string[]) => ({ models: ['crm.account', 'crm.lead'], versions });
  const judge = (zone: string, newest: string, delay: Parameters<typeof checkZone>[2] = null) =>
    checkZone(createZone(zone), changes('2026-05-01 00:00:00', newest), delay, now).status;

  it('refuses a zone in which changes would lie ahead', () => {
    expect(judge('UTC', '2026-06-01 11:58:00')).toBe('ok');
    expect(judge('UTC', '2026-06-01 12:03:00')).toBe('ok');
    expect(judge('UTC', '2026-06-01 15:00:00')).toBe('fail');
    expect(judge('Europe/Moscow', '2026-06-01 15:00:00')).toBe('ok');
  });

  it('does not call checked what no change of just now can show, unless webhooks do', () => {
    const old = (delay: Parameters<typeof checkZone>[2]) =>
      checkZone(createZone('UTC'), changes('2026-05-01 00:00:00'), delay, now);
    expect(judge('UTC', '2026-06-01 11:41:00')).toBe('ok');
    // The nearest zones lie half an hour apart, and the portal's may be one where it is that much earlier.
    expect(judge('Asia/Kolkata', '2026-06-01 17:00:00')).toBe('warn');
    expect(judge('Asia/Tokyo', '2026-06-01 12:58:00')).toBe('warn');
    for (const delay of [null, { rows: 3, median_s: 5 }, { rows: 50, median_s: -3 * 3_600 }]) {
      expect(old(delay)).toMatchObject({
        status: 'warn',
        found: expect.stringContaining('not checked'),
        advice: expect.stringMatching(/change a record of crm\.account or crm\.lead in Flowlu.* doctor/),
      });
    }
    expect(old({ rows: 50, median_s: 5 }).status).toBe('ok');
    expect(checkZone(createZone('UTC'), changes(), null, now)).toMatchObject({ status: 'warn' });
  });

  it('doubts a zone in which webhooks seem to come hours late', async () => {
    expect(judge('UTC', '2026-06-01 09:00:00', { rows: 50, median_s: 3 * 3_600 })).toBe('warn');
    expect(judge('UTC', '2026-06-01 09:00:00', { rows: 3, median_s: 3 * 3_600 })).toBe('warn');
    expect(judge('UTC', '2026-06-01 11:50:00', { rows: 3, median_s: 3 * 3_600 })).toBe('ok');
    const changes = Array.from({ length: 12 }, () => mirror.portal.portal.create('crm.account'));
    await mirror.deliver(...changes);
    const delay = await webhookDelay(mirror.sql, mirror.model('crm.account'));
    expect(delay.rows).toBe(12);
    expect(Math.abs(delay.median_s ?? 99)).toBeLessThan(30);
  });
});
