import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { restBackground, sharedBudget, takeBackgroundTurn } from '../../src/store/budget.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const LENGTH_MS = 500;

let database: TestDatabase;
let budget: ReturnType<typeof sharedBudget>;
beforeAll(async () => {
  database = await createTestDatabase();
  budget = sharedBudget(database.sql);
});
afterAll(() => database.close());
beforeEach(async () => {
  await database.sql`delete from sync.api_budget`;
});

/** When the next free slot begins, in seconds from now. */
const nextSlotIn = (seconds: number) => database.sql`
  insert into sync.api_budget (next_slot_at) values (clock_timestamp() + ${seconds}::float8 * interval '1 second')
      on conflict (id) do update set next_slot_at = excluded.next_slot_at`;

const reserve = async (lengthMs = LENGTH_MS, leadMs = 0) => {
  const { now, waitMs } = await budget.reserve(lengthMs, leadMs);
  return { now, waitMs, slot: now / 1_000 + waitMs };
};

describe('the shared budget', () => {
  it('has one slot after the other, of the length that each asks for', async () => {
    const first = await reserve();
    const second = await reserve(2 * LENGTH_MS);
    const third = await reserve();
    expect(second.slot - first.slot).toBeCloseTo(LENGTH_MS, 2);
    expect(third.slot - second.slot).toBeCloseTo(2 * LENGTH_MS, 2);
  });

  it('gives none twice, however many ask at once', async () => {
    const slots = (await Promise.all(Array.from({ length: 40 }, () => reserve()))).map(({ slot }) => slot);
    slots.sort((a, b) => a - b);
    for (const [index, slot] of slots.entries()) expect(slot - (slots[0] ?? 0)).toBeCloseTo(index * LENGTH_MS, 2);
  });

  it('keeps a slot free of those that nobody took in time, and lets no answer come after its slot', async () => {
    for (const seconds of [-3_600, -0.001, 0.2]) {
      await nextSlotIn(seconds);
      const before = await budget.now();
      const { now, waitMs, slot } = await reserve(LENGTH_MS, 700);
      expect(waitMs).toBeLessThanOrEqual(700);
      expect(slot * 1_000 - before).toBeGreaterThanOrEqual(700_000);
      expect(now).toBeGreaterThanOrEqual(before);
      expect(now).toBeLessThanOrEqual(await budget.now());
    }
  });

  it('heals from a slot that lies farther ahead than anybody reserves, as after the clock was set back', async () => {
    await nextSlotIn(86_400);
    expect((await reserve(LENGTH_MS, 100)).waitMs).toBeLessThanOrEqual(100);
    expect((await reserve()).waitMs).toBeLessThanOrEqual(100 + LENGTH_MS);
  });

  it.each([
    ['within a minute', 50, LENGTH_MS],
    ['within sixty slots where these take longer', 500, 10_000],
  ])('waits for one %s', async (_, seconds, lengthMs) => {
    await nextSlotIn(seconds);
    const before = await budget.now();
    const { slot } = await reserve(lengthMs);
    expect(slot - before / 1_000).toBeGreaterThan((seconds - 10) * 1_000);
  });
});

describe("the background's turns", () => {
  const turn = () => takeBackgroundTurn(database.sql, LENGTH_MS);

  it('come at the length asked for, and take none of the slots', async () => {
    const waits = [await turn(), await turn(), await turn()];
    expect(waits[0]).toBe(0);
    expect(waits[2]).toBeGreaterThan(LENGTH_MS);
    expect(waits[2]).toBeLessThanOrEqual(2 * LENGTH_MS);
    expect((await reserve()).waitMs).toBeLessThan(LENGTH_MS);
  });

  it('are made up for where one was left unused, and no more of them', async () => {
    await turn();
    await database.sql`update sync.api_budget set background_slot_at = background_slot_at - interval '1 minute'`;
    expect([await turn(), await turn()]).toEqual([0, 0]);
    expect(await turn()).toBeGreaterThan(0);
  });

  it('take five times as long while others make many requests, and not for a few', async () => {
    await turn();
    for (let asked = 0; asked < 3; asked += 1) await reserve();
    await turn();
    expect(await turn()).toBeLessThan(3 * LENGTH_MS);
    for (let asked = 0; asked < 3; asked += 1) await reserve();
    await turn();
    expect(await turn()).toBeGreaterThan(5 * LENGTH_MS);
  });

  it('rest when the portal complains', async () => {
    await turn();
    await restBackground(database.sql);
    expect(await turn()).toBeGreaterThan(25_000);
  });
});

it('slots move when a request has left late', async () => {
  await reserve();
  const before = await reserve();
  await budget.moveSlots(700);
  expect((await reserve()).slot - before.slot).toBeCloseTo(LENGTH_MS + 700, 2);
});
