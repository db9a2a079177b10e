import { describe, expect, it } from 'vitest';
import { type JsonObject, parseJson } from '../../src/core/json.ts';
import { parseRetryAfter } from '../../src/flowlu/http.ts';
import { localPace } from '../../src/flowlu/pace.ts';
import { compareIds, idOf } from '../../src/record/id.ts';
import { never } from './portal.ts';

/** The most moments that lie within any one second. */
function busiest(moments: readonly number[]): number {
  return Math.max(...moments.map((from) => moments.filter((at) => at >= from && at < from + 1000).length));
}

function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

describe('the local pace', () => {
  it('never gives more than R slots in any second, even when the process stalls, and wastes few', async () => {
    const rate = 20;
    const pace = localPace(rate);
    const taken: number[] = [];
    const stalls = setInterval(() => block(70), 230);
    const begun = performance.now();
    const worker = async () => {
      while (performance.now() - begun < 2500) {
        await pace.take(never());
        taken.push(performance.now());
      }
    };
    await Promise.all([worker(), worker(), worker()]);
    clearInterval(stalls);
    expect(busiest(taken)).toBeLessThanOrEqual(rate);
    expect(taken.length).toBeGreaterThanOrEqual(2.5 * rate * 0.85);
  });

  it('spaces slots evenly, in the order asked for', async () => {
    const pace = localPace(25);
    const order: number[] = [];
    const at: number[] = [];
    await Promise.all(
      [0, 1, 2, 3, 4].map(async (index) => {
        await pace.take(never());
        order.push(index);
        at.push(performance.now());
      }),
    );
    expect(order).toEqual([0, 1, 2, 3, 4]);
    expect((at[4] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(4 * 41 - 5);
  });

  it('gives a slot back that was waited for in vain, and ends the wait at once', async () => {
    const pace = localPace(5);
    await pace.take(never());
    const controller = new AbortController();
    const vain = [pace.take(controller.signal), pace.take(controller.signal)].map((p) => p.catch((error) => error));
    const next = pace.take(never());
    const begun = performance.now();
    controller.abort('enough');
    expect(await Promise.all(vain)).toEqual(['enough', 'enough']);
    expect(performance.now() - begun).toBeLessThan(50);
    await next;
    expect(performance.now() - begun).toBeLessThan(300);
  });

  it('is unlimited for 0 and Infinity, and returns microseconds not later than now', async () => {
    for (const rate of [0, Number.POSITIVE_INFINITY]) {
      const before = Date.now() * 1000;
      const micros = await localPace(rate).take(never());
      expect(micros).toBeGreaterThanOrEqual(before);
      expect(micros).toBeLessThanOrEqual(Date.now() * 1000);
    }
    expect(() => localPace(-1)).toThrow(RangeError);
    expect(() => localPace(Number.NaN)).toThrow(RangeError);
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
