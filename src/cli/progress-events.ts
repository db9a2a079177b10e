/** What a long reading reports about itself, and its form for pipes and log files: one JSON line per event. */
import { type TextStream, write } from './output.ts';

/** Counts of one step; all are added to what was reported before. */
export interface Advance {
  readonly read: number;
  readonly written: number;
  readonly unchanged: number;
  readonly requests: number;
}

/** How the reading of one model ended. */
export type Outcome = 'done' | 'skipped' | 'failed' | 'interrupted';

/** Receives the progress of a backfill or sweep. Never throws, whatever happens to the stream. */
export interface Progress {
  /** `total`: rows still to come; null when the portal does not say. */
  modelStarted(name: string, total: number | null): void;
  modelAdvanced(name: string, step: Advance): void;
  /** `reason`: why it was skipped or failed. */
  modelFinished(name: string, outcome: Outcome, reason?: string): void;
  /** Ends the display and frees its timer; later calls do nothing. */
  close(): void;
}

/** Everything reported about one model so far. Times in milliseconds. */
export interface Tally {
  readonly name: string;
  total: number | null;
  startedAt: number;
  read: number;
  written: number;
  unchanged: number;
  requests: number;
}

/** An empty tally. */
export function newTally(name: string, total: number | null, startedAt: number): Tally {
  return { name, total, startedAt, read: 0, written: 0, unchanged: 0, requests: 0 };
}

/** Adds a step to a tally. */
export function addStep(tally: Tally, step: Advance): void {
  tally.read += step.read;
  tally.written += step.written;
  tally.unchanged += step.unchanged;
  tally.requests += step.requests;
}

/** Rows per second since the start; 0 in the first instant. */
export function rateOf(tally: Tally, now: number): number {
  const seconds = (now - tally.startedAt) / 1_000;
  return seconds > 0 ? tally.read / seconds : 0;
}

/** Progress as JSON lines: starts, ends, and in between one line per model and `intervalMs` at most. */
export function createProgressLines(stream: TextStream, now: () => number, intervalMs: number): Progress {
  const models = new Map<string, { readonly tally: Tally; reportedAt: number }>();
  let open = true;

  const emit = (event: string, model: string, fields: object) => {
    if (!open) return;
    const line = JSON.stringify({ time: new Date(now()).toISOString(), event, model, ...fields });
    quietly(() => write(stream, `${line}\n`));
  };
  const entryOf = (name: string) => {
    const entry = models.get(name) ?? { tally: newTally(name, null, now()), reportedAt: now() };
    models.set(name, entry);
    return entry;
  };

  return {
    modelStarted(name, total) {
      models.set(name, { tally: newTally(name, total, now()), reportedAt: now() });
      emit('model_started', name, { total });
    },
    modelAdvanced(name, step) {
      const entry = entryOf(name);
      addStep(entry.tally, step);
      if (now() - entry.reportedAt < intervalMs) return;
      entry.reportedAt = now();
      emit('model_progress', name, summary(entry.tally, now()));
    },
    modelFinished(name, outcome, reason) {
      const { tally } = entryOf(name);
      models.delete(name);
      emit('model_finished', name, { outcome, ...(reason && { reason }), ...summary(tally, now()) });
    },
    close() {
      open = false;
    },
  };
}

/** Runs an output action; a stream that is gone must not end the work that it reports on. */
export function quietly(action: () => void): void {
  try {
    action();
  } catch {
    // Nobody is reading any more.
  }
}

function summary(tally: Tally, now: number) {
  const { total, read, written, unchanged, requests } = tally;
  const seconds = Math.round((now - tally.startedAt) / 100) / 10;
  const rows_per_second = Math.round(rateOf(tally, now) * 10) / 10;
  return { total, read, written, unchanged, requests, seconds, rows_per_second };
}
