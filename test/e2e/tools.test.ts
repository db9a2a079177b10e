/** The commands that serve other tools, each from its words to its output: logins, sources for dbt, diagrams, a publication. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { connect } from '../../src/postgres/connection.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { runHere } from './command.ts';

/** The machine may have other work. */
vi.setConfig({ testTimeout: 120_000 });

let cwd: string;
let db: TestDatabase;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'flowlu-mirror-tools-'));
  db = await createTestDatabase();
}, 180_000);
afterAll(async () => {
  await db?.close();
  if (cwd !== undefined) await rm(cwd, { recursive: true, force: true });
});

const cli = (...words: readonly string[]) =>
  runHere(words, { cwd, env: { DATABASE_URL: db.url, FLOWLU_MODELS: 'crm.*,core.user' } });

it('reader prints a connection string that works, and says its password to nobody else', async () => {
  const login = `reader_${randomUUID().slice(0, 8)}`;
  try {
    const { code, stdout, stderr } = await cli('reader', login, '--statement-timeout', '7s');
    expect(code).toBe(0);
    const url = /^postgres:\/\/\S+$/m.exec(stdout)?.[0] ?? '';
    const sql = connect(url, { applicationName: 'flowlu-mirror test', max: 1, asLogin: true });
    const [row] = await sql`select current_user as us, current_setting('statement_timeout') as timeout`;
    await sql.end();
    expect(row).toEqual({ us: login, timeout: '7s' });
    expect(stderr).not.toContain(new URL(url).password);
    const again = await cli('reader', login, '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({
      login,
      created: false,
      password: null,
      statement_timeout_ms: 300_000,
    });
  } finally {
    await db.sql.unsafe(`drop role if exists ${login}`);
  }
});

it('reader refuses names and times that cannot be, with exit code 2', async () => {
  for (const words of [['Anna'], ['anna', '--statement-timeout', '90'], ['anna', '--statement-timeout', '2d'], []]) {
    const { code, stdout } = await cli('reader', ...words);
    expect([words, code, stdout]).toEqual([words, 2, '']);
  }
});

it('models --dbt prints sources of the models that the settings mirror, and nothing else', async () => {
  const { code, stdout } = await cli('models', '--dbt');
  expect(code).toBe(0);
  const { sources } = parse(stdout) as { sources: readonly { name: string; tables: readonly { name: string }[] }[] };
  const live = sources.find(({ name }) => name === 'flowlu_live')?.tables.map(({ name }) => name);
  expect(live).toEqual(expect.arrayContaining(['crm_lead', 'core_user', 'data_dictionary', 'sync_status']));
  expect(live).not.toContain('task_tasks');
});

it('models --docs writes the page with the diagrams, without a database', async () => {
  const { code, stdout } = await runHere(['models', '--docs', 'pages'], {
    cwd,
    env: { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' },
  });
  expect([code, stdout.trim()]).toEqual([0, join('pages', 'data-model.md')]);
  expect(await readFile(join(cwd, 'pages', 'data-model.md'), 'utf8')).toContain('erDiagram');
  expect((await cli('models', '--docs', 'pages', '--json')).code).toBe(2);
});

it('migrate --publication says what the owner of the server has to do first', async () => {
  const { code, stdout } = await cli('migrate', '--publication');
  const [row] = await db.sql<{ level: string }[]>`select current_setting('wal_level') as level`;
  expect(stdout).toContain('The publication flowlu_mirror gained');
  if (row?.level === 'logical') expect(code).toBe(0);
  else expect([code, stdout]).toEqual([3, expect.stringContaining("alter system set wal_level = 'logical'")]);
});
