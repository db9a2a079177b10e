/** Reading mirror rows without locking them: for comparing, explaining and rebuilding. Every answer is bounded. */

import { splitName } from '../catalog/name.ts';
import type { Model } from '../catalog/types.ts';
import { formatMicros, type Micros } from '../core/instant.ts';
import { type JsonObject, parseJson } from '../core/json.ts';
import type { Queryable } from '../postgres/connection.ts';
import { identifier } from '../postgres/quote.ts';
import type { MirrorTable, StoredRow } from './mirror-rows.ts';

/** Where a table's rows are, and the condition that picks them; its parameters begin at `first`. */
function placeOf({ name, model }: MirrorTable, first: number) {
  if (model !== null) return { relation: `flowlu.${identifier(model.table)}`, part: '', key: [] };
  const { module, model: modelName } = splitName(name);
  const part = ` and t.module = $${first} and t.model = $${first + 1}`;
  return { relation: 'flowlu.uncatalogued', part, key: [module, modelName] };
}

const STORED = `t.id::text as id, t._record::text as record, t._source as source, t._hash::text as hash,
  (extract(epoch from t._observed_at) * 1000000)::bigint::text as observed_at,
  (extract(epoch from t._deleted_at) * 1000000)::bigint::text as deleted_at`;

function toStored(row: Record<string, unknown>): StoredRow {
  return {
    id: row.id as string,
    record: parseJson(row.record as string) as JsonObject,
    observedAt: Number(row.observed_at),
    source: row.source as StoredRow['source'],
    deletedAt: row.deleted_at === null ? null : Number(row.deleted_at),
    hash: row.hash as string,
  };
}

/** The rows with these ids, as far as there are any. */
export async function readRows(sql: Queryable, table: MirrorTable, ids: readonly string[]): Promise<StoredRow[]> {
  const { relation, part, key } = placeOf(table, 2);
  const rows = await sql.unsafe(
    `select ${STORED} from ${relation} t where t.id = any($1::bigint[])${part} order by t.id`,
    [`{${ids.join(',')}}`, ...key],
  );
  return rows.map(toStored);
}

/** Rows in order of id, deleted ones included, after `after`; from the first when it is null. */
export async function readRowsAfter(
  sql: Queryable,
  table: MirrorTable,
  after: string | null,
  limit: number,
): Promise<StoredRow[]> {
  const { relation, part, key } = placeOf(table, 3);
  const rows = await sql.unsafe(
    `select ${STORED} from ${relation} t
      where ($1::text is null or t.id > $1::text::bigint)${part} order by t.id limit $2`,
    [after, limit, ...key],
  );
  return rows.map(toStored);
}

/** One row's typed columns as JSON knows them, and its version; null when there is no such row. */
export async function readColumns(
  sql: Queryable,
  table: MirrorTable,
  id: string,
): Promise<{ readonly columns: JsonObject; readonly version: string | null } | null> {
  const { relation, part, key } = placeOf(table, 2);
  const [row] = await sql.unsafe(
    `select (to_jsonb(t) - array['_record', '_version', '_observed_at', '_source', '_deleted_at', '_hash'])::text as columns,
            to_json(t._version) #>> '{}' as version
       from ${relation} t where t.id = $1::text::bigint${part}`,
    [id, ...key],
  );
  if (row === undefined) return null;
  return { columns: parseJson(row.columns as string) as JsonObject, version: row.version as string | null };
}

/** A range of ids that was listed in full; null for no bound. */
export interface ListedRange {
  readonly after: string | null;
  readonly upTo: string | null;
  readonly listed: readonly string[];
  /** When the request was sent: rows learnt of later could not be in its answer. */
  readonly observedAt: Micros;
}

/** Live rows of a range that were not listed: how many, and the first of them. */
export async function findUnlisted(
  sql: Queryable,
  model: Model,
  range: ListedRange,
  limit: number,
): Promise<{ readonly ids: readonly string[]; readonly count: number }> {
  const rows = await sql.unsafe(
    `select t.id::text as id, (count(*) over ())::float8 as count
       from flowlu.${identifier(model.table)} t
      where t._deleted_at is null and t._observed_at < $1::timestamptz
        and ($2::text is null or t.id > $2::text::bigint) and ($3::text is null or t.id <= $3::text::bigint)
        and t.id <> all($4::bigint[])
      order by t.id
      limit $5`,
    [formatMicros(range.observedAt), range.after, range.upTo, `{${range.listed.join(',')}}`, limit],
  );
  return { ids: rows.map((row) => row.id as string), count: (rows[0]?.count ?? 0) as number };
}

/** Ids of live rows learnt of before a moment, in order, after `after`. */
export async function liveIdsAfter(
  sql: Queryable,
  model: Model,
  before: Micros,
  after: string | null,
  limit: number,
): Promise<string[]> {
  const rows = await sql.unsafe(
    `select t.id::text as id from flowlu.${identifier(model.table)} t
      where t._deleted_at is null and t._observed_at < $1::timestamptz
        and ($2::text is null or t.id > $2::text::bigint)
      order by t.id limit $3`,
    [formatMicros(before), after, limit],
  );
  return rows.map((row) => row.id as string);
}

/** Ids of live rows, drawn at random. */
export async function randomLiveIds(sql: Queryable, model: Model, count: number): Promise<string[]> {
  const rows = await sql.unsafe(
    `select t.id::text as id from flowlu.${identifier(model.table)} t
      where t._deleted_at is null order by random() limit $1`,
    [count],
  );
  return rows.map((row) => row.id as string);
}

/** How many rows of a table there are. */
export async function countRows(sql: Queryable, table: MirrorTable, which: 'live' | 'all'): Promise<number> {
  const { relation, part, key } = placeOf(table, 1);
  const live = which === 'live' ? ' and t._deleted_at is null' : '';
  const [row] = await sql.unsafe(`select count(*)::float8 as count from ${relation} t where true${live}${part}`, key);
  return row?.count as number;
}
