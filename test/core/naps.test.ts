/** When the database is left alone, by a clock of the test's own. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createNaps } from '../../src/core/naps.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const never = new AbortController().signal;
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** Whether somebody who asks now, and waits, may go on. */
function asking(naps: ReturnType<typeof createNaps>, signal = never) {
  const asked = { mayGoOn: false };
  void naps.awake(signal).then(() => {
    asked.mayGoOn = true;
  });
  return asked;
}

describe('a database that may sleep', () => {
  const start = () => createNaps({ lastsMs: 60_000, awakeMs: 10_000 });

  it('is used for a while after the start, then left alone for a nap, then used for a while again', async () => {
    const naps = start();
    expect(naps.isTired()).toBe(false);
    await pass(10_001);
    expect([naps.isTired(), naps.isAsleep()]).toEqual([true, true]);
    const asked = [asking(naps), asking(naps)];
    await pass(59_000);
    expect(asked).toEqual([{ mayGoOn: false }, { mayGoOn: false }]);
    await pass(1_000);
    expect(asked).toEqual([{ mayGoOn: true }, { mayGoOn: true }]);
    expect(naps.isTired()).toBe(false);
  });

  it('is used as soon as somebody comes', async () => {
    const naps = start();
    await pass(30_000);
    const asked = asking(naps);
    naps.stir();
    await pass(0);
    expect([asked.mayGoOn, naps.isAsleep()]).toEqual([true, false]);
  });

  it('does not sleep while somebody uses it, and then for as long', async () => {
    const naps = start();
    for (let turn = 0; turn < 10; turn += 1) {
      await pass(3_000);
      naps.use();
      expect(naps.isAsleep()).toBe(false);
    }
    expect(naps.isTired()).toBe(true);
    const asked = asking(naps);
    await pass(59_000);
    expect([asked.mayGoOn, naps.isAsleep()]).toEqual([false, true]);
    await pass(1_001);
    expect(asked.mayGoOn).toBe(true);
  });

  it('keeps nobody who is to stop', async () => {
    const naps = start();
    await pass(20_000);
    const stop = new AbortController();
    const asked = asking(naps, stop.signal);
    stop.abort();
    await pass(0);
    expect(asked.mayGoOn).toBe(true);
  });
});

it('without naps, nobody ever waits', async () => {
  const naps = createNaps({ lastsMs: 0, awakeMs: 0 });
  await pass(1_000_000);
  const asked = asking(naps);
  await pass(0);
  expect([asked.mayGoOn, naps.isTired(), naps.isAsleep()]).toEqual([true, false, false]);
});
