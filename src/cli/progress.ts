/** Progress of long readings: bars on a terminal, JSON lines anywhere else. */
import { createProgressBars, type Terminal } from './progress-bars.ts';
import { createProgressLines, type Progress } from './progress-events.ts';

export type { Progress } from './progress-events.ts';

export interface ProgressOptions {
  readonly stream: Terminal;
  /** How many models will be read, when known: the whole's bar then measures against all of them. */
  readonly models?: number;
  /** Clock in milliseconds. */
  readonly now?: () => number;
  /** Least time between two JSON lines of one model. */
  readonly intervalMs?: number;
}

/** Starts a progress display on the stream; `close()` it when the work ends. */
export function createProgress({ stream, models, now = Date.now, intervalMs = 5_000 }: ProgressOptions): Progress {
  if (stream.isTTY) return createProgressBars(stream, now, models);
  return createProgressLines(stream, now, intervalMs);
}
