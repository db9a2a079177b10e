/** The commands as a user runs them: through the built bin, judged by exit codes, outputs and what stands in the database. */

import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createChildren } from '../../src/cli/demo-children.ts';
import { openEmbedded } from '../../src/embedded/server.ts';
import { connect, type Sql } from '../../src/postgres/connection.ts';
import { ensureBuilt } from '../chaos/processes.ts';
import { clearFaults, type Simulator, startSimulator } from '../simulator/index.ts';
import { createEmptyDatabase, createTestDatabase, type TestDatabase, urlOf } from '../support/database.ts';
import { until } from '../support/eventually.ts';
import { type Command, type CommandOptions, run, runHere, start } from './command.ts';

/** The machine may have other work. */
vi.setConfig({ testTimeout: 120_000 });

const KEY = 'kEy-77-never-to-be-printed';
const SECRET = 'a-secret-of-enough-length-4711';
const ROWS = { 'crm.account': 900, 'crm.lead': 450, 'task.tasks': 260, 'crm.industry': 12 };
const MODELS = Object.keys(ROWS);
const TOTAL = Object.values(ROWS).reduce((sum, rows) => sum + rows, 0);

let cwd: string;
let source: Simulator;
let db: TestDatabase;
let env: Record<string, string>;
const outputs: string[] = [];

beforeAll(async () => {
  await ensureBuilt();
  cwd = await mkdtemp(join(tmpdir(), 'flowlu-mirror-e2e-'));
  await chmod(cwd, 0o711);
  source = await startSimulator({ rowsPerModel: ROWS, apiKey: KEY });
  db = await createTestDatabase();
  env = {
    DATABASE_URL: db.url,
    FLOWLU_BASE_URL: source.baseUrl,
    FLOWLU_API_KEY: KEY,
    FLOWLU_REQUESTS_PER_SECOND: '0',
    FLOWLU_MODELS: MODELS.join(','),
    WEBHOOK_SECRET: SECRET,
    PORT: '0',
    RECONCILE_INTERVAL: '0',
    SWEEP_INTERVAL: '0',
  };
}, 180_000);
afterAll(async () => {
  await source?.close();
  await db?.close();
  if (cwd !== undefined) await rm(cwd, { recursive: true, force: true });
});
beforeEach(() => {
  clearFaults(source.faults);
  source.limits.latencyMs = 0;
  source.requests.clear();
});

const options = (more: Record<string, string> = {}): CommandOptions => ({ cwd, env: { ...env, ...more } });
async function cli(words: string, more: Record<string, string> = {}) {
  const result = await runHere(words.split(' '), options(more));
  outputs.push(result.stdout, result.stderr);
  return result;
}
const count = async (table: string, where = 'true', sql: Sql = db.sql) =>
  (await sql.unsafe(`select count(*)::int as rows from ${table} where ${where}`))[0]?.rows as number;
const lines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** Empties the mirror, so that a backfill begins anew. */
const empty = () =>
  db.sql`truncate flowlu.crm_account, flowlu.crm_lead, flowlu.task_tasks, flowlu.crm_industry, sync.listings, sync.runs,
                  sync.deliveries, sync.doubtful`;

describe('usage', () => {
  it('is told by --help, and by --version, with exit code 0', async () => {
    const help = await run(['--help'], options());
    expect(help.code).toBe(0);
    for (const word of ['serve', 'backfill', 'status', 'models', 'migrate', 'DATABASE_URL', 'Exit codes']) {
      expect(help.stdout).toContain(word);
    }
    const version = await cli('--version');
    expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+/) });
  });

  it.each([
    ['an unknown command', 'frobnicate', {}, /unknown command/],
    ['an unknown flag', 'backfill --fast', {}, /unknown option/],
    ['an unknown model', 'backfill crm.nothing', {}, /no mirrored model is called crm.nothing/],
    ['a misspelt field of personal data', 'status', { FLOWLU_OMIT_FIELDS: 'crm.account.emial' }, /account\.email\?/],
    ['a backfill without a key', 'backfill', { FLOWLU_API_KEY: '' }, /FLOWLU_API_KEY/],
    ['a model that does not exist', 'status', { FLOWLU_MODELS: 'crm.acount' }, /did you mean crm\.account\?/],
    ['a short secret', 'serve', { WEBHOOK_SECRET: 'short' }, /fewer than 16 characters .* openssl rand/],
    ['a service without a secret', 'serve', { WEBHOOK_SECRET: '' }, /WEBHOOK_SECRET/],
    [
      'several bad settings, all told at once',
      'status',
      { PORT: 'x', FLOWLU_TIMEZONE: 'Mars/Base' },
      /FLOWLU_TIMEZONE[\s\S]*PORT/,
    ],
    ['a database address that is none', 'status', { DATABASE_URL: 'mysql://x' }, /DATABASE_URL/],
    [
      'another portal than the database mirrors',
      'backfill',
      { FLOWLU_BASE_URL: 'http://127.0.0.1:9/api/v1/module' },
      /mirrors/,
    ],
  ])('of %s ends with exit code 2 and says what is wrong', async (what, words, more, message) => {
    if (what.startsWith('another portal')) await cli('backfill crm.industry');
    const result = await cli(words, more);
    expect(result.stderr).toMatch(message);
    expect(result.code).toBe(2);
    expect(result.stderr).not.toMatch(/\n {4}at /);
  });

  it('finds settings in .env of the working directory, and lets the environment win', async () => {
    const folder = await mkdtemp(join(cwd, 'dotenv-'));
    await writeFile(join(folder, '.env'), `DATABASE_URL=${db.url}\nFLOWLU_MODELS=crm.lead\n`);
    const models = async (more: Record<string, string>) =>
      (JSON.parse((await runHere(['models', '--json'], { cwd: folder, env: more })).stdout) as { model: string }[]).map(
        ({ model }) => model,
      );
    expect(await models({})).toEqual(['crm.lead']);
    expect(await models({ FLOWLU_MODELS: 'crm.industry' })).toEqual(['crm.industry']);
  });
});

it('tells of a misspelt setting in the environment and goes on; in .env it ends the command', async () => {
  const models = await cli('models', { FLOWLU_TIMEZNE: 'Europe/Berlin' });
  expect(models).toMatchObject({ code: 0, stderr: expect.stringMatching(/FLOWLU_TIMEZNE .*mean FLOWLU_TIMEZONE\?/) });
  const folder = await mkdtemp(join(cwd, 'misspelt-'));
  await writeFile(join(folder, '.env'), `DATABSE_URL=${db.url}\n`);
  const refused = await runHere(['status'], { cwd: folder });
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringMatching(/DATABSE_URL: .*mean DATABASE_URL\?/) });
});

describe('init', () => {
  const init = async (folder: string, words: readonly string[]) =>
    runHere(['init', '--base-url', source.baseUrl, '--timezone', 'UTC', ...words], { cwd: folder });

  it('says before it asks the portal that it may not write here, or read what is there', async () => {
    const folder = await mkdtemp(join(cwd, 'init-'));
    await writeFile(join(folder, 'file'), '');
    const inFile = await init(folder, ['--key', KEY, '--file', 'file/.env']);
    expect(inFile).toMatchObject({ code: 2, stdout: '' });
    expect(inFile.stderr).toMatch(
      /^file\/\.env cannot be written \(.*: a part of its path is no directory\): run init in/,
    );
    const unread = await init(folder, ['--key', KEY, '--force', '--file', '.']);
    expect(unread).toMatchObject({ code: 2, stdout: '', stderr: '. cannot be read: it is a directory\n' });
  });

  it('tests the key, writes a file that only its owner can read, and prints the webhook address', async () => {
    const folder = await mkdtemp(join(cwd, 'init-'));
    const made = await init(folder, ['--key', KEY]);
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/✔ key: accepted/) });
    const file = join(folder, '.env');
    const text = await readFile(file, 'utf8');
    const [, secret = ''] = /^WEBHOOK_SECRET=(\w{64})$/m.exec(text) ?? [];
    expect(made.stdout).toContain(`  https://YOUR-HOST/webhooks/flowlu/${secret}\n`);
    // The steps are those of the README.
    expect([...made.stdout.matchAll(/^ {2}npx flowlu-mirror (\w+) {2}/gm)].map(([, word]) => word)).toEqual([
      'doctor',
      'serve',
    ]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);

    // What is there is not written over unasked; what is not the portal's stays.
    await writeFile(file, `${text}PORT=9000\n`);
    expect(await init(folder, ['--key', KEY])).toMatchObject({ code: 2, stderr: expect.stringContaining('--force') });
    await writeFile(file, `${await readFile(file, 'utf8')}PUBLIC_URL=https://mirror.example\n`);
    const again = await init(folder, ['--key', KEY, '--force', '--no-test']);
    expect(again).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('  https://mirror.example/webhooks/flowlu/'),
    });
    const renewed = await readFile(file, 'utf8');
    expect(renewed).toMatch(/^PORT=9000$/m);
    expect(renewed.match(/WEBHOOK_SECRET=/g)).toHaveLength(1);
    // Webhooks go on coming to the address that the portal has been given.
    expect(again.stdout).toContain(`/webhooks/flowlu/${secret}\n`);
    expect(again.stdout).toContain('The webhook secret was kept');
    expect(renewed).toContain(`WEBHOOK_SECRET=${secret}`);
  });

  it('keeps what was not asked for: a secret of one own, also in a file, the key and the zone', async () => {
    const folder = await mkdtemp(join(cwd, 'init-'));
    await writeFile(join(folder, 'secret'), `${SECRET}\n`);
    const own = `WEBHOOK_SECRET_FILE=${join(folder, 'secret')}\nFLOWLU_API_KEY="${KEY}" # of Ann\n`;
    await writeFile(join(folder, '.env'), `FLOWLU_COMPANY=elsewhere\nFLOWLU_TIMEZONE=Asia/Tokyo\n${own}`);
    const made = await runHere(['init', '--base-url', source.baseUrl, '--force'], { cwd: folder });
    expect(made).toMatchObject({ code: 0, stdout: expect.stringContaining(`/webhooks/flowlu/${SECRET}\n`) });
    expect(made.stdout).toMatch(/✔ key: accepted/);
    expect(await readFile(join(folder, '.env'), 'utf8')).toBe(
      `${own}FLOWLU_BASE_URL=${source.baseUrl}\nFLOWLU_TIMEZONE=Asia/Tokyo\n`,
    );
  });

  it('writes the company of an address that was pasted', async () => {
    const folder = await mkdtemp(join(cwd, 'init-'));
    const words = ['--company', 'https://Acme.flowlu.com/', '--key', KEY, '--timezone', 'UTC', '--no-test'];
    expect((await runHere(['init', ...words], { cwd: folder })).code).toBe(0);
    expect(await readFile(join(folder, '.env'), 'utf8')).toMatch(/^FLOWLU_COMPANY=acme$/m);
  });

  it('writes nothing where the key is refused, a setting is wrong, or there is nobody to ask', async () => {
    const folder = await mkdtemp(join(cwd, 'init-'));
    const refused = await init(folder, ['--key', 'another-key']);
    expect(refused).toMatchObject({ code: 1, stdout: expect.stringMatching(/✖ key: .*refuses/) });
    expect(refused.stdout + refused.stderr).not.toContain('another-key');
    // Nothing is set yet, so that no setting is named, and nothing runs that could be started again.
    expect(refused.stdout).toMatch(/check the key \(--key\)/);
    const nowhere = await runHere(
      ['init', '--base-url', 'http://127.0.0.1:9/api/v1/module', '--key', KEY, '--timezone', 'UTC'],
      { cwd: folder },
    );
    expect(nowhere).toMatchObject({ code: 1, stdout: expect.stringMatching(/✖ portal: .*check the company/s) });
    for (const { stdout } of [refused, nowhere]) expect(stdout).not.toMatch(/FLOWLU_|again/);
    expect((await init(folder, ['--key', 'k', '--timezone', 'Mars/Base'])).code).toBe(2);
    for (const words of [[], ['--base-url', source.baseUrl, '--timezone', 'UTC'], ['--company', 'a', '--key', KEY]]) {
      const asked = await runHere(['init', '--no-test', ...words], { cwd: folder });
      expect(asked).toMatchObject({ code: 2, stderr: expect.stringContaining('--company, --key and --timezone') });
    }
    expect(await readdir(folder)).toEqual([]);
  });
});

it('a demonstration disturbs no other, ends with its terminal, and leaves nothing behind', async () => {
  const folder = await mkdtemp(join(cwd, 'demo-'));
  await chmod(folder, 0o711);
  const begin = () => start(['demo', '--rows', '120'], { cwd: folder, env: { TMPDIR: folder } });
  const demos = [begin(), begin()] as const;
  for (const demo of demos) await demo.says(/in the table after \d+ ms[\s\S]*Status page/);
  demos[0].child.kill('SIGHUP');
  expect(await demos[0].ended).toBe(130);
  expect((await readdir(folder)).filter((name) => name.startsWith('flowlu-mirror-demo'))).toHaveLength(1);
  demos[1].child.kill('SIGINT');
  expect(await demos[1].ended).toBe(0);
  expect(demos[1].stdout()).toContain('Source and mirror are equal');
  expect(await readdir(folder)).toEqual([]);
});

it('a command of the demonstration is not begun when it has been stopped before', async () => {
  const run = createChildren(cwd, {}).run(['--version'], AbortSignal.abort(new Error('stop')), 'ignore');
  await expect(run).rejects.toThrow('stop');
});

it('a demonstration that is stopped while it starts leaves nothing behind', async () => {
  const folder = await mkdtemp(join(cwd, 'demo-'));
  await chmod(folder, 0o711);
  const demo = start(['demo', '--rows', '120'], { cwd: folder, env: { TMPDIR: folder } });
  await until(async () => (await readdir(folder)).length > 0);
  demo.child.kill('SIGINT');
  expect(await demo.ended).toBe(130);
  expect(demo.stdout()).not.toContain('Backfill');
  expect(await readdir(folder)).toEqual([]);
});

describe('migrate, models, status', () => {
  it('bring an empty database to the schema, also several at once, and then have nothing to do', async () => {
    const fresh = await createEmptyDatabase();
    try {
      const results = await Promise.all(
        [1, 2].map(() => run(['migrate', '--json'], options({ DATABASE_URL: fresh.url }))),
      );
      const reports = results.map(({ code, stdout }) => ({ code, applied: JSON.parse(stdout).applied as string[] }));
      expect(reports.map(({ code }) => code)).toEqual([0, 0]);
      expect(reports.filter(({ applied }) => applied.length > 0)).toHaveLength(1);
      expect(await count('information_schema.tables', `table_schema = 'flowlu'`, fresh.sql)).toBe(105);
      const again = await cli('migrate', { DATABASE_URL: fresh.url });
      expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('no migration was due') });
    } finally {
      await fresh.close();
    }
  });

  it('refuses a database that a later version has migrated, and fails for one that is away', async () => {
    const later = await createTestDatabase();
    try {
      await later.sql`insert into sync.migrations (hash, made_ms) values ('later', 99999999999999)`;
      const refused = await cli('migrate', { DATABASE_URL: later.url });
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/later version|newer/) });
    } finally {
      await later.close();
    }
    const away = await cli('status', { DATABASE_URL: 'postgres://nobody:hidden-word@127.0.0.1:9/none' });
    expect(away.code).toBe(1);
    expect(away.stderr).not.toContain('hidden-word');
    const wrong = new URL(urlOf('none_of_that_name'));
    expect(await cli('status', { DATABASE_URL: wrong.href })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/does not exist.*create it, or correct DATABASE_URL/is),
    });
  });

  it('lists the models with their tables, as a table and as JSON', async () => {
    const json = JSON.parse((await cli('models --json', { FLOWLU_MODELS: '' })).stdout) as {
      model: string;
      table: string;
    }[];
    expect(json).toHaveLength(104);
    expect(json).toContainEqual(expect.objectContaining({ model: 'crm.account', table: 'flowlu.crm_account' }));
    const text = await cli('models', { FLOWLU_EXTRA_MODELS: 'asset.asset' });
    expect(text.stdout).toMatch(/crm\.lead +\S+ +\d+ +flowlu\.crm_lead/);
    expect(text.stdout).toMatch(/asset\.asset +\S+ +\d+ +flowlu_live\.asset_asset/);
  });

  it('ends with 3 while deliveries are parked, and shows them', async () => {
    await db.sql`insert into sync.deliveries (status, module, model, body, reason) values ('failed', 'crm', 'lead', '{}', 'because')`;
    const status = await cli('status --json');
    expect(status.code).toBe(3);
    expect(JSON.parse(status.stdout)).toMatchObject({
      deliveries: { failed: 1 },
      failed_deliveries: [{ model: 'crm.lead', reason: 'because' }],
    });
    expect((await cli('status')).stdout).toMatch(/because/);
    await db.sql`delete from sync.deliveries`;
    expect((await cli('status')).code).toBe(0);
  });
});

describe('backfill', () => {
  it('reads everything, tells its progress as JSON lines on stderr, and its summary as JSON on stdout', async () => {
    await empty();
    const result = await cli('backfill --json');
    expect(result.code).toBe(0);
    const events = lines(result.stderr);
    expect(
      events
        .filter(({ event }) => event === 'model_started')
        .map(({ model, total }) => [model, total])
        .sort(),
    ).toEqual(Object.entries(ROWS).sort());
    expect(events.filter(({ event }) => event === 'model_finished')).toHaveLength(MODELS.length);
    const report = JSON.parse(result.stdout) as {
      status: string;
      models: { model: string; outcome: string; counts: { written: number } }[];
    };
    expect(report.status).toBe('done');
    expect(Object.fromEntries(report.models.map(({ model, counts }) => [model, counts.written]))).toEqual(ROWS);
    for (const [model, rows] of Object.entries(ROWS))
      expect(await count(`flowlu.${model.replace('.', '_')}`)).toBe(rows);

    const again = await cli('backfill crm.lead');
    expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/450 rows read, 0 written, 450 unchanged/) });
  });

  it('explains a row with 3 where the API says otherwise or knows nothing of it, and with 0 where they agree', async () => {
    const { sql } = db;
    const [{ id, record } = {}] = await sql`select id::text as id, _record as record from flowlu.crm_industry limit 1`;
    expect(await cli(`explain crm.industry ${id}`)).toMatchObject({ code: 0 });
    await sql`update flowlu.crm_industry set _record = _record || '{"name": "another"}' where id = ${id}`;
    const other = await cli(`explain crm.industry ${id}`);
    expect(other).toMatchObject({ code: 3, stdout: expect.stringContaining('The API says otherwise now') });
    expect(await cli(`explain crm.industry ${id} --no-api`)).toMatchObject({ code: 0 });
    source.faults.errorCode = { value: 22 };
    expect(await cli(`explain crm.industry ${id}`)).toMatchObject({ code: 0 });
    clearFaults(source.faults);
    await sql`update flowlu.crm_industry set _record = ${sql.json(record)}, _deleted_at = now() where id = ${id}`;
    expect(await cli(`explain crm.industry ${id}`)).toMatchObject({ code: 3 });
    await sql`update flowlu.crm_industry set _source = 'erased' where id = ${id}`;
    expect(await cli(`explain crm.industry ${id}`)).toMatchObject({ code: 0 });
    await sql`update flowlu.crm_industry set _deleted_at = null, _source = 'api', id = 4711 where id = ${id}`;
    const gone = await cli('explain crm.industry 4711');
    expect(gone).toMatchObject({ code: 3, stdout: expect.stringContaining('does not exist, yet the row is live') });
    await sql`update flowlu.crm_industry set id = ${id} where id = 4711`;
  });

  it('says in one line how many models the portal lacks, and counts the requests that showed it', async () => {
    await empty();
    await db.sql`truncate sync.watermarks`;
    source.faults.errorCode = { models: ['crm.account', 'crm.industry'], value: 31 };
    const { stdout } = await cli('backfill');
    expect(stdout).toContain('2 models are not in this portal; npx flowlu-mirror models shows which.\n');
    expect(stdout).not.toMatch(/crm\.(account|industry)/);
    const lists = Object.entries(source.requests.perModel()).filter(([what]) => what.endsWith(' list'));
    const asked = lists.reduce((sum, [, requests]) => sum + requests, 0);
    expect(stdout).toContain(`in ${asked} requests.`);
    const { stdout: models } = await cli('models');
    expect(models).toMatch(/2 models are not in this portal/);
    expect(models).toMatch(/^crm\.industry +absent +\d+ +flowlu\.crm_industry/m);
    expect((await cli('status')).stdout).toMatch(/^2 models are not in this portal.*--all/m);
  });

  it('ends with 1 when the key is refused or a model fails, with 3 when a model could not be read in full', async () => {
    source.faults.errorCode = { value: 11, skip: 2 };
    expect(await cli('backfill')).toMatchObject({ code: 1, stderr: expect.stringMatching(/authorization failed/) });
    clearFaults(source.faults);
    expect((await cli('backfill')).code).toBe(0);
    Object.assign(source.faults, {
      cutListing: { models: ['crm.lead'] },
      wrongTotal: { models: ['crm.lead'], value: 450 },
    });
    const cut = await cli('backfill');
    expect(cut).toMatchObject({ code: 3, stdout: expect.stringMatching(/crm\.lead: incomplete/) });
    expect(await count('flowlu.crm_lead', '_deleted_at is null')).toBe(450);
  });

  it.each([['reconcile'], ['backfill', 'crm.lead'], ['explain', 'crm.lead', '1']])(
    'says of a refused key what the status page says: %s',
    async (...words) => {
      const { stdout, stderr } = await runHere(words, options({ FLOWLU_API_KEY: 'another-key', LOG_LEVEL: 'fatal' }));
      expect(stdout + stderr).toMatch(/Flowlu refuses the API key \(error 11/);
      expect(stdout + stderr).not.toContain('GET http');
    },
  );

  it('stops at SIGINT with 130 and goes on from there, asking for nearly nothing twice', async () => {
    await empty();
    source.limits.latencyMs = 60;
    const stopped = start(['backfill', '--json'], options());
    await until(async () => (await count('flowlu.crm_account')) >= 200);
    stopped.child.kill('SIGINT');
    expect(await stopped.ended).toBe(130);
    expect(stopped.stderr()).toMatch(/stopped on request/);
    const before = await total();
    expect(before).toBeLessThan(TOTAL);
    const status = await cli('status');
    expect(status).toMatchObject({ code: 3, stdout: expect.stringContaining('The first reading was interrupted at') });
    expect(status.stdout).toMatch(/flowlu-mirror backfill$/m);
    expect(status.stdout).not.toMatch(/ left|being filled/);
    source.limits.latencyMs = 0;
    expect((await cli('backfill')).code).toBe(0);
    expect(await total()).toBe(TOTAL);
    const needed = Object.values(ROWS).reduce((sum, rows) => sum + Math.ceil(rows / 100) + 2, 0);
    expect(source.requests.total()).toBeLessThanOrEqual(needed + 2 * MODELS.length);
    const runs = (await db.sql`select status from sync.runs order by runs.id`).map(({ status }) => status);
    expect(runs).toEqual(['interrupted', 'done']);
  });

  it('a command that only looks stops at SIGINT with 130 at once, and promises nothing', async () => {
    await db.sql.begin(async (tx) => {
      await tx`lock table sync.settings in access exclusive mode`;
      const waiting = start(['status'], options());
      const waits = async () => {
        const [row] = await db.sql`
          select 1 from pg_stat_activity
           where datname = current_database() and application_name = 'flowlu-mirror status' and wait_event_type = 'Lock'`;
        return row !== undefined;
      };
      await until(waits);
      waiting.child.kill('SIGINT');
      expect(await waiting.ended).toBe(130);
      expect(waiting.stderr()).toBe('');
      expect(await waits()).toBe(true);
    });
  });

  it('survives kill -9, and goes on from the last page that was committed', async () => {
    await empty();
    source.limits.latencyMs = 60;
    const killed = start(['backfill'], options());
    await until(async () => (await count('flowlu.crm_account')) >= 300);
    killed.child.kill('SIGKILL');
    expect(await killed.ended).toBe('SIGKILL');
    source.limits.latencyMs = 0;
    expect((await cli('backfill')).code).toBe(0);
    expect(await total()).toBe(TOTAL);
    const needed = Object.values(ROWS).reduce((sum, rows) => sum + Math.ceil(rows / 100) + 2, 0);
    expect(source.requests.total()).toBeLessThanOrEqual(needed + 2 * MODELS.length);
  });
});

describe('serve', () => {
  const hooks = (url: string, body: unknown) =>
    fetch(`${url}/webhooks/flowlu/${SECRET}`, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const listening = async (service: Command) => (await service.says(/"url":"(http[^"]+)"/))[1] as string;

  it('turns webhooks into rows, answers about itself, and drains at SIGTERM with exit code 0', async () => {
    const service = start(['serve'], options({ STATUS_TOKEN: 'token-for-status' }));
    const url = await listening(service);
    const created = source.portal.create('crm.account', { name: 'From a webhook' });
    const updated = source.portal.update('crm.account', created.id, { name: 'And updated' });
    const removed = source.portal.remove('crm.lead', 1);
    for (const change of [updated, created, removed, removed])
      expect((await hooks(url, source.webhooks.body(change))).status).toBe(200);
    const [row] = await db.sql`select name, _source from flowlu.crm_account where id = ${created.id}`;
    expect(row).toEqual({ name: 'And updated', _source: 'webhook' });
    expect(await count('flowlu.crm_lead', 'id = 1 and _deleted_at is not null')).toBe(1);
    expect(await count('flowlu_live.crm_lead', 'id = 1')).toBe(0);

    const get = (path: string, headers: Record<string, string> = {}) => fetch(`${url}${path}`, { headers });
    expect((await get('/livez')).status).toBe(200);
    expect((await get('/readyz')).status).toBe(200);
    const refused = await get('/status');
    expect(refused.status).toBe(401);
    // A browser asks for the token only when it is told how.
    expect(refused.headers.get('www-authenticate')).toMatch(/^Basic realm=/);
    const bearer = { authorization: 'Bearer token-for-status' };
    expect(await (await get('/metrics', bearer)).text()).toMatch(/deliveries_received_total\{status="accepted"\} 4/);
    expect(await (await get('/status.json', bearer)).json()).toMatchObject({
      deliveries: { total: 4, pending: 0, failed: 0 },
    });
    expect((await hooks(`${url}/x`, {})).status).toBe(404);

    // Under load when it is told to stop: whatever was answered with 200 is there.
    const answers: Response[] = [];
    const load = Array.from({ length: 400 }, (_, n) =>
      hooks(url, {
        meta: { module: 'crm', model: 'account', action: 'update' },
        current: { id: 500_000 + n, name: `n${n}` },
      })
        .then((answer) => answers.push(answer))
        .catch(() => 0),
    );
    await until(async () => answers.length > 20);
    service.child.kill('SIGTERM');
    await Promise.all(load);
    expect(await service.ended).toBe(0);
    outputs.push(service.stdout(), service.stderr());
    const accepted = answers.filter(({ status }) => status === 200).length;
    expect(await count('flowlu.crm_account', 'id >= 500000')).toBe(accepted);
    for (const line of lines(service.stdout()))
      expect(line).toMatchObject({ level: expect.anything(), msg: expect.any(String) });
  });

  it('applies after a kill -9 what it had acknowledged but not applied', async () => {
    await db.sql`
      insert into sync.deliveries (status, module, model, action, body)
      values ('pending', 'crm', 'account', 'create', ${JSON.stringify({
        meta: { module: 'crm', model: 'account', action: 'create' },
        current: { id: 600_000, name: 'left behind' },
      })})`;
    const service = start(['serve'], options());
    await listening(service);
    await until(async () => (await count('flowlu.crm_account', `id = 600000 and name = 'left behind'`)) === 1);
    service.child.kill('SIGKILL');
    await service.ended;
  });

  it('says so and ends with 1 when its port is taken', async () => {
    const first = start(['serve'], options());
    const url = await listening(first);
    const second = await cli('serve', { PORT: new URL(url).port });
    expect(second).toMatchObject({ code: 1, stderr: expect.stringMatching(/is taken.*`serve` that runs there/) });
    first.child.kill('SIGINT');
    expect(await first.ended).toBe(0);
  });

  it('blames HOST, and no database, where HOST is a name that does not resolve', async () => {
    const { code, stderr } = await cli('serve', { HOST: 'no-such-name.invalid' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/no-such-name\.invalid does not resolve; set HOST/);
    expect(stderr).not.toMatch(/DATABASE_URL|the database is away/);
  });
});

it('mcp serves agents by the address of a reader alone, which no other command takes', async () => {
  const login = `reader_${randomUUID().slice(0, 8)}`;
  try {
    const { stdout } = await runHere(['reader', login, '--json'], options());
    const reader = { cwd, env: { DATABASE_URL: (JSON.parse(stdout) as { url: string }).url } };
    expect(await run(['mcp'], reader)).toMatchObject({ code: 0, stderr: '' });
    const interrupted = start(['mcp'], { ...reader, input: true });
    interrupted.child.stdin?.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })}\n`);
    await interrupted.says(/"id":1/);
    interrupted.child.kill('SIGINT');
    expect([await interrupted.ended, interrupted.stderr()]).toEqual([130, '']);
    expect(await runHere(['status'], reader)).toMatchObject({ code: 2, stderr: expect.stringMatching(/of a reader/) });
    expect((await runHere(['reader', 'flowlu_agent'], options())).code).toBe(2);
  } finally {
    await db.sql.unsafe(`drop role if exists ${login}`);
  }
});

describe('the embedded database', () => {
  it('is shared by two processes, kept between runs, and recovered after kill -9', async () => {
    const here = { DATABASE_URL: '', DATA_DIR: join(cwd, 'data') };
    const service = start(['serve'], options(here));
    const [, url = ''] = await service.says(/"url":"(http[^"]+)"/);
    // The password is shown on a terminal only; a process of ours finds it beside the data.
    const own = await openEmbedded({ directory: here.DATA_DIR });
    const databaseUrl = own.url;
    // A second process finds the server running, and leaves it so.
    expect((await cli('backfill crm.industry', here)).code).toBe(0);
    const sql = connect(databaseUrl, { applicationName: 'flowlu-mirror test', max: 1 });
    expect(await count('flowlu.crm_industry', 'true', sql)).toBe(ROWS['crm.industry']);
    await sql.end();
    await own.close();
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    service.child.kill('SIGKILL');
    await service.ended;
    const after = await cli('models --json', here);
    expect(after.code).toBe(0);
    expect(JSON.parse(after.stdout)).toContainEqual(
      expect.objectContaining({ model: 'crm.industry', rows: ROWS['crm.industry'] }),
    );
    // Not by `cli`: the output holds the password.
    const reader = await runHere(['reader', 'ann'], options(here));
    expect(reader).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('only while `npx flowlu-mirror serve` runs'),
    });
    // The last process of ours to leave stops the server.
    await until(async () => !(await canConnect(databaseUrl)));
  });
});

it('prints neither the key nor the secret nor a password, whatever is done', () => {
  const everything = outputs.join('\n');
  expect(everything.length).toBeGreaterThan(1_000);
  for (const secret of [KEY, SECRET, 'hidden-word', new URL(db.url).password].filter((word) => word !== '')) {
    expect(everything.includes(secret), secret.slice(0, 3)).toBe(false);
  }
  expect(source.requests.violations()).toEqual([]);
  expect(source.elsewhere.sawKey).toBe(false);
});

const total = async () =>
  (await Promise.all(MODELS.map((model) => count(`flowlu.${model.replace('.', '_')}`)))).reduce(
    (sum, rows) => sum + rows,
  );

async function canConnect(url: string): Promise<boolean> {
  const sql = connect(url, { applicationName: 'flowlu-mirror test', max: 1 });
  try {
    await sql`select 1`;
    return true;
  } catch {
    return false;
  } finally {
    await sql.end();
  }
}
