/**
 * The stored OAuth grant: one row, whose generation counts the tokens it has held. Tokens are encrypted text that this
 * file cannot read. All times are on the database's clock, so processes need not have a correct one.
 */
import { isAhead } from '../postgres/clock.ts';
import type { Queryable, Sql, Transaction } from '../postgres/connection.ts';

export interface StoredGrant {
  readonly clientId: string;
  /** Grows with every new pair of tokens. */
  readonly generation: string;
  /** `refused`: the portal no longer accepts the refresh token; only a new login helps. */
  readonly state: 'active' | 'refused';
  readonly sealed: string;
  readonly age_ms: number;
  /** How much longer the portal promised to accept the access token; null if it made no promise. */
  readonly left_ms: number | null;
  /** How long no refresh may be tried; 0 or less if one may. */
  readonly wait_ms: number;
  readonly failures: number;
  readonly problem: string | null;
}

/** Longest pause after failed refreshes, in seconds. */
export const MAX_WAIT_S = 600;

/** If the clock was set back since the grant was issued, its age is unknown and its tokens count as about to expire. */
const columns = (q: Queryable) => q`
  client_id as "clientId", generation::text as generation, state, sealed, refresh_failures as failures, problem,
  (extract(epoch from case when ${isAhead(q, 'issued_at')} then coalesce(expires_at - issued_at, interval '1 day') else clock_timestamp() - issued_at end) * 1000)::float8 as age_ms,
  (extract(epoch from expires_at - case when ${isAhead(q, 'issued_at')} then expires_at - interval '1 second' else clock_timestamp() end) * 1000)::float8 as left_ms,
  case when ${isAhead(q, 'next_refresh_at', MAX_WAIT_S)} then 0 else coalesce(extract(epoch from next_refresh_at - clock_timestamp()) * 1000, 0) end::float8 as wait_ms`;

/** Null if nobody has logged in. */
export async function readGrant(q: Queryable): Promise<StoredGrant | null> {
  const [row] = await q`select ${columns(q)} from sync.oauth_grant`;
  return (row ?? null) as StoredGrant | null;
}

/** The grant, locked until the transaction ends. */
export async function lockGrant(tx: Transaction): Promise<StoredGrant | null> {
  const [row] = await tx`select ${columns(tx)} from sync.oauth_grant for update`;
  return (row ?? null) as StoredGrant | null;
}

export async function saveGrant(
  q: Queryable,
  { clientId, sealed, lifetime_s }: { clientId: string; sealed: string; lifetime_s: number | null },
): Promise<void> {
  await q`
    insert into sync.oauth_grant as g (client_id, generation, state, sealed, granted_at, issued_at, expires_at)
    select ${clientId}, 1, 'active', ${sealed}, now, now, now + ${lifetime_s}::float8 * interval '1 second'
      from (select clock_timestamp() as now) clock
        on conflict (id) do update
       set client_id = excluded.client_id, generation = g.generation + 1, state = 'active', sealed = excluded.sealed,
           granted_at = excluded.granted_at, issued_at = excluded.issued_at, expires_at = excluded.expires_at,
           refresh_began_at = null, refresh_failures = 0, next_refresh_at = null, problem = null`;
}

/**
 * Notes the start of a refresh; commit it first. @returns true if an earlier one never ended: its answer may be lost
 */
export async function noteRefresh(tx: Transaction, generation: string): Promise<boolean> {
  const [row] = await tx`
    update sync.oauth_grant g set refresh_began_at = clock_timestamp()
      from (select id, refresh_began_at from sync.oauth_grant for update) before
     where g.id = before.id and g.generation = ${generation}
    returning before.refresh_began_at is not null as is_lost`;
  return row?.is_lost === true;
}

/** Replaces the tokens of `generation` with the next ones; false if others are stored by now. */
export async function rotateGrant(
  q: Queryable,
  { generation, sealed, lifetime_s }: { generation: string; sealed: string; lifetime_s: number | null },
): Promise<boolean> {
  const { count } = await q`
    update sync.oauth_grant
       set generation = generation + 1, state = 'active', sealed = ${sealed}, issued_at = clock_timestamp(),
           expires_at = clock_timestamp() + ${lifetime_s}::float8 * interval '1 second',
           refresh_began_at = null, refresh_failures = 0, next_refresh_at = null, problem = null
     where generation = ${generation}`;
  return count > 0;
}

/** Notes that the portal refuses the refresh token, which is then no longer used. */
export async function refuseGrant(q: Queryable, generation: string, problem: string): Promise<void> {
  await q`
    update sync.oauth_grant
       set state = 'refused', problem = ${problem}, refresh_began_at = null, next_refresh_at = null
     where generation = ${generation}`;
}

/** Notes a failed refresh, and how long to wait before the next. */
export async function postponeRefresh(
  q: Queryable,
  generation: string,
  failure: { readonly problem: string; readonly wait_s: number; readonly answered: boolean },
): Promise<void> {
  await q`
    update sync.oauth_grant
       set refresh_failures = refresh_failures + 1, problem = ${failure.problem},
           next_refresh_at = clock_timestamp() + ${failure.wait_s}::float8 * interval '1 second',
           refresh_began_at = case when ${failure.answered} then null else refresh_began_at end
     where generation = ${generation}`;
}

/** False if there was none. */
export async function deleteGrant(sql: Sql): Promise<boolean> {
  const { count } = await sql`delete from sync.oauth_grant`;
  return count > 0;
}

/** The grant as shown by status and doctor, without tokens. */
export interface GrantStatus {
  readonly state: 'active' | 'refused';
  readonly client_id: string;
  readonly granted_at: string;
  readonly issued_at: string;
  readonly expires_at: string | null;
  readonly refresh_failures: number;
  readonly problem: string | null;
}

export async function grantStatus(q: Queryable): Promise<GrantStatus | null> {
  const [row] = await q`
    select state, client_id, to_json(granted_at) #>> '{}' as granted_at, to_json(issued_at) #>> '{}' as issued_at,
           to_json(expires_at) #>> '{}' as expires_at, refresh_failures, problem
      from sync.oauth_grant`;
  return (row ?? null) as GrantStatus | null;
}
