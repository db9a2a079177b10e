import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type JsonObject, parseJson } from '../../src/core/json.ts';
import type { Micros } from '../../src/core/time.ts';
import { sleep } from '../../src/core/time.ts';
import { parseRetryAfter } from '../../src/flowlu/http.ts';
import { type Budget, createPace, localBudget, type Pace } from '../../src/flowlu/pace.ts';
import { compareIds, idOf } from '../../src/record/id.ts';
import { never } from './portal.ts';

/** How long the question and the answer travel, each time. */
type Way = () => readonly [thereMs: number, backMs: number];

const symmetric =
  (ms: number): Way =>
  () => [ms, ms];

/** A budget in memory, on a clock that is hours ahead of this process's, at several distances at once. */
function farBudget() {
  let aheadMs = 7_200_000;
  let nextAtMs = 0;
  const clockMs = () => performance.now() + aheadMs;
  const now = (): Micros => Math.floor(clockMs() * 1_000);
  return {
    now,
    setClockBy(ms: number) {
      aheadMs += ms;
      // As the database heals: a slot that lies far ahead is no longer believed.
      if (ms < 0) nextAtMs = 0;
    },
    at(way: Way): Budget {
      const travelling = async <T>(answer: () => T): Promise<T> => {
        const [thereMs, backMs] = way();
        await sleep(thereMs, never());
        const given = answer();
        await sleep(backMs, never());
        return given;
      };
      return {
        now: () => travelling(now),
        reserve: (lengthMs, leadMs) =>
          travelling(() => {
            const slotAtMs = Math.max(nextAtMs, clockMs() + leadMs);
            nextAtMs = slotAtMs + lengthMs;
            return { now: now(), waitMs: slotAtMs - clockMs() };
          }),
        moveSlots: (ms) =>
          travelling(() => {
            nextAtMs += ms;
          }),
      };
    },
  };
}

/**
 * Whoever takes slots one after the other, several at a time, and sends so much later.
 * @returns when each request left, in milliseconds
 */
function takeAll(paces: readonly Pace[], takersEach: number, durationMs: number, lateMs = () => 0): number[] {
  const at: number[] = [];
  const untilMs = performance.now() + durationMs;
  const work = async (pace: Pace) => {
    while (performance.now() < untilMs) {
      const moment = await pace.take(never());
      await sleep(lateMs(), never());
      pace.left(moment, performance.now());
      at.push(performance.now());
    }
  };
  for (const pace of paces) for (let taker = 0; taker < takersEach; taker += 1) void work(pace);
  return at;
}

const send = async (pace: Pace) => pace.left(await pace.take(never()), performance.now());

/** The most moments that lie within any one second. */
function busiest(moments: readonly number[]): number {
  return Math.max(...moments.map((from) => moments.filter((at) => at >= from && at < from + 1_000).length));
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the pace', () => {
  const ways = {
    'next to it': [symmetric(0)],
    '20 ms away': [symmetric(10)],
    '100 ms away': [symmetric(50)],
    'at three distances': [symmetric(0), symmetric(10), symmetric(50)],
    'four of them': [symmetric(0), symmetric(0), symmetric(0), symmetric(0)],
    'with one way slower than the other': [symmetric(0), () => [0, 30], () => [30, 0]] satisfies Way[],
    'on an unsteady line': [1, 2].map((): Way => {
      let turn = 0;
      return () => {
        turn += 7;
        return [10 + (turn % 10), 10 + ((turn * 3) % 10)];
      };
    }),
  };
  describe.each([1, 5, 50])('of %d requests a second', (rate) => {
    it.each(Object.entries(ways))('is kept in every second and used to 95 per cent, %s', async (_, lines) => {
      const budget = farBudget();
      const missed = vi.fn();
      const paces = lines.map((way) => createPace(rate, budget.at(way), missed));
      const durationMs = Math.max(10_000, 60_000 / rate);
      const moments = takeAll(paces, 16, durationMs);
      await vi.advanceTimersByTimeAsync(durationMs);
      expect(busiest(moments)).toBeLessThanOrEqual(rate);
      const seconds = ((moments.at(-1) ?? 0) - (moments[0] ?? 0)) / 1_000;
      expect(moments.length).toBeGreaterThanOrEqual(0.95 * rate * seconds);
      expect(seconds).toBeGreaterThan(0.9 * (durationMs / 1_000));
      expect(missed).not.toHaveBeenCalled();
    });
  });

  it.each([
    ['one process', 20, 1, 8],
    ['one process, and a slot is longer than a request is late', 2, 1, 1],
    ['two processes', 20, 2, 8],
  ])('is kept by requests that leave late, of %s, and most of it used', async (_, rate, processes, takers) => {
    const budget = farBudget();
    const paces = Array.from({ length: processes }, () => createPace(rate, budget.at(symmetric(1))));
    let turn = 0;
    // Now and then one waits for a new connection or a busy machine.
    const moments = takeAll(paces, takers, 30_000, () => (++turn % 23 === 0 ? 200 : 0));
    await vi.advanceTimersByTimeAsync(30_000);
    expect(busiest(moments)).toBeLessThanOrEqual(rate);
    expect(moments.length).toBeGreaterThan(0.6 * rate * 30);
  });

  it('a taker who goes away before it sends holds nobody up', async () => {
    const pace = createPace(1, localBudget());
    for (let round = 0; round < 5; round += 1) {
      const controller = new AbortController();
      const vain = pace.take(controller.signal).then(
        (moment) => pace.left(moment, performance.now()),
        () => {},
      );
      await vi.advanceTimersByTimeAsync(500);
      controller.abort();
      await vain;
    }
    const taken = pace.take(never());
    await vi.advanceTimersByTimeAsync(6_000);
    expect(await taken).toBeGreaterThan(0);
  });

  it('lets a slot pass whose answer comes late, says so, and keeps the rate', async () => {
    const budget = farBudget();
    const missed = vi.fn();
    let answers = 0;
    const unsteady = createPace(
      10,
      budget.at(() => (++answers % 7 === 0 ? [5, 400] : [5, 5])),
      missed,
    );
    const moments = takeAll([unsteady, createPace(10, budget.at(symmetric(1)))], 1, 20_000);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(missed.mock.calls.length).toBeGreaterThan(10);
    expect(busiest(moments)).toBeLessThanOrEqual(10);
    // Each missed slot costs itself, and seldom more.
    expect(moments.length).toBeGreaterThan(200 - 10 - 2 * missed.mock.calls.length);
  });

  it('goes on where no answer ever comes as soon as the quickest', async () => {
    const budget = farBudget();
    let answers = 0;
    const pace = createPace(
      5,
      budget.at(() => [5, answers++ % 16 === 0 ? 5 : 300]),
    );
    const moments = takeAll([pace, createPace(5, budget.at(symmetric(0)))], 3, 20_000);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(busiest(moments)).toBeLessThanOrEqual(5);
    expect(moments.length).toBeGreaterThan(50);
  });

  it('gives up where every answer takes much longer than the one before', async () => {
    let backMs = 10;
    const pace = createPace(
      5,
      farBudget().at(() => {
        backMs *= 3;
        return [0, backMs];
      }),
    );
    const refused = expect(pace.take(never())).rejects.toThrow('12 request slots in a row passed unused');
    await vi.advanceTimersByTimeAsync(10 * 3 ** 15);
    await refused;
  });

  it('returns moments on the budget’s clock, before the sending but not by more than an answer takes', async () => {
    const budget = farBudget();
    // Nothing tells which of the two ways takes so long.
    const paces = [budget.at(() => [100, 0]), budget.at(() => [0, 100]), budget.at(symmetric(50))].map((one) =>
      createPace(3, one),
    );
    const early: number[] = [];
    for (const pace of paces) {
      void (async () => {
        for (;;) {
          const moment = await pace.take(never());
          pace.left(moment, performance.now());
          expect(Number.isInteger(moment)).toBe(true);
          early.push((budget.now() - moment) / 1_000);
        }
      })();
    }
    await vi.advanceTimersByTimeAsync(10_000);
    expect(early.length).toBeGreaterThan(25);
    expect(Math.min(...early)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...early)).toBeLessThanOrEqual(102);
  });

  it.each([3_600_000, -3_600_000])('goes on when the budget’s clock is set by %d ms', async (ms) => {
    const budget = farBudget();
    const moments = takeAll([createPace(2, budget.at(symmetric(10)))], 2, 20_000);
    await vi.advanceTimersByTimeAsync(10_000);
    budget.setClockBy(ms);
    const before = moments.length;
    await vi.advanceTimersByTimeAsync(10_000);
    expect(moments.length - before).toBeGreaterThanOrEqual(17);
    expect(busiest(moments)).toBeLessThanOrEqual(2);
  });

  it('serves in the order asked for, and holds no more than a quarter of a second or one slot ahead', async () => {
    const budget = localBudget();
    const reserve = vi.spyOn(budget, 'reserve');
    const pace = createPace(1, budget);
    const order: number[] = [];
    for (const index of [0, 1, 2, 3, 4]) void send(pace).then(() => order.push(index));
    await vi.advanceTimersByTimeAsync(2_000);
    expect(order).toEqual([0, 1]);
    expect(reserve).toHaveBeenCalledTimes(3);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(order).toEqual([0, 1, 2, 3, 4]);
  });

  it('ends a wait at once when its signal says so; who has not reserved yet loses no slot', async () => {
    const budget = localBudget();
    const reserve = vi.spyOn(budget, 'reserve');
    const pace = createPace(1, budget);
    await send(pace);
    const controller = new AbortController();
    const vain = [1, 2, 3].map(() => pace.take(controller.signal).catch((reason: unknown) => reason));
    await vi.advanceTimersByTimeAsync(100);
    controller.abort('enough');
    expect(await Promise.all(vain)).toEqual(['enough', 'enough', 'enough']);
    const next = pace.take(never());
    await vi.advanceTimersByTimeAsync(2_100);
    await next;
    expect(reserve).toHaveBeenCalledTimes(3);
  });

  it('is unlimited for 0, and refuses what is no rate', async () => {
    const pace = createPace(0, localBudget());
    expect(await Promise.all([pace.take(never()), pace.take(never())])).toEqual(Array(2).fill(Date.now() * 1_000));
    expect(() => createPace(-1, localBudget())).toThrow(RangeError);
    expect(() => createPace(Number.NaN, localBudget())).toThrow(RangeError);
  });
});

describe('Retry-After', () => {
  it('is read as seconds or as a date, and nonsense is nothing', () => {
    const now = Date.parse('2026-10-01T07:00:00Z');
    expect(parseRetryAfter('3', now)).toBe(3000);
    expect(parseRetryAfter('Thu, 01 Oct 2026 07:00:05 GMT', now)).toBe(5000);
    expect(parseRetryAfter('Thu, 01 Oct 2026 06:00:00 GMT', now)).toBe(0);
    expect(parseRetryAfter('soon', now)).toBeNull();
    expect(parseRetryAfter(null, now)).toBeNull();
  });
});

describe('ids', () => {
  it('are read from numbers, strings and exact numbers, and compare beyond a double', () => {
    const id = (text: string) => idOf(parseJson(`{"id":${text}}`) as JsonObject);
    expect(id('7')).toBe('7');
    expect(id('"007"')).toBe('7');
    expect(id('9223372036854775807')).toBe('9223372036854775807');
    for (const none of ['null', '""', '-1', '1.5', '"x"', '1e30', 'true']) expect(id(none), none).toBeNull();
    expect(compareIds('9007199254740993', '9007199254740992')).toBeGreaterThan(0);
    expect(compareIds('9', '10')).toBeLessThan(0);
    expect(compareIds('10', '10')).toBe(0);
  });
});
