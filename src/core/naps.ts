/** When a service leaves its database alone, so that one that is paid by the second can go to sleep. */
import { sleep } from './time.ts';

export type Naps = ReturnType<typeof createNaps>;

/** Who uses the database does so again within this time. */
const IN_USE_MS = 5_000;

/**
 * Naps that begin `awakeMs` after somebody came or the last one ended. Whoever is in the middle of something ends it
 * first; who ends a nap ends it for all.
 */
export function createNaps({ lastsMs, awakeMs }: { readonly lastsMs: number; readonly awakeMs: number }) {
  let tiredAtMs = performance.now() + awakeMs;
  let usedAtMs = performance.now();
  let roused = new AbortController();

  /** Whether new work is to wait for the next time, if it can. */
  const isTired = () => lastsMs > 0 && performance.now() > tiredAtMs;
  const endsInMs = () => Math.max(tiredAtMs, usedAtMs) + lastsMs - performance.now();

  /** Somebody has come, with a delivery or to look: all that is to be done is done now. */
  function stir(): void {
    tiredAtMs = performance.now() + awakeMs;
    roused.abort();
    roused = new AbortController();
  }

  return {
    /** How long a nap takes unless somebody comes, in milliseconds; 0 for none. */
    lastsMs,
    stir,
    /** Notes that the database is in use. */
    use() {
      usedAtMs = performance.now();
    },
    isTired,
    /** Whether the database is left alone just now. */
    isAsleep: () => isTired() && performance.now() > usedAtMs + IN_USE_MS,
    /** Resolves as soon as the database may be asked; also when the signal aborts. */
    async awake(signal: AbortSignal): Promise<void> {
      while (isTired() && !signal.aborted) {
        const leftMs = endsInMs();
        if (leftMs <= 0) return stir();
        await sleep(leftMs, AbortSignal.any([signal, roused.signal])).catch(() => {});
      }
    },
  };
}
