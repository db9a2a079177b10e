/** Times as whole microseconds since the Unix epoch, exact in a double until the year 2255; waits with a limit. */

/** Microseconds since 1970-01-01T00:00:00Z. */
export type Micros = number;

export const MICROS_PER_MS = 1_000;
export const MICROS_PER_SECOND = 1_000_000;
export const MICROS_PER_DAY = 86_400 * MICROS_PER_SECOND;

/**
 * Formats a time as ISO 8601 in UTC with six decimals, as PostgreSQL reads it. Outside the years 1 to 9999, which the
 * first and last local times of some zones reach, it uses five digits or BC.
 */
export function formatMicros(at: Micros): string {
  const day = Math.floor(at / MICROS_PER_DAY);
  const inDay = at - day * MICROS_PER_DAY;
  const second = Math.floor(inDay / MICROS_PER_SECOND);
  const { before, after } = wordsOf(day);
  const time = `${two(Math.floor(second / 3_600))}:${two(Math.floor(second / 60) % 60)}:${two(second % 60)}`;
  const micros = inDay - second * MICROS_PER_SECOND;
  return `${before}T${time}.${micros === 0 ? '000000' : String(micros).padStart(6, '0')}Z${after}`;
}

/** The text before and after the time of day. A few thousand days cover all that a portal has. */
const days = new Map<number, { readonly before: string; readonly after: string }>();
const MAX_REMEMBERED_DAYS = 10_000;

function wordsOf(day: number) {
  const known = days.get(day);
  if (known !== undefined) return known;
  const date = new Date((day * MICROS_PER_DAY) / MICROS_PER_MS);
  const year = date.getUTCFullYear();
  const monthAndDay = `${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
  const isBc = year < 1;
  const before = `${String(isBc ? 1 - year : year).padStart(4, '0')}-${monthAndDay}`;
  const words = { before, after: isBc ? ' BC' : '' };
  if (days.size >= MAX_REMEMBERED_DAYS) days.clear();
  days.set(day, words);
  return words;
}

const PAIRS = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, '0'));
const two = (value: number): string => PAIRS[value] as string;

/** Resolves after `ms` milliseconds, never earlier. @throws the signal's reason, as soon as it aborts */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  const due = performance.now() + ms;
  signal.throwIfAborted();
  // A timer may fire a fraction of a millisecond early, which a rate limit would punish.
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

/** True at most once in `ms` milliseconds: for messages and attempts that must not repeat all the time. */
export function onceIn(ms: number): () => boolean {
  let at = Number.NEGATIVE_INFINITY;
  return () => {
    if (performance.now() - at < ms) return false;
    at = performance.now();
    return true;
  };
}

/** The promise's outcome, unless the signal aborts first. @throws the signal's reason */
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

export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';
}

/** The promise's outcome, if it comes within `ms` milliseconds. @throws TimeoutError */
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
