import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findModel } from '../../src/catalog/index.ts';
import type { Model } from '../../src/catalog/types.ts';
import { newestRow } from '../../src/mirror-rows/reads.ts';
import { findChanged, lockRows } from '../../src/mirror-rows/rows.ts';
import { connect, type Sql, type Transaction } from '../../src/postgres/connection.ts';
import { transact } from '../../src/postgres/transact.ts';
import { suspectUnlisted } from '../../src/store/doubts.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const model = findModel('crm.lead') as Model;
const table = { name: model.name, model };
const NOW = Date.now() * 1_000;
const HASH = '00000000-0000-4000-8000-000000000000';

let database: TestDatabase;
/** One connection, so that what it has prepared is used again. */
let sql: Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = connect(database.url, { applicationName: 'flowlu-mirror test', max: 1 });
});
afterAll(async () => {
  await sql?.end();
  await database.close();
});

/** How often `work` reads all of the table. */
async function fullReads(work: (tx: Transaction) => Promise<unknown>): Promise<number> {
  return transact(sql, async (tx) => {
    const before = await countOf(tx);
    await work(tx);
    return (await countOf(tx)) - before;
  });
}

async function countOf(tx: Transaction): Promise<number> {
  const [row] = await tx`select seq_scan::int as reads from pg_stat_xact_user_tables where relname = 'crm_lead'`;
  return row?.reads as number;
}

describe('statements by key', () => {
  it('keep to the keys when their table has grown since they were prepared', async () => {
    const ask = () =>
      fullReads(async (tx) => {
        await lockRows(tx, table, ['7', '8']);
        await findChanged(tx, table, [{ id: '7', hash: HASH }]);
        await suspectUnlisted(tx, model, { after: '6', upTo: '8', listed: ['7', '8'], observedAt: NOW });
      });
    for (let time = 0; time < 8; time += 1) expect(await ask()).toBe(0);
    await sql`
      insert into flowlu.crm_lead (id, _record, _observed_at, _source, _hash)
      select i, '{}', now(), 'api', gen_random_uuid() from generate_series(1, 5000) i`;
    expect(await ask()).toBe(0);
  });

  it('find the newest row of a large table without reading all of it', async () => {
    await sql`update flowlu.crm_lead set _version = now() - id * interval '1 minute'`;
    await sql`vacuum analyze flowlu.crm_lead`;
    const reads = await fullReads(async (tx) => {
      expect((await newestRow(tx, model, NOW + 60_000_000))?.id).toBe('1');
    });
    expect(reads).toBe(0);
  });
});
