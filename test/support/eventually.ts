/** Waiting for a condition. The limit only ends a test that has failed: it says nothing about how long something takes. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Between two looks; after dear ones up to the longest, since what is waited for needs the processor as well. */
const [LOOK_MS, LONGEST_MS] = [25, 250];
const SHOWN_MAX = 2_000;

/** Waits until `check` holds for what `read` returns; throws with its last value when it does not within `timeoutMs`. */
export async function eventually<T>(
  read: () => T | Promise<T>,
  check: (value: T) => boolean,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const beganAt = Date.now();
    const value = await read();
    if (check(value)) return value;
    if (Date.now() > deadline) {
      throw new Error(`still not so after ${timeoutMs} ms: ${JSON.stringify(value)?.slice(0, SHOWN_MAX)}`);
    }
    await sleep(Math.min(LONGEST_MS, Math.max(LOOK_MS, 2 * (Date.now() - beganAt))));
  }
}

/** Waits until `check` is true. */
export async function until(check: () => boolean | Promise<boolean>, timeoutMs?: number): Promise<void> {
  await eventually(check, (is) => is, timeoutMs);
}
