/** Tools that read the mirror's shape to make something of it: types, a GraphQL interface, a form. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { models } from '../../src/catalog/index.ts';
import { keysFor } from '../../src/describe/keys.ts';
import { migrate } from '../../src/migrate/migrate.ts';
import { allViews } from '../../src/reports/all.ts';
import { NO_FACTS } from '../../src/views/live-columns.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { openReader, type Reader } from '../support/reader.ts';
import { output } from './programs.ts';

const NPM_PACKAGES = [
  'postgraphile@4.14.1',
  'kysely-codegen@0.20.0',
  'kysely@0.28.19',
  'pg@8.23.1',
  'typescript@5.9.3',
];
const SHOWN = ['flowlu_live', 'flowlu_reports'];

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
let directory: string;
let mirror: Mirror;
let reader: Reader;
let login: readonly string[];
let views: readonly string[];
/** Deals and their budget, as the product's own driver reads them. */
let deals: { readonly rows: string; readonly budget: string };
let filled = 0;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'flowlu-mirror-tools-'));
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--prefix', directory, ...NPM_PACKAGES], {
    stdio: 'pipe',
  });
  mirror = await startMirror({ rows: 2_000, timeZone: 'Europe/Berlin' });
  await mirror.fill(...models.filter(({ listable }) => listable).map(({ name }) => name));
  await migrate(mirror.sql, { zone: 'Europe/Berlin' });
  reader = await openReader(mirror.database);
  const { hostname, port, pathname, username, password } = new URL(reader.url);
  login = [hostname, port, pathname.slice(1), username, password];
  const found = await reader.sql<{ name: string }[]>`
    select schemaname || '.' || viewname as name from pg_views where schemaname like 'flowlu\_%' order by 1`;
  views = found.map(({ name }) => name);
  for (const name of views) filled += Number((await reader.sql.unsafe(`select from ${name} limit 1`)).length > 0);
  const [sums] = await reader.sql<{ rows: string; budget: string }[]>`
    select count(*)::text as rows, sum(budget)::text as budget from flowlu_reports.deals`;
  deals = sums as typeof deals;
});
afterAll(async () => {
  await reader?.close();
  await mirror?.close();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

const run = (program: string, ...args: readonly string[]) =>
  output(join(directory, 'node_modules/.bin', program), args, { cwd: directory, env: { DATABASE_URL: reader.url } });
const compile = (...files: readonly string[]) =>
  run('tsc', '--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', ...files);

it('R reads every view, sums money and knows days', async () => {
  const words = (await output('Rscript', [here('reader.R'), ...login])).trim().split(' ');
  expect(words).toEqual([
    ...[views.length, filled, deals.rows].map(String),
    String(Number(deals.budget)),
    'Date',
    expect.any(String),
  ]);
});

it('LibreOffice lists and reads every view', async () => {
  const port = await new Promise<number>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = probe.address() as { port: number };
      probe.close(() => resolve(free));
    });
  });
  const told = await output('/usr/bin/python3', [here('libreoffice.py'), ...login, String(port)]);
  expect(JSON.parse(told)).toEqual({
    views: expect.arrayContaining([...views]),
    filled,
    deals: [Number(deals.rows), deals.budget],
  });
});

it('kysely-codegen makes types of every view, which compile', async () => {
  await run('kysely-codegen', '--dialect', 'postgres', '--include-pattern', `{${SHOWN}}.*`, '--out-file', 'kysely.ts');
  const source = readFileSync(join(directory, 'kysely.ts'), 'utf8');
  for (const view of views.filter((name) => SHOWN.includes(name.split('.')[0] as string)))
    expect(source).toContain(`  "${view}": `);
  await compile('kysely.ts');
});

it('drizzle-kit makes a schema of every view', async () => {
  const settings = { dialect: 'postgresql', out: './pulled', schemaFilter: SHOWN, dbCredentials: { url: reader.url } };
  writeFileSync(join(directory, 'drizzle.config.json'), JSON.stringify(settings));
  const drizzle = join(process.cwd(), 'node_modules');
  for (const name of ['drizzle-kit', 'drizzle-orm'])
    symlinkSync(join(drizzle, name), join(directory, 'node_modules', name));
  await output(join(drizzle, '.bin/drizzle-kit'), ['pull', '--config', 'drizzle.config.json'], { cwd: directory });
  const source = readFileSync(join(directory, 'pulled/schema.ts'), 'utf8');
  expect(source.match(/\.view\(/g)).toHaveLength(
    views.filter((name) => SHOWN.includes(name.split('.')[0] as string)).length,
  );
});

it('PostGraphile follows the links that the smart tags name, and a reader can change nothing', async () => {
  writeFileSync(join(directory, 'postgraphile.tags.json5'), keysFor('postgraphile', allViews(NO_FACTS)));
  const source = readFileSync(here('postgraphile.cjs'), 'utf8');
  writeFileSync(join(directory, 'postgraphile.cjs'), source);
  const { read, refused } = JSON.parse(
    await output(process.execPath, ['postgraphile.cjs'], {
      cwd: directory,
      env: { DATABASE_URL: reader.url },
    }),
  );
  expect(read.errors).toBeUndefined();
  expect(read.data.allDeals.totalCount).toBe(Number(deals.rows));
  expect(read.data.allDeals.nodes[0].crmAccountByCustomerId.name).toBe(read.data.allDeals.nodes[0].customerName);
  expect(refused.errors[0].message).toMatch(/permission denied|read-only|cannot/);
});
