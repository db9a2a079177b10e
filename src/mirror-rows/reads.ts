/** Reads mirror rows without locking them, for comparing, explaining and rebuilding. Every answer is bounded. */
import { findModel, models } from '../catalog/index.ts';
import type { Model } from '../catalog/types.ts';
import { type JsonObject, parseJson } from '../core/json.ts';
import { formatMicros, type Micros } from '../core/time.ts';
import { plainArrayLiteral } from '../postgres/arrays.ts';
import { type Queryable, type Sql, within } from '../postgres/connection.ts';
import { eachPage } from '../postgres/pages.ts';
import { identifier, literal } from '../postgres/quote.ts';
import {
  firstRows,
  LEARNT_AHEAD,
  type MirrorTable,
  mirrorTableOf,
  OBSERVED_AT,
  placeOf,
  type StoredRow,
  toStored,
} from './rows.ts';

/** Ends of a range without bounds: the limits of bigint. */
const [BELOW_ALL, ABOVE_ALL] = ['-9223372036854775808', '9223372036854775807'];

export async function readRow(sql: Queryable, table: MirrorTable, id: string): Promise<StoredRow | null> {
  return (await readRowsAfter(sql, table, null, 1, [id]))[0] ?? null;
}

/**
 * The first rows in order of id, including deleted ones: at most `limit`, and no more than fit into memory.
 * @param after starts after this id; null starts at the first row
 * @param ids only these, if given
 */
export async function readRowsAfter(
  sql: Queryable,
  table: MirrorTable,
  after: string | null,
  limit: number,
  ids?: readonly string[],
): Promise<StoredRow[]> {
  const { relation, part, key } = placeOf(table);
  const [which, parameter] = ids === undefined ? ['', []] : [' and t.id = any($3::bigint[])', [plainArrayLiteral(ids)]];
  const rows = await sql.unsafe(
    firstRows(`
      from ${relation} t where t.id > $1::text::bigint${which}${part(3 + parameter.length)} order by t.id limit $2`),
    [after ?? BELOW_ALL, limit, ...parameter, ...key],
  );
  return rows.map((row) => toStored(row));
}

/** All rows of a table, or those with some ids, in order of id, with deleted ones, in pages of at most `limit`. */
export function rowPages(
  sql: Queryable,
  table: MirrorTable,
  limit: number,
  signal?: AbortSignal,
  ids?: readonly string[],
) {
  return eachPage(async (after: string | null) => {
    const rows = await readRowsAfter(sql, table, after, limit, ids);
    return { rows, last: rows.at(-1)?.id };
  }, signal);
}

/** The typed columns of one row as JSON, and its version; null if there is no such row. */
export async function readColumns(
  sql: Queryable,
  table: MirrorTable,
  id: string,
): Promise<{ readonly columns: JsonObject; readonly version: string | null } | null> {
  const { relation, part, key } = placeOf(table);
  const [row] = await sql.unsafe(
    `select (to_jsonb(t) - array['_record', '_version', '_observed_at', '_source', '_deleted_at', '_hash'])::text as columns,
            to_json(t._version) #>> '{}' as version
       from ${relation} t where t.id = $1::text::bigint${part(2)}`,
    [id, ...key],
  );
  if (row === undefined) return null;
  return { columns: parseJson(row.columns as string) as JsonObject, version: row.version as string | null };
}

/** A range of ids that was listed completely: after `after`, up to and including `upTo`; null for no bound. */
export interface IdRange {
  readonly after: string | null;
  readonly upTo: string | null;
  readonly listed: readonly string[];
  /** When the request was sent. Rows learnt later could not be in its answer. */
  readonly observedAt: Micros;
  /** Only rows last learnt by webhook. */
  readonly reported?: boolean;
}

/**
 * A query for the ids of live rows in a range that were not listed. It uses the parameters given here as its first.
 * `except` sorts or hashes both sides; a join with an array, whose length the planner does not know, would scan the
 * whole array for each row.
 */
export function unlistedRows(model: Model, { after, upTo, listed, observedAt, reported = false }: IdRange) {
  const { relation, part, key } = placeOf(mirrorTableOf(model));
  const which = reported ? ` and t._source = 'webhook'` : '';
  return {
    query: `
      select t.id from ${relation} t
       where t.id > $1::bigint and t.id <= $2::bigint and t._deleted_at is null
         and (t._observed_at < $3::timestamptz or ${LEARNT_AHEAD})${which}${part(5)}
      except
      select l.id from unnest($4::bigint[]) as l(id)`,
    parameters: [after ?? BELOW_ALL, upTo ?? ABOVE_ALL, formatMicros(observedAt), plainArrayLiteral(listed), ...key],
  };
}

/** Live rows in a range that were not listed: how many, and the first ones. */
export async function findUnlisted(
  sql: Queryable,
  model: Model,
  range: IdRange,
  limit: number,
): Promise<{ readonly ids: readonly string[]; readonly count: number }> {
  const { query, parameters } = unlistedRows(model, range);
  const rows = await sql.unsafe(
    `select u.id::text as id, (count(*) over ())::float8 as count from (${query}) as u order by u.id limit $${parameters.length + 1}`,
    [...parameters, limit],
  );
  return { ids: rows.map((row) => row.id as string), count: (rows[0]?.count ?? 0) as number };
}

/** Longest wait for a query that scans a whole table. */
export const SCAN_MAX_MS = 120_000;

/** Longest wait for a query whose answer is optional. */
const HINT_MAX_MS = 10_000;

/** Some ids that live rows link to and the mirror never had. Empty if finding them takes too long. */
export async function linkedIds(sql: Queryable, model: Model, limit: number): Promise<string[]> {
  const { relation, part, key } = placeOf(mirrorTableOf(model));
  const links = models.flatMap(({ table, fields }) =>
    Object.entries(fields)
      .filter(([, { references }]) => references === model.name)
      .map(([name]) => `select ${identifier(name)} from flowlu.${identifier(table)} where _deleted_at is null`),
  );
  if (links.length === 0) return [];
  const query = `
    select l.id::text as id from (${links.join(' union ')}) as l(id)
     where l.id > 0 and not exists (select from ${relation} t where t.id = l.id${part(2)})
     order by random() limit $1`;
  const rows = await within(sql.unsafe(query, [limit, ...key]), HINT_MAX_MS).catch(() => []);
  return rows.map((row) => row.id as string);
}

export async function randomLiveIds(sql: Queryable, model: Model, count: number): Promise<string[]> {
  const { relation, part, key } = placeOf(mirrorTableOf(model));
  const rows = await within(
    sql.unsafe(
      `select t.id::text as id from ${relation} t where t._deleted_at is null${part(2)} order by random() limit $1`,
      [count, ...key],
    ),
    SCAN_MAX_MS,
  );
  return rows.map((row) => row.id as string);
}

/** Ids of live rows between two ids, both included. */
export async function liveIds(sql: Queryable, model: Model, from: bigint, to: bigint): Promise<readonly string[]> {
  const { relation, part, key } = placeOf(mirrorTableOf(model));
  const rows = await sql.unsafe(
    `select t.id::text as id from ${relation} t where t.id between $1::bigint and $2::bigint and t._deleted_at is null${part(3)}`,
    [String(from), String(to), ...key],
  );
  return rows.map(({ id }) => id as string);
}

export async function countRows(sql: Queryable, table: MirrorTable, which: 'live' | 'all'): Promise<number> {
  const { relation, part, key } = placeOf(table);
  const live = which === 'live' ? ' and t._deleted_at is null' : '';
  const counted = sql.unsafe(`select count(*)::float8 as count from ${relation} t where true${live}${part(1)}`, [
    ...key,
  ]);
  const [row] = await within(counted, SCAN_MAX_MS);
  return row?.count as number;
}

/** Whether the mirror holds any row, including deleted ones. */
export async function hasRows(sql: Queryable): Promise<boolean> {
  const relations = [...models.map((model) => placeOf(mirrorTableOf(model)).relation), 'flowlu.uncatalogued'];
  const looks = relations.map((relation) => `exists (select from ${relation})`);
  const [row] = await sql.unsafe(`select ${looks.join(' or ')} as holds`);
  return row?.holds as boolean;
}

/** The live row with the newest credible version observed before `before`. A listing of changes must return it. */
export async function newestRow(
  sql: Queryable,
  model: Model,
  before: Micros,
): Promise<{ readonly id: string; readonly version: Micros } | null> {
  const [row] = await sql.unsafe(
    `select id::text as id, (extract(epoch from _version) * 1000000)::bigint::text as version
       from ${placeOf(mirrorTableOf(model)).relation} t
      where _deleted_at is null and _version is not null and ${CREDIBLE}
        and ${OBSERVED_AT} < $1::timestamptz
      order by _version desc
      limit 1`,
    [formatMicros(before)],
  );
  return row === undefined ? null : { id: row.id as string, version: Number(row.version) };
}

/** The newest credible version in the mirror, as text that PostgreSQL reads; null if there is none. */
export async function newestVersion(sql: Queryable, model: Model): Promise<string | null> {
  if (model.version === null) return null;
  const [row] = await sql.unsafe(
    `select max(_version)::text as newest from ${placeOf(mirrorTableOf(model)).relation} where ${CREDIBLE}`,
  );
  return (row?.newest ?? null) as string | null;
}

/** How many rows changed in the portal between two times and were last written by a webhook. */
export async function announcedBetween(sql: Queryable, model: Model, from: Micros, to: Micros): Promise<number> {
  const [row] = await sql.unsafe(
    `select count(*)::int as rows from ${placeOf({ name: model.name, model }).relation}
      where _version > $1::timestamptz and _version <= $2::timestamptz and _source = 'webhook'`,
    [formatMicros(from), formatMicros(to)],
  );
  return row?.rows as number;
}

const CREDIBLE = `_version <= _observed_at + interval '1 day'`;

/** How long after the portal's time of the change recent webhooks arrived; the median is null without rows. */
export type WebhookDelay = Readonly<{ rows: number; median_s: number | null }>;

/** Latest rows from which the delay is computed. */
const DELAYS_LOOKED_AT = 200;

export async function webhookDelay(sql: Sql, model: Model): Promise<WebhookDelay> {
  const [row] = await within(
    sql.unsafe(
      `select count(*)::int as rows,
              (percentile_cont(0.5) within group (order by extract(epoch from t._observed_at - t._version)))::float8 as median_s
         from (select _observed_at, _version from ${placeOf(mirrorTableOf(model)).relation}
                where _source = 'webhook' and _version is not null and _deleted_at is null
                order by _observed_at desc limit ${DELAYS_LOOKED_AT}) t`,
    ),
    HINT_MAX_MS,
  );
  return row as unknown as WebhookDelay;
}

/** Limit on models without a table of their own. Webhooks supply their names, so some may be nonsense. */
const MAX_MODELS = 10_000;
/** Of these, how many a report lists one by one, so that it cannot grow with the names that senders invent. */
export const MAX_OTHERS_TOLD = 100;

/** Names, as `module.model`, of the models with rows in the common table. */
export async function uncataloguedModels(sql: Queryable): Promise<string[]> {
  const found = sql`
    select distinct module || '.' || model as name from flowlu.uncatalogued order by 1 limit ${MAX_MODELS}`;
  const rows = await within(found, SCAN_MAX_MS);
  return rows.map((row) => row.name as string);
}

/** Row counts of models that the catalogue does not know, by name, largest first. */
export async function uncataloguedCounts(
  sql: Queryable,
  limit: number,
): Promise<readonly { readonly name: string; readonly rows: number }[]> {
  const rows = await sql`
    select module || '.' || model as name, count(*)::int as rows from flowlu.uncatalogued
     group by 1 order by 2 desc, 1 limit ${limit}`;
  return rows as unknown as readonly { name: string; rows: number }[];
}

/** For a person: the values of a field that its column could not take. */
export function misfitQuery(model: string, field: string): string {
  const value = `_record ->> ${literal(field)}`;
  const table = findModel(model)?.table ?? 'uncatalogued';
  return `select id, ${value} from flowlu.${table} where ${identifier(field)} is null and ${value} <> ''`;
}
