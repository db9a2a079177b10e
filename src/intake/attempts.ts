/**
 * Counting wrong secrets per source, in bounded memory.
 *
 * A right secret is never refused because of wrong ones: behind a proxy that tells nothing, the portal and an attacker have one
 * address. What the count does is to tell a guesser to go away (429), to cost it a connection for each guess, and to log once
 * instead of each time. What makes guessing hopeless is the length of the secret.
 */
import { isIP } from 'node:net';

const LIMITS = {
  /** Wrong secrets of one source within the window before it is told to go away. */
  allowed: 20,
  windowMs: 60_000,
  /** Sources remembered; the one that has been quiet longest is forgotten first. */
  maxSources: 10_000,
};

interface Count {
  readonly since: number;
  wrong: number;
}

export function createAttemptCounter(limits = LIMITS) {
  const counts = new Map<string, Count>();
  return {
    /** Counts a wrong secret. @param now milliseconds on a clock that never goes back */
    wrong(source: string | null, now: number) {
      const key = groupOf(source);
      const known = counts.get(key);
      const count = known !== undefined && now - known.since < limits.windowMs ? known : { since: now, wrong: 0 };
      count.wrong += 1;
      // Moves it to the end: the map is in order of the latest attempt.
      counts.delete(key);
      counts.set(key, count);
      if (counts.size > limits.maxSources) counts.delete(counts.keys().next().value as string);
      return {
        isTooMany: count.wrong > limits.allowed,
        /** True for the one attempt of a window that went beyond; worth a line of log. */
        isFirstTooMany: count.wrong === limits.allowed + 1,
        /** Until the count begins anew. */
        retryAfter_s: Math.ceil((count.since + limits.windowMs - now) / 1_000),
      };
    },
    get size() {
      return counts.size;
    },
  };
}

/** Whoever has one IPv6 address has 2^64 of them: they count as one source. */
function groupOf(source: string | null): string {
  if (source === null) return 'unknown';
  if (isIP(source) !== 6) return source;
  const [head = '', tail] = source.split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - after.length);
  return [...groups, ...Array<string>(zeros).fill('0'), ...after].slice(0, 4).join(':');
}
