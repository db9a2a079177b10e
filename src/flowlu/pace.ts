/** The account's budget of requests per second, as something to wait for. */
import { orAborted, sleep } from '../core/wait.ts';

/** Microseconds since the Unix epoch, on the database's clock. */
export type Micros = number;

export interface Pace {
  /**
   * Waits for a request slot; first come, first served.
   * @returns a moment, on the database's clock, not later than the sending.
   * @throws the signal's reason when it aborts first; the slot then stays free.
   */
  take(signal: AbortSignal): Promise<Micros>;
}

/** Slots lie 3 % further apart than the nominal rate asks, so that jitter on the way never overfills a second. */
const SLACK = 1.03;
/** What stays between a full window and the next request even if slots were taken late, ms. */
const WINDOW_MARGIN_MS = 10;

/**
 * A pace within this process, on this machine's clock: evenly spaced slots.
 *
 * Two rules hold together. Slots follow a fixed grid, so a late timer does not slow down those that follow;
 * and no slot is given while the last R ones, as really taken, lie within the same second.
 *
 * @param requestsPerSecond R; 0 or Infinity means unlimited.
 * @throws RangeError for a negative rate or NaN.
 */
export function localPace(requestsPerSecond: number): Pace {
  if (!(requestsPerSecond >= 0)) throw new RangeError(`requests per second must not be ${requestsPerSecond}`);
  if (requestsPerSecond === 0 || requestsPerSecond === Number.POSITIVE_INFINITY) {
    return {
      async take(signal) {
        signal.throwIfAborted();
        return nowMicros();
      },
    };
  }

  const spacingMs = (SLACK * 1000) / requestsPerSecond;
  const windowSlots = Math.max(1, Math.floor(requestsPerSecond));
  const windowMs = (windowSlots * 1000) / requestsPerSecond + WINDOW_MARGIN_MS;
  /** When the latest slots were really taken, oldest first; at most `windowSlots` of them. */
  const taken: number[] = [];
  let nextSlot = 0;
  let queueEnd: Promise<void> = Promise.resolve();

  return {
    async take(signal) {
      const turn = queueEnd;
      let leave: () => void = () => {};
      queueEnd = new Promise((resolve) => {
        leave = resolve;
      });
      try {
        await orAborted(turn, signal);
        const slot = Math.max(nextSlot, performance.now());
        const oldest = taken.length < windowSlots ? undefined : taken[0];
        const due = oldest === undefined ? slot : Math.max(slot, oldest + windowMs);
        await sleep(due - performance.now(), signal);
        nextSlot = slot + spacingMs;
        taken.push(performance.now());
        if (taken.length > windowSlots) taken.shift();
        return nowMicros();
      } finally {
        // Whoever gives up in the queue must not let the next one pass those in front.
        void turn.then(leave);
      }
    },
  };
}

function nowMicros(): Micros {
  return Date.now() * 1000;
}
