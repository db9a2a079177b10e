import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { backgroundBudget, restBackground, sharedBudget } from '../../src/store/budget.ts';
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

describe("the background's part", () => {
  const slotOf = async (part: ReturnType<typeof backgroundBudget>) => {
    const { now, waitMs } = await part.reserve(LENGTH_MS, 0);
    return now / 1_000 + waitMs;
  };

  it('has slots of its own, and takes none of the others', async () => {
    await budget.reserve(LENGTH_MS, 0, true);
    const part = backgroundBudget(database.sql);
    const [first, second] = [await slotOf(part), await slotOf(part)];
    expect(second - first).toBeCloseTo(LENGTH_MS, 2);
  });

  it('is five times smaller while others ask, on every replica', async () => {
    await budget.reserve(LENGTH_MS, 0);
    for (const part of [backgroundBudget(database.sql), backgroundBudget(database.sql)]) {
      await slotOf(part);
      const [first, second] = [await slotOf(part), await slotOf(part)];
      expect(second - first).toBeCloseTo(5 * LENGTH_MS, 2);
    }
  });

  it('rests when the portal complains', async () => {
    const part = backgroundBudget(database.sql);
    const before = await slotOf(part);
    await restBackground(database.sql);
    expect((await slotOf(part)) - before).toBeGreaterThan(25_000);
  });
});
