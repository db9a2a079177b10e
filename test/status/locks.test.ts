/** A lock that somebody else holds is a finding like any other: the same on every surface, with what ends it. */
import { expect, it } from 'vitest';
import type { Check } from '../../src/doctor/check.ts';
import { checkDatabase } from '../../src/doctor/database.ts';
import { createRecordHealth } from '../../src/intake/record-health.ts';
import { transaction } from '../../src/postgres/connection.ts';
import { type Facts, readFacts } from '../../src/status/facts.ts';
import { assess } from '../../src/status/findings.ts';
import { createTestDatabase } from '../support/database.ts';
import { sourceOf } from './source.ts';

it('is found once it is held for longer than making an index takes, also where nobody may see since when', async () => {
  const database = await createTestDatabase();
  try {
    const { expected } = sourceOf(database.sql);
    expect(await readFacts(database.sql, expected)).toMatchObject({ locks: [] });
    const facts = await transaction(database.sql, {}, async (tx) => {
      await tx`set local application_name = 'somebody'`;
      await tx`lock table flowlu.crm_account`;
      return readFacts(database.sql, expected);
    });
    const [lock] = facts.locks;
    expect(lock).toMatchObject({ relation: 'flowlu.crm_account', who: expect.stringContaining('somebody') });
    const after = (seconds: number, since = String(lock?.since)): Facts => ({
      ...facts,
      now: new Date(Date.parse(String(lock?.since)) + seconds * 1_000).toISOString(),
      locks: facts.locks.map((held) => ({ ...held, since })),
    });
    const found = (given: Facts) =>
      assess({ kind: 'there', facts: given }).findings.filter(({ code }) => code === 'locked');
    expect(found(after(5))).toEqual([]);
    const locked = expect.objectContaining({
      severity: 'bad',
      since: new Date(String(lock?.since)).toISOString(),
      sentence: expect.stringMatching(/^flowlu\.crm_account locked by process \d+ of the database/),
      remedy: expect.stringMatching(/End it with: select pg_terminate_backend\(\d+\)$/),
    });
    expect(found(after(15))).toEqual([locked]);
    expect(found(after(15, `${lock?.since} at the latest`))).toEqual([locked]);
  } finally {
    await database.close();
  }
});

it('is named by who reads the health also where the reading itself waits for it, and by who tries to write', async () => {
  const database = await createTestDatabase();
  const { sql } = database;
  await sql`select`;
  const holder = await sql.reserve();
  const whileLocked = async <T>(lock: string, look: () => Promise<T>) => {
    await holder.unsafe(`begin; set local application_name = 'somebody'; lock table ${lock}`);
    return await look().finally(() => holder.unsafe('commit'));
  };
  const findings = async () => (await sourceOf(sql).health()).findings;
  const remedy = expect.stringMatching(/ with: select pg_terminate_backend\(\d+\)$/);
  try {
    expect(await whileLocked('flowlu.crm_account, sync.deliveries', findings)).toMatchObject([
      {
        code: 'locked',
        sentence: expect.stringMatching(/^sync\.deliveries locked by process .*somebody/),
        remedy,
        stops_webhooks: true,
      },
    ]);
    expect(await whileLocked('sync.watermarks', findings)).toMatchObject([
      { code: 'locked', sentence: expect.stringMatching(/^sync\.watermarks locked by process/), remedy },
    ]);
    const when = { since: 'then', last_failure_at: 'then', last_success_at: null };
    const trouble = () => ({ cause: '', remedy: '', ...when, error: null, isFresh: false });
    const recording = { ...createRecordHealth(), trouble };
    for (const given of [{ recording }, {}]) {
      const { expected } = sourceOf(sql, given);
      const { obstacles } = await whileLocked('sync.deliveries in share mode', () => readFacts(sql, expected));
      expect(obstacles).toMatchObject([{ code: 'locked', remedy, stops_webhooks: true }]);
    }
    const checks: Check[] = [];
    await whileLocked('sync.deliveries in share mode', () => checkDatabase(sql, 'here', (check) => checks.push(check)));
    expect(checks.find(({ name }) => name === 'writing')).toMatchObject({ status: 'fail', advice: remedy });
  } finally {
    holder.release();
    await database.close();
  }
}, 60_000);

it('a trigger or rule that may drop what is written is a finding, one that comes after the row is none', async () => {
  const database = await createTestDatabase();
  const { sql } = database;
  const findings = async () =>
    (await sourceOf(sql).health()).findings.filter(({ code }) => code === 'rows_intercepted');
  try {
    await sql.unsafe(`create function public.own() returns trigger language plpgsql as 'begin return null; end';
      create trigger tell after update on flowlu.crm_account for each row execute function public.own()`);
    expect(await findings()).toEqual([]);
    await sql.unsafe(`create trigger "drops Rows" before update on flowlu.crm_account for each row execute function public.own();
      create rule silent as on insert to sync.deliveries where new.body = '' do instead nothing`);
    const found = await findings();
    expect(found).toMatchObject([
      {
        severity: 'care',
        sentence: expect.stringContaining('Rows of flowlu.crm_account pass through a trigger drops Rows of'),
      },
      { severity: 'care', sentence: expect.stringContaining('Rows of sync.deliveries pass through a rule silent of') },
    ]);
    for (const { remedy } of found) await sql.unsafe(String(remedy?.split('with: ')[1]));
    expect(await findings()).toEqual([]);
  } finally {
    await database.close();
  }
});
