/** The one clock that all replicas share. */
import type { Micros } from '../core/time.ts';
import type { Queryable } from './connection.ts';

/** What the database's clock says now. */
export async function databaseClock(sql: Queryable): Promise<Micros> {
  const rows = await sql`select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as now`;
  return Number(rows[0]?.now);
}
