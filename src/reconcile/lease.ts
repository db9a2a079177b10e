/** Work that only one process may do at a time, under a lease that is renewed while it lasts. */
import { setInterval as every, setTimeout as sleep } from 'node:timers/promises';
import { isDead, thisHolder } from '../core/holder.ts';
import { withTimeout } from '../core/time.ts';
import type { Queryable, Sql } from '../postgres/connection.ts';
import { heldLeases, LEASE_SECONDS, leaseHolder, releaseLease, takeLease } from '../store/leases.ts';

/** Renewals within the time of a lease, so that one may fail. */
const RENEWALS = 3;
const RENEW_MAX_MS = 10_000;
const POLL_MS = 1_000;

/** Another process is doing this work. */
export class LeaseTakenError extends Error {
  override readonly name = 'LeaseTakenError';
}

export interface LeaseOptions {
  readonly sql: Sql;
  readonly name: string;
  readonly holder: string;
  readonly signal: AbortSignal;
  /** How long to wait for another holder, in milliseconds; 0 gives up at once. */
  readonly waitMs: number;
  /** How long others wait after this holder was killed. */
  readonly seconds?: number;
}

/**
 * Leases under which this process works. If the database was away, leases may not have been released; they must not
 * make their own process wait.
 */
const working = new Set<string>();

/**
 * Runs `work` under a lease; its signal aborts if the lease is lost.
 * @throws LeaseTakenError if another process keeps the lease longer than the wait
 */
export async function withLease<T>(options: LeaseOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { sql, name, holder, signal, waitMs, seconds = LEASE_SECONDS } = options;
  const giveUpAt = performance.now() + waitMs;
  while (!(await takeLease(sql, name, holder, seconds))) {
    const other = await leaseHolder(sql, name);
    if (other === null) continue;
    if (isDead(other)) {
      await releaseLease(sql, name, other);
      continue;
    }
    if (performance.now() >= giveUpAt) throw new LeaseTakenError(`${name} is already running: ${other}`);
    await sleep(POLL_MS, undefined, { signal });
  }
  working.add(name);
  const lost = new AbortController();
  const done = new AbortController();
  const renewing = renew(options, seconds, lost, done.signal);
  try {
    return await work(AbortSignal.any([signal, lost.signal]));
  } finally {
    done.abort();
    await renewing;
    await releaseLease(sql, name, holder).catch(() => {});
    working.delete(name);
  }
}

/** Longer than a background reading takes to notice that somebody waits for its model. */
const MODEL_WAIT_MS = 600_000;
const OF_MODEL = 'model ';
const WANTED = 'wanted ';

/** Works alone on a model, for a person: the background gives it up at its next request. */
export async function aloneWith<T>(
  { model, ...options }: Omit<LeaseOptions, 'name' | 'waitMs'> & { readonly model: string },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const wanted = { ...options, name: `${WANTED}${model} ${options.holder}`, waitMs: 0 };
  return withLease(wanted, (signal) =>
    withLease({ ...options, signal, name: OF_MODEL + model, waitMs: MODEL_WAIT_MS }, work),
  );
}

/** The same lease for the background, which does not wait. */
export const leaseOfModel = (model: string) => ({ name: OF_MODEL + model, waitMs: 0 });

/** Models that somebody works on or waits for. */
export async function takenModels(
  sql: Queryable,
): Promise<{ readonly held: Set<string>; readonly wanted: Set<string> }> {
  const isLeft = (name: string, holder: string) => isDead(holder) || (holder === thisHolder() && !working.has(name));
  const names = (await heldLeases(sql)).flatMap(({ name, holder }) => (isLeft(name, holder) ? [] : [name]));
  const of = (prefix: string) =>
    new Set(names.flatMap((name) => (name.startsWith(prefix) ? [name.slice(prefix.length).split(' ')[0] ?? ''] : [])));
  return { held: of(OF_MODEL), wanted: of(WANTED) };
}

async function renew(
  { sql, name, holder }: LeaseOptions,
  seconds: number,
  lost: AbortController,
  done: AbortSignal,
): Promise<void> {
  let renewedAt = performance.now();
  try {
    for await (const _ of every((seconds * 1_000) / RENEWALS, undefined, { signal: done })) {
      // A database that hangs gives no answer at all, and the next renewal must still come.
      const mine = await withTimeout(takeLease(sql, name, holder, seconds), RENEW_MAX_MS).catch(() => null);
      if (mine === true) renewedAt = performance.now();
      // After that long without the database, another process may take the lease first when it is back.
      const expired = performance.now() - renewedAt > seconds * 1_000;
      if (mine === false || expired) lost.abort(new LeaseTakenError(`lost the lease of ${name}`));
    }
  } catch (error) {
    if (!done.aborted) lost.abort(error);
  }
}
