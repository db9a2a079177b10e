/** Rows per model, live and deleted. */
import type { Sql } from '../postgres/connection.ts';

export interface ModelCount {
  readonly rows: number;
  readonly deleted: number;
}

/** Exact counts by model name. */
export async function modelCounts(sql: Sql): Promise<ReadonlyMap<string, ModelCount>> {
  const rows = await sql`select model, rows::text as rows, deleted_rows::text as deleted from flowlu_live.sync_status`;
  return new Map(
    rows.map((row): [string, ModelCount] => [row.model, { rows: Number(row.rows), deleted: Number(row.deleted) }]),
  );
}
