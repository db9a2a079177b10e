/** What the pages for people say is what the program does. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import type { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandsPage } from '../scripts/reference/commands.ts';
import { envExample, settingsPage } from '../scripts/reference/settings.ts';
import { SECRET } from '../src/cli/commands/demo.ts';
import { loadConfig } from '../src/config/index.ts';
import { createLogger } from '../src/core/log.ts';
import { createMetrics } from '../src/core/metrics.ts';
import { readDelivery } from '../src/delivery/delivery.ts';
import { SECRET_HEADER, WEBHOOK_ROUTES } from '../src/intake/listener.ts';
import { refreshViews } from '../src/migrate/refresh.ts';
import { CALLBACK_PATH, callbackRoutes } from '../src/oauth/route.ts';
import { appRoutes } from '../src/status/app-routes.ts';
import { statusRoutes } from '../src/status/routes.ts';
import { sourceOf } from './status/source.ts';
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
  return text.split('\n').filter((line) => line.startsWith('| ') && !/^\| (?:name|route|message) \|/.test(line));
}

/** The first word in backquotes of each row. */
const namesOf = (rows: readonly string[]) => rows.map((row) => /^\| `([\w-]+)/.exec(row)?.[1]);

/** A text as one line, without what joins the parts of a message in the source. */
const oneLine = (text: string) => text.replace(/['"`] \+\s+['"`]/g, '').replace(/\s+/g, ' ');

describe('reference', () => {
  test.each([
    ['.env.example', 'settings', envExample],
    ['docs/settings.md', 'settings', settingsPage],
    ['docs/commands.md', 'commands', commandsPage],
  ])('%s is what `npm run %s` writes', (path, _, make) => {
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

test('pages name the header of the secret as the intake reads it', () => {
  const named = pages.flatMap((page) =>
    [...read(page).matchAll(/\bX-[A-Z][\w-]*Secret[\w-]*|\bX-Webhook-[\w-]+/gi)].map(
      ([name]) => `${page}: ${name.toLowerCase()}`,
    ),
  );
  expect(named.length).toBeGreaterThan(0);
  expect(named.filter((line) => !line.endsWith(`: ${SECRET_HEADER}`))).toEqual([]);
});

describe('pages', () => {
  test('decisions have one number each, in order within their subject', () => {
    const subjects = read('docs/decisions.md')
      .split(/^## /m)
      .map((text) => [...text.matchAll(/^\*\*(\d+)\./gm)].map(([, number]) => Number(number)));
    expect(new Set(subjects.flat()).size).toBe(subjects.flat().length);
    for (const numbers of subjects) expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  });

  test('README has at most 120 lines', () => {
    expect(read('README.md').split('\n').length - 1).toBeLessThanOrEqual(120);
  });

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

  test('the page of routes lists every route', () => {
    const log = createLogger({ level: 'silent' });
    const metrics = createMetrics();
    const source = sourceOf(database.sql);
    const apps: readonly Pick<Hono, 'routes'>[] = [
      statusRoutes({ ...source, metrics, log, token: null, isStopping: () => false }),
      appRoutes({ health: source.health, frameAncestors: [] }),
      callbackRoutes(CALLBACK_PATH, () => Promise.resolve(), log),
    ];
    const webhooks = [...Object.values(WEBHOOK_ROUTES), `${WEBHOOK_ROUTES.path}/:model`].map((path) => ({
      method: 'POST',
      path,
    }));
    const routes = [...webhooks, ...apps.flatMap(({ routes }) => routes).filter(({ method }) => method !== 'ALL')];
    expect(routes.length).toBeGreaterThan(6);
    const listed = tableRows(read('docs/http.md')).flatMap((row) => /^\| `([A-Z]+ [^`]+)`/.exec(row)?.[1] ?? []);
    const served = new Set(routes.map(({ method, path }) => `${method} ${path}`));
    expect(listed.toSorted()).toEqual([...served].toSorted());
  });

  test('the page of routes shows a webhook that is one', () => {
    const [, body = ''] = /```json\n(.*?)```/s.exec(read('docs/http.md')) ?? [];
    expect(readDelivery(body)?.announcement).toMatchObject({ module: 'crm', model: 'lead', entityId: '4711' });
    expect(read('docs/http.md')).toContain(`/webhooks/flowlu/${SECRET}\n`);
  });

  test('every message that the page for troubleshooting quotes is in the source', () => {
    const source = readdirSync(new URL('src', ROOT), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => oneLine(read(`src/${name}`)));
    const messages = tableRows(read('docs/troubleshooting.md')).flatMap((row) => /^\| `([^`]+)`/.exec(row)?.[1] ?? []);
    expect(messages.length).toBeGreaterThan(12);
    const unknown = messages.filter((message) => {
      const parts = message.split('…').filter((part) => part.trim() !== '');
      return !source.some((text) => parts.every((part) => text.includes(part)));
    });
    expect(unknown).toEqual([]);
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

  test.each(pages)('%s says nothing twice', (page) => {
    const text = read(page);
    const paragraphs = proseOf(text)
      .split(/\n{2,}/)
      .map((paragraph) => paragraph.replace(/\s+/g, ' ').trim())
      .filter((paragraph) => paragraph.length > 60 && !paragraph.startsWith('|'));
    expect(repeated(paragraphs), 'paragraphs').toEqual([]);
    expect(repeated(anchorsOf(text)), 'headings').toEqual([]);
    const keyOf = KEYS_OF_SEVERAL_CELLS.includes(page) ? (row: string) => row : firstCell;
    for (const rows of tablesOf(text))
      expect(repeated(rows.map(keyOf).filter(Boolean)), 'rows of one table').toEqual([]);
  });

  test.each(pages)('%s has text below every heading', (page) => {
    const lines = proseOf(read(page))
      .split('\n')
      .filter((line) => line.trim() !== '');
    const isHeading = (line: string | undefined) => line === undefined || /^#+ /.test(line);
    expect(lines.filter((line, at) => isHeading(line) && isHeading(lines[at + 1]))).toEqual([]);
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

/** A page whose blocks of code are left out. */
const proseOf = (text: string) => text.replace(/^ *```.*?^ *```$/gms, '(code)');

const repeated = (texts: readonly string[]) => texts.filter((text, at) => texts.indexOf(text) < at);

/** The tables of a page, each as its rows below the rule. */
const tablesOf = (text: string) =>
  [...proseOf(text).matchAll(/^\|(?:---\|)+\n((?:\|.*\n)*)/gm)].map(([, rows = '']) => rows.trim().split('\n'));

/** What a row is looked up by; empty where it continues the row above. */
const firstCell = (row: string) => (row.slice(1).split(' | ')[0] ?? '').trim();

/** Pages of measurements and packages, where a name comes with several comparisons or versions. */
const KEYS_OF_SEVERAL_CELLS = ['docs/licences.md', 'docs/performance.md'];

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
