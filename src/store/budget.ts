/** The request budget that all replicas and commands on one database share: one row that says when the next slot is free. */
import type { Micros } from '../core/instant.ts';
import { databaseClock } from '../postgres/clock.ts';
import type { Sql } from '../postgres/connection.ts';

/**
 * How far ahead the next slot may lie, in seconds and in slots, whichever is more. Beyond that the database's clock was
 * set back, and slots begin again now.
 */
const MAX_AHEAD_SECONDS = 60;
const MAX_AHEAD_SLOTS = 60;

/** The budget in `sync.api_budget`, for `createPace`. */
export function sharedBudget(sql: Sql) {
  return {
    now: () => databaseClock(sql),
    reserve: (lengthMs: number, leadMs: number) => reserveSlot(sql, lengthMs, leadMs),
  };
}

async function reserveSlot(
  sql: Sql,
  lengthMs: number,
  leadMs: number,
): Promise<{ readonly now: Micros; readonly waitMs: number }> {
  const aheadMs = Math.max(MAX_AHEAD_SECONDS * 1_000, MAX_AHEAD_SLOTS * lengthMs);
  const interval = (ms: number) => sql`${ms}::float8 * interval '1 millisecond'`;
  // A crash of the server that loses a reservation lasts longer than the slot, so the commit need not wait for the disk.
  const [row] = await sql`
    with quick as (select set_config('synchronous_commit', 'off', true))
    insert into sync.api_budget as b (next_slot_at)
    select clock_timestamp() + ${interval(leadMs)} + ${interval(lengthMs)} from quick
        on conflict (id) do update
       set next_slot_at = ${interval(lengthMs)} +
             case when b.next_slot_at between clock_timestamp() + ${interval(leadMs)} and clock_timestamp() + ${interval(aheadMs)}
                  then b.next_slot_at else clock_timestamp() + ${interval(leadMs)} end
    returning (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as now,
              (extract(epoch from next_slot_at - ${interval(lengthMs)}) * 1000000)::bigint::text as slot`;
  const now = Number(row?.now);
  return { now, waitMs: (Number(row?.slot) - now) / 1_000 };
}
