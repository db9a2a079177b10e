import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { barLine, createProgress } from '../../src/terminal/progress.ts';
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

  test('one bar shows how far all models have come, in rows', () => {
    const screen = new Screen(80);
    let clock = 0;
    const progress = createProgress({ stream: screen, now: () => clock, models: 4 });
    progress.modelStarted('crm.account', 400);
    clock = 2_000;
    progress.modelAdvanced('crm.account', PAGE);
    vi.advanceTimersByTime(FRAME_MS);
    expect(screen.lines()).toEqual([expect.stringMatching(/^█+░+ {4}6 % {2}100 rows {2}0\/4 models {2}50 rows\/s$/)]);
    progress.close();
    expect(screen.lines()).toEqual(['']);
  });

  test('a time left is told once every model has told its rows, at the rate of this run', () => {
    const screen = new Screen(100);
    let clock = 0;
    const progress = createProgress({ stream: screen, now: () => clock, models: 90 });
    const shown = () => {
      vi.advanceTimersByTime(FRAME_MS);
      return screen.lines().at(-1);
    };
    // Read by an earlier run: neither rows of this one, nor a sign of how fast it is.
    for (let n = 0; n < 87; n += 1) progress.modelFinished(`crm.read_${n}`, 'done');
    progress.modelStarted('crm.account', 1_000);
    clock = 2_000;
    progress.modelAdvanced('crm.account', PAGE);
    expect(shown()).toMatch(/ 3 % {2}100 rows {2}87\/90 models {2}50 rows\/s$/);
    progress.modelStarted('crm.lead', 200);
    progress.modelStarted('crm.note', null);
    expect(shown()).toMatch(/ 5 % .*rows\/s$/);
    progress.modelFinished('crm.note', 'done');
    expect(shown()).toMatch(/ 8 % {2}100 rows {2}88\/90 models {2}50 rows\/s {2}22 s left$/);
    clock = 4_000;
    for (let n = 0; n < 9; n += 1) progress.modelAdvanced('crm.account', PAGE);
    progress.modelFinished('crm.account', 'done');
    expect(shown()).toMatch(/ 83 % {2}1,000 rows {2}89\/90 models {2}250 rows\/s {2}1 s left$/);
    progress.close();
  });

  test('what failed stands above the bar at once; what is quiet shows nothing', () => {
    for (const isQuiet of [false, true]) {
      const screen = new Screen(100);
      const progress = createProgress({ stream: screen, models: 2, isQuiet });
      progress.modelStarted('crm.account', 100);
      progress.modelFinished('crm.account', 'done');
      progress.modelFinished('crm.lead', 'failed', 'access denied');
      vi.advanceTimersByTime(FRAME_MS);
      const shown = ['✖ crm.lead: access denied', expect.stringMatching(/100 % {2}0 rows {2}2\/2 models/)];
      expect(screen.lines()).toEqual(isQuiet ? [''] : shown);
      progress.close();
    }
  });

  test.each([12, 20, 33, 50, 79, 200])('no bar is wider than a terminal of %i columns', (width) => {
    const line = barLine(0.5, ['1,234,567 rows', '12/103 models', '1,234 rows/s', '65 min left'], width);
    expect(line.length).toBeLessThanOrEqual(width);
    expect(line).toContain('50 %');
  });

  test('a terminal that does not tell its width has a bar all the same', () => {
    const written: string[] = [];
    const stream = {
      isTTY: true,
      columns: 0,
      on: () => undefined as never,
      write: (text: string) => written.push(text),
    };
    const progress = createProgress({ stream, models: 4 });
    progress.modelStarted('crm.account', 400);
    progress.modelAdvanced('crm.account', PAGE);
    vi.advanceTimersByTime(FRAME_MS);
    expect(written.join('')).toMatch(/░+ {4}6 % {2}100 rows {2}0\/4 models/);
    progress.close();
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
