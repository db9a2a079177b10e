/** Rows that a sweep has not come across. A suspicion is not a deletion: only the API, asked for the row, can say so. */

import type { Model } from '../catalog/types.ts';
import { formatMicros, type Micros } from '../core/instant.ts';
import { plainArrayLiteral } from '../postgres/arrays.ts';
import type { Queryable, Transaction } from '../postgres/connection.ts';
import { identifier } from '../postgres/quote.ts';

/** The reason of a doubt about a row that a complete sweep has not come across. */
const UNLISTED = 'a complete sweep did not list it';

/**
 * Takes those of the suspects out that nobody can confirm: an earlier sweep, so many seconds before `fence`, did not list
 * them either, and the portal has refused to read them singly since. Two complete sweeps are all that can be had then.
 */
export async function takeUnconfirmable(
  tx: Transaction,
  model: string,
  fence: Micros,
  seconds: number,
): Promise<readonly string[]> {
  const rows = await tx`
    delete from sync.suspects s
     using sync.doubtful d
     where s.model = ${model} and d.model = s.model and d.entity_id = s.entity_id and d.reason = ${UNLISTED}
       and d.refused_at is not null
       and d.since < ${formatMicros(fence)}::timestamptz - ${seconds} * interval '1 second'
    returning s.entity_id::text as id`;
  return rows.map(({ id }) => id as string);
}

/** Forgets what an earlier sweep of the model suspected. */
export async function clearSuspects(sql: Queryable, model: string): Promise<void> {
  await sql`delete from sync.suspects where model = ${model}`;
}

/** A range of ids that was listed in full: after `after`, up to and including `upTo`; null for no bound. */
export interface IdRange {
  readonly after: string | null;
  readonly upTo: string | null;
  /** The ids listed in it. */
  readonly listed: readonly string[];
  /** When the request was sent: rows learnt of later are beyond suspicion. */
  readonly observedAt: Micros;
}

/** Where a range without a bound ends: at the two ends of what a bigint holds. */
const [BELOW_ALL, ABOVE_ALL] = ['-9223372036854775808', '9223372036854775807'];

/**
 * Suspects the live rows of a range that were not listed. `except` sorts or hashes both sides; a join with an array,
 * of whose length the planner knows nothing, would look through all of it for every row.
 */
export async function suspectUnlisted(tx: Transaction, model: Model, range: IdRange): Promise<void> {
  const { after, upTo, listed, observedAt } = range;
  await tx.unsafe(
    `insert into sync.suspects (model, entity_id)
     select $1, missing.id
       from (select t.id
               from flowlu.${identifier(model.table)} t
              where t.id > $3::bigint and t.id <= $4::bigint
                and t._deleted_at is null and t._observed_at < $2::timestamptz
             except
             select l.id from unnest($5::bigint[]) as l(id)) as missing
         on conflict do nothing`,
    [model.name, formatMicros(observedAt), after ?? BELOW_ALL, upTo ?? ABOVE_ALL, plainArrayLiteral(listed)],
    { prepare: true },
  );
}

/** Suspects the live rows that a sweep by page numbers, begun at `fence`, has not listed. */
export async function suspectNotListed(tx: Transaction, model: Model, fence: Micros): Promise<void> {
  await tx.unsafe(
    `insert into sync.suspects (model, entity_id)
     select $1, missing.id
       from (select t.id
               from flowlu.${identifier(model.table)} t
              where t._deleted_at is null and t._observed_at < $2::timestamptz
             except
             select unnest(l.ids) from sync.listed_ids l where l.model = $1 and l.kind = 'sweep') as missing
         on conflict do nothing`,
    [model.name, formatMicros(fence)],
  );
}

/** How many rows of the model are suspected. */
export async function countSuspects(sql: Queryable, model: string): Promise<number> {
  const [row] = await sql`select count(*)::int as suspects from sync.suspects where model = ${model}`;
  return row?.suspects as number;
}

/**
 * Turns suspicions into doubts, which are settled by asking the API for each row. Locks the rows themselves first, in
 * the order in which the writer does: who touches the doubts of a row holds the row, so nobody waits in a circle.
 */
export async function doubtSuspects(tx: Transaction, model: Model): Promise<void> {
  await tx.unsafe(
    `select from flowlu.${identifier(model.table)} t
      where t.id in (select entity_id from sync.suspects where model = $1)
      order by t.id
        for update`,
    [model.name],
  );
  await tx`
    with taken as (delete from sync.suspects where model = ${model.name} returning entity_id)
    insert into sync.doubtful as d (model, entity_id, reason)
    select ${model.name}, entity_id, ${UNLISTED} from taken order by entity_id
        on conflict (model, entity_id) do update
       set reason = excluded.reason, attempts = 0, next_attempt_at = clock_timestamp(),
           since = case when d.reason = excluded.reason then d.since else clock_timestamp() end`;
}
