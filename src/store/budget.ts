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
/** While others have asked for slots within `FOREGROUND_SECONDS`, those of the background are so many times longer. */
const STEP_BACK = 5;
const FOREGROUND_SECONDS = 5;
/** How long the background leaves a portal alone that finds the requests too many. */
const REST_SECONDS = 30;

/** The budget in `sync.api_budget`, for `createPace`. */
export function sharedBudget(sql: Sql) {
  return {
    now: () => databaseClock(sql),
    reserve: (lengthMs: number, leadMs: number, isBackground = false) =>
      reserveSlot(sql, 'next_slot_at', { lengthMs, leadMs, isBackground }),
  };
}

/** The part of it that the background has: it takes a slot here before it takes one there. */
export function backgroundBudget(sql: Sql) {
  let isBusy = false;
  return {
    now: () => databaseClock(sql),
    async reserve(lengthMs: number, leadMs: number) {
      const taken = { lengthMs: isBusy ? STEP_BACK * lengthMs : lengthMs, leadMs, isBackground: true };
      const slot = await reserveSlot(sql, 'background_slot_at', taken);
      isBusy = slot.isBusy;
      return slot;
    },
  };
}

/** Has the background of all replicas rest for a while. */
export async function restBackground(sql: Sql): Promise<void> {
  await sql`
    update sync.api_budget
       set background_slot_at = greatest(background_slot_at, clock_timestamp() + ${REST_SECONDS} * interval '1 second')`;
}

async function reserveSlot(
  sql: Sql,
  name: 'next_slot_at' | 'background_slot_at',
  request: { readonly lengthMs: number; readonly leadMs: number; readonly isBackground: boolean },
): Promise<{ readonly now: Micros; readonly waitMs: number; readonly isBusy: boolean }> {
  const { lengthMs, leadMs, isBackground } = request;
  const aheadMs = Math.max(MAX_AHEAD_SECONDS * 1_000, MAX_AHEAD_SLOTS * lengthMs);
  const interval = (ms: number) => sql`${ms}::float8 * interval '1 millisecond'`;
  const earliest = sql`clock_timestamp() + ${interval(leadMs)}`;
  const next = sql`b.${sql(name)}`;
  // A crash of the server that loses a reservation lasts longer than the slot, so the commit need not wait for the disk.
  const [row] = await sql`
    with quick as (select set_config('synchronous_commit', 'off', true))
    insert into sync.api_budget as b (next_slot_at, background_slot_at, foreground_at)
    select ${earliest} + ${interval(lengthMs)}, ${earliest} + ${interval(lengthMs)},
           case when not ${isBackground} then clock_timestamp() end from quick
        on conflict (id) do update
       set ${sql(name)} = ${interval(lengthMs)} +
             case when ${next} between ${earliest} and clock_timestamp() + ${interval(aheadMs)} then ${next} else ${earliest} end,
           foreground_at = case when ${isBackground} then b.foreground_at else clock_timestamp() end
    returning (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as now,
              (extract(epoch from ${sql(name)} - ${interval(lengthMs)}) * 1000000)::bigint::text as slot,
              coalesce(foreground_at > clock_timestamp() - ${FOREGROUND_SECONDS} * interval '1 second', false) as "isBusy"`;
  const now = Number(row?.now);
  return { now, waitMs: (Number(row?.slot) - now) / 1_000, isBusy: row?.isBusy as boolean };
}
