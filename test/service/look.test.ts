/** What an idle service finds out by itself, although nobody has told it. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { connect } from '../../src/postgres/connection.ts';
import { lookForWork } from '../../src/service/background.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());
beforeEach(() => database.sql`truncate sync.deliveries, sync.doubtful`);

const look = (...blocked: readonly string[]) => lookForWork(database.sql, new Set(blocked));

it('sees deliveries that another process has left behind, but for those of a model that is blocked', async () => {
  await database.sql`
    insert into sync.deliveries (status, module, model, action, body)
    values ('pending', 'crm', 'account', 'updated', ''), ('failed', 'crm', 'lead', 'updated', '')`;
  expect(await look()).toMatchObject({ hasPending: true, hasDueDoubts: false });
  expect(await look('crm.account')).toMatchObject({ hasPending: false });
  await database.sql`insert into sync.deliveries (status, body) values ('pending', 'not understood')`;
  expect(await look('crm.account')).toMatchObject({ hasPending: true });
});

it('sees doubts when they have come to their time', async () => {
  await database.sql`
    insert into sync.doubtful (model, entity_id, reason, next_attempt_at)
    values ('crm.account', 1, 'a test', clock_timestamp() + interval '1 hour')`;
  expect(await look()).toMatchObject({ hasPending: false, hasDueDoubts: false });
  await database.sql`update sync.doubtful set next_attempt_at = clock_timestamp()`;
  expect(await look()).toMatchObject({ hasPending: false, hasDueDoubts: true });
});

it('gives connections up that write to a database set to read-only since', async () => {
  const sql = connect(database.url, { applicationName: 'flowlu-mirror test', max: 1 });
  const [before] = await sql`select pg_backend_pid() as pid`;
  await database.sql.unsafe(`alter database ${database.name} set default_transaction_read_only = on`);
  try {
    await lookForWork(sql, new Set());
    const [after] =
      await sql`select pg_backend_pid() as pid, current_setting('default_transaction_read_only') as is_set`;
    expect(after).toMatchObject({ is_set: 'on' });
    expect(after?.pid).not.toBe(before?.pid);
  } finally {
    await sql.end();
    await database.sql.unsafe(`alter database ${database.name} reset default_transaction_read_only`);
  }
});
