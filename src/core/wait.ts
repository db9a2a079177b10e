/** Waiting that ends: at once when a signal says so, or after a time. */

/**
 * Resolves after `ms` milliseconds, never earlier.
 * @throws the signal's reason, as soon as it aborts.
 */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  const due = performance.now() + ms;
  signal.throwIfAborted();
  // A timer may fire a fraction of a millisecond early; a rate limit does not forgive that.
  for (let left = ms; left > 0; left = due - performance.now()) {
    let timer: NodeJS.Timeout | undefined;
    const elapsed = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.ceil(left));
    });
    try {
      await orAborted(elapsed, signal);
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * The promise's outcome, unless the signal aborts before.
 * @throws the signal's reason.
 */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (onAbort) signal.removeEventListener('abort', onAbort);
  }
}

/** A wait lasted longer than it may. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

/**
 * The promise's outcome, if it comes within `ms` milliseconds.
 * @throws TimeoutError
 */
export async function withTimeout<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeoutError(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
