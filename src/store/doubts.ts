/**
 * Doubtful rows: what the merge rules could not decide and reading the record will settle. Also suspects, which may
 * become doubtful: rows that a sweep in progress has not found. Only the API, asked for the row, can say that it is
 * gone.
 */
import type { Model } from '../catalog/types.ts';
import { formatMicros, type Micros } from '../core/time.ts';
import { type IdRange, unlistedRows } from '../mirror-rows/reads.ts';
import { lockRowsOf, mirrorTableOf, placeOf } from '../mirror-rows/rows.ts';
import { isAhead } from '../postgres/clock.ts';
import type { Queryable, Sql, Transaction } from '../postgres/connection.ts';

export interface Doubt {
  /** `module.model`. */
  readonly model: string;
  readonly entityId: string;
  readonly reason: string;
}

/** The reason of a doubt without a contradiction: an announcement that is not trusted without asking the API. */
export const HINT = 'a webhook hints at a change; the API is asked before it is believed';

/** Marks entities as doubtful. A new doubt about an entity restarts its wait. A hint replaces no other reason. */
export async function raiseDoubts(tx: Transaction, doubts: readonly Doubt[]): Promise<void> {
  if (doubts.length === 0) return;
  await tx`
    insert into sync.doubtful as d (model, entity_id, reason)
    select n.model, n."entityId", n.reason
      from jsonb_to_recordset(${JSON.stringify(doubts)}::text::jsonb) as n(model text, "entityId" bigint, reason text)
     order by n.model, n."entityId"
        on conflict (model, entity_id) do update
       set reason = case when excluded.reason = ${HINT} then d.reason else excluded.reason end, since = clock_timestamp(), attempts = 0, next_attempt_at = clock_timestamp(),
           last_error = null`;
}

/** What the API has settled. */
export interface Clarification {
  readonly model: string;
  readonly entityId: string;
  /** The moment before the request was sent. Doubts raised later remain. */
  readonly observedAt: Micros;
}

export async function clearDoubts(tx: Transaction, settled: readonly Clarification[]): Promise<void> {
  if (settled.length === 0) return;
  const document = JSON.stringify(settled.map(({ observedAt, ...one }) => ({ ...one, at: formatMicros(observedAt) })));
  await tx`
    with settled as (
      select d.model, d.entity_id
        from sync.doubtful d
        join jsonb_to_recordset(${document}::text::jsonb) as n(model text, "entityId" bigint, at timestamptz)
          on d.model = n.model and d.entity_id = n."entityId" and d.since < n.at
       order by d.model, d.entity_id
         for update of d)
    delete from sync.doubtful d using settled s where d.model = s.model and d.entity_id = s.entity_id`;
}

export interface ClaimedDoubt extends Doubt {
  /** Including this one. */
  readonly attempts: number;
}

/** Claims the oldest doubts that are due, or postponed by more than `most_s`, for `seconds`. */
export async function claimDoubts(sql: Sql, limit: number, seconds: number, most_s: number): Promise<ClaimedDoubt[]> {
  const rows = await sql<ClaimedDoubt[]>`
    with due as (
      select model, entity_id from sync.doubtful
       where next_attempt_at <= clock_timestamp()
          or ${isAhead(sql, 'since')} or ${isAhead(sql, 'next_attempt_at', most_s)}
       order by next_attempt_at
       limit ${limit}
         for update skip locked)
    update sync.doubtful d
       set attempts = d.attempts + 1, since = least(d.since, clock_timestamp()), next_attempt_at = clock_timestamp() + ${seconds} * interval '1 second'
      from due
     where d.model = due.model and d.entity_id = due.entity_id
    returning d.model, d.entity_id::text as "entityId", d.reason, d.attempts`;
  return [...rows];
}

/** A query for whether there are any to claim. */
export const hasDueDoubts = (sql: Queryable) =>
  sql`select exists (select from sync.doubtful where next_attempt_at <= clock_timestamp())`;

/** Postpones a doubt, with the reason why it is open; `refusal`: the kind of error if the portal refuses to say. */
export async function postponeDoubt(
  sql: Sql,
  doubt: ClaimedDoubt,
  seconds: number,
  error: string | null,
  refusal: string | null = null,
): Promise<void> {
  await sql`
    update sync.doubtful
       set next_attempt_at = clock_timestamp() + ${seconds} * interval '1 second', last_error = ${error},
           refusal = ${refusal}
     where model = ${doubt.model} and entity_id = ${doubt.entityId}`;
}

/** Drops a doubt that nobody can settle and that harms no row, unless it was raised again meanwhile. */
export async function dropDoubt(sql: Sql, doubt: ClaimedDoubt): Promise<void> {
  await sql`
    delete from sync.doubtful
     where model = ${doubt.model} and entity_id = ${doubt.entityId} and attempts = ${doubt.attempts}
       and reason = ${doubt.reason}`;
}

/** The number of open doubts, counted up to `limit`. */
export async function countDoubtsUpTo(sql: Queryable, limit: number): Promise<number> {
  const [row] = await sql`select count(*)::int as open from (select from sync.doubtful limit ${limit}) as counted`;
  return row?.open as number;
}

/** Ids of hidden rows named per model. */
const HIDDEN_NAMED = 5;

export interface DoubtFacts {
  readonly total: number;
  readonly since: string | null;
  /** Rows that the portal does not let the key read although it returns others of their model. */
  readonly hidden: readonly { readonly model: string; readonly ids: string }[];
}

export async function doubtFacts(sql: Queryable): Promise<DoubtFacts> {
  const [row] = await sql`select count(*)::int as total, to_json(min(since)) #>> '{}' as since from sync.doubtful`;
  const hidden = await sql`
    select model, string_agg(entity_id::text, ', ' order by entity_id) filter (where place <= ${HIDDEN_NAMED}) as ids
      from (select model, entity_id, row_number() over (partition by model order by entity_id) as place
              from sync.doubtful where refusal = 'forbidden') d
     group by model order by model`;
  return { ...row, hidden } as unknown as DoubtFacts;
}

/** Times are ISO 8601. */
export interface DoubtDetails {
  readonly reason: string;
  readonly since: string;
  readonly attempts: number;
  readonly next_attempt_at: string;
  readonly last_error: string | null;
}

export async function doubtAbout(sql: Sql, model: string, entityId: string): Promise<DoubtDetails | null> {
  const [row] = await sql`
    select reason, to_json(since) #>> '{}' as since, attempts,
           to_json(next_attempt_at) #>> '{}' as next_attempt_at, last_error
      from sync.doubtful where model = ${model} and entity_id = ${entityId}`;
  return (row ?? null) as DoubtDetails | null;
}

/** Reasons for suspecting rows. */
export const UNLISTED = 'a complete sweep did not list it';
export const LACKING = 'the portal says that it has no such model';
export const UNPROVEN = 'an incomplete sweep did not list it';
export type Suspicion = typeof UNLISTED | typeof LACKING | typeof UNPROVEN;

/**
 * Takes out the suspects that nobody can confirm: already suspected for the same reason `seconds` before `fence`, and
 * refused by the portal when read singly since. If the portal lacks the model, that refusal must say so again.
 */
export async function takeUnconfirmable(
  tx: Transaction,
  model: Model,
  fence: Micros,
  seconds: number,
  reason: Suspicion,
): Promise<readonly string[]> {
  const refusal = reason === LACKING ? 'unknown%' : '%';
  const rows = await tx`
    delete from sync.suspects s
     using sync.doubtful d
     where s.model = ${model.name} and d.model = s.model and d.entity_id = s.entity_id and d.reason = ${reason}
       and d.refusal like ${refusal}
       and d.since < ${formatMicros(fence)}::timestamptz - ${seconds} * interval '1 second'
    returning s.entity_id::text as id`;
  return rows.map(({ id }) => id as string);
}

/** A row of the model that is no suspect, to test whether single rows can be read; null if no suspect was refused. */
export async function rowToTry(sql: Queryable, model: Model): Promise<string | null> {
  const { relation, part, key } = placeOf(mirrorTableOf(model));
  const [row] = await sql.unsafe(
    `select t.id::text as id from ${relation} t
      where exists (select from sync.doubtful d where d.model = $1 and d.refusal is not null)
        and not exists (select from sync.suspects s where s.model = $1 and s.entity_id = t.id)
        and t._deleted_at is null and ${CONFIRMED}${part(2)} limit 1`,
    [model.name, ...key],
  );
  return (row?.id ?? null) as string | null;
}

export async function clearSuspects(sql: Queryable, model: string): Promise<void> {
  await sql`delete from sync.suspects where model = ${model}`;
}

export async function suspectUnlisted(tx: Transaction, model: Model, range: IdRange): Promise<void> {
  const { query, parameters } = unlistedRows(model, range);
  await tx.unsafe(
    `insert into sync.suspects (model, entity_id)
     select $${parameters.length + 1}, u.id from (${query}) as u on conflict do nothing`,
    [...parameters, model.name],
    { prepare: true },
  );
}

/** How many rows of the model are suspected, and for how many of them the API was the latest source. */
export async function countSuspects(
  sql: Queryable,
  model: Model,
): Promise<{ readonly suspects: number; readonly confirmed: number }> {
  const { rows, key } = suspectedRows(model, 2);
  const [row] = await sql.unsafe(
    `select count(*)::int as suspects, (count(*) filter (where ${CONFIRMED}))::int as confirmed ${rows}`,
    [model.name, ...key],
  );
  return row as unknown as { suspects: number; confirmed: number };
}

/** Suspects of a model and their rows. Uses the first parameter, and those from `first` on for the key. */
function suspectedRows(model: Model, first: number) {
  const { relation, part, key } = placeOf(mirrorTableOf(model));
  const rows = `from sync.suspects s join ${relation} t on t.id = s.entity_id where s.model = $1${part(first)}`;
  return { rows, key };
}
const CONFIRMED = `t._source <> 'webhook'`;

/** Keeps only so many suspects, drawn at random so that each gets its turn; null keeps all of a kind. */
export async function keepSomeSuspects(
  sql: Queryable,
  model: Model,
  most: { readonly reported: number; readonly confirmed: number | null },
): Promise<void> {
  const { rows, key } = suspectedRows(model, 4);
  await sql.unsafe(
    `delete from sync.suspects
      where model = $1 and entity_id not in (
        (select s.entity_id ${rows} and not ${CONFIRMED} order by random() limit $2)
         union all
        (select s.entity_id ${rows} and ${CONFIRMED} order by random() limit $3))`,
    [model.name, most.reported, most.confirmed, ...key],
  );
}

/** Keeps only the next `most` suspects after an id, in order of ids and starting over at the end; returns them. */
export async function keepNextSuspects(sql: Queryable, model: string, after: string, most: number): Promise<string[]> {
  const rows = await sql`
    with next as (
      select entity_id from sync.suspects where model = ${model}
       order by entity_id <= ${after}::bigint, entity_id limit ${most}),
    others as (delete from sync.suspects where model = ${model} and entity_id not in (select entity_id from next))
    select entity_id::text as id from next order by entity_id <= ${after}::bigint, entity_id`;
  return rows.map(({ id }) => id as string);
}

/**
 * Turns suspects into doubtful rows, which are settled by asking the API for each. Locks the rows first, in the
 * writer's order: whoever changes doubts of a row holds its lock, so there is no deadlock. Rows already doubtful become
 * due at once, since the process that claimed them may have been killed. A reason that proves nothing does not replace
 * another.
 */
export async function doubtSuspects(tx: Transaction, model: Model, reason: Suspicion): Promise<void> {
  await lockRowsOf(tx, model, 'select entity_id from sync.suspects where model = $1', [model.name]);
  await tx`
    with taken as (delete from sync.suspects where model = ${model.name} returning entity_id)
    insert into sync.doubtful as d (model, entity_id, reason)
    select ${model.name}, entity_id, ${reason} from taken order by entity_id
        on conflict (model, entity_id) do update
       set reason = case when excluded.reason = ${UNPROVEN} then d.reason else excluded.reason end, attempts = 0,
           next_attempt_at = clock_timestamp(),
           since = case when excluded.reason in (d.reason, ${UNPROVEN}) then least(d.since, clock_timestamp()) else clock_timestamp() end`;
}
