/** Everything that a database holds, as text: to search for what must not be in it. */
import type { Sql } from '../../src/db/connection.ts';

/** Every row of every table of every schema but PostgreSQL's own, each with the table's name before it. */
export async function dumpDatabase(sql: Sql): Promise<readonly string[]> {
  const tables = await sql<{ name: string }[]>`
    select format('%I.%I', n.nspname, c.relname) as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg_toast%'
     order by 1`;
  const rows: string[] = [];
  for (const { name } of tables) {
    for (const { row } of await sql.unsafe(`select t::text as row from ${name} t`)) rows.push(`${name}: ${row}`);
  }
  return rows;
}

/** The rows that hold one of the words, however they are written: plain, or with JSON's escapes. */
export async function rowsWith(sql: Sql, words: readonly string[]): Promise<readonly string[]> {
  const rows = await dumpDatabase(sql);
  if (rows.length === 0) throw new Error('the database is empty: nothing was searched');
  const wanted = words.flatMap((word) => [word, JSON.stringify(word).slice(1, -1)]);
  return rows.filter((row) => wanted.some((word) => row.toLowerCase().includes(word.toLowerCase())));
}
