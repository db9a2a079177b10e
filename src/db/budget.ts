/**
 * The request budget that all replicas and commands on one database share.
 *
 * One row holds the next free slot on the database's clock. Slots lie on a grid, so no second ever has more than the
 * rate, whoever sends. A slot is taken when it is there and not ahead of time: what a process holds, it can miss.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Micros } from '../catalog/instant.ts';
import { databaseClock } from './clock.ts';
import type { Sql } from './connection.ts';

/** Spacing beyond the nominal one, so that a late and an early packet do not put one request too many into a second. */
const MARGIN = 1.04;
/** How far ahead the next slot may lie; a row damaged by a clock jump heals within this time. */
const MAX_AHEAD_SECONDS = 300;

/** How late a slot may be taken without moving those after it: within the margin, no time of the budget is lost. */
const MAX_LATENESS_MS = 15;
/** How long taking a slot may last. After that a request would be sent too late, and another slot is taken. */
const MAX_TAKING_MS = 12;
/** A process so slow that it misses this many slots in a row should say so. */
const MAX_MISSED_SLOTS = 1_000;
/** Times that others may be faster; each of them has sent a request meanwhile. */
const MAX_LOST_RACES = 100_000;

export interface SharedPace {
  /** Waits for a slot, first come, first served; resolves with a moment, on the database's clock, before the sending. */
  take(signal: AbortSignal): Promise<Micros>;
}

/** The shared budget as something to wait for. A rate of 0 means no limit. */
export function sharedPace(sql: Sql, requestsPerSecond: number): SharedPace {
  if (requestsPerSecond === 0) return { take: () => databaseClock(sql) };
  /** When, on this process's clock, it is worth looking again. */
  let freeAtMs = 0;
  let queue: Promise<unknown> = Promise.resolve();

  async function takeNext(signal: AbortSignal): Promise<Micros> {
    let missed = 0;
    for (let races = 0; races < MAX_LOST_RACES && missed < MAX_MISSED_SLOTS; races += 1) {
      const early_ms = Math.ceil(freeAtMs - performance.now());
      if (early_ms > 0) await sleep(early_ms, undefined, { signal });
      signal.throwIfAborted();
      const askedAtMs = performance.now();
      const slot = await takeSlot(sql, requestsPerSecond);
      freeAtMs = performance.now() + slot.nextIn_ms;
      if (slot.taken && performance.now() - askedAtMs <= MAX_TAKING_MS) return slot.now;
      if (slot.taken) missed += 1;
    }
    throw new Error(`${missed} request slots were missed in a row: this process is overloaded`);
  }

  return {
    take(signal) {
      const taken = queue.then(() => takeNext(signal));
      queue = taken.catch(() => {});
      return taken;
    },
  };
}

interface Slot {
  /** False when it was not free yet. */
  readonly taken: boolean;
  /** The database's clock. */
  readonly now: Micros;
  /** Milliseconds until the next slot is free; not below zero. */
  readonly nextIn_ms: number;
}

async function takeSlot(sql: Sql, requestsPerSecond: number): Promise<Slot> {
  const spacing = (1_000_000 * MARGIN) / requestsPerSecond;
  // Losing a slot in a crash of the server costs nothing, so its commit need not wait for the disk.
  const [row] = await sql`
    with quick as (select set_config('synchronous_commit', 'off', true)),
         clock as (select clock_timestamp() as now from quick),
         taken as (
           insert into sync.api_budget as b (id, next_slot_at)
           select true, clock.now + ${spacing} * interval '1 microsecond' from clock
               on conflict (id) do update
              set next_slot_at = least(greatest(b.next_slot_at + ${spacing} * interval '1 microsecond',
                                                excluded.next_slot_at - ${MAX_LATENESS_MS} * interval '1 millisecond'),
                                       excluded.next_slot_at)
            where b.next_slot_at <= excluded.next_slot_at - ${spacing} * interval '1 microsecond'
               or b.next_slot_at > excluded.next_slot_at + ${MAX_AHEAD_SECONDS} * interval '1 second'
           returning next_slot_at)
    select (extract(epoch from clock.now) * 1000000)::bigint::text as now, t.next_slot_at is not null as taken,
           greatest(0, extract(epoch from coalesce(t.next_slot_at, b.next_slot_at) - clock_timestamp()) * 1000)::float8 as next
      from clock left join taken t on true left join sync.api_budget b on true`;
  return { taken: row?.taken === true, now: Number(row?.now), nextIn_ms: (row?.next ?? 0) as number };
}
