/** Decides when the service leaves its database alone, so that a database billed by the second can go to sleep. */
import { sleep } from './time.ts';

export type Naps = ReturnType<typeof createNaps>;

/** After a query, more are likely within this time. */
const IN_USE_MS = 5_000;

/**
 * Naps begin `awakeMs` after the last `stir` or the end of the last nap. Work in progress is finished first. A nap ends
 * for all waiting callers at once.
 */
export function createNaps({ lastsMs, awakeMs }: { readonly lastsMs: number; readonly awakeMs: number }) {
  let tiredAtMs = performance.now() + awakeMs;
  let usedAtMs = performance.now();
  let roused = new AbortController();

  /** Whether new work should wait for the end of the nap if it can. */
  const isTired = () => lastsMs > 0 && performance.now() > tiredAtMs;
  const endsInMs = () => Math.max(tiredAtMs, usedAtMs) + lastsMs - performance.now();

  /** Ends the nap: a delivery or a visitor has arrived, and all pending work is done now. */
  function stir(): void {
    tiredAtMs = performance.now() + awakeMs;
    roused.abort();
    roused = new AbortController();
  }

  return {
    /** Length of a nap that nothing interrupts, in milliseconds; 0 for no naps. */
    lastsMs,
    stir,
    /** Notes that the database is in use. */
    use() {
      usedAtMs = performance.now();
    },
    isTired,
    /** Whether the database is being left alone now. */
    isAsleep: () => isTired() && performance.now() > usedAtMs + IN_USE_MS,
    /** Resolves as soon as the database may be queried, or when the signal aborts. */
    async awake(signal: AbortSignal): Promise<void> {
      while (isTired() && !signal.aborted) {
        const leftMs = endsInMs();
        if (leftMs <= 0) return stir();
        await sleep(leftMs, AbortSignal.any([signal, roused.signal])).catch(() => {});
      }
    },
  };
}
