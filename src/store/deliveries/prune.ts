/** Letting go of old deliveries, a small batch at a time, so that intake never waits for it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from '../../postgres/connection.ts';

const BATCH_SIZE = 1_000;
/** Batches per call: ten million deliveries; the next call goes on. */
const MAX_BATCHES = 10_000;
const PAUSE_MS = 50;

/** Deletes deliveries that have done their work and are older than `retentionMs`; failed and pending ones stay. */
export async function pruneDeliveries(sql: Sql, retentionMs: number, signal: AbortSignal): Promise<number> {
  let total = 0;
  for (let batch = 0; batch < MAX_BATCHES && !signal.aborted; batch += 1) {
    const { count } = await sql`
      delete from sync.deliveries
       where id in (
             select d.id from sync.deliveries d
              where d.received_at < clock_timestamp() - ${retentionMs} * interval '1 millisecond'
                and d.status in ('applied', 'skipped', 'rejected')
              order by d.received_at
              limit ${BATCH_SIZE}
                for update skip locked)`;
    total += count;
    if (count < BATCH_SIZE) break;
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => {});
  }
  return total;
}
