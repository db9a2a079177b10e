/** The months of the history: made ahead, never in the way of a writer, dropped when their time is over. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { maintainHistory, monthsFrom } from '../../src/migrate/history-partitions.ts';
import { connect, type Sql, transaction } from '../../src/postgres/connection.ts';
import { appendChanges, type HistoryEntry } from '../../src/store/history.ts';
import { installVirtualClock, type VirtualClock } from '../convergence/virtual-clock.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const DAY_MS = 86_400_000;
const FOREVER = 0;

let database: TestDatabase;
let clock: VirtualClock;
let sql: Sql;
let other: Sql;

beforeAll(async () => {
  database = await createTestDatabase();
  clock = await installVirtualClock(database.sql);
  sql = connect(database.url, { applicationName: 'flowlu-mirror test', max: 4 });
  other = connect(database.url, { applicationName: 'flowlu-mirror test', max: 4 });
});
beforeEach(() => clock.reset(Date.parse('2026-01-31T23:59:50Z') / 1_000));
afterEach(async () => {
  for (const name of await months()) await sql.unsafe(`drop table sync.${name}`);
  await sql`delete from sync.history`;
});
afterAll(async () => {
  await sql.end();
  await other.end();
  await database.close();
});

const months = async () =>
  (
    await sql`select relname from pg_class where relnamespace = 'sync'::regnamespace and relname ~ '^history_[0-9]' and relkind = 'r' order by 1`
  ).map(({ relname }) => relname as string);
const entry = (entityId: string, model = 'crm.lead'): HistoryEntry => ({
  model,
  entityId,
  kind: 'updated',
  version: null,
  observedAt: Date.parse('2026-01-01T00:00:00Z') * 1_000,
  path: 'webhook',
  before: { name: 'A' },
  after: { name: 'B' },
  priorVersion: null,
  priorObservedAt: null,
});
const append = (...ids: string[]) =>
  transaction(sql, {}, (tx) =>
    appendChanges(
      tx,
      ids.map((id) => entry(id)),
    ),
  );
const held = async () =>
  (await sql`select entity_id::text as id, tableoid::regclass::text as place from sync.history order by number`).map(
    ({ id, place }) => `${id} in ${place}`,
  );
const at = (moment: string) => clock.reset(Date.parse(moment) / 1_000);

describe('months', () => {
  it('are cut in UTC, over the end of a year', () => {
    expect(
      monthsFrom(new Date('2026-11-30T23:59:59.999Z')).map(({ name, from, to }) => `${name} ${from} ${to}`),
    ).toEqual([
      'history_2026_11 2026-11-01T00:00:00.000Z 2026-12-01T00:00:00.000Z',
      'history_2026_12 2026-12-01T00:00:00.000Z 2027-01-01T00:00:00.000Z',
      'history_2027_01 2027-01-01T00:00:00.000Z 2027-02-01T00:00:00.000Z',
    ]);
  });

  it('are made ahead, once, and take each change by the moment of its recording', async () => {
    await at('2025-12-05T00:00:00Z');
    expect(await maintainHistory(sql, FOREVER)).toEqual({ made: ['history_2026_01', 'history_2026_02'], dropped: [] });
    expect(await maintainHistory(sql, FOREVER)).toEqual({ made: [], dropped: [] });
    await at('2026-01-31T23:59:59Z');
    await append('1');
    await at('2026-02-01T00:00:00Z');
    await append('2');
    expect(await held()).toEqual(['1 in sync.history_2026_01', '2 in sync.history_2026_02']);
    expect((await maintainHistory(sql, FOREVER)).made).toEqual(['history_2026_03', 'history_2026_04']);
  });

  it('refuse no change where nobody made them in time', async () => {
    await append('1');
    await maintainHistory(sql, FOREVER);
    await append('2');
    await at('2026-02-03T00:00:00Z');
    await append('3');
    expect(await held()).toEqual([
      '1 in sync.history_default',
      '2 in sync.history_default',
      '3 in sync.history_2026_02',
    ]);
  });

  it('are dropped when all of them is older than the retention, and no other', async () => {
    await at('2025-09-15T12:00:00Z');
    await maintainHistory(sql, FOREVER);
    for (const moment of ['2025-10-15', '2025-11-15', '2025-12-15', '2026-01-15']) {
      await at(`${moment}T12:00:00Z`);
      await maintainHistory(sql, FOREVER);
      await append(moment.slice(5, 7));
    }
    await at('2026-01-31T12:00:00Z');
    expect((await maintainHistory(sql, 62 * DAY_MS)).dropped).toEqual(['history_2025_10']);
    expect((await held()).map((line) => line.slice(0, 2))).toEqual(['11', '12', '1 ']);
    await at('2026-02-01T12:00:00Z');
    expect((await maintainHistory(sql, 62 * DAY_MS)).dropped).toEqual(['history_2025_11']);
  });

  it('let go of what came to the default partition as well', async () => {
    await at('2025-10-15T12:00:00Z');
    await append('1');
    await at('2026-01-31T12:00:00Z');
    await append('2');
    await maintainHistory(sql, 62 * DAY_MS);
    expect(await held()).toEqual(['2 in sync.history_default']);
  });

  it('are made and dropped by many replicas at once while others write and read, without an error', async () => {
    await at('2025-12-15T00:00:00Z');
    await maintainHistory(sql, FOREVER);
    let writing = true;
    const errors: unknown[] = [];
    const run = (work: () => Promise<unknown>) =>
      (async () => {
        while (writing) await work().catch((error) => errors.push(error));
      })();
    const writers = [run(() => append('1', '2')), run(() => sql`select count(*) from sync.history`)];
    for (let month = 1; month <= 6; month += 1) {
      await at(`2026-0${month}-15T00:00:00Z`);
      await Promise.all([sql, other, sql, other].map((pool) => maintainHistory(pool, 62 * DAY_MS)));
    }
    writing = false;
    await Promise.all(writers);
    expect(errors).toEqual([]);
    await maintainHistory(sql, 62 * DAY_MS);
    expect(await months()).toEqual(expect.arrayContaining(['history_2026_06', 'history_2026_07', 'history_2026_08']));
    expect(await months()).not.toContain('history_2026_03');
  });

  it('wait for no reader: what would have to is done later, and writers go on meanwhile', async () => {
    await at('2025-09-15T12:00:00Z');
    await maintainHistory(sql, FOREVER);
    await at('2026-01-31T12:00:00Z');
    await other.begin(async (reader) => {
      await reader`select count(*) from sync.history`;
      expect(await maintainHistory(sql, 62 * DAY_MS)).toMatchObject({ dropped: [] });
      await append('1');
    });
    expect((await maintainHistory(sql, 62 * DAY_MS)).dropped).toEqual(['history_2025_10']);
  });
});
