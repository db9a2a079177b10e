/** Decides when the service leaves its database alone, so that a database billed by the second can go to sleep. */
import { sleep } from './time.ts';

export interface Naps {
  /** Length of a nap that nothing interrupts, in milliseconds; 0 for no naps. */
  readonly lastsMs: number;
  /** Ends the nap: a delivery or a visitor has arrived, and all pending work is done now. */
  stir(): void;
  /** Notes that the database is in use. */
  use(): void;
  /** Whether new work should wait for the end of the nap if it can. */
  isTired(): boolean;
  /** Whether the database is being left alone now. */
  isAsleep(): boolean;
  /** Resolves as soon as the database may be queried, or when the signal aborts. */
  awake(signal: AbortSignal): Promise<void>;
}

/** After a query, more are likely within this time. */
const IN_USE_MS = 5_000;

/**
 * Naps begin `awakeMs` after the last `stir` or the end of the last nap. Work in progress is finished first. A nap ends
 * for all waiting callers at once.
 */
export function createNaps({ lastsMs, awakeMs }: { readonly lastsMs: number; readonly awakeMs: number }): Naps {
  let tiredAtMs = performance.now() + awakeMs;
  let usedAtMs = performance.now();
  let roused = new AbortController();

  const isTired = () => lastsMs > 0 && performance.now() > tiredAtMs;
  const endsInMs = () => Math.max(tiredAtMs, usedAtMs) + lastsMs - performance.now();

  function stir(): void {
    tiredAtMs = performance.now() + awakeMs;
    roused.abort();
    roused = new AbortController();
  }

  return {
    lastsMs,
    stir,
    use() {
      usedAtMs = performance.now();
    },
    isTired,
    isAsleep: () => isTired() && performance.now() > usedAtMs + IN_USE_MS,
    async awake(signal) {
      while (isTired() && !signal.aborted) {
        const leftMs = endsInMs();
        if (leftMs <= 0) return stir();
        await sleep(leftMs, AbortSignal.any([signal, roused.signal])).catch(() => {});
      }
    },
  };
}
