/**
 * The request budget that all replicas and commands on one database share.
 *
 * One row holds the next free slot and when the latest were taken, on the database's clock. Slots lie on a grid; who
 * comes late makes up for it, but never so that a second has more than the rate, whoever sends. A slot is taken when it
 * is there and not ahead of time: what a process holds, it can miss.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Micros } from '../core/instant.ts';
import { databaseClock } from '../postgres/clock.ts';
import type { Sql } from '../postgres/connection.ts';

/** What a second's requests keep between them and the next beyond the second: one may travel slower than the other. */
const WINDOW_MARGIN_MS = 35;
/** Slots that are remembered. Beyond that rate the same is held for the part of a second that they make up. */
const MAX_WINDOW_SLOTS = 200;
/** How much time may be made up for. */
const MAX_LATENESS_MS = 50;
/** How far ahead the next slot may lie; a row damaged by a clock jump heals within this time. */
const MAX_AHEAD_SECONDS = 300;

/** How long taking a slot may last. After that a request would be sent too late, and the slot is exchanged for another. */
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
    let unused: Micros | null = null;
    let missed = 0;
    for (let races = 0; races < MAX_LOST_RACES && missed < MAX_MISSED_SLOTS; races += 1) {
      const early_ms = Math.ceil(freeAtMs - performance.now());
      if (early_ms > 0) await sleep(early_ms, undefined, { signal });
      signal.throwIfAborted();
      const askedAtMs = performance.now();
      const slot = await takeSlot(sql, requestsPerSecond, unused);
      freeAtMs = performance.now() + slot.nextIn_ms;
      if (slot.taken) unused = slot.now;
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

/** @param unused a slot that was taken in vain: it is given back. */
async function takeSlot(sql: Sql, requestsPerSecond: number, unused: Micros | null): Promise<Slot> {
  const slots = Math.min(MAX_WINDOW_SLOTS, Math.max(1, Math.floor(requestsPerSecond)));
  const window_ms = (1_000 * slots) / requestsPerSecond + WINDOW_MARGIN_MS;
  const spacing_ms = window_ms / slots;
  // Losing a slot in a crash of the server costs nothing, so its commit need not wait for the disk.
  const [row] = await sql`
    with quick as (select set_config('synchronous_commit', 'off', true)),
         clock as (
           select clock_timestamp() as now, ${slots}::int as slots, ${spacing_ms} * interval '1 millisecond' as spacing,
                  ${window_ms} * interval '1 millisecond' as "window",
                  ${MAX_LATENESS_MS} * interval '1 millisecond' as lateness,
                  ${MAX_AHEAD_SECONDS} * interval '1 second' as ahead,
                  timestamptz 'epoch' + ${unused}::bigint * interval '1 microsecond' as unused,
                  ${unused === null ? 0 : spacing_ms} * interval '1 millisecond' as refund
             from quick),
         taken as (
           insert into sync.api_budget as b (id, next_slot_at, taken)
           select true, now + spacing, array[now] from clock
               on conflict (id) do update
              set (next_slot_at, taken) = (
                    select least(greatest(b.next_slot_at + spacing - refund, now + spacing - lateness), now + spacing),
                           (kept || now)[greatest(1, cardinality(kept) + 2 - slots):]
                      from clock, array_remove(b.taken, unused) as kept)
            where (select b.next_slot_at - refund not between now and now + ahead
                      and coalesce(kept[cardinality(kept) + 1 - slots] not between now - "window" and now + ahead, true)
                     from clock, array_remove(b.taken, unused) as kept)
           returning next_slot_at, taken)
    select (extract(epoch from now) * 1000000)::bigint::text as now, t.next_slot_at is not null as taken,
           greatest(0, extract(epoch from
             greatest(s.next_slot_at, s.taken[cardinality(s.taken) + 1 - slots] + "window") - clock_timestamp()
           ) * 1000)::float8 as next
      from clock left join taken t on true left join sync.api_budget b on true
      cross join lateral (
           select coalesce(t.next_slot_at, b.next_slot_at) as next_slot_at, coalesce(t.taken, b.taken) as taken) as s`;
  return { taken: row?.taken === true, now: Number(row?.now), nextIn_ms: (row?.next ?? 0) as number };
}
