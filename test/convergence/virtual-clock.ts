/**
 * A database whose clock the test sets. Statements of the product ask `clock_timestamp()` by its bare name and look
 * names up in `pg_catalog` alone, so there another function takes its place, which needs a superuser; each look moves it
 * on by a microsecond. Nothing in the product knows of it.
 */
import type { Micros } from '../../src/core/time.ts';
import type { Sql } from '../../src/postgres/connection.ts';

export interface VirtualClock {
  /** What the clock was last set to, in seconds since the Unix epoch. */
  seconds(): number;
  /** Sets the clock ahead. */
  advance(seconds: number): Promise<void>;
  /** Sets the clock to any moment. */
  reset(seconds: number): Promise<void>;
}

/** Replaces the clock of the database. */
export async function installVirtualClock(sql: Sql): Promise<VirtualClock> {
  await sql.unsafe(`
    create schema virtual_time;
    create sequence virtual_time.micros minvalue 0;
    set allow_system_table_mods = on;
    alter function pg_catalog.clock_timestamp() rename to real_clock_timestamp;
    create function pg_catalog.clock_timestamp() returns timestamptz language sql volatile as
      $$ select timestamptz 'epoch' + nextval('virtual_time.micros') * interval '1 microsecond' $$;
    reset allow_system_table_mods;
    alter table sync.deliveries alter received_at set default pg_catalog.clock_timestamp();
    alter table sync.doubtful alter since set default pg_catalog.clock_timestamp();
    alter table sync.doubtful alter next_attempt_at set default pg_catalog.clock_timestamp();
    alter table sync.runs alter started_at set default pg_catalog.clock_timestamp();`);
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
