/** A piece of background work that repeats until it is told to stop, and backs off while it fails. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../core/log.ts';
import type { Naps } from '../core/naps.ts';
import { onceIn } from '../core/time.ts';
import { causeOf } from '../postgres/causes.ts';
import { errorCode, isConnectionError } from '../postgres/errors.ts';

interface LoopOptions {
  readonly name: string;
  readonly intervalMs: number;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly naps?: Naps;
  readonly work: (signal: AbortSignal) => Promise<unknown>;
}

export type Loop = ReturnType<typeof startLoop>;

/** An interval for work that somebody wakes whenever there is any: the longest that a timer takes. */
export const UNTIL_WOKEN_MS = 2 ** 31 - 1;
const MAX_BACKOFF_MS = 60_000;
const FIRST_BACKOFF_MS = 500;

/** How often the same is said while it lasts. An object, so that a test can reach it sooner. */
export const REPEATS = { saidEveryMs: 30_000 };
const said = new WeakMap<Logger, Map<string, { readonly isDue: () => boolean; times: number }>>();

/** Says why work failed. Where the database is away all loops fail, and several at any time have one name: once for all. */
function tell(log: Logger, name: string, error: unknown, failures: number): void {
  const isAway = isConnectionError(error);
  const why = isAway ? causeOf(error) : { err: error };
  const key = 'cause' in why ? why.cause : `${name} ${errorCode(error)}`;
  const all = said.get(log) ?? new Map();
  said.set(log, all);
  const repeated = all.get(key) ?? { isDue: onceIn(REPEATS.saidEveryMs), times: 0 };
  all.set(key, repeated);
  repeated.times += 1;
  if (!repeated.isDue()) return;
  const { times } = repeated;
  repeated.times = 0;
  // A hiccup is normal; what goes on for a while deserves attention. A database that is away is found by others, too.
  log[failures > 3 && !isAway ? 'error' : 'warn']({ ...why, failures, times }, `${name} failed; trying again`);
}

export function startLoop({ name, intervalMs, log, signal, naps, work }: LoopOptions) {
  let woken = new AbortController();

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: AbortSignal.any([signal, woken.signal]) }).catch(() => {});
    if (woken.signal.aborted) woken = new AbortController();
  }

  async function run(): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        await naps?.awake(signal);
        await work(signal);
        failures = 0;
        await pause(intervalMs);
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        tell(log, name, error, failures);
        await sleep(Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** failures), undefined, { signal }).catch(() => {});
      }
    }
  }

  return {
    /** Does the work soon instead of at the end of the interval. */
    wake: () => woken.abort(),
    /** Resolves when the loop has ended after its signal. */
    ended: run(),
  };
}
