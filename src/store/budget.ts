/** The request budget shared by all replicas and commands on one database: one row says when the next slot is free. */
import type { Micros } from '../core/time.ts';
import { databaseClock } from '../postgres/clock.ts';
import type { Sql } from '../postgres/connection.ts';

/**
 * How far ahead the next slot may lie, in seconds and in slots; the larger counts. If it lies further ahead, the
 * database's clock was set back, and slots start again from now.
 */
const MAX_AHEAD_SECONDS = 60;
const MAX_AHEAD_SLOTS = 60;
/** After this many foreground requests in a row, each background turn takes `STEP_BACK` times as long. */
const FOREGROUND_RUN = 5;
const STEP_BACK = 5;
/** The run ends if no foreground request comes for this long. */
const FOREGROUND_SECONDS = 5;
/** How long the background pauses after the portal complained about too many requests. */
const REST_SECONDS = 30;

const interval = (sql: Sql, ms: number) => sql`${ms}::float8 * interval '1 millisecond'`;

export function sharedBudget(sql: Sql) {
  return {
    now: () => databaseClock(sql),
    async reserve(lengthMs: number, leadMs: number, isBackground = false): Promise<{ now: Micros; waitMs: number }> {
      const aheadMs = Math.max(MAX_AHEAD_SECONDS * 1_000, MAX_AHEAD_SLOTS * lengthMs);
      const earliest = sql`clock_timestamp() + ${interval(sql, leadMs)}`;
      const now = sql`clock_timestamp()`;
      // A server crash that loses a reservation outlasts the slot, so the commit need not wait for the disk.
      const [row] = await sql`
        with quick as (select set_config('synchronous_commit', 'off', true))
        insert into sync.api_budget as b (next_slot_at) select ${earliest} + ${interval(sql, lengthMs)} from quick
            on conflict (id) do update
           set next_slot_at = ${interval(sql, lengthMs)} +
                 case when b.next_slot_at between ${earliest} and ${now} + ${interval(sql, aheadMs)}
                      then b.next_slot_at else ${earliest} end,
               foreground_run = case when ${isBackground} then b.foreground_run
                                     when b.foreground_at > ${now} - ${FOREGROUND_SECONDS} * interval '1 second'
                                     then b.foreground_run + 1 else 1 end,
               foreground_at = case when ${isBackground} then b.foreground_at else ${now} end
        returning (extract(epoch from ${now}) * 1000000)::bigint::text as now,
                  (extract(epoch from next_slot_at - ${interval(sql, lengthMs)}) * 1000000)::bigint::text as slot`;
      const at = Number(row?.now);
      return { now: at, waitMs: (Number(row?.slot) - at) / 1_000 };
    },
    async moveSlots(ms: number): Promise<void> {
      // If this fails, reserving slots fails too.
      await sql`update sync.api_budget set next_slot_at = next_slot_at + ${interval(sql, ms)}`.catch(() => {});
    },
  };
}

/** Takes the next background turn, one every `lengthMs`; may make up for one missed. @returns milliseconds until it */
export async function takeBackgroundTurn(sql: Sql, lengthMs: number): Promise<number> {
  const aheadMs = Math.max(MAX_AHEAD_SECONDS * 1_000, MAX_AHEAD_SLOTS * lengthMs);
  const now = sql`clock_timestamp()`;
  const isBusy = sql`b.foreground_run >= ${FOREGROUND_RUN}
    and b.foreground_at between ${now} - ${FOREGROUND_SECONDS} * interval '1 second' and ${now}`;
  const next = sql`case when b.background_slot_at > ${now} + ${interval(sql, aheadMs)} then ${now}
    else greatest(b.background_slot_at, ${now} - ${interval(sql, lengthMs)}) end`;
  const [row] = await sql`
    with quick as (select set_config('synchronous_commit', 'off', true))
    insert into sync.api_budget as b (next_slot_at, background_slot_at, background_turn_at)
    select ${now}, ${now} + ${interval(sql, lengthMs)}, ${now} from quick
        on conflict (id) do update
       set background_turn_at = ${next},
           background_slot_at = ${next} + ${interval(sql, lengthMs)} * case when ${isBusy} then ${STEP_BACK} else 1 end
    returning (extract(epoch from background_turn_at - ${now}) * 1000)::float8 as wait`;
  return Math.max(0, row?.wait as number);
}

/** Pauses the background of all replicas. */
export async function restBackground(sql: Sql): Promise<void> {
  await sql`
    update sync.api_budget
       set background_slot_at = greatest(background_slot_at, clock_timestamp() + ${REST_SECONDS} * interval '1 second')`;
}
