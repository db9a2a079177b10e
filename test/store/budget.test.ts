import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type SharedPace, sharedPace } from '../../src/store/budget.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const RATE = 40;
const SECOND = 1_000_000;
const signal = AbortSignal.timeout(60_000);

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());
beforeEach(async () => {
  await database.sql`delete from sync.api_budget`;
});

async function takeMany(pace: SharedPace, count: number): Promise<number[]> {
  const moments: number[] = [];
  for (let taken = 0; taken < count; taken += 1) moments.push(await pace.take(signal));
  return moments;
}

/** The shortest time in which one more than the rate were granted. */
function shortest(moments: readonly number[]): number {
  const sorted = moments.toSorted((a, b) => a - b);
  return Math.min(...sorted.slice(RATE).map((at, index) => at - (sorted[index] as number)));
}

describe('the shared budget', () => {
  it('grants no more than the rate in any second, also to those who were kept from their slots', async () => {
    const paces = [sharedPace(database.sql, RATE), sharedPace(database.sql, RATE)];
    const takers = Promise.all(paces.map((pace) => takeMany(pace, 60)));
    let isOver = false;
    const blocking = (async () => {
      while (!isOver) {
        await sleep(500);
        // The slots of this while are taken late, and those of the next second in time.
        const until = performance.now() + 70;
        while (performance.now() < until);
      }
    })();
    const moments = (await takers).flat();
    isOver = true;
    await blocking;
    expect(moments).toHaveLength(120);
    expect(shortest(moments)).toBeGreaterThanOrEqual(SECOND);
  });

  it('refuses a newcomer, who knows nothing of the second before, in the same way', async () => {
    // As many as the rate were granted within half a second, and the grid has a slot free.
    await database.sql`
      insert into sync.api_budget (next_slot_at, taken)
      select now() - interval '1 millisecond', array_agg(now() - interval '12 milliseconds' * i order by i desc)
        from generate_series(1, ${RATE}::int) as i`;
    await expect(sharedPace(database.sql, RATE).take(AbortSignal.timeout(3))).rejects.toThrow();
    const [row] = await database.sql`
      select (extract(epoch from taken[1]) * 1000000)::float8 as oldest, cardinality(taken) as remembered from sync.api_budget`;
    expect(row?.remembered).toBe(RATE);
    expect((await sharedPace(database.sql, RATE).take(signal)) - Number(row?.oldest)).toBeGreaterThanOrEqual(SECOND);
  });

  it('gives a slot that came too late back', async () => {
    await database.sql`select`;
    const pace = sharedPace(database.sql, RATE);
    const taking = pace.take(signal);
    // The answer lies there while this process is busy with something else.
    await new Promise(setImmediate);
    const until = performance.now() + 300;
    while (performance.now() < until);
    const granted = await taking;
    const [row] = await database.sql`
      select (extract(epoch from taken[1]) * 1000000)::bigint::text as first, cardinality(taken) as remembered
        from sync.api_budget`;
    expect(row).toEqual({ first: String(granted), remembered: 1 });
  });

  it('heals from moments that lie far ahead, as after a clock was set back', async () => {
    await database.sql`
      insert into sync.api_budget (next_slot_at, taken)
      values (now() + interval '1 day', array_fill(now() + interval '1 day', array[${RATE}::int]))`;
    const startedAt = performance.now();
    await sharedPace(database.sql, RATE).take(signal);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});
