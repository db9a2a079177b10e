/** Keys and links of the views, as tools read them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { keysFor, TOOLS } from '../../src/describe/keys.ts';
import { migrate } from '../../src/migrate/migrate.ts';
import { allViews } from '../../src/reports/all.ts';
import { NO_FACTS } from '../../src/views/live-columns.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const VIEWS = allViews(NO_FACTS);
let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.sql);
});
afterAll(() => database?.close());

const columns = async () => {
  const rows = await database.sql`
    select table_schema || '.' || table_name as relation, array_agg(column_name::text) as columns
      from information_schema.columns where table_schema in ('flowlu_live', 'flowlu_reports') group by 1`;
  return new Map(rows.map(({ relation, columns: names }) => [relation as string, names as string[]]));
};

it('PostGraphile: every key and every link is of columns that exist', async () => {
  const real = await columns();
  const { config } = JSON.parse(keysFor('postgraphile', VIEWS)) as {
    config: { class: Record<string, { tags: { primaryKey?: string; foreignKey: string[] } }> };
  };
  expect(config.class['flowlu_reports.deals']?.tags).toMatchObject({
    primaryKey: 'deal_id',
    foreignKey: expect.arrayContaining(['(customer_id) references flowlu_live.crm_account (id)']),
  });
  for (const [name, { tags }] of Object.entries(config.class)) {
    expect(real.get(name), name).toBeDefined();
    for (const column of tags.primaryKey?.split(',') ?? []) expect(real.get(name)).toContain(column);
    for (const link of tags.foreignKey) {
      const [, column = '', target = ''] = /^\((\w+)\) references (\w+\.\w+) \(id\)$/.exec(link) ?? [];
      expect(real.get(name), link).toContain(column);
      expect(real.get(target), link).toContain('id');
    }
  }
});

it('keys are of views whose rows they tell apart, and never null', () => {
  const { config } = JSON.parse(keysFor('postgraphile', VIEWS));
  // Rows for what belongs to nobody.
  for (const name of ['cash_flow_by_month', 'customers', 'tasks_by_person', 'cash_position'])
    expect(config.class[`flowlu_reports.${name}`].tags.primaryKey, name).toBeUndefined();
});

it('Kysely: the types compile, with a name for every view and null where a value may be missing', () => {
  const source = keysFor('kysely', VIEWS);
  const directory = mkdtempSync(join(tmpdir(), 'flowlu-mirror-keys-'));
  try {
    const file = join(directory, 'mirror.ts');
    writeFileSync(file, `${source}export const one = (row: FlowluReportsDeals): string => row.deal_id;\n`);
    execFileSync(join(process.cwd(), 'node_modules/.bin/tsc'), ['--noEmit', '--strict', '--ignoreConfig', file], {
      stdio: 'pipe',
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
  expect(source).toContain("'flowlu_reports.deals': FlowluReportsDeals;");
  expect(source).toMatch(/deal_id: string;/);
  expect(source).toMatch(/budget: string \| null;/);
  const names = [...source.matchAll(/^export interface (\w+)/gm)].map(([, name]) => name);
  expect(new Set(names).size).toBe(names.length);
});

it('Prisma: every link has both of its ends, under one name', () => {
  const source = keysFor('prisma', VIEWS);
  const ends = new Map<string, number>();
  for (const [, title = ''] of source.matchAll(/@relation\("(\w+)"/g)) ends.set(title, (ends.get(title) ?? 0) + 1);
  expect(ends.size).toBeGreaterThan(100);
  expect([...ends].filter(([, count]) => count !== 2)).toEqual([]);
  for (const block of source.split('\n}\n').filter((text) => text.trim() !== '')) {
    const fields = [...block.matchAll(/^ {2}(\w+) /gm)].map(([, field]) => field);
    expect(new Set(fields).size, block.slice(0, 80)).toBe(fields.length);
    expect(block.match(/@unique/g)).toHaveLength(1);
  }
});

it('Power BI: links are of columns that exist, and the active ones connect any two tables in one way', async () => {
  const real = await columns();
  const groups = new Map<string, string>();
  const groupOf = (name: string): string => {
    const next = groups.get(name) ?? name;
    return next === name ? name : groupOf(next);
  };
  const blocks = keysFor('powerbi', VIEWS)
    .split(/^(?=relationship )/m)
    .map((block) => ({
      block,
      ends: [...block.matchAll(/\t(?:from|to)Column: '(\w+) (\w+)'\.'?(\w+)'?$/gm)].map(([, schema, name, column]) => ({
        name: `${schema}.${name}`,
        column,
      })),
    }));
  expect(blocks.length).toBeGreaterThan(200);
  for (const { block, ends } of blocks) {
    expect(ends, block).toHaveLength(2);
    for (const { name, column } of ends) expect(real.get(name), block).toContain(column);
    const [from = '', to = ''] = ends.map(({ name }) => groupOf(name));
    // One that is not active would open a second way.
    if (block.includes('isActive: false')) expect(from, block).toBe(to);
    else expect(from, block).not.toBe(to);
    groups.set(from, to);
  }
  expect(new Set(blocks.map(({ block }) => block.split('\n')[0])).size).toBe(blocks.length);
});

it.each(TOOLS)('%s: the same views give the same text', (tool) => {
  expect(keysFor(tool, VIEWS)).toBe(keysFor(tool, allViews(NO_FACTS)));
});
