/**
 * The request budget that all replicas and commands on one database share.
 *
 * One row holds the next free slot on the database's clock; taking a slot moves it on by one spacing. Slots are even,
 * so no second ever has more than the rate, whoever sends.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Micros } from '../catalog/instant.ts';
import { databaseClock } from './clock.ts';
import type { Sql } from './connection.ts';

/** Spacing beyond the nominal one, so that a late and an early packet do not put one request too many into a second. */
const MARGIN = 1.045;
/** How far ahead slots are given at most; a row damaged by a clock jump heals within this time. */
const MAX_AHEAD_SECONDS = 300;

/** How late a request may be sent after its slot: within the margin, a second never has one too many. */
const MAX_LATENESS_MS = 20;
/** Timers may fire a moment early; the fence must not lie behind the sending. */
const EARLY_TIMER: Micros = 2_000;
/** A process so slow that it misses this many slots in a row should say so. */
const MAX_MISSED_SLOTS = 1_000;

export interface SharedPace {
  /** Waits for a slot; resolves with a moment, on the database's clock, not later than the sending. */
  take(signal: AbortSignal): Promise<Micros>;
}

/**
 * The shared budget as something to wait for. A rate of 0 means no limit.
 *
 * A process that stalls would send what it had slots for all at once, so a slot that was missed is given up for a new
 * one. Late means later than the quickest answer of the database so far: its usual distance delays all slots alike.
 */
export function sharedPace(sql: Sql, requestsPerSecond: number): SharedPace {
  if (requestsPerSecond === 0) return { take: () => databaseClock(sql) };
  let quickestMs = Number.POSITIVE_INFINITY;
  return {
    async take(signal) {
      for (let missed = 0; missed < MAX_MISSED_SLOTS; missed += 1) {
        signal.throwIfAborted();
        const askedAt = performance.now();
        const slot = await takeSlot(sql, requestsPerSecond);
        quickestMs = Math.min(quickestMs, performance.now() - askedAt);
        if (slot.wait_ms > 0) await sleep(Math.ceil(slot.wait_ms), undefined, { signal });
        if (performance.now() - askedAt - slot.wait_ms - quickestMs <= MAX_LATENESS_MS) return slot.at - EARLY_TIMER;
      }
      throw new Error(`${MAX_MISSED_SLOTS} request slots were missed in a row: this process is overloaded`);
    },
  };
}

interface Slot {
  /** When the request may be sent, on the database's clock. */
  readonly at: Micros;
  /** How long that is from now, in milliseconds. */
  readonly wait_ms: number;
}

async function takeSlot(sql: Sql, requestsPerSecond: number): Promise<Slot> {
  const spacing = (1_000_000 * MARGIN) / requestsPerSecond;
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
