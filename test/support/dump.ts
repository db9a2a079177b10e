/** Everything that a database holds, as text: to search for what must not be in it. */
import type { Sql } from '../../src/postgres/connection.ts';

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

/** Where one of the words stands, however it is written: plain, or with JSON's escapes. Each hit with some of its surroundings. */
export async function rowsWith(sql: Sql, words: readonly string[]): Promise<readonly string[]> {
  const rows = await dumpDatabase(sql);
  if (rows.length === 0) throw new Error('the database is empty: nothing was searched');
  const wanted = words.flatMap((word) => [word, JSON.stringify(word).slice(1, -1)]).map((word) => word.toLowerCase());
  return rows.flatMap((row) => {
    const at = wanted.map((word) => row.toLowerCase().indexOf(word)).find((index) => index >= 0);
    return at === undefined ? [] : [`${row.slice(0, 40)} … ${row.slice(Math.max(0, at - 60), at + 60)}`];
  });
}
