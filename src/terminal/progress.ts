/** Progress of long readings: one bar on a terminal, JSON lines elsewhere. */
import { visible } from '../core/visible.ts';
import { count, span } from '../status/words.ts';
import { pinLine, type TextStream, write } from './output.ts';

/** Counts of one step, added to those reported before. */
interface Advance {
  readonly read: number;
  readonly written: number;
  readonly unchanged: number;
  readonly requests: number;
}

type Outcome = 'done' | 'skipped' | 'failed' | 'interrupted';

export type Progress = ReturnType<typeof createProgress>;

export interface ProgressOptions {
  readonly stream: TextStream;
  /** How many models there are, those included that need not be read; if known, the bar covers all of them. */
  readonly models?: number;
  readonly isQuiet?: boolean;
  /** Clock in milliseconds. */
  readonly now?: () => number;
  /** Minimum time between two JSON lines of one model. */
  readonly intervalMs?: number;
}

interface Tally extends Record<keyof Advance, number> {
  total: number | null;
  startedAt: number;
  reportedAt: number;
}

/**
 * Starts a progress display of a backfill or sweep on the stream. Call `close()` when the work ends. Never throws,
 * whatever happens to the stream.
 */
export function createProgress(options: ProgressOptions) {
  const { stream, models, isQuiet = false, now = Date.now, intervalMs = 5_000 } = options;
  const tallyAt = (total: number | null): Tally => {
    return { total, startedAt: now(), reportedAt: now(), read: 0, written: 0, unchanged: 0, requests: 0 };
  };
  const active = new Map<string, Tally>();
  const tallyOf = (name: string) => {
    const tally = active.get(name) ?? tallyAt(null);
    active.set(name, tally);
    return tally;
  };
  const whole = tallyAt(null);
  let finished = 0;
  /** Of the models that have ended: how many had rows to read, as the portal had said, and how many these were. */
  const known = { models: 0, rows: 0 };
  let isOpen = !isQuiet;

  const say = (text: string) => quietly(() => write(stream, `${text}\n`));
  const emit = (event: string, model: string, fields: object) =>
    say(JSON.stringify({ time: new Date(now()).toISOString(), event, model, ...fields }));
  /**
   * How far it is, in rows: a model that has not begun counts as the average of the others, which is enough for a bar. A
   * time left is told only when every model that is not done has told its rows.
   */
  const line = () => {
    const expected = models ?? finished + active.size;
    const tallies = [...active.values()];
    const counted = tallies.filter(({ total }) => total !== null);
    const rows = counted.reduce((sum, { total }) => sum + Number(total), known.rows);
    const left = counted.reduce((sum, { total, read }) => sum + Math.max(0, Number(total) - read), 0);
    const waiting = Math.max(0, expected - finished - counted.length);
    const all = rows + (waiting * rows) / Math.max(1, counted.length + known.models);
    const fraction = all > 0 ? (rows - left) / all : finished / Math.max(1, expected);
    const rate = rateOf(whole, now());
    const figures = [
      count(whole.read, 'row'),
      `${finished}/${count(expected, 'model')}`,
      `${count(Math.round(rate))} rows/s`,
      ...(waiting === 0 && left > 0 && rate > 0 ? [`${span(left / rate)} left`] : []),
    ];
    return barLine(fraction, figures, (stream.columns || 80) - 1);
  };
  const isTerminal = stream.isTTY === true;
  const unpin = isTerminal && isOpen ? pinLine(line, { ...patient(stream) }) : () => {};

  return {
    /** `total`: rows still to come; null if the portal does not say. */
    modelStarted(name: string, total: number | null): void {
      if (!isOpen) return;
      active.set(name, tallyAt(total));
      if (!isTerminal) emit('model_started', name, { total });
    },
    modelAdvanced(name: string, step: Advance): void {
      if (!isOpen) return;
      const tally = tallyOf(name);
      for (const part of ['read', 'written', 'unchanged', 'requests'] as const) {
        tally[part] += step[part];
        whole[part] += step[part];
      }
      if (isTerminal || now() - tally.reportedAt < intervalMs) return;
      tally.reportedAt = now();
      emit('model_progress', name, summary(tally, now()));
    },
    /** `reason`: why it was skipped or failed. */
    modelFinished(name: string, outcome: Outcome, reason?: string): void {
      if (!isOpen) return;
      const tally = tallyOf(name);
      active.delete(name);
      finished += 1;
      if (tally.total !== null) {
        known.models += 1;
        known.rows += Math.max(tally.total, tally.read);
      }
      if (!isTerminal) emit('model_finished', name, { outcome, ...(reason && { reason }), ...summary(tally, now()) });
      else if (outcome === 'failed') say(`✖ ${name}: ${visible(reason ?? 'failed')}`);
    },
    /** Ends the display and frees its timer. Later calls do nothing. */
    close(): void {
      isOpen = false;
      unpin();
    },
  };
}

const BAR_MIN = 8;
const BAR_MAX = 30;

/** A bar and its figures. On a narrow terminal the last figures are dropped first, then the bar. */
export function barLine(fraction: number, figures: readonly string[], width: number): string {
  const percent = `${Math.floor(fraction * 100)} %`.padStart(5);
  const shown = [...figures];
  while (shown.length > 0 && [percent, ...shown].join('  ').length + BAR_MIN + 2 > width) shown.pop();
  const text = [percent, ...shown].join('  ');
  const space = Math.min(BAR_MAX, width - text.length - 2);
  if (space < BAR_MIN) return text.slice(0, width);
  const full = Math.round(fraction * space);
  return `${'█'.repeat(full)}${'░'.repeat(space - full)}  ${text}`;
}

/** The stream without its exceptions: a terminal that has gone away must not end the work. */
function patient(stream: TextStream): TextStream {
  return {
    isTTY: true,
    write: (text) => quietly(() => stream.write(text)),
    on: (event, listener) => stream.on(event, listener),
  };
}

function quietly(action: () => unknown): void {
  try {
    action();
  } catch {
    // Nobody is reading any more.
  }
}

const secondsOf = ({ startedAt }: Tally, now: number) => (now - startedAt) / 1_000;
const rateOf = (tally: Tally, now: number) => (now > tally.startedAt ? tally.read / secondsOf(tally, now) : 0);
const rounded = (value: number) => Math.round(value * 10) / 10;

function summary(tally: Tally, now: number) {
  const { startedAt: _, reportedAt: __, ...counts } = tally;
  return { ...counts, seconds: rounded(secondsOf(tally, now)), rows_per_second: rounded(rateOf(tally, now)) };
}
