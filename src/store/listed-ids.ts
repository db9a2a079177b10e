/** Ids returned by a listing by page numbers, which it needs to prove that it is complete and to resume. */
import { plainArrayLiteral } from '../postgres/arrays.ts';
import type { Queryable } from '../postgres/connection.ts';
import type { ListingKey } from './listings.ts';

/** Rows read at a time; each holds the ids of a few pages. */
const ROWS_PER_READ = 500;

type Listing = Pick<ListingKey, 'kind' | 'model'>;

export async function appendListedIds(sql: Queryable, { kind, model }: Listing, ids: readonly string[]): Promise<void> {
  await sql`
    insert into sync.listed_ids (model, kind, ids) values (${model}, ${kind}, ${plainArrayLiteral(ids)}::bigint[])`;
}

export async function* listedIds(sql: Queryable, { kind, model }: Listing): AsyncGenerator<readonly string[]> {
  let after = '0';
  for (;;) {
    const rows = await sql`
      select seq::text as seq, ids::text[] as ids from sync.listed_ids
       where model = ${model} and kind = ${kind} and seq > ${after} order by seq limit ${ROWS_PER_READ}`;
    for (const { ids } of rows) yield ids as readonly string[];
    if (rows.length < ROWS_PER_READ) return;
    after = rows.at(-1)?.seq as string;
  }
}

export async function allListedIds(sql: Queryable, listing: Listing): Promise<readonly string[]> {
  const all: string[] = [];
  for await (const ids of listedIds(sql, listing)) for (const id of ids) all.push(id);
  return all;
}

export async function clearListedIds(sql: Queryable, { kind, model }: Listing): Promise<void> {
  await sql`delete from sync.listed_ids where model = ${model} and kind = ${kind}`;
}
