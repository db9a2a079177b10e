/** What the log says of background work that fails. */
import { expect, it } from 'vitest';
import { createLogger } from '../../src/core/log.ts';
import { startLoop } from '../../src/service/loop.ts';
import { until } from '../support/eventually.ts';

it('names a database that is away in a few words, however often, and shows where anything else has failed', async () => {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ level: 'warn', stream: { write: (line) => void lines.push(JSON.parse(line)) } });
  const stop = new AbortController();
  const failing = (name: string, error: Error) =>
    startLoop({ name, intervalMs: 1, log, signal: stop.signal, work: () => Promise.reject(error) });
  const lost = Object.assign(new Error('write CONNECTION_DESTROYED'), { code: 'CONNECTION_DESTROYED' });
  const loops = [failing('one', lost), failing('another', new Error('a mistake'))];
  await until(() => lines.filter(({ failures }) => failures === 4).length === 2, 25_000);
  stop.abort();
  await Promise.all(loops.map(({ ended }) => ended));
  const [away, others] = ['one', 'another'].map((name) => lines.filter(({ msg }) => String(msg).startsWith(name)));
  for (const line of away ?? []) {
    expect(line).toMatchObject({ level: 'warn', cause: 'the database is away', remedy: expect.any(String) });
    expect(line).not.toHaveProperty('err');
  }
  expect(others?.at(-1)).toMatchObject({ level: 'error', err: { message: 'a mistake', stack: expect.any(String) } });
}, 30_000);
