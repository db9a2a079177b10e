/** The portal's facts in `sync.settings` are written by `serve`, `backfill` and `rebuild` alone, whatever shell the others run in. */
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ensureBuilt } from '../chaos/processes.ts';
import { type Simulator, startSimulator } from '../simulator/index.ts';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../support/database.ts';
import { runHere, start } from './command.ts';

/** The machine may have other work. */
vi.setConfig({ testTimeout: 120_000 });

const ZONE = 'Europe/Berlin';
const OTHER_ZONE = 'Asia/Tokyo';

let cwd: string;
let source: Simulator;
let db: TestDatabase;
let env: Record<string, string>;

beforeAll(async () => {
  await ensureBuilt();
  cwd = await mkdtemp(join(tmpdir(), 'flowlu-mirror-facts-'));
  await chmod(cwd, 0o711);
  source = await startSimulator({ rowsPerModel: { 'crm.account': 60 }, timeZone: ZONE });
  db = await createTestDatabase();
  env = {
    DATABASE_URL: db.url,
    FLOWLU_BASE_URL: source.baseUrl,
    FLOWLU_API_KEY: source.apiKey,
    FLOWLU_REQUESTS_PER_SECOND: '0',
    FLOWLU_MODELS: 'crm.account',
    WEBHOOK_SECRET: 'a-secret-of-enough-length-4711',
    PORT: '0',
  };
}, 180_000);
afterAll(async () => {
  await source?.close();
  await db?.close();
  if (cwd !== undefined) await rm(cwd, { recursive: true, force: true });
});

const cli = (words: string, more: Record<string, string> = {}) =>
  runHere(words.split(' '), { cwd, env: { ...env, ...more } });
const facts = async () =>
  Object.fromEntries(
    (
      await db.sql`
        select key, value from sync.settings where key in ('timezone', 'history_paused', 'history_since', 'portal')`
    ).map(({ key, value }) => [key, value]),
  );
const zoneInViews = async () =>
  (await db.sql`select pg_get_viewdef('flowlu_reports.time_entries'::regclass) as sql`)[0]?.sql as string;
const warnings = (stderr: string) => stderr.split('\n').filter((line) => line.includes('mirror goes on as it is'));

describe('a mirror that was filled in its own zone, with a paused history', () => {
  beforeEach(async () => {
    expect(await cli('rebuild', { FLOWLU_TIMEZONE: ZONE, HISTORY: 'off' })).toMatchObject({ code: 0 });
    expect(await cli('backfill', { FLOWLU_TIMEZONE: ZONE, HISTORY: 'off' })).toMatchObject({ code: 0 });
  });

  it.each([
    'status',
    'models',
    'explain crm.account 1',
    'migrate',
    'reconcile',
    'verify',
    'replay --failed',
    'erase crm.account 60 --force',
  ])('is not changed by `%s` from a bare shell, which is told so once', async (words) => {
    const before = await facts();
    expect(before).toMatchObject({ timezone: ZONE, history_paused: true });
    const { stderr, code } = await cli(words);
    expect(code, stderr).not.toBe(2);
    expect(await facts()).toEqual(before);
    expect(warnings(stderr)).toHaveLength(1);
    expect(stderr).toContain(ZONE);
    // What does not differ is not spoken of.
    expect(warnings((await cli(words, { HISTORY: 'off' })).stderr)[0]).not.toContain('HISTORY');
    const told = await cli(words, { FLOWLU_TIMEZONE: ZONE, HISTORY: 'off' });
    expect(warnings(told.stderr)).toEqual([]);
  });

  it('keeps reading times in its own zone when `reconcile` runs from a bare shell', async () => {
    const change = source.portal.update('crm.account', 7, { name: 'Changed' });
    expect(await cli('reconcile')).toMatchObject({ code: 0 });
    const [row] = await db.sql`
      select updated_date at time zone ${ZONE} = (_record ->> 'updated_date')::timestamp as same, name
        from flowlu.crm_account where id = ${String(change.id)}`;
    expect(row).toEqual({ same: true, name: 'Changed' });
    expect((await db.sql`select count(*)::int as changes from sync.history`)[0]?.changes).toBe(0);
  });

  it('is not called plausible by `doctor` in another zone', async () => {
    const { stdout, code } = await cli('doctor --json', { FLOWLU_TIMEZONE: OTHER_ZONE });
    const zones = JSON.parse(stdout).checks.filter(({ name }: { name: string }) => name === 'time zone');
    expect(zones).toEqual([
      expect.objectContaining({ status: 'fail', found: expect.stringMatching(`${OTHER_ZONE}.*${ZONE}`) }),
    ]);
    expect(code).toBe(3);
    expect(await facts()).toMatchObject({ timezone: ZONE });
  });

  it('takes another zone from `rebuild`, views included', async () => {
    expect(await zoneInViews()).toContain(ZONE);
    expect(await cli('rebuild', { FLOWLU_TIMEZONE: OTHER_ZONE, HISTORY: 'off' })).toMatchObject({ code: 0 });
    expect(await facts()).toMatchObject({ timezone: OTHER_ZONE, history_paused: true });
    expect(await zoneInViews()).toContain(OTHER_ZONE);
  });

  it('takes the history from `serve`', async () => {
    const service = start(['serve'], { cwd, env: { ...env, FLOWLU_TIMEZONE: ZONE } });
    await service.says(/listening/);
    service.child.kill('SIGTERM');
    await service.ended;
    expect(await facts()).toMatchObject({ timezone: ZONE, history_paused: false });
  });

  it('goes on with the zone of the rows in `serve`, and says so until somebody decides', async () => {
    const service = start(['serve'], { cwd, env: { ...env, FLOWLU_TIMEZONE: OTHER_ZONE } });
    const [, url = ''] = await service.says(/"url":"(http:[^"]+)"/);
    const words = `FLOWLU_TIMEZONE says ${OTHER_ZONE}, the mirror was filled with ${ZONE}`;
    const { findings } = (await (await fetch(`${url}/status.json`)).json()) as { findings: object[] };
    expect(findings).toContainEqual(
      expect.objectContaining({ code: 'other_zone', severity: 'care', sentence: expect.stringContaining(words) }),
    );
    expect(await (await fetch(`${url}/readyz`)).json()).toMatchObject({ ready: true, degraded: ['other_zone'] });
    await service.says(new RegExp(words));
    service.child.kill('SIGTERM');
    await service.ended;
    expect(await facts()).toMatchObject({ timezone: ZONE });
  });

  it.each(['backfill', 'rebuild crm.account'])(
    'keeps `%s` from starting in another zone, which would write rows hours apart from the others',
    async (words) => {
      const { stderr, code } = await cli(words, { FLOWLU_TIMEZONE: OTHER_ZONE });
      expect(code).toBe(2);
      expect(stderr).toMatch(
        `FLOWLU_TIMEZONE says ${OTHER_ZONE}, the mirror was filled with ${ZONE}: set FLOWLU_TIMEZONE`,
      );
      expect(stderr).toContain('flowlu-mirror rebuild');
      expect(await facts()).toMatchObject({ timezone: ZONE, history_paused: true });
    },
  );
});

it('a mirror without rows takes another zone from `backfill`', async () => {
  const empty = await createEmptyDatabase();
  const backfill = (zone: string) =>
    cli('backfill', { DATABASE_URL: empty.url, FLOWLU_MODELS: 'crm.lead', FLOWLU_TIMEZONE: zone });
  try {
    expect(await backfill(ZONE)).toMatchObject({ code: 0 });
    expect(await backfill(OTHER_ZONE)).toMatchObject({ code: 0 });
  } finally {
    await empty.close();
  }
});

describe('where nothing is set up', () => {
  const LOOKING = ['status', 'models', 'explain crm.account 1', 'reader ann', 'logout'];

  it.each(LOOKING)('`%s` says so, and makes no embedded database', async (words) => {
    const folder = await mkdtemp(join(cwd, 'empty-'));
    const result = await runHere(words.split(' '), { cwd: folder });
    expect(result).toMatchObject({ code: 2, stdout: '' });
    expect(result.stderr).toMatch(/nothing is set up here/);
    expect(await readdir(folder)).toEqual([]);
  });

  it.each(LOOKING)('`%s` says so of an empty database, and leaves it empty', async (words) => {
    const empty = await createEmptyDatabase();
    try {
      const result = await runHere(words.split(' '), { cwd, env: { DATABASE_URL: empty.url } });
      expect(result.code).toBe(2);
      expect(result.stderr).toMatch(/nothing is set up here/);
      expect(await empty.sql`select from pg_namespace where nspname in ('flowlu', 'sync', 'drizzle')`).toHaveLength(0);
    } finally {
      await empty.close();
    }
  });

  it('`verify` with a key says so, and of models that were not read yet that', async () => {
    const empty = await createEmptyDatabase();
    try {
      const verify = (words: string) => cli(words, { DATABASE_URL: empty.url });
      expect(await verify('verify')).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/nothing is set up here/),
      });
      expect(await empty.sql`select from pg_namespace where nspname in ('flowlu', 'sync')`).toHaveLength(0);
      expect(await verify('migrate')).toMatchObject({ code: 0 });
      source.requests.clear();
      const { code, stdout } = await verify('verify');
      expect(code).toBe(3);
      expect(stdout).toMatch(/^1 model not read yet: npx flowlu-mirror backfill reads them\.$/m);
      expect(source.requests.total()).toBe(0);
    } finally {
      await empty.close();
    }
  });

  it('`doctor` checks the rest without making an embedded database', async () => {
    const folder = await mkdtemp(join(cwd, 'empty-'));
    const { stdout } = await runHere(['doctor', '--quick'], { cwd: folder });
    expect(stdout).toMatch(/! database: none in .* yet/);
    expect(stdout).toMatch(/portal: no key/);
    expect(await readdir(folder)).toEqual([]);
  });
});
