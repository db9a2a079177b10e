/** What a database says about itself and about us: for `doctor`. Every question has a time limit. */
import { type Sql, within } from '../postgres/connection.ts';

const ANSWER_MAX_MS = 10_000;

export interface DatabaseFacts {
  readonly version: string;
  /** E.g. 180001. */
  readonly version_number: number;
  readonly encoding: string;
  /** Settings by which the server forgets what it has committed when its machine stops, as `fsync`. */
  readonly careless: readonly string[];
  readonly may_create_roles: boolean;
  readonly has_reader: boolean;
  readonly has_writer: boolean;
  /** The server's clock less ours, in milliseconds, give or take half the round trip. */
  readonly clock_skew_ms: number;
  readonly round_trip_ms: number;
}

export async function databaseFacts(sql: Sql): Promise<DatabaseFacts> {
  await within(sql`select 1`, ANSWER_MAX_MS); // The connection is to be open when the clocks are compared.
  const sentAt = Date.now();
  const [clock] = await within(sql`select extract(epoch from clock_timestamp())::float8 * 1000 as now`, ANSWER_MAX_MS);
  const round_trip_ms = Date.now() - sentAt;
  const [row] = await within(
    sql`
      select current_setting('server_version') as version, current_setting('server_version_num')::int as version_number,
             current_setting('server_encoding') as encoding,
             array_remove(array[case current_setting('fsync') when 'off' then 'fsync' end,
                                case current_setting('full_page_writes') when 'off' then 'full_page_writes' end], null)
               as careless,
             coalesce((select rolcreaterole or rolsuper from pg_roles where rolname = current_user), false)
               as may_create_roles,
             exists (select from pg_roles where rolname = 'flowlu_reader') as has_reader,
             exists (select from pg_roles where rolname = 'flowlu_writer') as has_writer`,
    ANSWER_MAX_MS,
  );
  const facts = row as unknown as Omit<DatabaseFacts, 'clock_skew_ms' | 'round_trip_ms'>;
  return { ...facts, clock_skew_ms: (clock?.now as number) - (sentAt + round_trip_ms / 2), round_trip_ms };
}

/** Connections of running services to this database, by what they do. */
export async function serviceConnections(sql: Sql): Promise<ReadonlyMap<string, number>> {
  const rows = await within(
    sql`
      select coalesce(state, 'unknown') as state, count(*)::int as connections from pg_stat_activity
       where datname = current_database() and application_name = 'flowlu-mirror serve' group by 1`,
    ANSWER_MAX_MS,
  );
  return new Map(rows.map(({ state, connections }) => [state as string, connections as number]));
}
