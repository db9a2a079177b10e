import { expect, test } from 'vitest';
import { reportMissedSlots } from '../../src/service/session.ts';

/** What is said of so many late requests in each of some minutes. */
function toldOf(requestsPerSecond: number, lateInEachMinute: readonly number[]): readonly unknown[] {
  const told: unknown[] = [];
  let now = 0;
  const log = { warn: (fields: unknown) => void told.push(fields) };
  const report = reportMissedSlots(log as never, requestsPerSecond, () => now);
  for (const late of lateInEachMinute) {
    for (let n = 0; n < late; n += 1) report(5);
    now += 61_000;
  }
  return told;
}

test('a start that is late for some requests of a fast rate is not worth a word', () => {
  expect(toldOf(50, [60, 200, 0])).toEqual([]);
});

test('a minute that is late for a tenth of its requests is told once', () => {
  expect(toldOf(50, [1_000])).toEqual([{ missed: 300, late_ms: 5 }]);
  expect(toldOf(1, [9, 9, 30])).toEqual([{ missed: 10, late_ms: 5 }]);
});
