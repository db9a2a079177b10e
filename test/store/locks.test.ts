import { expect, it } from 'vitest';
import { connect, transaction } from '../../src/postgres/connection.ts';
import { lockHolders } from '../../src/postgres/locks.ts';
import { createTestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { createLogin } from '../support/logins.ts';

it('who may not see when the session of another began learns since when it holds a lock at the latest', async () => {
  const database = await createTestDatabase();
  const { user, url, drop } = await createLogin(database, 'flowlu_writer');
  const sql = connect(url, { applicationName: 'flowlu-mirror test', max: 2 });
  const since = async () => (await lockHolders(sql)).map((holder) => holder.since);
  const moment = async (what: string) => {
    const [row] = await database.sql.unsafe(
      `select to_char(${what} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at
         from pg_stat_activity where datname = current_database() and application_name = 'somebody'`,
    );
    return row?.at as string;
  };
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  try {
    const locked = transaction(database.sql, {}, async (tx) => {
      await tx`set local application_name = 'somebody'`;
      await tx`lock table flowlu.crm_account`;
      await held;
    });
    await eventually(since, (all) => all.length === 1);
    const [first] = await since();
    expect(first).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ at the latest$/);
    // A second later it is known for as long.
    await eventually(
      () => moment('clock_timestamp()'),
      (now) => now > String(first),
    );
    expect(await since()).toEqual([first]);
    await database.sql.unsafe(`grant pg_read_all_stats to ${user}`);
    expect(await since()).toEqual([await moment('xact_start')]);
    release();
    await locked;
    expect(await since()).toEqual([]);
  } finally {
    release();
    await sql.end();
    await drop();
    await database.close();
  }
});

it('a lock that somebody has waited for is held since then at the latest', async () => {
  const database = await createTestDatabase();
  const { url, drop } = await createLogin(database, 'flowlu_writer');
  const sql = connect(url, { applicationName: 'flowlu-mirror test', max: 2 });
  const holder = await database.sql.reserve();
  try {
    await holder.unsafe(`set application_name = 'somebody'; begin; lock table flowlu.crm_account`);
    const waiting = transaction(sql, {}, (tx) => tx`update flowlu.crm_account set name = 'x' where id = 1`);
    const [wait] = await eventually(
      () => database.sql`
        select to_char(waitstart at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at
          from pg_locks where waitstart is not null and relation = 'flowlu.crm_account'::regclass
           and waitstart < clock_timestamp() - interval '1 second'`,
      (rows) => rows.length > 0,
    );
    expect(await lockHolders(sql)).toMatchObject([{ since: `${wait?.at} at the latest` }]);
    await holder.unsafe('commit; reset application_name');
    await waiting;
  } finally {
    holder.release();
    await sql.end();
    await drop();
    await database.close();
  }
});
