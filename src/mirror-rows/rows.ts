/**
 * The hot statements of the mirror tables, built once per model from the catalogue. Identifiers come only from the
 * catalogue and from constants here; values are passed as parameters (see arrays.ts).
 */
import { isCatalogued } from '../catalog/index.ts';
import { splitName } from '../catalog/name.ts';
import type { Model } from '../catalog/types.ts';
import { TooHeavyError } from '../core/heavy.ts';
import { type JsonObject, parseJson, stringifyJson } from '../core/json.ts';
import { formatMicros, type Micros } from '../core/time.ts';
import {
  plainArrayLiteral,
  ROWS_PARAMETERS,
  ROWS_SOURCE,
  type RowItem,
  rowsText,
  rowValue,
} from '../postgres/arrays.ts';
import { AHEAD_MAX_S } from '../postgres/clock.ts';
import type { Queryable, Transaction } from '../postgres/connection.ts';
import { identifier } from '../postgres/quote.ts';
import type { ColumnValue } from '../record/coerce.ts';
import { sqlTypes } from '../tables/facts.ts';

/** Where the rows of a model are stored: its own table, or the common one if the catalogue does not know it. */
export interface MirrorTable {
  /** `module.model`. */
  readonly name: string;
  /** Null if the catalogue does not know it. */
  readonly model: Model | null;
}

export interface StoredRow {
  readonly id: string;
  readonly record: JsonObject;
  readonly observedAt: Micros;
  /** `erased`: only the id is kept, because of a privacy request; only the API can bring such an entity back. */
  readonly source: 'webhook' | 'api' | 'erased';
  readonly deletedAt: Micros | null;
  readonly hash: string;
}

/** A row to insert, or to replace the one with its id. */
export interface RowToWrite extends StoredRow {
  /** Flowlu's time of the last change. */
  readonly version: Micros | null;
  /** In the order of the model's fields. */
  readonly columns: readonly ColumnValue[];
}

/** A row read a moment ago without a lock. */
export interface KnownRow {
  readonly record: JsonObject;
  readonly hash: string;
}

/** Bytes of records held in memory at a time. */
const MAX_RECORD_BYTES = 4 * 2 ** 20;

/** Approximate bytes of the record of row `t`: of its text, or if that is not compressed, twice its size on disk. */
const WEIGHT = `case when pg_column_compression(t._record) is null then 2 * pg_column_size(t._record)
  else octet_length(t._record::text) end`;

/**
 * Reads rows and locks them until the transaction ends, in order of id so that batches cannot deadlock.
 * @param known rows just read, whose records are sent again only if their content has changed since
 * @param tables how many tables share the memory; a single row of a single table always fits
 * @throws TooHeavyError if the records exceed it
 */
export async function lockRows(
  tx: Transaction,
  table: MirrorTable,
  ids: readonly string[],
  known: ReadonlyMap<string, KnownRow> = new Map(),
  tables = 1,
): Promise<StoredRow[]> {
  const { lock, lockOne, key } = statementsOf(table);
  if (ids.length * tables === 1 && known.size === 0)
    return (await tx.unsafe(lockOne, [...ids, ...key], { prepare: true })).map((row) => toStored(row));
  const maxBytes = ids.length * tables === 1 ? Number.MAX_SAFE_INTEGER : Math.floor(MAX_RECORD_BYTES / tables);
  const hashes = ids.map((id) => known.get(id)?.hash ?? null);
  const parameters = [plainArrayLiteral(ids), plainArrayLiteral(hashes), String(maxBytes), ...key];
  const rows = await tx.unsafe(lock, parameters, { prepare: true });
  return rows.map((row) => {
    if (row.is_left) throw new TooHeavyError(`the rows of ${table.name} have more than ${maxBytes} bytes`);
    return toStored(row, known.get(row.id));
  });
}

/** Converts a row of the result. Its record may be known and left out. */
export function toStored(row: Record<string, unknown>, known?: KnownRow): StoredRow {
  return {
    id: row.id as string,
    record: row.record === null && known !== undefined ? known.record : (parseJson(row.record as string) as JsonObject),
    observedAt: Number(row.observed_at),
    source: row.source as StoredRow['source'],
    deletedAt: row.deleted_at === null ? null : Number(row.deleted_at),
    hash: row.hash as string,
  };
}

/**
 * Inserts new rows in the order given, which must be that of their ids.
 * @throws the server's unique_violation if another transaction was faster; run the transaction again
 */
export const insertRows = writing('insert');

/** Replaces rows that the transaction has locked. */
export const updateRows = writing('update');

function writing(statement: 'insert' | 'update') {
  return async (tx: Transaction, table: MirrorTable, rows: readonly RowToWrite[]): Promise<void> => {
    if (rows.length === 0) return;
    const { [statement]: text, key, columns } = statementsOf(table);
    await tx.unsafe(text, [...rowsText(rows.map((row) => valuesOf(row, columns))), ...key], { prepare: true });
  };
}

/** Removes rows from the common table whose model now has a table of its own. */
export async function deleteUncatalogued(
  tx: Transaction,
  { module, model }: { readonly module: string; readonly model: string },
  ids: readonly string[],
): Promise<void> {
  await tx`
    delete from flowlu.uncatalogued
     where module = ${module} and model = ${model} and id = any(${plainArrayLiteral(ids)}::bigint[])`;
}

/** Locks the rows of a model whose ids a query returns, in the same order as `lockRows`. */
export async function lockRowsOf(tx: Transaction, model: Model, query: string, parameters: string[]): Promise<void> {
  const { relation, part, key } = placeOf(mirrorTableOf(model));
  await tx.unsafe(
    `select from ${relation} t where t.id in (${query})${part(parameters.length + 1)} order by t.id for update`,
    [...parameters, ...key],
  );
}

/** A row whose content has changed. The record is null if it no longer fits into memory with the others. */
type ChangedRow = KnownRow | { readonly record: null; readonly hash: string };

/** The pairs whose live row has other content, with that content; null if no row is live. Takes no locks. */
export async function findChanged(
  sql: Queryable,
  table: MirrorTable,
  pairs: readonly { readonly id: string; readonly hash: string }[],
): Promise<ReadonlyMap<string, ChangedRow | null>> {
  const { changed, key } = statementsOf(table);
  const ids = plainArrayLiteral(pairs.map(({ id }) => id));
  const hashes = plainArrayLiteral(pairs.map(({ hash }) => hash));
  const rows = await sql.unsafe(changed, [ids, hashes, ...key], { prepare: true });
  return new Map(
    rows.map(({ id, record, hash }): [string, ChangedRow | null] => [
      id,
      hash === null ? null : { record: record === null ? null : (parseJson(record) as JsonObject), hash },
    ]),
  );
}

interface Place {
  readonly relation: string;
  /** The condition for a model's part of the common table, for rows `t`; `first` numbers its first parameter. */
  readonly part: (first: number) => string;
  readonly key: readonly string[];
}

export function mirrorTableOf(model: Model): MirrorTable {
  return { name: model.name, model: isCatalogued(model) ? model : null };
}

export function placeOf({ name, model }: MirrorTable): Place {
  if (model !== null) return { relation: `flowlu.${identifier(model.table)}`, part: () => '', key: [] };
  const parts = splitName(name);
  const part = (first: number) => ` and t.module = $${first} and t.model = $${first + 1}`;
  return { relation: 'flowlu.uncatalogued', part, key: [parts.module, parts.model] };
}

/** There are about a hundred catalogued models; unknown ones may be more, and share their statements anyway. */
const MAX_REMEMBERED_TABLES = 1_000;

export function perTable<T>(build: (table: MirrorTable) => T): (table: MirrorTable) => T {
  const known = new Map<string, T>();
  return (table) => {
    // Until they are moved, a model that is new in the catalogue has rows in both places.
    const place = table.model === null ? `uncatalogued ${table.name}` : table.name;
    const statements = known.get(place) ?? build(table);
    if (known.size < MAX_REMEMBERED_TABLES) known.set(place, statements);
    return statements;
  };
}

const statementsOf = perTable(buildStatements);

/** The mirror's own columns, after the typed ones. */
const META = {
  _record: 'jsonb',
  _version: 'timestamptz',
  _observed_at: 'timestamptz',
  _source: 'text',
  _deleted_at: 'timestamptz',
  _hash: 'uuid',
} as const;

/** The time of observation of row `t` is in the future, because the clock was set back since. */
export const LEARNT_AHEAD = `t._observed_at > clock_timestamp() + interval '${AHEAD_MAX_S} seconds'`;
/** When row `t` was observed. If unknown, a time before any request or webhook now in progress. */
export const OBSERVED_AT = `case when ${LEARNT_AHEAD} then clock_timestamp() - interval '1 hour' else t._observed_at end`;

/** What is read of row `t`: the stored columns, and the form in which they are returned. */
const HELD = 't.id, t._record, t._source, t._hash, t._observed_at, t._deleted_at';
const ANSWERED = `t.id::text as id, t._source as source, t._hash::text as hash,
  (extract(epoch from ${OBSERVED_AT}) * 1000000)::bigint::text as observed_at,
  (extract(epoch from t._deleted_at) * 1000000)::bigint::text as deleted_at`;

/** SQL for the first rows in order of id: as many as fit into memory, and at least one. */
export const firstRows = (selection: string) => `
  with taken as materialized (select ${HELD}, ${WEIGHT} as weight ${selection}),
  placed as (select *, sum(weight) over (order by id) - weight as bytes_before from taken)
  select ${ANSWERED}, t._record::text as record from placed t where bytes_before < ${MAX_RECORD_BYTES} order by t.id`;

function buildStatements(table: MirrorTable) {
  const { model } = table;
  const fields = Object.entries(model?.fields ?? {}).map(([field, { kind }], at) => ({ field, kind, at }));
  const beside = fields.filter(({ field }) => field !== 'id');
  const typed = beside.map(({ field, kind }) => [field, sqlTypes[kind]] as const);
  const columns = [...typed, ...Object.entries(META)].map(([name, type], index) => ({
    name: identifier(name),
    // The id is the first value.
    value: `${rowValue(index + 2)}::${type}`,
  }));
  const { relation, key, part } = placeOf(table);
  const afterRows = ROWS_PARAMETERS + 1;
  const [keyNames, keyValues] = model === null ? ['module, model, ', `$${afterRows}, $${afterRows + 1}, `] : ['', ''];
  return {
    /** Parameters that select the model's part of the common table. */
    key,
    /** Positions of the typed columns other than the id among the model's fields, in the order of the parameters. */
    columns: beside.map(({ at }) => at),
    lock: `
      with locked as materialized (
        select ${HELD}, case when t._hash is distinct from k.hash then ${WEIGHT} end as weight
          from ${relation} t
          join unnest($1::bigint[], $2::uuid[]) as k(id, hash) on k.id = t.id
         where true${part(4)}
         order by t.id
           for update of t),
      placed as (select *, weight is not null and sum(weight) over (order by id) > $3::bigint as is_left from locked)
      select ${ANSWERED}, is_left, case when weight is not null and not is_left then t._record::text end as record
        from placed t order by t.id`,
    /** For one row, the usual case for webhooks: half the work. */
    lockOne: `
      select ${ANSWERED}, t._record::text as record from ${relation} t
       where t.id = $1::bigint${part(2)}
         for update`,
    insert: `
      insert into ${relation} (${keyNames}id, ${columns.map((column) => column.name).join(', ')})
      select ${keyValues}${rowValue(1)}::bigint, ${columns.map(({ value }) => value).join(', ')}
        from ${ROWS_SOURCE}`,
    update: `
      update ${relation} t
         set ${columns.map(({ name, value }) => `${name} = ${value}`).join(', ')}
        from ${ROWS_SOURCE}
       where t.id = ${rowValue(1)}::bigint${part(afterRows)}`,
    changed: `
      with changed as materialized (
        select n.id, t._record, t._hash, ${WEIGHT} as weight
          from unnest($1::bigint[], $2::uuid[]) as n(id, hash)
          left join ${relation} t on t.id = n.id and t._deleted_at is null${part(3)}
         where t._hash is distinct from n.hash),
      placed as (select *, sum(weight) over (order by id) > ${2 * MAX_RECORD_BYTES} as is_left from changed)
      select id::text as id, case when not is_left then _record::text end as record, _hash::text as hash from placed`,
  };
}

function valuesOf(row: RowToWrite, columns: readonly number[]): readonly RowItem[] {
  const typed = columns.map((at) => row.columns[at] ?? null);
  return [
    row.id,
    ...typed,
    stringifyJson(row.record),
    row.version === null ? null : formatMicros(row.version),
    formatMicros(row.observedAt),
    row.source,
    row.deletedAt === null ? null : formatMicros(row.deletedAt),
    row.hash,
  ];
}
