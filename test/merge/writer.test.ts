/** The writer on PostgreSQL: what one transaction writes, and what several at once must not lose. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findModel } from '../../src/catalog/index.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { createLogger } from '../../src/core/log.ts';
import { type Accepted, readAnnouncement } from '../../src/delivery/delivery.ts';
import { createBlockedModels } from '../../src/merge/blocked.ts';
import { receive } from '../../src/merge/receive.ts';
import type { Observation } from '../../src/merge/rule/observation.ts';
import type { Observed, WriterContext } from '../../src/merge/writer.ts';
import { findChanged, type KnownRow, type MirrorTable } from '../../src/mirror-rows/rows.ts';
import { connect, isRetryable, type Sql, transaction } from '../../src/postgres/connection.ts';
import { transact } from '../../src/postgres/transact.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { at, SECOND, worldOf, writeAlone, zone } from './world.ts';

const { state, announced, deleted, present, absent } = worldOf('crm.account');
const table: MirrorTable = { name: 'crm.account', model: findModel('crm.account') ?? null };
const invalid: string[] = [];
const context: WriterContext = {
  zone,
  settleGrace: 60 * SECOND,
  onInvalidValue: (model, field) => invalid.push(`${model}.${field}`),
};
const log = createLogger({ level: 'silent', version: 'test', secrets: [] });

let db: TestDatabase;
let other: Sql;
beforeAll(async () => {
  db = await createTestDatabase();
  other = connect(db.url, { applicationName: 'flowlu-mirror test', max: 5 });
});
afterAll(async () => {
  await other?.end();
  await db?.close();
});
beforeEach(async () => {
  invalid.length = 0;
  await db.sql`truncate flowlu.crm_account, flowlu.crm_lead, flowlu.crm_loss_reason, flowlu.uncatalogued, sync.doubtful,
                        sync.deliveries restart identity`;
});

const sight = (observation: Observation, id = '7', on = table): Observed => ({ table: on, entityId: id, observation });
const let_in = (...seen: Observation[]) =>
  transact(db.sql, (tx) =>
    writeAlone(
      tx,
      seen.map((one) => sight(one)),
      context,
    ),
  );
const account = async (id = 7) => (await db.sql`select * from flowlu.crm_account where id = ${id}`)[0];
const doubts = async () =>
  (await db.sql`select entity_id::text as id from sync.doubtful order by 1`).map(({ id }) => id);

describe('one transaction', () => {
  it('never merges into what was read of a row before it was locked', async () => {
    await let_in(announced(state('A', 5, { city: 'Ghent' }), null, 10));
    const read = await findChanged(db.sql, table, [{ id: '7', hash: '00000000-0000-0000-0000-000000000000' }]);
    const known = read.get('7') as KnownRow;
    expect(known.record).toMatchObject({ name: 'A', city: 'Ghent' });
    await let_in(announced(state('B', 6, { city: 'Bruges' }), null, 20));
    // The list does not show the city: what it keeps of it must be what the row holds by now.
    await transact(db.sql, (tx) => writeAlone(tx, [{ ...sight(present(state('C', 7), 30)), known }], context));
    expect((await account())?._record).toMatchObject({ name: 'C', city: 'Bruges' });
  });

  it('inserts, updates, tombstones and revives a row, with all that goes with it', async () => {
    await let_in(announced(state('A', 5, { owner_id: '3', active: 1, cf_9: 'x' }), null, 10));
    expect(await account()).toMatchObject({
      id: '7',
      name: 'A',
      owner_id: '3',
      active: true,
      updated_date: new Date('2026-06-01T11:00:05Z'),
      _version: new Date('2026-06-01T11:00:05Z'),
      _observed_at: new Date('2026-06-01T12:00:10Z'),
      _source: 'webhook',
      _deleted_at: null,
      _record: state('A', 5, { owner_id: '3', active: 1, cf_9: 'x' }),
    });
    await let_in(present(state('B', 6), 20));
    expect(await account()).toMatchObject({ name: 'B', owner_id: '3', _source: 'api', _record: { cf_9: 'x' } });
    await let_in(deleted(state('B', 6), 30));
    expect(await account()).toMatchObject({ name: 'B', _deleted_at: new Date('2026-06-01T12:00:30Z') });
    await let_in(present(state('B', 6), 40));
    expect(await account()).toMatchObject({ name: 'B', _deleted_at: null, _source: 'api' });
    await let_in(absent(50));
    expect(await account()).toMatchObject({ name: 'B', _deleted_at: new Date('2026-06-01T12:00:50Z'), _source: 'api' });
  });

  it('keeps a moment to the microsecond', async () => {
    const odd = { ...present(state('A'), 0), observedAt: at(0) + 123_457 };
    await let_in(odd);
    const [row] = await db.sql`select _observed_at::text as moment from flowlu.crm_account`;
    expect(row?.moment).toMatch(/\.123457/);
    expect(await let_in({ ...absent(0), observedAt: at(0) + 123_457 })).toMatchObject([{ decision: 'ignored' }]);
    expect(await let_in({ ...absent(0), observedAt: at(0) + 123_458 })).toMatchObject([{ decision: 'tombstoned' }]);
  });

  it('folds several observations of one id in order, and writes the row once', async () => {
    const [a, b] = [state('A', 5), state('B', 5)];
    const verdicts = await let_in(announced(a), announced(b, a), deleted(b), announced(a));
    expect(verdicts.map(({ decision }) => decision)).toEqual(['inserted', 'updated', 'tombstoned', 'stale']);
    const [row] =
      await db.sql`select name, _deleted_at is not null as dead, xmin::text = xmax::text as twice from flowlu.crm_account`;
    expect(row).toEqual({ name: 'B', dead: true, twice: false });
  });

  it('leaves null where a value does not fit its column, counts it, and keeps it in the record', async () => {
    const odd = state('A', 5, {
      owner_id: 'nobody',
      active: 'maybe',
      organization_revenue: '12,50',
      created_date: 'soon',
    });
    await let_in(present(odd, 1));
    expect(await account()).toMatchObject({ owner_id: null, active: null, organization_revenue: null, _record: odd });
    expect(invalid.sort()).toEqual(
      ['active', 'created_date', 'organization_revenue', 'owner_id'].map((field) => `crm.account.${field}`),
    );
  });

  it('writes the last and the first moments of the calendar in zones where they lie beyond it', async () => {
    const { createZone } = await import('../../src/record/zone.ts');
    for (const [name, moment, expected] of [
      ['America/New_York', '9999-12-31 23:59:59', '10000-01-01 04:59:59+00'],
      ['Asia/Tokyo', '0001-01-01 00:00:00', /^0001-12-31 14:4\d:\d\d\+00 BC$/],
    ] as const) {
      const far = { ...state('A'), created_date: moment, updated_date: moment };
      const observation: Observation = { ...present(far, 1), version: null };
      await transact(db.sql, (tx) => writeAlone(tx, [sight(observation)], { ...context, zone: createZone(name) }));
      const [row] = await db.sql`
        select (created_date at time zone 'UTC')::text || '+00' as moment, _version = created_date as same
          from flowlu.crm_account`;
      const text = String(row?.moment).replace(/ BC\+00$/, '+00 BC');
      expect(text).toMatch(expected instanceof RegExp ? expected : new RegExp(`^${expected.replace('+', '\\+')}$`));
      expect(row?.same).toBe(true);
      await db.sql`truncate flowlu.crm_account`;
    }
  });

  it('writes nothing where nothing changes', async () => {
    await let_in(present(state('A', 5, { owner_id: 3 }), 1));
    const before = await db.sql`select xmin::text, ctid::text from flowlu.crm_account`;
    await let_in(present(state('A', 5, { owner_id: '3' }), 2), announced(state('A', 5), null, 3), absent(0));
    expect(await db.sql`select xmin::text, ctid::text from flowlu.crm_account`).toEqual(before);
  });

  it('takes nothing of it back half-way when it fails', async () => {
    await expect(
      transaction(db.sql, {}, async (tx) => {
        await (await writeAlone(tx, [sight(present(state('A'), 1))], context)).answers;
        throw new Error('too late');
      }),
    ).rejects.toThrow('too late');
    expect(await account()).toBeUndefined();
  });
});

describe('doubts', () => {
  const [a, b, c] = [state('A', 5), state('B', 5), state('C', 5)];

  it('are raised with the row, once each, and renewed by another reason', async () => {
    await let_in(announced(a), announced(c, b));
    expect(await doubts()).toEqual(['7']);
    await db.sql`update sync.doubtful set attempts = 5, next_attempt_at = clock_timestamp() + interval '1 hour', last_error = 'x'`;
    await let_in({ says: 'unclear', reason: 'another', observedAt: at(20) });
    expect(
      await db.sql`select reason, attempts, last_error, next_attempt_at <= clock_timestamp() as due from sync.doubtful`,
    ).toEqual([{ reason: 'another', attempts: 0, last_error: null, due: true }]);
  });

  it('are cleared by a reading that began after they were raised, not by one that began before', async () => {
    await let_in(announced(a), announced(c, b));
    const [row] = await db.sql`select (extract(epoch from since) * 1000000)::bigint::text as since from sync.doubtful`;
    const since = Number(row?.since);
    const reading = (observedAt: number) => ({ ...present(c, 0), observedAt, settling: true, whole: true });
    await let_in(reading(since - SECOND));
    expect(await doubts()).toEqual(['7']);
    await let_in(reading(since + SECOND));
    expect(await doubts()).toEqual([]);
    expect(await account()).toMatchObject({ name: 'C' });
  });

  it('stand when a webhook overtook the reading that was to settle them', async () => {
    await let_in({ says: 'unclear', reason: 'odd', observedAt: at(0) });
    const [row] = await db.sql`select (extract(epoch from since) * 1000000)::bigint::text as since from sync.doubtful`;
    const later = Number(row?.since) + 10 * SECOND;
    await let_in({ ...announced(state('B', 9)), observedAt: later + SECOND });
    expect(await let_in({ ...present(a, 0), observedAt: later, settling: true, whole: true })).toMatchObject([
      { decision: 'ignored' },
    ]);
    expect(await doubts()).toEqual(['7']);
  });

  it('about what does not exist on either side are cleared', async () => {
    await let_in({ says: 'unclear', reason: 'odd', observedAt: at(0) });
    expect(await doubts()).toEqual(['7']);
    await let_in({ says: 'absent', observedAt: Date.now() * 1_000 + SECOND });
    expect(await doubts()).toEqual([]);
    expect(await account()).toBeUndefined();
  });
});

describe('transactions that race', () => {
  it('on the same new id: one inserts, the other notices, starts anew and ends in the newer state', async () => {
    for (let round = 0; round < 20; round += 1) {
      const id = String(1_000 + round);
      const make = (sql: Sql, version: number) =>
        transact(sql, (tx) =>
          writeAlone(tx, [sight(announced({ ...state(`v${version}`, version), id: Number(id) }), id)], context),
        );
      const results = await Promise.all([make(db.sql, 5), make(other, 6), make(db.sql, 4), make(other, 6)]);
      const decisions = results.map(([verdict]) => verdict?.decision);
      expect(decisions.filter((decision) => decision === 'inserted')).toHaveLength(1);
      expect(await account(Number(id))).toMatchObject({ name: 'v6', _version: new Date('2026-06-01T11:00:06Z') });
    }
    expect(await doubts()).toEqual([]);
  });

  it('tell the loser by an error, within its own transaction', async () => {
    let insertedMeanwhile = false;
    const race = transaction(db.sql, {}, async (tx) => {
      await tx`select 1 from flowlu.crm_account where id = 7`;
      const snapshotted = writeAlone(
        new Proxy(tx, {
          get(target, property) {
            const value = Reflect.get(target, property);
            if (property !== 'unsafe') return value;
            return async (...args: Parameters<typeof tx.unsafe>) => {
              if (/insert into/.test(args[0]) && !insertedMeanwhile) {
                insertedMeanwhile = true;
                await transact(other, (theirs) => writeAlone(theirs, [sight(present(state('theirs'), 1))], context));
              }
              return target.unsafe(...args);
            };
          },
        }),
        [sight(present(state('ours'), 2))],
        context,
      );
      return (await snapshotted).answers;
    });
    await expect(race).rejects.toSatisfy(isRetryable);
    expect(await account()).toMatchObject({ name: 'theirs' });
  });

  it('on hot ids in opposite orders: no deadlock, no lost update, and every delivery in the ledger', async () => {
    const before = await deadlocks();
    const ids = Array.from({ length: 12 }, (_, n) => n + 1);
    const states = new Map(
      ids.map((id) => [id, { id, name: 'v0', updated_date: '2026-06-01 10:00:00' } as JsonObject]),
    );
    const batches: Accepted[][] = [];
    for (let round = 1; round <= 30; round += 1) {
      const order = round % 2 === 0 ? ids : [...ids].reverse();
      batches.push(
        order.flatMap((id) => {
          const previous = states.get(id) as JsonObject;
          const minute = String(round).padStart(2, '0');
          const current = {
            id,
            name: `v${round}`,
            updated_date: `2026-06-01 10:${minute}:00`,
            [`cf_${round % 3}`]: round,
          };
          states.set(id, { ...previous, ...current });
          return ['crm.account', 'crm.lead'].map((model) => accept(model, current, previous));
        }),
      );
    }
    const receiver = (sql: Sql) => ({ sql, log, context: { ...context, tableOf, blocked: createBlockedModels() } });
    const acknowledged: string[] = [];
    // Four replicas take the batches as they come.
    await Promise.all(
      [db.sql, other, db.sql, other].map(async (sql) => {
        for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
          acknowledged.push(...(await receive(batch, receiver(sql))));
        }
      }),
    );
    expect(new Set(acknowledged).size).toBe(30 * 24);
    const [ledger] =
      await db.sql`select count(*)::int as all, count(*) filter (where status = 'applied')::int as applied from sync.deliveries`;
    expect(ledger).toEqual({ all: 30 * 24, applied: 30 * 24 });
    for (const table of ['crm_account', 'crm_lead']) {
      const rows = await db.sql.unsafe(
        `select id::text, name, _version from flowlu.${table} order by flowlu.${table}.id`,
      );
      expect(rows).toEqual(
        ids.map((id) => ({ id: String(id), name: 'v30', _version: new Date('2026-06-01T10:30:00Z') })),
      );
    }
    expect(await deadlocks()).toBe(before);
  });

  it('on undated rows and on uncatalogued ones end in one row, doubtful where the order cannot be told', async () => {
    const batches = Array.from({ length: 8 }, (_, n) => [
      accept('crm.loss_reason', { id: 1, name: `n${n}` }, { id: 1, name: `n${n - 1}` }),
      accept('own.thing', { id: 1, name: `n${n}` }, { id: 1, name: `n${n - 1}` }),
    ]);
    await Promise.all(
      batches.map((batch, n) =>
        receive(batch, {
          sql: n % 2 === 0 ? db.sql : other,
          log,
          context: { ...context, tableOf, blocked: createBlockedModels() },
        }),
      ),
    );
    const rows = await db.sql`
      select 'crm.loss_reason' as model, name, _record->>'name' as said from flowlu.crm_loss_reason
       union all select module || '.' || model, null, _record->>'name' from flowlu.uncatalogued`;
    expect(rows).toHaveLength(2);
    const wrong = rows.filter(({ said }) => said !== 'n7').map(({ model }) => model);
    const doubted = (await db.sql`select model from sync.doubtful`).map(({ model }) => model);
    expect(wrong.filter((model) => !doubted.includes(model))).toEqual([]);
  });
});

const tableOf = (module: string, model: string): MirrorTable => ({
  name: `${module}.${model}`,
  model: findModel(`${module}.${model}`) ?? null,
});

function accept(name: string, current: JsonObject, previous: JsonObject | null): Accepted {
  const [module, model] = name.split('.');
  const body = JSON.stringify({ meta: { module, model, action: 'update' }, current, previous });
  return { body, announcement: readAnnouncement(body) };
}

async function deadlocks(): Promise<number> {
  const [row] = await db.sql`select deadlocks::int as count from pg_stat_database where datname = ${db.name}`;
  return row?.count as number;
}
