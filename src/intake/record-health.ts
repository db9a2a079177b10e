/** How recording deliveries has gone lately: what readiness is judged by. */
import { type Cause, causeOf } from '../postgres/causes.ts';
import { errorCode } from '../postgres/errors.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';

export interface Trouble extends Cause {
  readonly since: string;
  readonly last_failure_at: string;
  readonly last_success_at: string | null;
  readonly error: unknown;
  /** Whether a batch has failed just now, so that nobody needs to try. */
  readonly isFresh: boolean;
}

export type RecordHealth = ReturnType<typeof createRecordHealth>;

/** A hiccup is normal: so many failures in a row, over so long, are trouble. An object, so that a test can reach it sooner. */
export const TROUBLE = { failures: 3, afterMs: 10_000 };
/** These are no hiccups. */
const DEFINITE: ReadonlySet<unknown> = new Set([
  SQLSTATE.diskFull,
  SQLSTATE.insufficientPrivilege,
  SQLSTATE.readOnlyTransaction,
]);
/** All that a batch waits for has limits that add up to less. */
const STUCK_MS = 120_000;

export function createRecordHealth(now: () => number = Date.now) {
  let successMs: number | null = null;
  let failures: { first: number; since: number; last: number; count: number; cause: Cause; error: unknown } | null =
    null;
  const underWay = new Set<{ readonly sinceMs: number }>();
  const iso = (ms: number) => new Date(ms).toISOString();
  const lastSuccessAt = () => (successMs === null ? null : iso(successMs));
  /** Notes that the mirror can be written after all. */
  function succeeded(): void {
    successMs = now();
    // A small row may find the room that a large one does not.
    const isFull = failures !== null && errorCode(failures.error) === SQLSTATE.diskFull;
    if (!isFull || !isRecent()) failures = null;
  }
  const isRecent = () => failures !== null && now() - failures.last < TROUBLE.afterMs;
  return {
    /** Runs one batch, and notes how it ends. */
    async watch<T>(batch: () => Promise<T>): Promise<T> {
      const entry = { sinceMs: now() };
      underWay.add(entry);
      try {
        const result = await batch();
        succeeded();
        return result;
      } catch (error) {
        const cause = causeOf(error);
        const at = now();
        failures = {
          first: failures?.first ?? at,
          // Another cause begins when it is first met.
          since: failures?.cause === cause ? failures.since : at,
          last: at,
          count: (failures?.count ?? 0) + 1,
          cause,
          error,
        };
        throw error;
      } finally {
        underWay.delete(entry);
      }
    },
    succeeded,
    /** The trouble; null while there is none, or none worth a word. */
    trouble(): Trouble | null {
      if (failures === null) return null;
      const { first, since, last, count, cause, error } = failures;
      const isHiccup = count < TROUBLE.failures || now() - first < TROUBLE.afterMs;
      if (isHiccup && !DEFINITE.has(errorCode(error))) return null;
      const times = { since: iso(since), last_failure_at: iso(last), last_success_at: lastSuccessAt() };
      return { ...cause, ...times, error, isFresh: isRecent() };
    },
    /** True when a batch hangs for so long that only another process can help. */
    isStuck: () => [...underWay].some(({ sinceMs }) => now() - sinceMs > STUCK_MS),
    lastSuccessAt,
    /** When the last cause of failures was first met; null while batches succeed. */
    failingSince: () => (failures === null ? null : iso(failures.since)),
  };
}
