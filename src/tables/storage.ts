import type { Transaction } from '../postgres/connection.ts';
import { identifier } from '../postgres/quote.ts';

/**
 * Rows of up to this many bytes are not compressed. By default PostgreSQL compresses what is longer than two kilobytes,
 * and most rows and webhook bodies are a little longer. That would take 40 µs per row and 33 µs per body, a third to a
 * half of the total cost of writing them. A page of eight kilobytes holds two such rows.
 */
export const INLINE_MAX_BYTES = 4_080;

/** Sets this for the tables of records, bodies and changes, unless an operator has set something else. */
export async function applyStorage(tx: Transaction): Promise<void> {
  const tables = await tx`
    select n.nspname as schema, c.relname as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and (n.nspname = 'flowlu' or (n.nspname = 'sync' and c.relname ~ '^(deliveries$|history_)'))
       and not exists (select from unnest(c.reloptions) as o(text) where o.text like 'toast_tuple_target=%')`;
  if (tables.length === 0) return;
  const statements = tables.map(
    ({ schema, name }) =>
      `alter table ${identifier(schema)}.${identifier(name)} set (toast_tuple_target = ${INLINE_MAX_BYTES})`,
  );
  await tx.unsafe(statements.join(';\n'));
}
