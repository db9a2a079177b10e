/** Readings that anybody may request at any rate. */
import { withTimeout } from '../core/time.ts';

/** One reading at a time for all callers, so that one that hangs takes only one connection. */
export function single<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | null = null;
  return () => {
    reading ??= read().finally(() => {
      reading = null;
    });
    return reading;
  };
}

/**
 * One reading at a time for all callers. If it fails or takes longer than `limitMs`, the last result is returned.
 * @throws the error of the reading, or TimeoutError, if there is no earlier result
 */
export function shared<T>(read: () => Promise<T>, limitMs: number): () => Promise<T> {
  let last: { readonly value: T } | null = null;
  const reading = single(async () => {
    const value = await read();
    last = { value };
    return value;
  });
  return async () => {
    try {
      return await withTimeout(reading(), limitMs);
    } catch (error) {
      if (last === null) throw error;
      return last.value;
    }
  };
}

/** One result for all simultaneous callers, kept for a while. */
export function kept<T>(read: () => Promise<T>, keptMs: number): () => Promise<T> {
  let reading: Promise<T> | null = null;
  let keptUntilMs = 0;
  return () => {
    if (reading !== null && performance.now() < keptUntilMs) return reading;
    keptUntilMs = Number.POSITIVE_INFINITY;
    const started = read();
    reading = started;
    const keep = (ms: number) => {
      keptUntilMs = performance.now() + ms;
    };
    started.then(
      () => keep(keptMs),
      () => keep(0),
    );
    return started;
  };
}
