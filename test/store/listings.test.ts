/** What a listing has brought stays known while the next one is under way. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  beginListing,
  findOpenListing,
  finishListing,
  firstReading,
  listedModels,
  progressOf,
} from '../../src/store/listings.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db?.close());

const COUNTS = { read: 0, written: 0, unchanged: 0, missed: 0, requests: 1 };

const list = async (model: string, outcome: 'complete' | 'skipped' | 'failed' | null) => {
  const key = { kind: 'backfill', model, runId: '1' } as const;
  await beginListing(db.sql, key);
  if (outcome !== null)
    await finishListing(db.sql, key, { outcome, reason: null, counts: COUNTS, unread: null, unreadRows: 0 });
};

it('a model that is read again is still one that was read: the first reading is over, and extra models keep their views', async () => {
  const names = ['crm.lead', 'asset.asset', 'fin.invoice'];
  const done = async () => (await firstReading(db.sql, names))?.modelsDone ?? 'all';
  await list('crm.lead', 'complete');
  await list('asset.asset', null);
  expect(await done()).toBe(1);
  await list('asset.asset', 'complete');
  await list('fin.invoice', 'skipped');
  expect(await done()).toBe('all');
  await list('asset.asset', null);
  expect(await done()).toBe('all');
  expect(await listedModels(db.sql)).toEqual(['asset.asset', 'crm.lead']);
  await list('asset.asset', 'failed');
  expect(await listedModels(db.sql)).toEqual(['asset.asset', 'crm.lead']);
});

it('the large models, which are read first, do not make a first reading look as large as if all were', async () => {
  const first = ['crm.lead', 'crm.account', 'task.tasks'];
  const names = [...first, ...Array.from({ length: 100 }, (_, n) => `extra.model_${n}`)];
  for (const [n, total] of [9_000, 2_000, 3_000, 20, 10, 6].entries()) {
    await list(names[n] as string, null);
    await db.sql`update sync.listings set total = ${total} where model = ${names[n] as string}`;
  }
  expect(await firstReading(db.sql, names)).toMatchObject({ rowsExpected: 14_036 + 97 * 12 });
});

it('a listing that was begun by a clock that has gone back since is not gone on with: its fence lies ahead of all readings', async () => {
  await list('crm.account', null);
  expect(await findOpenListing(db.sql, 'backfill', 'crm.account')).not.toBeNull();
  await db.sql`update sync.listings set started_at = started_at + interval '1 hour' where model = 'crm.account'`;
  expect(await findOpenListing(db.sql, 'backfill', 'crm.account')).toBeNull();
});

it('the lanes of a service have a run each, and their progress is that of all', async () => {
  await db.sql`
    insert into sync.listings (model, kind, run_id, started_at, rows_read, requests, is_open)
    values ('crm.lead', 'sweep', 71, now(), 4000, 40, false), ('crm.account', 'sweep', 72, now(), 200, 2, true)`;
  expect(await progressOf(db.sql, ['71', '72'])).toEqual({ models: 1, rows: 4_200, requests: 42 });
});
