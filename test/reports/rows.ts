/** Rows put straight into mirror tables, and views read as an analyst would. */
import { randomUUID } from 'node:crypto';
import type { Queryable, Sql } from '../../src/postgres/connection.ts';

export type Row = Readonly<Record<string, unknown>>;

const KNOWN_SINCE = '2025-01-01T00:00:00Z';

/** Inserts records; what is not given of a row is what it would be of one that was read through the API. */
export async function putRows(sql: Queryable, table: string, rows: readonly Row[]): Promise<void> {
  const meta = { _record: {}, _observed_at: KNOWN_SINCE, _source: 'api' };
  const whole = rows.map((row) => ({ ...meta, _hash: randomUUID(), ...row }));
  await sql.unsafe(
    `insert into flowlu.${table} select * from jsonb_populate_recordset(null::flowlu.${table}, $1::text::jsonb)`,
    [JSON.stringify(whole)],
  );
}

/** What a query answers to a member of the reader role, whose session is in another zone than the portal. */
export async function askAsReader(sql: Sql, query: string, sessionZone = 'UTC'): Promise<readonly Row[]> {
  const rows = await sql.begin(async (tx) => {
    await tx.unsafe(`set local role flowlu_reader; set local timezone = '${sessionZone}'`);
    return tx.unsafe(`select to_jsonb(r) as row from (${query}) r`);
  });
  return rows.map((found) => found.row as Row);
}
