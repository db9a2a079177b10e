/**
 * A pool that replaces itself when it has lost a connection.
 *
 * A connection of the driver that breaks in an unlucky moment keeps a half-written message, and with it fails again and
 * again after it has been reopened. So what is asked from then on goes to a new pool; the old one answers what is under
 * way, or rejects it when its time is over.
 */
import type { Sql } from 'postgres';

/** How long statements on the other connections of a replaced pool may go on. */
const REPLACED_MAX_SECONDS = 5;

/** Makes the pool anew with `open` whenever the `onLost` that was handed to it is called. */
export function renewablePool(open: (onLost: () => void) => Sql): Sql {
  const leaving = new Set<Promise<unknown>>();
  let ended = false;
  let current = make();

  function make(): Sql {
    const pool = open(() => {
      if (ended || pool !== current) return;
      current = make();
      const end = pool.end({ timeout: REPLACED_MAX_SECONDS }).finally(() => leaving.delete(end));
      leaving.add(end);
    });
    return pool;
  }

  async function end(options?: { timeout?: number }): Promise<void> {
    ended = true;
    await Promise.all([current.end(options), ...leaving]);
  }

  return new Proxy(current, {
    apply: (_target, _this, args) => Reflect.apply(current, undefined, args),
    get: (_target, property) => (property === 'end' ? end : Reflect.get(current, property)),
  });
}
