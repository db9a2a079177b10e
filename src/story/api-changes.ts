/** Changes of one record that readings through the API brought, as `flowlu_history.changes` shows them. */
import { type JsonObject, parseJson } from '../core/json.ts';
import type { Queryable } from '../postgres/connection.ts';

export interface ApiChange {
  readonly observed_at: string;
  /** `list`, or `get` for a single record. */
  readonly path: string;
  readonly change: string;
  readonly before: JsonObject | null;
  readonly after: JsonObject | null;
}

/** The newest, oldest first. */
export async function apiChanges(sql: Queryable, model: string, id: string, limit: number) {
  const rows = await sql`
    select to_json(observed_at) #>> '{}' as observed_at, path, change, before::text as before, after::text as after
      from flowlu_history.changes where model = ${model} and id = ${id}::bigint and path <> 'webhook'
     order by number desc limit ${limit}`;
  const read = (text: string | null) => (text === null ? null : (parseJson(text) as JsonObject));
  return rows
    .map((row) => ({ ...row, before: read(row.before), after: read(row.after) }) as unknown as ApiChange)
    .reverse();
}
