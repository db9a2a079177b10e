/** Settings that a role or a database may have been given, and that would change what is written or promised. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { durableClock } from '../../src/postgres/clock.ts';
import { transaction } from '../../src/postgres/connection.ts';
import { post, SECRET, type Service, startService, webhook } from '../intake/service.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let db: TestDatabase;
let service: Service;
beforeAll(async () => {
  db = await createTestDatabase();
  for (const setting of ['synchronous_commit = off', 'array_nulls = off', "datestyle = 'SQL, DMY'"])
    await db.sql.unsafe(`alter database ${db.name} set ${setting}`);
  // At its end a transaction with deliveries tells what it was committed by.
  await db.sql.unsafe(`
    create table public.committed (by text);
    create function public.tell() returns trigger language plpgsql as
      $$ begin insert into public.committed values (current_setting('synchronous_commit')); return null; end $$;
    create constraint trigger tell after insert on sync.deliveries deferrable initially deferred
      for each row execute function public.tell()`);
  service = await startService(db.url);
});
afterAll(async () => {
  await service?.close();
  await db?.close();
});

const tell = (body: unknown) => post(`${service.url}/webhooks/flowlu/${SECRET}`, body);

describe('whatever the database is set to', () => {
  it('an acknowledged delivery is on the disk', async () => {
    await db.sql`truncate public.committed`;
    expect((await tell(webhook('crm.account', 'create', { id: 1, name: 'A' }))).status).toBe(200);
    expect(await db.sql`select distinct by from public.committed`).toEqual([{ by: 'on' }]);
  });

  it.each(['remote_apply', 'local', 'on'])('who waits for more goes on doing so: %s', async (setting) => {
    const rows = await transaction(service.session.sql, {}, async (tx) => {
      await tx.unsafe(`set local synchronous_commit = ${setting}`);
      await durableClock(tx);
      return tx`show synchronous_commit`;
    });
    expect(rows[0]?.synchronous_commit).toBe(setting);
  });

  it('nulls are written as nulls, and times are read as they are meant', async () => {
    const bodies = [2, 3].map((id) =>
      webhook('crm.account', 'create', { id, name: null, created_date: '2026-03-04 05:06:07' }),
    );
    for (const answer of await Promise.all(bodies.map(tell))) expect(answer.status).toBe(200);
    const rows = await service.session.sql`
      select id::int, name, created_date, now() as now from flowlu.crm_account where id in (2, 3) order by id`;
    expect(rows.map(({ id, name, created_date }) => [id, name, created_date])).toEqual(
      [2, 3].map((id) => [id, null, new Date('2026-03-04T05:06:07Z')]),
    );
    expect(await db.sql`select distinct status from sync.deliveries`).toEqual([{ status: 'applied' }]);
  });
});
