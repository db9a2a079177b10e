/** The service with a database login that may write rows and nothing else: every command does its work, and says who must migrate. */
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { takeover } from '../../src/migrate/migrations.ts';
import { connect } from '../../src/postgres/connection.ts';
import { pruneDeliveries } from '../../src/store/deliveries/replay.ts';
import { ensureBuilt } from '../chaos/processes.ts';
import { type Simulator, startSimulator } from '../simulator/index.ts';
import { createEmptyDatabase, createTestDatabase, type TestDatabase, urlOf } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { createLogin, type Login } from '../support/logins.ts';
import { never } from '../support/mirror.ts';
import { type Command, runHere, start } from './command.ts';

vi.setConfig({ testTimeout: 120_000 });

const SECRET = 'a-secret-of-enough-length-4711';

let cwd: string;
let source: Simulator;
let db: TestDatabase;
let writer: Login;
let env: Record<string, string>;

beforeAll(async () => {
  await ensureBuilt();
  cwd = await mkdtemp(join(tmpdir(), 'flowlu-mirror-writer-'));
  await chmod(cwd, 0o711);
  source = await startSimulator({ rowsPerModel: { 'crm.account': 120, 'crm.industry': 5 } });
  db = await createTestDatabase();
  writer = await createLogin(db, 'flowlu_writer');
  env = {
    DATABASE_URL: writer.url,
    FLOWLU_BASE_URL: source.baseUrl,
    FLOWLU_API_KEY: source.apiKey,
    FLOWLU_REQUESTS_PER_SECOND: '0',
    FLOWLU_MODELS: 'crm.*,customfields.*',
    WEBHOOK_SECRET: SECRET,
    SETTLE_GRACE: '1ms',
    PORT: '0',
  };
}, 180_000);
afterAll(async () => {
  await source?.close();
  await writer?.drop();
  await db?.close();
  if (cwd !== undefined) await rm(cwd, { recursive: true, force: true });
});

const cli = (words: string, more: Record<string, string> = {}) =>
  runHere(words.split(' '), { cwd, env: { ...env, ...more } });
const nameOf = async (id: string | number | bigint) =>
  (await db.sql`select name from flowlu_live.crm_account where id = ${String(id)}`)[0]?.name as string | undefined;

it('fills, serves, settles, reconciles, verifies, replays, rebuilds and prunes as flowlu_writer only', async () => {
  expect(await cli('backfill')).toMatchObject({ code: 0 });

  const service = start(['serve'], { cwd, env: { ...env, RECONCILE_INTERVAL: '200ms', SWEEP_INTERVAL: '500ms' } });
  const url = (await service.says(/"url":"(http[^"]+)"/))[1] as string;
  const change = source.portal.update('crm.account', 1, { name: 'By webhook' });
  const hook = (body: string) => fetch(`${url}/webhooks/flowlu/${SECRET}`, { method: 'POST', body });
  expect((await hook(source.webhooks.body(change))).status).toBe(200);
  expect((await hook('{"wrong":"shape"}')).status).toBe(422);
  expect(await nameOf(1)).toBe('By webhook');
  // A model that nobody knows lands in the common table.
  const unheard = { meta: { module: 'crm', model: 'unheard_of', action: 'create' }, current: { id: 7, name: 'x' } };
  expect((await hook(JSON.stringify(unheard))).status).toBe(200);
  expect(await db.sql`select _record ->> 'name' as name from flowlu.uncatalogued`).toEqual([{ name: 'x' }]);
  // A doubt is settled, a missed change caught up with, a missed deletion found.
  await db.sql`insert into sync.doubtful (model, entity_id, reason) values ('crm.account', 2, 'test')`;
  source.portal.update('crm.account', 3, { name: 'Without a webhook' });
  source.portal.remove('crm.account', 4);
  await eventually(
    () => nameOf(3),
    (name) => name === 'Without a webhook',
  );
  await eventually(
    () => nameOf(4),
    (name) => name === undefined,
  );
  await eventually(
    () => db.sql`select 1 from sync.doubtful`,
    (rows) => rows.length === 0,
  );
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  expect((await fetch(`${url}/status.json`)).status).toBe(200);
  service.child.kill('SIGTERM');
  expect(await service.ended).toBe(0);
  expect(service.stdout() + service.stderr()).not.toMatch(/permission denied|must be owner|"level":"error"/);

  await db.sql`update flowlu.crm_account set name = 'drifted', _hash = gen_random_uuid() where id = 5`;
  // The rejected delivery has been seen; a replay, and `status`, would end with exit code 3 for it.
  await db.sql`delete from sync.deliveries where status = 'rejected'`;
  await db.sql`delete from sync.measurements where fact like 'refused:%'`;
  for (const words of [
    'reconcile',
    'reconcile --full',
    'verify --repair',
    'verify',
    'replay --since 1h',
    'rebuild',
    'explain crm.account 1',
    'status',
    'models',
    'doctor --quick',
  ]) {
    const result = await cli(words);
    expect([words, result.code, result.stderr.match(/permission denied.*|must be owner.*/)?.[0]]).toEqual([
      words,
      0,
      undefined,
    ]);
  }

  const sql = connect(writer.url, { applicationName: 'flowlu-mirror test', max: 1 });
  await db.sql`update sync.deliveries set received_at = received_at - interval '2 days'`;
  expect(await pruneDeliveries(sql, 86_400_000, never)).toBeGreaterThan(1);
  await sql.end();
});

it('erases a record that Flowlu does not have any more, and one that it still has only when forced', async () => {
  const asked = await cli('erase crm.account 9 --json');
  expect(asked).toMatchObject({ code: 3 });
  expect(JSON.parse(asked.stdout)).toMatchObject({ flowlu: { says: 'there' }, erased: null });
  expect((await cli('erase crm.account 9')).stdout).toMatch(/was not erased.*still has it[\s\S]*--force/);
  expect(await nameOf(9)).toBeDefined();
  const unasked = await cli('erase crm.account 9', { FLOWLU_API_KEY: '' });
  expect(unasked).toMatchObject({ code: 3, stdout: expect.stringContaining('no key of the API') });

  // Nobody is to believe that a record is gone because its model was misspelt.
  expect(await cli('erase crm.acount 9 --yes')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('did you mean crm.account?'),
  });
  const forced = await cli('erase crm.account 9 --force');
  expect(forced).toMatchObject({ code: 0, stdout: expect.stringMatching(/is erased[\s\S]*brings it back/) });
  expect(await nameOf(9)).toBeUndefined();
  expect((await cli('explain crm.account 9')).stdout).toContain('erased on request');
  await cli('reconcile --full crm.account');
  expect(await nameOf(9)).toBeDefined();

  source.portal.remove('crm.account', 9);
  expect(await cli('erase CRM.Account 009')).toMatchObject({
    code: 0,
    stdout: expect.not.stringContaining('brings it back'),
  });
  await cli('reconcile --full crm.account');
  const [row] = await db.sql`select _source, _record, name from flowlu.crm_account where id = 9`;
  expect(row).toEqual({ _source: 'erased', _record: { id: 9 }, name: null });
  const [run] = await db.sql`select status, summary from sync.runs where kind = 'erase' order by runs.id desc limit 1`;
  expect(run).toMatchObject({ status: 'done', summary: { model: 'crm.account', id: '9', had_row: true } });
  for (const words of ['erase crm 9', 'erase crm.account 9x', 'erase crm.account -1', 'erase crm.account']) {
    expect([words, (await cli(words)).code]).toEqual([words, 2]);
  }
});

it('moves rows out of the common table, the one place it may delete from', async () => {
  await db.sql`
    insert into flowlu.uncatalogued (module, model, id, _record, _observed_at, _source, _hash)
    values ('crm', 'industry', 900, '{"id": 900, "name": "Adopted"}', now(), 'webhook', gen_random_uuid())`;
  expect(await cli('rebuild crm.industry')).toMatchObject({ code: 0 });
  expect(await db.sql`select name from flowlu.crm_industry where id = 900`).toEqual([{ name: 'Adopted' }]);
  expect(await db.sql`select from flowlu.uncatalogued where model = 'industry'`).toHaveLength(0);
});

it('says of the address of a reader that it is one, and whose is needed, instead of asking for more rights for the reader', async () => {
  const reader = await createLogin(db, 'flowlu_reader');
  const [row] = await db.sql`select tableowner from pg_tables where tablename = 'deliveries'`;
  try {
    for (const [words, code] of [
      ['serve', 2],
      ['status', 2],
      ['migrate', 1],
      ['doctor --quick', 3],
    ] as const) {
      const { stdout, stderr, ...ended } = await cli(words, { DATABASE_URL: reader.url });
      expect([words, ended.code]).toEqual([words, code]);
      expect(stdout + stderr).toContain(`database address of a reader: ${reader.user} may read the views`);
      expect(stdout + stderr).toContain(`use the address of ${row?.tableowner}, which owns the mirror`);
      expect(stdout + stderr).not.toContain('grant flowlu_writer');
    }
  } finally {
    await reader.drop();
  }
});

it('migrates as the owner and serves as the writer, each with an address of its own', async () => {
  const fresh = await createEmptyDatabase();
  const own = await createLogin(fresh, 'flowlu_writer');
  const stranger = await createLogin(fresh);
  try {
    // Behind, and nobody here may change that: exit code 2, and who must run what.
    const refused = await cli('rebuild', { DATABASE_URL: own.url });
    expect(refused).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/must run `npx flowlu-mirror migrate`.*MIGRATE_DATABASE_URL/),
    });
    // Another database than the one that the service works with is noticed.
    const elsewhere = await cli('rebuild', { DATABASE_URL: own.url, MIGRATE_DATABASE_URL: db.url });
    expect(elsewhere).toMatchObject({ code: 2, stderr: expect.stringContaining('the same database') });
    const both = { DATABASE_URL: own.url, MIGRATE_DATABASE_URL: fresh.url };
    expect(await cli('rebuild', both)).toMatchObject({ code: 0 });
    const [row] = await fresh.sql`select tableowner from pg_tables where tablename = 'deliveries'`;
    expect(row?.tableowner).toBe(new URL(urlOf(fresh.name)).username);
    expect(await cli('migrate', both)).toMatchObject({ code: 0 });
    // Up to date, the owner's address is not needed any more.
    expect(await cli('status', { DATABASE_URL: own.url })).toMatchObject({ code: 0 });
    expect(await cli('migrate', { DATABASE_URL: own.url })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/may not change the mirror: use the address of \w+, which owns it/),
    });
    const unknown = await cli('status', { DATABASE_URL: stranger.url });
    expect(unknown).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`grant flowlu_writer_${fresh.name} to ${stranger.user}`),
    });
    // A later version finds the schema behind and names the owner.
    await fresh.sql`update sync.migrations set made_ms = ${[...takeover().made][0] ?? 0}`;
    const behind = await cli('serve', { DATABASE_URL: own.url });
    expect(behind).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`the role ${row?.tableowner}, which owns it`),
    });
  } finally {
    await own.drop();
    await stranger.drop();
    await fresh.close();
  }
});

it('makes the months of the history as the owner where it may, and otherwise leaves them to migrate', async () => {
  const months = async () =>
    (
      await db.sql`select inhrelid::regclass::text as name from pg_inherits where inhparent = 'sync.history'::regclass
                   and inhrelid::regclass::text <> 'sync.history_default' order by 1`
    ).map(({ name }) => name as string);
  const all = await months();
  const last = all.at(-1) as string;
  const serveUntil = async (more: Record<string, string>, done: (service: Command) => Promise<unknown>) => {
    const service = start(['serve'], { cwd, env: { ...env, RECONCILE_INTERVAL: '0', SWEEP_INTERVAL: '0', ...more } });
    await service.says(/"msg":"listening"/);
    await done(service);
    service.child.kill('SIGTERM');
    expect(await service.ended).toBe(0);
    return service.stdout();
  };
  await db.sql.unsafe(`drop table ${last}`);
  const log = await serveUntil({ LOG_LEVEL: 'debug' }, (service) => service.says(/left to the owner/));
  expect(log).not.toContain('permission denied');
  expect(await months()).not.toContain(last);
  await serveUntil({ MIGRATE_DATABASE_URL: db.url }, () => eventually(months, (now) => now.includes(last)));
  await db.sql.unsafe(`drop table ${last}`);
  expect(await cli('migrate', { MIGRATE_DATABASE_URL: db.url })).toMatchObject({ code: 0 });
  expect(await months()).toEqual(all);
});

it('brings views to new custom fields as the owner where it may, and otherwise says that migrate has to', async () => {
  const columns = async () =>
    (
      await db.sql`select column_name as name from information_schema.columns
                   where table_schema = 'flowlu_live' and table_name = 'crm_account' and column_name like 'cf%'`
    ).length;
  const before = await columns();
  const field = { module: 'crm', model: 'account', type: 'smalltext', api_use_alias: 0, webhook_use_alias: 0 };
  source.portal.create('customfields.fields', { ...field, alias: 'colour', name: 'Colour' });
  const read = await cli('reconcile --full customfields.fields');
  expect([read.code, read.stderr.match(/permission denied|must be owner/)?.[0]]).toEqual([0, undefined]);
  expect(await columns()).toBe(before);
  expect((await cli('doctor --quick --json')).stdout).toContain('custom fields have changed since the views were made');
  expect(await cli('reconcile --full customfields.fields', { MIGRATE_DATABASE_URL: db.url })).toMatchObject({
    code: 0,
  });
  expect(await columns()).toBe(before + 1);
  expect((await cli('doctor --quick --json')).stdout).not.toContain('custom fields have changed');
  // A login for an analyst is made by the owner as well.
  const login = `analyst_${randomUUID().slice(0, 8)}`;
  expect(await cli(`reader ${login}`)).toMatchObject({ code: 3, stdout: expect.stringContaining('create role') });
  expect(await cli(`reader ${login}`, { MIGRATE_DATABASE_URL: db.url })).toMatchObject({ code: 0 });
  await db.sql.unsafe(`drop owned by ${login}; drop role ${login}`);
});
