/** The script for Metabase, run against a stand-in that answers as the documentation of its API says. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { keysFor } from '../../src/describe/keys.ts';
import { migrate } from '../../src/migrate/migrate.ts';
import { allViews } from '../../src/reports/all.ts';
import { NO_FACTS } from '../../src/views/live-columns.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const KEY = 'mb_secret-of-the-test';

interface Field {
  readonly id: number;
  readonly name: string;
  semantic_type?: string;
  fk_target_field_id?: number;
}
interface Table {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly fields: Field[];
  visibility_type: string | null;
}

let database: TestDatabase;
let server: Server;
let directory: string;
const tables: Table[] = [];
const cards: { name: string; dataset_query: { native: { query: string } } }[] = [];
const dashboards: { name: string; dashcards?: { card_id: number }[] }[] = [];
const writes: string[] = [];

/** What it answers, or null where it knows no such thing. */
function answer(method: string, path: string, body: object): unknown {
  const [, kind, id] = /^\/api\/(\w+)(?:\/(\d+))?/.exec(path) ?? [];
  if (method !== 'GET') writes.push(`${method} ${path}`);
  if (method === 'PUT' && kind === 'field') return Object.assign(fields().get(Number(id)) as Field, body);
  if (method === 'PUT' && kind === 'table') return Object.assign(tables[Number(id)] as Table, body);
  if (method === 'PUT' && kind === 'dashboard') return Object.assign(dashboards[Number(id)] as object, body);
  if (method === 'POST' && kind === 'card') return { id: cards.push(body as never) - 1 };
  if (method === 'POST' && kind === 'dashboard') return { id: dashboards.push(body as never) - 1 };
  if (path === '/api/database') return { data: [{ id: 7, name: 'Mirror' }] };
  if (path.startsWith('/api/database/7/metadata')) return { tables };
  if (path.startsWith('/api/search')) return { data: dashboards };
  return null;
}

const fields = () => new Map(tables.flatMap((table) => table.fields.map((field) => [field.id, field] as const)));
const fieldOf = (schema: string, table: string, name: string) =>
  tables.find((one) => one.schema === schema && one.name === table)?.fields.find((field) => field.name === name);

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.sql);
  const found = await database.sql`
    select table_schema as schema, table_name as name, array_agg(column_name::text) as columns
      from information_schema.columns
     where table_schema in ('flowlu', 'flowlu_live', 'flowlu_reports', 'sync') group by 1, 2`;
  let id = 100;
  for (const { schema, name, columns } of found) {
    const own = (columns as string[]).map((column) => ({ id: id++, name: column }));
    tables.push({ id: tables.length, schema, name, fields: own, visibility_type: null });
  }
  server = createServer(async (request, response) => {
    const body = request.method === 'GET' ? {} : ((await json(request)) as object);
    const isKnown = request.headers['x-api-key'] === KEY;
    const answered = isKnown ? answer(request.method ?? '', request.url ?? '', body) : null;
    response.writeHead(isKnown ? (answered === null ? 404 : 200) : 401, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answered));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  directory = mkdtempSync(join(tmpdir(), 'flowlu-mirror-metabase-'));
  writeFileSync(join(directory, 'metabase.mjs'), keysFor('metabase', allViews(NO_FACTS)));
});
afterAll(async () => {
  server?.close();
  if (directory !== undefined) rmSync(directory, { recursive: true });
  await database?.close();
});

async function run(name = 'Mirror', key = KEY): Promise<string> {
  const { port } = server.address() as AddressInfo;
  const env = { METABASE_URL: `http://127.0.0.1:${port}`, METABASE_API_KEY: key };
  const done = promisify(execFile)(process.execPath, [join(directory, 'metabase.mjs'), name], { env });
  return done.then(
    ({ stdout }) => stdout,
    ({ code, stderr }: { code: number; stderr: string }) => `${code} ${stderr}`,
  );
}

it('says what is wrong with the key or the name, and changes nothing then', async () => {
  expect(await run('Mirror', 'another')).toMatch(/^1 .*answers 401; the key needs/);
  expect(await run('Other')).toMatch(/^1 Metabase has no database Other, only: Mirror/);
  expect(writes).toEqual([]);
});

it('names keys and links, hides the other tables and makes a dashboard; once', async () => {
  expect(await run()).toMatch(/^\d+ changes\n$/);
  const key = fieldOf('flowlu_live', 'crm_account', 'id');
  expect(key?.semantic_type).toBe('type/PK');
  expect(fieldOf('flowlu_reports', 'deals', 'customer_id')).toMatchObject({
    semantic_type: 'type/FK',
    fk_target_field_id: key?.id,
  });
  for (const { semantic_type, fk_target_field_id } of fields().values())
    expect(fk_target_field_id !== undefined).toBe(semantic_type === 'type/FK');
  for (const { schema, visibility_type } of tables)
    expect(visibility_type).toBe(['flowlu', 'sync'].includes(schema) ? 'hidden' : null);
  expect(dashboards).toMatchObject([{ dashcards: cards.map((_, index) => ({ card_id: index })) }]);
  // What the cards ask is answered.
  for (const { dataset_query } of cards) await database.sql.unsafe(dataset_query.native.query);
  expect(cards.length).toBeGreaterThan(3);

  writes.length = 0;
  expect(await run()).toBe('0 changes\n');
  expect(writes).toEqual([]);
});
