import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createProgress } from '../../src/cli/progress.ts';
import { layout } from '../../src/cli/progress-bars.ts';
import { Screen } from './screen.ts';

const PAGE = { read: 100, written: 90, unchanged: 10, requests: 1 };
/** Longer than one frame of the display. */
const FRAME_MS = 200;

/** A stream without a terminal that keeps its lines. */
function pipe(write?: () => never) {
  const lines: string[] = [];
  return { lines, on: () => undefined as never, write: write ?? ((text: string) => lines.push(text.trimEnd()) > 0) };
}

describe('on a terminal', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('a model that is being read shows its rows, its rate and the time left', async () => {
    const screen = new Screen(120);
    let clock = 0;
    const progress = createProgress({ stream: screen, now: () => clock, models: 4 });
    progress.modelStarted('crm.account', 400);
    clock = 2_000;
    progress.modelAdvanced('crm.account', PAGE);
    vi.advanceTimersByTime(FRAME_MS);
    const shown = screen.lines();
    progress.close();
    expect(shown[0]).toMatch(/^total .*6% {2}0\/4 models {2}100 rows {2}50\/s {2}ETA 30\.0s$/);
    expect(shown[1]).toMatch(/^crm\.account .*█+░+ {3}25% {2}100\/400 {2}50\/s {2}ETA 6\.0s$/);
  });

  test('finished models scroll away as one line each and leave the total standing', () => {
    const screen = new Screen(100);
    const progress = createProgress({ stream: screen, models: 2 });
    progress.modelStarted('crm.account', 100);
    progress.modelStarted('crm.lead', null);
    progress.modelAdvanced('crm.account', PAGE);
    progress.modelFinished('crm.account', 'done');
    progress.modelFinished('crm.lead', 'skipped', 'the portal\ndoes not know it');
    progress.close();
    const [first, second, third, ...rest] = screen.lines();
    expect(first).toMatch(/^✔ crm\.account {2}100 read, 90 written, \d+ms$/);
    expect(second).toBe('– crm.lead  skipped: the portal does not know it');
    expect(third).toMatch(/^total .*100% {2}2\/2 models {2}100 rows/);
    expect(rest.join('')).toBe('');
  });

  test('many models at once share a few bars, and every one of them ends with its line', async () => {
    const screen = new Screen(80);
    const progress = createProgress({ stream: screen });
    const names = Array.from({ length: 30 }, (_, index) => `module.model_${index}`);
    for (const name of names) progress.modelStarted(name, 200);
    vi.advanceTimersByTime(FRAME_MS);
    expect(screen.lines().filter((line) => line !== '')).toHaveLength(8);
    for (const name of names) progress.modelFinished(name, 'done');
    progress.close();
    const lines = screen.lines().filter((line) => line !== '');
    expect(lines.map((line) => line.split('  ')[0])).toEqual([...names.map((name) => `✔ ${name}`), 'total']);
  });

  test.each([20, 33, 50, 79, 200])('no bar is wider than a terminal of %i columns', (width) => {
    const tail = ['1,234,567/9,876,543', '1,234/s', 'ETA 1h 05m'];
    for (const name of ['a.b', 'customlists.a_model_with_an_uncommonly_long_name']) {
      const line = layout(name, 0.5, tail, width);
      expect(line.length).toBeLessThanOrEqual(width);
      expect(line).toContain('50%');
    }
  });

  test('a terminal that goes away does not end the work', () => {
    const screen = new Screen(80);
    const progress = createProgress({ stream: screen });
    screen.write = () => {
      throw Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    };
    progress.modelStarted('crm.account', 10);
    progress.modelFinished('crm.account', 'done');
    screen.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    progress.close();
    progress.modelStarted('crm.lead', 10);
  });
});

describe('in a pipe', () => {
  test('start and end of a model are a JSON line each, steps at most one in five seconds', () => {
    const stream = pipe();
    let clock = Date.parse('2026-01-01T00:00:00Z');
    const progress = createProgress({ stream, now: () => clock });
    progress.modelStarted('crm.account', 5_000);
    for (let page = 0; page < 12; page += 1) {
      clock += 1_000;
      progress.modelAdvanced('crm.account', PAGE);
    }
    progress.modelFinished('crm.account', 'failed', 'access denied');
    progress.close();
    progress.modelStarted('crm.lead', 1);

    const events = stream.lines.map((line) => JSON.parse(line));
    expect(events.map(({ event, read }) => [event, read])).toEqual([
      ['model_started', undefined],
      ['model_progress', 500],
      ['model_progress', 1_000],
      ['model_finished', 1_200],
    ]);
    expect(events.at(-1)).toEqual({
      time: '2026-01-01T00:00:12.000Z',
      event: 'model_finished',
      model: 'crm.account',
      outcome: 'failed',
      reason: 'access denied',
      total: 5_000,
      read: 1_200,
      written: 1_080,
      unchanged: 120,
      requests: 12,
      seconds: 12,
      rows_per_second: 100,
    });
  });

  test('a model that ends before it was started still gets its line', () => {
    const stream = pipe();
    createProgress({ stream }).modelFinished('loans.loan', 'skipped', 'unknown module');
    expect(JSON.parse(stream.lines[0] ?? '')).toMatchObject({ outcome: 'skipped', total: null, read: 0 });
  });

  test('a reader that goes away does not end the work', () => {
    const stream = pipe(() => {
      throw Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    });
    createProgress({ stream }).modelStarted('crm.account', 1);
  });
});
