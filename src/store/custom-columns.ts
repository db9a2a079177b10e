/** The present and former names of custom fields in the live views. */
import { isDeepStrictEqual } from 'node:util';
import type { Queryable, Transaction } from '../postgres/connection.ts';

export interface GivenName {
  readonly fieldId: string;
  /** `module.model`; a name belongs to one field of its model. */
  readonly model: string;
  readonly name: string;
  /** What the name was made from; the name stays as long as this does. */
  readonly base: string;
  /** Aliases of the field while it had this name. */
  readonly aliases: readonly string[];
  /** When another name replaced it, in ms; null for the present name. */
  readonly formerSinceMs: number | null;
}

export async function readNames(sql: Queryable): Promise<readonly GivenName[]> {
  const rows = await sql<(Omit<GivenName, 'formerSinceMs'> & { former_since_ms: number | null })[]>`
    select field_id::text as "fieldId", model, name, base, aliases,
           extract(epoch from former_since)::float8 * 1000 as former_since_ms
      from sync.custom_columns order by model, name`;
  return rows.map(({ former_since_ms, ...row }) => ({
    ...row,
    formerSinceMs: former_since_ms === null ? null : Math.round(former_since_ms),
  }));
}

/** Stores names in place of those read earlier, writing only the differences. */
export async function storeNames(
  tx: Transaction,
  before: readonly GivenName[],
  names: readonly GivenName[],
): Promise<void> {
  const keyed = (rows: readonly GivenName[]) =>
    new Map(rows.map((row) => [JSON.stringify([row.model, row.name]), row]));
  const had = keyed(before);
  const have = keyed(names);
  const changed = [...have].flatMap(([key, row]) => (isDeepStrictEqual(row, had.get(key)) ? [] : [row]));
  const gone = [...had].flatMap(([key, row]) => (have.has(key) ? [] : [row]));
  if (gone.length > 0) {
    await tx`
      delete from sync.custom_columns t using jsonb_to_recordset(${JSON.stringify(gone)}::text::jsonb) as n(model text, name text)
       where t.model = n.model and t.name = n.name`;
  }
  if (changed.length > 0) {
    await tx`
      insert into sync.custom_columns (model, name, field_id, base, aliases, former_since)
      select model, name, "fieldId", base, aliases, to_timestamp("formerSinceMs" / 1000)
        from jsonb_to_recordset(${JSON.stringify(changed)}::text::jsonb)
          as n(model text, name text, "fieldId" bigint, base text, aliases jsonb, "formerSinceMs" float8)
          on conflict (model, name) do update
         set field_id = excluded.field_id, base = excluded.base, aliases = excluded.aliases, former_since = excluded.former_since`;
  }
}
