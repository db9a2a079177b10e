/**
 * The hot statements of the mirror tables: hand-written SQL, built once per model from the catalogue.
 *
 * Identifiers come from the catalogue and the constants here, never from outside; values travel as
 * parameters (see arrays.ts).
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

/** Where rows of one model rest: its own table, or the common one for models that the catalogue does not know. */
export interface MirrorTable {
  /** `module.model`. */
  readonly name: string;
  /** The catalogue's model; null for an unknown one. */
  readonly model: Model | null;
}

export interface StoredRow {
  readonly id: string;
  readonly record: JsonObject;
  readonly observedAt: Micros;
  readonly source: 'webhook' | 'api' | 'erased';
  readonly deletedAt: Micros | null;
  readonly hash: string;
}

/** A row to insert, or to put in the place of the one with its id. */
export interface RowToWrite extends StoredRow {
  /** The source's last-change time, for reading. */
  readonly version: Micros | null;
  /** In the order of the model's fields. */
  readonly columns: readonly ColumnValue[];
}

/** What was read of a row a moment ago, without a lock. */
export interface KnownRow {
  readonly record: JsonObject;
  readonly hash: string;
}

/** Bytes of records that are taken into memory at a time. */
const MAX_RECORD_BYTES = 4 * 2 ** 20;

/** What a record of row `t` weighs, at least about: its text, or without decompressing it twice what it takes on disk. */
const WEIGHT = `case when pg_column_compression(t._record) is null then 2 * pg_column_size(t._record)
  else octet_length(t._record::text) end`;

/**
 * Reads rows and locks them in order of id until the transaction ends, so that batches never wait in a circle.
 * @param known rows that were just read: their records travel again only where their content has changed since.
 * @param tables how many tables share the room in memory; a single row of a single table always fits
 * @throws TooHeavyError where the records have more bytes than that
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

/** A row as the database answers it; its record may be known and left out. */
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
 * Inserts rows that were not there, in the order given, which must be that of their ids.
 * @throws the server's unique_violation when another transaction was faster; the transaction must then run again.
 */
export async function insertRows(tx: Transaction, table: MirrorTable, rows: readonly RowToWrite[]): Promise<void> {
  if (rows.length === 0) return;
  const { insert, key, columns } = statementsOf(table);
  await tx.unsafe(insert, [...rowsText(rows.map((row) => valuesOf(row, columns))), ...key], { prepare: true });
}

/** Replaces rows that the transaction has locked. */
export async function updateRows(tx: Transaction, table: MirrorTable, rows: readonly RowToWrite[]): Promise<void> {
  if (rows.length === 0) return;
  const { update, key, columns } = statementsOf(table);
  await tx.unsafe(update, [...rowsText(rows.map((row) => valuesOf(row, columns))), ...key], { prepare: true });
}

/** Removes rows of a model that have found a table of their own from the common one. */
export async function deleteUncatalogued(
  tx: Transaction,
  { module, model }: { readonly module: string; readonly model: string },
  ids: readonly string[],
): Promise<void> {
  await tx`
    delete from flowlu.uncatalogued
     where module = ${module} and model = ${model} and id = any(${plainArrayLiteral(ids)}::bigint[])`;
}

/** Locks the rows of a model whose ids a query gives, in the order in which `lockRows` does. */
export async function lockRowsOf(tx: Transaction, model: Model, query: string, parameters: string[]): Promise<void> {
  const { relation, part, key } = placeOf(mirrorTableOf(model));
  await tx.unsafe(
    `select from ${relation} t where t.id in (${query})${part(parameters.length + 1)} order by t.id for update`,
    [...parameters, ...key],
  );
}

/** A row whose content has changed; its record is null where it has no room in memory beside the others. */
export type ChangedRow = KnownRow | { readonly record: null; readonly hash: string };

/**
 * Of these (id, content hash) pairs, those whose live row does not have exactly that content, with what it has
 * instead; null where no row is live. Locks nothing.
 */
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
  /** The condition that picks a model's part of the common table, for rows `t`; `first` numbers its parameters. */
  readonly part: (first: number) => string;
  readonly key: readonly string[];
}

/** The table of a model; of one that the catalogue does not know, its part of the common one. */
export function mirrorTableOf(model: Model): MirrorTable {
  return { name: model.name, model: isCatalogued(model) ? model : null };
}

export function placeOf({ name, model }: MirrorTable): Place {
  if (model !== null) return { relation: `flowlu.${identifier(model.table)}`, part: () => '', key: [] };
  const parts = splitName(name);
  const part = (first: number) => ` and t.module = $${first} and t.model = $${first + 1}`;
  return { relation: 'flowlu.uncatalogued', part, key: [parts.module, parts.model] };
}

/** Catalogued models are about a hundred; unknown ones may be more, and share one text anyway. */
const MAX_REMEMBERED_TABLES = 1_000;

export function perTable<T>(build: (table: MirrorTable) => T): (table: MirrorTable) => T {
  const known = new Map<string, T>();
  return (table) => {
    // A model that the catalogue has come to know has rows in both places until they are moved.
    const place = table.model === null ? `uncatalogued ${table.name}` : table.name;
    const statements = known.get(place) ?? build(table);
    if (known.size < MAX_REMEMBERED_TABLES) known.set(place, statements);
    return statements;
  };
}

interface Statements {
  readonly lock: string;
  /** The same for one row, which is what webhooks bring most of the time: half the work. */
  readonly lockOne: string;
  readonly insert: string;
  readonly update: string;
  readonly changed: string;
  /** Parameters that say which part of a common table is meant. */
  readonly key: readonly string[];
  /** Where the typed columns beside the id stand among the model's fields, in the order of the parameters. */
  readonly columns: readonly number[];
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

/** Row `t` says that it was learnt at a moment that is still to come: the clock has gone back since. */
export const LEARNT_AHEAD = `t._observed_at > clock_timestamp() + interval '${AHEAD_MAX_S} seconds'`;
/** When row `t` was learnt; where nobody can tell, before whatever request or webhook is under way. */
export const OBSERVED_AT = `case when ${LEARNT_AHEAD} then clock_timestamp() - interval '1 hour' else t._observed_at end`;

/** What is read of row `t`, as it is stored and as it is answered. */
const HELD = 't.id, t._record, t._source, t._hash, t._observed_at, t._deleted_at';
const ANSWERED = `t.id::text as id, t._source as source, t._hash::text as hash,
  (extract(epoch from ${OBSERVED_AT}) * 1000000)::bigint::text as observed_at,
  (extract(epoch from t._deleted_at) * 1000000)::bigint::text as deleted_at`;

/** SQL for the first of some rows, in order of id: as many as have room in memory, and one at least. */
export const firstRows = (selection: string) => `
  with taken as materialized (select ${HELD}, ${WEIGHT} as weight ${selection}),
  placed as (select *, sum(weight) over (order by id) - weight as bytes_before from taken)
  select ${ANSWERED}, t._record::text as record from placed t where bytes_before < ${MAX_RECORD_BYTES} order by t.id`;

function buildStatements(table: MirrorTable): Statements {
  const { model } = table;
  const fields = Object.entries(model?.fields ?? {}).map(([field, { kind }], at) => ({ field, kind, at }));
  const beside = fields.filter(({ field }) => field !== 'id');
  const typed = beside.map(({ field, kind }) => [field, sqlTypes[kind]] as const);
  const columns = [...typed, ...Object.entries(META)].map(([name, type], index) => ({
    name: identifier(name),
    // The id is the first.
    value: `${rowValue(index + 2)}::${type}`,
  }));
  const { relation, key, part } = placeOf(table);
  const afterRows = ROWS_PARAMETERS + 1;
  const [keyNames, keyValues] = model === null ? ['module, model, ', `$${afterRows}, $${afterRows + 1}, `] : ['', ''];
  return {
    key,
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
