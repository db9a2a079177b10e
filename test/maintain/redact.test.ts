/** `redact`: privacy settings that come later, applied to what was stored before them. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { runHere } from '../e2e/command.ts';
import { startService, webhook } from '../intake/service.ts';
import { type Simulator, startSimulator } from '../simulator/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { rowsWith } from '../support/dump.ts';
import { createLogin, type Login } from '../support/logins.ts';

vi.setConfig({ testTimeout: 120_000 });

const WORD = 'Top5ecret';
const KEY = 'a-key-of-thirty-two-characters-or-more';

let cwd: string;
let portal: Simulator;
let database: TestDatabase;
let writer: Login;
let plain: Record<string, string>;
let settings: Record<string, string>;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'flowlu-mirror-redact-'));
  await chmod(cwd, 0o711);
  portal = await startSimulator({ rowsPerModel: { 'crm.account': 20, 'customfields.fields': 4 } });
  database = await createTestDatabase();
  writer = await createLogin(database, 'flowlu_writer');
  plain = {
    DATABASE_URL: writer.url,
    FLOWLU_BASE_URL: portal.baseUrl,
    FLOWLU_API_KEY: portal.apiKey,
    FLOWLU_REQUESTS_PER_SECOND: '0',
    FLOWLU_MODELS: 'crm.*,customfields.*',
  };
  settings = {
    ...plain,
    FLOWLU_OMIT_FIELDS: 'crm.account.vat,crm.account.cf_1',
    FLOWLU_HASH_FIELDS: 'crm.account.phone',
    FLOWLU_HASH_SECRET: KEY,
  };
  for (const { id } of [...portal.portal.rows('crm.account')]) {
    portal.portal.update('crm.account', String(id), { phone: `${WORD} ${id}`, vat: `${WORD} vat`, cf_1: `${WORD} cf` });
  }
}, 180_000);
afterAll(async () => {
  await portal?.close();
  await writer?.drop();
  await database?.close();
  if (cwd !== undefined) await rm(cwd, { recursive: true, force: true });
});

const cli = (words: string, env: Record<string, string>) => runHere(words.split(' '), { cwd, env });

it('warns until it has run, leaves nothing of the values, and changes nothing when it runs again', async () => {
  expect((await cli('backfill', plain)).code).toBe(0);
  const service = await startService(database.url);
  const change = portal.portal.update('crm.account', 2, { name: 'Changed', phone: `${WORD} changed` });
  expect((await service.post(portal.webhooks.body(change))).status).toBe(200);
  expect((await service.post(webhook('crm.account', 'delete', null, { id: 3, phone: WORD }))).status).toBe(200);
  expect((await service.post(webhook('crm.visitor', 'create', { id: 1, phone: WORD, vat: WORD }))).status).toBe(200);
  expect((await service.post({ nobody: 'understands', this: WORD })).status).toBe(422);
  // A body that only looks as if it had been withheld.
  expect((await service.post({ withheld: WORD, characters: 1 })).status).toBe(422);
  await service.close();
  expect((await rowsWith(database.sql, [WORD])).length).toBeGreaterThan(20);

  const hashBefore = (await database.sql`select to_hash from sync.deliveries where entity_id = 2`)[0]
    ?.to_hash as string;
  const before = await cli('status', settings);
  expect(before.stderr).toContain('run `flowlu-mirror redact`');
  const doctor = await cli('doctor --quick --json', settings);
  expect(doctor.stdout).toContain('flowlu-mirror redact');

  const first = await cli('redact --json', settings);
  expect(first).toMatchObject({ code: 0 });
  expect(JSON.parse(first.stdout)).toMatchObject({
    rows: { rewritten: 21 },
    changes: { rewritten: 2 },
    deliveries: { read: 5, rewritten: 5 },
  });
  expect(await rowsWith(database.sql, [WORD])).toEqual([]);
  expect((await cli('status', settings)).stderr).not.toContain('redact');
  const again = await cli('redact --json', settings);
  expect(JSON.parse(again.stdout)).toMatchObject({ rows: { rewritten: 0 }, deliveries: { rewritten: 0 } });

  // Whatever follows from a record follows from what is left of it: hashes of the old contents could be tried out.
  const rebuilt = await cli('rebuild --json', settings);
  const models = (JSON.parse(rebuilt.stdout) as { models: { rewritten: number }[] }).models;
  expect(models.reduce((sum, { rewritten }) => sum + rewritten, 0)).toBe(0);
  const [delivery] = await database.sql`select to_hash from sync.deliveries where entity_id = 2`;
  expect(delivery?.to_hash).not.toBe(hashBefore);

  // What is left agrees with what the API says under the same settings, also when deliveries are replayed.
  portal.portal.remove('crm.account', 3);
  expect(await cli('verify', settings)).toMatchObject({ code: 0 });
  expect((await cli('replay --since 1h', settings)).code).toBe(3); // The two that nobody understands.
  expect(await cli('verify', settings)).toMatchObject({ code: 0 });
  expect(await rowsWith(database.sql, [WORD])).toEqual([]);
});

it('is due again after a time without the settings, and refused without any', async () => {
  expect((await cli('rebuild', plain)).code).toBe(0);
  expect((await cli('status', settings)).stderr).toContain('run `flowlu-mirror redact`');
  expect(await cli('redact', plain)).toMatchObject({ code: 2 });
  const impossible = await cli('status', { ...settings, FLOWLU_HASH_FIELDS: 'crm.account.owner_id' });
  expect(impossible).toMatchObject({ code: 2, stderr: expect.stringContaining('crm.account.owner_id') });
});
