/** The ids that a listing without an order has named, up to a bound. */
import type { Micros } from '../core/time.ts';

/** A verification of more rows than that does not search for rows that the mirror has in excess; a sweep does. */
const MAX_REMEMBERED_IDS = 2_000_000;

/** Begins to remember. */
export function rememberIds() {
  const ids = new Set<string>();
  let isFull = false;
  let first: Micros | null = null;
  return {
    add(more: readonly string[], observedAt: Micros) {
      first ??= observedAt;
      for (const id of more) if (ids.size < MAX_REMEMBERED_IDS) ids.add(id);
      isFull ||= ids.size >= MAX_REMEMBERED_IDS;
    },
    /** The first request's moment: rows learnt of later are beyond suspicion. */
    since: () => first ?? 0,
    /** Null when there were too many. */
    all: (): readonly string[] | null => (isFull ? null : [...ids]),
  };
}
