import type { Queryable, Transaction } from '../postgres/connection.ts';
import { identifier } from '../postgres/quote.ts';
import type { Entity } from './deliveries/replay.ts';

/**
 * Deletes what the other tables of the ledger hold about the entity; returns the number of rows. The database lists the
 * tables that name entities by (model, entity_id), so a new one is included.
 */
export async function forgetEntity(tx: Transaction, { module, model, id }: Entity): Promise<number> {
  const tables = await tablesOfEntities(tx);
  let lines = 0;
  for (const { name } of tables) {
    const { count } = await tx.unsafe(`delete from sync.${identifier(name)} where model = $1 and entity_id = $2`, [
      `${module}.${model}`,
      id,
    ]);
    lines += count;
  }
  return lines;
}

/** Whether the ledger names the entity anywhere, deliveries included. */
export async function mentionsEntity(sql: Queryable, { module, model, id }: Entity): Promise<boolean> {
  const tables = await tablesOfEntities(sql);
  const places = [
    ...tables.map(
      ({ name }) => `select from sync.${identifier(name)} where model = $1 || '.' || $2 and entity_id = $3`,
    ),
    'select from sync.deliveries where module = $1 and model = $2 and entity_id = $3',
  ];
  const [row] = await sql.unsafe(`select ${places.map((place) => `exists (${place})`).join(' or ')} as found`, [
    module,
    model,
    id,
  ]);
  return row?.found === true;
}

async function tablesOfEntities(sql: Queryable) {
  return await sql<{ name: string }[]>`
    select c.relname as name
      from pg_class c
     where c.relnamespace = 'sync'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and 2 = (select count(*) from pg_attribute a
                 where a.attrelid = c.oid and a.attname in ('model', 'entity_id') and not a.attisdropped)
       and c.relname <> 'deliveries'
     order by 1`;
}
