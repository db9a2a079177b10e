/** What the log says of background work that fails. */
import { afterEach, expect, it } from 'vitest';
import { createLogger } from '../../src/core/log.ts';
import { REPEATS, startLoop } from '../../src/service/loop.ts';
import { until } from '../support/eventually.ts';

const { saidEveryMs } = REPEATS;
afterEach(() => {
  REPEATS.saidEveryMs = saidEveryMs;
});

it('names a database that is away once for all loops and a while, and shows where anything else has failed', async () => {
  REPEATS.saidEveryMs = 2_500;
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ level: 'warn', stream: { write: (line) => void lines.push(JSON.parse(line)) } });
  const stop = new AbortController();
  const failures = { away: 0, mistake: 0 };
  const failing = (name: keyof typeof failures, error: Error) =>
    startLoop({
      name,
      intervalMs: 1,
      log,
      signal: stop.signal,
      work: () => {
        failures[name] += 1;
        return Promise.reject(error);
      },
    });
  const lost = Object.assign(new Error('write CONNECTION_DESTROYED'), { code: 'CONNECTION_DESTROYED' });
  const loops = [...Array.from({ length: 8 }, () => failing('away', lost)), failing('mistake', new Error('a mistake'))];
  const of = (name: string) => lines.filter(({ msg }) => String(msg).startsWith(name));
  await until(() => of('away').length >= 2 && of('mistake').some(({ level }) => level === 'error'), 25_000);
  stop.abort();
  await Promise.all(loops.map(({ ended }) => ended));
  const [away, mistakes] = [of('away'), of('mistake')];
  expect(away[0]).toMatchObject({ level: 'warn', cause: 'the database is away', remedy: expect.any(String), times: 1 });
  expect(away[0]).not.toHaveProperty('err');
  // What failed in between, of whichever loop, is counted.
  expect(away[1]?.times).toBeGreaterThanOrEqual(8);
  expect(away[1]?.times).toBeLessThanOrEqual(failures.away);
  expect(mistakes.at(-1)).toMatchObject({ level: 'error', err: { message: 'a mistake', stack: expect.any(String) } });
}, 30_000);
