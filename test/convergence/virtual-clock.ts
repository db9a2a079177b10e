/**
 * A database whose clock the test sets. Statements of the product ask `clock_timestamp()` by its bare name, so a
 * function of that name in a schema that comes first in the search path takes its place; each look moves it on by a
 * microsecond. Nothing in the product knows of it.
 */
import type { Micros } from '../../src/core/instant.ts';
import type { Sql } from '../../src/postgres/connection.ts';

export interface VirtualClock {
  /** What the clock was last set to, in seconds since the Unix epoch. */
  seconds(): number;
  /** Sets the clock ahead. */
  advance(seconds: number): Promise<void>;
  /** Sets the clock to any moment. */
  reset(seconds: number): Promise<void>;
}

/** Replaces the clock for connections opened from now on; connections of `sql` that are open already keep the real one. */
export async function installVirtualClock(sql: Sql, database: string): Promise<VirtualClock> {
  await sql.unsafe(`
    create schema virtual_time;
    create sequence virtual_time.micros minvalue 0;
    create function virtual_time.clock_timestamp() returns timestamptz language sql volatile as
      $$ select timestamptz 'epoch' + nextval('virtual_time.micros') * interval '1 microsecond' $$;
    alter database ${database} set search_path = virtual_time, pg_catalog;
    alter table sync.deliveries alter received_at set default virtual_time.clock_timestamp();
    alter table sync.doubtful alter since set default virtual_time.clock_timestamp();
    alter table sync.doubtful alter next_attempt_at set default virtual_time.clock_timestamp();
    alter table sync.runs alter started_at set default virtual_time.clock_timestamp();`);
  let now = 0;
  const set = async (seconds: number, floor: string) => {
    now = seconds;
    const micros: Micros = Math.round(now * 1_000_000);
    await sql.unsafe(`select setval('virtual_time.micros', greatest(${micros}, ${floor})) from virtual_time.micros`);
  };
  return {
    seconds: () => now,
    reset: (seconds) => set(seconds, '0'),
    // Looks have moved it on by microseconds already; no clock goes back by itself.
    advance: (seconds) => set(now + seconds, 'last_value'),
  };
}
