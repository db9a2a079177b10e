/**
 * The one clock that all replicas share. It may go back: after a failover to a host with another clock, when a machine
 * is restored, when a wrong clock is put right. What was stored before then lies ahead of it.
 */
import type { Micros } from '../core/time.ts';
import type { Queryable, Transaction } from './connection.ts';

/**
 * So many seconds ahead of the clock a stored moment may lie at most. A later one cannot be true: it does not win over
 * what is observed now, and is not waited for. What ends by itself in that time is not worth telling apart.
 */
export const AHEAD_MAX_S = 60;

/** That a stored moment cannot be true; `by_s`: how far ahead of the clock it may have been stored. */
export const isAhead = (sql: Queryable, moment: string, by_s = 0) =>
  sql`${sql(moment)} > clock_timestamp() + ${by_s + AHEAD_MAX_S}::float8 * interval '1 second'`;

/** The same for a moment that was read, in seconds: what lies ahead was done, or may be done again, ever so long ago. */
export const believedAt = (at: number | null, now: number, by_s = 0) =>
  at !== null && at > now + by_s + AHEAD_MAX_S ? 0 : at;

export async function databaseClock(sql: Queryable): Promise<Micros> {
  const rows = await sql`select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as now`;
  return Number(rows[0]?.now);
}

/**
 * The same, for a transaction that somebody relies on once it is committed: the commit waits for the disk even where a
 * role or the database says that it need not. Who waits for standbys as well goes on doing so.
 */
export async function durableClock(tx: Transaction): Promise<Micros> {
  const rows = await tx`
    select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as now,
           set_config('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), true)`;
  return Number(rows[0]?.now);
}
