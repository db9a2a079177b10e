/** Rows that a sweep has not come across. A suspicion is not a deletion: only the API, asked for the row, can say so. */
import { formatMicros, type Micros } from '../catalog/instant.ts';
import type { Model } from '../catalog/types.ts';
import type { Queryable, Transaction } from './connection.ts';
import { identifier } from './quote.ts';

/** Forgets what an earlier sweep of the model suspected. */
export async function clearSuspects(sql: Queryable, model: string): Promise<void> {
  await sql`delete from sync.suspects where model = ${model}`;
}

/** A stretch of ids that was listed in full: after `after`, up to and including `upTo`; null for no bound. */
export interface Stretch {
  readonly after: string | null;
  readonly upTo: string | null;
  /** The ids listed in it. */
  readonly listed: readonly string[];
  /** When the request was sent: rows learnt of later are beyond suspicion. */
  readonly observedAt: Micros;
}

/** Suspects the live rows of a stretch that were not listed. */
export async function suspectUnlisted(tx: Transaction, model: Model, stretch: Stretch): Promise<void> {
  await tx.unsafe(
    `insert into sync.suspects (model, entity_id)
     select $1, t.id
       from flowlu.${identifier(model.table)} t
      where t._deleted_at is null and t._observed_at < $2::timestamptz
        and ($3::text is null or t.id > $3::text::bigint) and ($4::text is null or t.id <= $4::text::bigint)
        and not exists (select from unnest($5::bigint[]) as l(id) where l.id = t.id)
         on conflict do nothing`,
    [model.name, formatMicros(stretch.observedAt), stretch.after, stretch.upTo, `{${stretch.listed.join(',')}}`],
  );
}

export interface Suspicion {
  readonly suspects: number;
  /** Live rows of the model, suspects included. */
  readonly live: number;
}

/** How many rows are suspected, of how many. */
export async function countSuspects(sql: Queryable, model: Model): Promise<Suspicion> {
  const [row] = await sql.unsafe(
    `select (select count(*)::int from sync.suspects where model = $1) as suspects,
            (select count(*)::int from flowlu.${identifier(model.table)} where _deleted_at is null) as live`,
    [model.name],
  );
  return { suspects: row?.suspects as number, live: row?.live as number };
}

/**
 * Turns suspicions into doubts, which are settled by asking the API for each row. Locks the rows themselves first, in
 * the order in which the door does: who touches the doubts of a row holds the row, so nobody waits in a circle.
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
    select ${model.name}, entity_id, 'a complete sweep did not list it' from taken order by entity_id
        on conflict (model, entity_id) do update
       set reason = excluded.reason, since = clock_timestamp(), attempts = 0, next_attempt_at = clock_timestamp()`;
}
