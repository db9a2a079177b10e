/**
 * The request budget that all replicas and commands on one database share.
 *
 * One row holds the next free slot on the database's clock; taking a slot moves it on by one spacing. Slots are even,
 * so no second ever has more than the rate, whoever sends.
 */
import type { Micros } from '../catalog/instant.ts';
import type { Sql } from './connection.ts';

/** Spacing beyond the nominal one, so that a late and an early packet do not put one request too many into a second. */
const MARGIN = 1.03;
/** How far ahead slots are given at most; a row damaged by a clock jump heals within this time. */
const MAX_AHEAD_SECONDS = 300;

export interface Slot {
  /** When the request may be sent, on the database's clock. */
  readonly at: Micros;
  /** How long that is from now, in milliseconds. */
  readonly wait_ms: number;
}

/** Takes the next slot. A rate of 0 means no limit. */
export async function takeSlot(sql: Sql, requestsPerSecond: number): Promise<Slot> {
  const spacing = requestsPerSecond > 0 ? (1_000_000 * MARGIN) / requestsPerSecond : 0;
  // Losing a slot in a crash of the server costs nothing, so its commit need not wait for the disk.
  const rows = await sql`
    with quick as (select set_config('synchronous_commit', 'off', true)),
         clock as (select clock_timestamp() as now from quick)
    insert into sync.api_budget as b (id, next_slot_at)
    select true, clock.now + ${spacing} * interval '1 microsecond' from clock
        on conflict (id) do update
       set next_slot_at = least(greatest(b.next_slot_at, excluded.next_slot_at - ${spacing} * interval '1 microsecond'),
                                excluded.next_slot_at + ${MAX_AHEAD_SECONDS} * interval '1 second')
                          + ${spacing} * interval '1 microsecond'
    returning (extract(epoch from next_slot_at) * 1000000 - ${spacing})::bigint::text as slot,
              (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as now`;
  const slot = Number(rows[0]?.slot);
  const now = Number(rows[0]?.now);
  return { at: Math.max(slot, now), wait_ms: Math.max(0, (slot - now) / 1_000) };
}
