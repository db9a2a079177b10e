/** What the pages for people say is what the program does. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import type { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXIT } from '../src/cli/exit-codes.ts';
import { loadConfig } from '../src/config/index.ts';
import { envExample, settingsPage } from '../src/config/reference.ts';
import { createLogger } from '../src/core/log.ts';
import { createMetrics } from '../src/core/metrics.ts';
import { WEBHOOK_ROUTES } from '../src/intake/listener.ts';
import { createRecordHealth } from '../src/intake/record-health.ts';
import { refreshViews } from '../src/migrate/refresh.ts';
import { CALLBACK_PATH, callbackRoutes } from '../src/oauth/route.ts';
import { appRoutes } from '../src/status/app-routes.ts';
import { createHealth } from '../src/status/health.ts';
import { statusRoutes } from '../src/status/routes.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';

const ROOT = new URL('..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');
const pages = [
  ...readdirSync(ROOT, 'utf8').filter((name) => name.endsWith('.md')),
  ...readdirSync(new URL('docs', ROOT), 'utf8')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** The text below a heading, up to the next one of its level or above. */
function section(page: string, heading: string): string {
  const text = read(page);
  const start = text.indexOf(`\n${heading}\n`);
  expect(start, `${page} has the heading ${heading}`).toBeGreaterThan(-1);
  const level = heading.indexOf(' ');
  const rest = text.slice(start + heading.length + 2);
  const end = rest.search(new RegExp(`^#{1,${level}} `, 'm'));
  return end < 0 ? rest : rest.slice(0, end);
}

/** The rows of the tables in a text, without their headings. */
function tableRows(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| (?:name|command|exit code|route) \|/.test(line));
}

/** The first word in backquotes of each row. */
const namesOf = (rows: readonly string[]) => rows.map((row) => /^\| `([\w-]+)/.exec(row)?.[1]);

/** Every command that a file of `src/cli/commands` makes. */
async function commandsOfSource(): Promise<readonly Command[]> {
  const files = readdirSync(new URL('src/cli/commands', ROOT), 'utf8').filter((name) => name.endsWith('.ts'));
  const modules = (await Promise.all(
    files.map((name) => import(new URL(`src/cli/commands/${name}`, ROOT).href)),
  )) as Readonly<Record<string, unknown>>[];
  return modules.flatMap((module) =>
    Object.entries(module).flatMap(([name, make]) =>
      name.endsWith('Command') && typeof make === 'function' ? [make() as Command] : [],
    ),
  );
}

describe('README', () => {
  test('describes the commands that the help shows, with all of their options', async () => {
    const main = new URL('src/cli/main.ts', ROOT).pathname;
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', main, '--help'], {
      cwd: ROOT.pathname,
      timeout: 25_000,
    });
    const list = /\nCommands:\n(.*?)\n\n/s.exec(stdout)?.[1] ?? '';
    const shown = [...list.matchAll(/^ {2}(\w+)/gm)].map((match) => match[1]).filter((name) => name !== 'help');
    const rows = tableRows(section('README.md', '## Commands')).filter((row) => !/^\| \d/.test(row));
    expect(namesOf(rows)).toEqual(shown);
    for (const command of await commandsOfSource()) {
      const row = rows.find((line) => line.startsWith(`| \`${command.name()}`)) ?? '';
      for (const { flags } of command.options) expect(row, command.name()).toContain(`\`${flags}\``);
    }
  });

  test('explains every exit code', () => {
    const codes = tableRows(section('README.md', '## Commands')).flatMap((row) => /^\| (\d+) \|/.exec(row)?.[1] ?? []);
    expect(codes.map(Number)).toEqual(Object.values(EXIT));
  });
});

describe('settings', () => {
  test.each([
    ['.env.example', envExample],
    ['docs/settings.md', settingsPage],
  ])('%s is what `npm run settings` writes', (path, make) => {
    expect(read(path)).toBe(make());
  });

  const secrets = [...pages, '.env.example'].flatMap((page) =>
    [...read(page).matchAll(/^#?([A-Z_]*(?:SECRET|API_KEY|TOKEN|TOKEN_KEY|DATABASE_URL))=([^\s$]+)/gm)].map(
      ([, name = '', value = '']) => [page, name, value] as const,
    ),
  );

  test.each(secrets)('the secret that %s shows is refused as it stands: %s=%s', (_, name, value) => {
    expect(() => loadConfig({ [name]: value })).toThrow(`${name}: `);
  });
});

describe('pages', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
    // Those custom fields of the demonstration that the pages speak of.
    await database.sql`
      insert into flowlu.customfields_fields (id, module, model, name, alias, type, _record, _observed_at, _source, _hash)
      select n, 'crm', 'lead', alias, alias, type, '{}', now(), 'api', gen_random_uuid()
        from (values (2, 'select_single_2', 'select.single'), (18, 'price_18', 'price'), (26, 'select_multiple_26', 'select.multiple'))
          as demo (n, alias, type)`;
    await refreshViews(database.sql, { zone: 'UTC' });
  });
  afterAll(() => database?.close());

  test('README lists every route', () => {
    const log = createLogger({ level: 'silent' });
    const metrics = createMetrics();
    const { sql } = database;
    const apps: readonly Pick<Hono, 'routes'>[] = [
      statusRoutes({
        sql,
        metrics,
        log,
        version: '',
        token: null,
        isStopping: () => false,
        recording: createRecordHealth(),
        readSecretUse: async () => [],
      }),
      appRoutes({ health: createHealth(sql), frameAncestors: [] }),
      callbackRoutes({ path: CALLBACK_PATH, complete: () => Promise.resolve(), log }),
    ];
    const webhooks = Object.values(WEBHOOK_ROUTES).map((path) => ({ method: 'POST', path }));
    const routes = [...webhooks, ...apps.flatMap(({ routes }) => routes).filter(({ method }) => method !== 'ALL')];
    expect(routes.length).toBeGreaterThan(6);
    for (const { method, path } of routes) expect(section('README.md', '## HTTP')).toContain(`\`${method} ${path}\``);
  });

  test('the operators page explains every metric', async () => {
    const names = (await createMetrics().registry.getMetricsAsJSON()).map(({ name }) => name);
    const ours = names
      .filter((name) => name.startsWith('flowlu_mirror_'))
      .map((name) => name.replace('flowlu_mirror_', ''));
    const explained = namesOf(tableRows(section('docs/operators.md', '## Metrics')));
    expect(explained.toSorted()).toEqual(ours.toSorted());
  });

  test.each(pages)('%s links to files and headings that exist', (page) => {
    const targets = [...read(page).matchAll(/\]\((?!\w+:)([^)\s]+)\)/g)].map((match) => match[1] ?? '');
    const missing = targets.filter((target) => {
      const [path = '', heading] = target.split('#');
      const file = path === '' ? page : posix.join(posix.dirname(page), path);
      if (!existsSync(new URL(file, ROOT))) return true;
      return heading !== undefined && !anchorsOf(read(file)).includes(heading);
    });
    expect(missing).toEqual([]);
  });

  const statements = ['README.md', 'docs/analysts.md', 'docs/connect.md', 'docs/operators.md'].flatMap((page) =>
    [...read(page).matchAll(/^```sql\n(.*?)^```$/gms)].map((match) => [page, match[1] ?? ''] as const),
  );

  test.each(statements)('%s shows SQL that works: %s', async (page, text) => {
    const isForAnalysts = page !== 'docs/operators.md' && /^(?:--.*\n)*(?:select|with)\b/.test(text);
    const undo = new Error('all of it is undone');
    const run = database.sql.begin(async (tx) => {
      if (isForAnalysts) await tx.unsafe('set local role flowlu_reader');
      await tx.unsafe(text);
      throw undo;
    });
    await expect(run).rejects.toBe(undo);
  });
});

/** The anchors that the headings of a page get. */
function anchorsOf(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map((match) =>
    (match[1] ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}
