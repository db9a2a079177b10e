/**
 * The hot statements of the mirror tables: hand-written SQL, built once per model from the catalogue.
 *
 * Identifiers come from the catalogue and the constants here, never from outside; values travel as parameters.
 * A batch travels as one JSON document, which PostgreSQL unpacks by column type: half the cost of one parameter a
 * value, and a constant statement text that stays prepared.
 */

import type { ColumnValue } from '../catalog/coerce.ts';
import { formatMicros, type Micros } from '../catalog/instant.ts';
import { splitName } from '../catalog/name.ts';
import type { Model } from '../catalog/types.ts';
import { type JsonObject, parseJson, stringifyJson } from '../json.ts';
import type { Queryable, Transaction } from './connection.ts';
import { identifier } from './quote.ts';
import { sqlTypes } from './schema/columns.ts';

/** Where rows of one model rest: its own table, or the common one for models that the catalogue does not know. */
export interface Shelf {
  /** `module.model`. */
  readonly name: string;
  /** The catalogue's model; null for an unknown one. */
  readonly model: Model | null;
}

/** A row as it stands in the table. */
export interface StoredRow {
  readonly id: string;
  readonly record: JsonObject;
  readonly observedAt: Micros;
  readonly source: 'webhook' | 'api';
  readonly deletedAt: Micros | null;
  readonly hash: string;
}

/** A row to insert, or to put in the place of the one with its id. */
export interface RowToWrite extends StoredRow {
  /** The source's last-change time, for reading. */
  readonly version: Micros | null;
  readonly columns: Readonly<Record<string, ColumnValue>>;
}

/** Reads rows and locks them in order of id until the transaction ends, so that batches never wait in a circle. */
export async function lockRows(tx: Transaction, shelf: Shelf, ids: readonly string[]): Promise<StoredRow[]> {
  const { lock, key } = statementsOf(shelf);
  const rows = await tx.unsafe(lock, [arrayLiteral(ids), ...key], { prepare: true });
  return rows.map((row) => ({
    id: row.id,
    record: parseJson(row.record) as JsonObject,
    observedAt: Number(row.observed_at),
    source: row.source,
    deletedAt: row.deleted_at === null ? null : Number(row.deleted_at),
    hash: row.hash,
  }));
}

/** Inserts rows that were not there; returns the ids it did insert, fewer when another transaction was faster. */
export async function insertRows(tx: Transaction, shelf: Shelf, rows: readonly RowToWrite[]): Promise<number> {
  if (rows.length === 0) return 0;
  const { insert, key } = statementsOf(shelf);
  return (await tx.unsafe(insert, [batchDocument(rows), ...key], { prepare: true })).count;
}

/** Replaces rows that the transaction has locked. */
export async function updateRows(tx: Transaction, shelf: Shelf, rows: readonly RowToWrite[]): Promise<number> {
  if (rows.length === 0) return 0;
  const { update, key } = statementsOf(shelf);
  return (await tx.unsafe(update, [batchDocument(rows), ...key], { prepare: true })).count;
}

/**
 * Of these (id, content hash) pairs, those whose live row does not have exactly that content, with the record that it
 * has instead; null where no row is live. Locks nothing.
 */
export async function findChanged(
  sql: Queryable,
  shelf: Shelf,
  pairs: readonly { readonly id: string; readonly hash: string }[],
): Promise<ReadonlyMap<string, JsonObject | null>> {
  const { changed, key } = statementsOf(shelf);
  const ids = arrayLiteral(pairs.map(({ id }) => id));
  const hashes = arrayLiteral(pairs.map(({ hash }) => hash));
  const rows = await sql.unsafe(changed, [ids, hashes, ...key], { prepare: true });
  return new Map(
    rows.map((row) => [row.id as string, row.record === null ? null : (parseJson(row.record) as JsonObject)]),
  );
}

interface Statements {
  readonly lock: string;
  readonly insert: string;
  readonly update: string;
  readonly changed: string;
  /** Parameters that say which part of a common table is meant. */
  readonly key: readonly string[];
}

const statements = new Map<string, Statements>();
/** Catalogued models are about a hundred; unknown ones may be more, and share one text anyway. */
const MAX_REMEMBERED_SHELVES = 1_000;

function statementsOf(shelf: Shelf): Statements {
  // A model that the catalogue has come to know has rows in both places until they are moved.
  const place = shelf.model === null ? `uncatalogued ${shelf.name}` : shelf.name;
  let known = statements.get(place);
  if (known === undefined) {
    known = buildStatements(shelf);
    if (statements.size < MAX_REMEMBERED_SHELVES) statements.set(place, known);
  }
  return known;
}

const META = {
  _record: 'jsonb',
  _version: 'timestamptz',
  _observed_at: 'timestamptz',
  _source: 'text',
  _deleted_at: 'timestamptz',
  _hash: 'uuid',
} as const;

function buildStatements({ name, model }: Shelf): Statements {
  const fields = model === null ? {} : model.fields;
  const typed = Object.entries(fields).filter(([field]) => field !== 'id');
  const columns = [...typed.map(([field, { kind }]) => [field, sqlTypes[kind]] as const), ...Object.entries(META)];
  const names = columns.map(([column]) => identifier(column));
  const relation = `flowlu.${identifier(model === null ? 'uncatalogued' : model.table)}`;
  const { module, model: modelName } = splitName(name);
  const key = model === null ? [module, modelName] : [];
  /** The condition that picks this model's part of a common table; its parameters follow the statement's own. */
  const part = (first: number) => (model === null ? ` and t.module = $${first} and t.model = $${first + 1}` : '');
  const [keyNames, keyValues] = model === null ? ['module, model, ', '$2, $3, '] : ['', ''];
  const batch = `jsonb_to_recordset($1::text::jsonb) as n(id bigint, ${columns.map(([column, type]) => `${identifier(column)} ${type}`).join(', ')})`;
  return {
    key,
    lock: `
      select t.id::text as id, t._record::text as record, t._source as source, t._hash::text as hash,
             (extract(epoch from t._observed_at) * 1000000)::bigint::text as observed_at,
             (extract(epoch from t._deleted_at) * 1000000)::bigint::text as deleted_at
        from ${relation} t
       where t.id = any($1::text::bigint[])${part(2)}
       order by t.id
         for update`,
    insert: `
      insert into ${relation} (${keyNames}id, ${names.join(', ')})
      select ${keyValues}n.id, ${names.map((column) => `n.${column}`).join(', ')}
        from ${batch}
       order by n.id
          on conflict do nothing`,
    update: `
      update ${relation} t
         set ${names.map((column) => `${column} = n.${column}`).join(', ')}
        from ${batch}
       where t.id = n.id${part(2)}`,
    changed: `
      select n.id::text as id, t._record::text as record
        from unnest($1::text::bigint[], $2::text::uuid[]) as n(id, hash)
        left join ${relation} t on t.id = n.id and t._deleted_at is null${part(3)}
       where t._hash is distinct from n.hash`,
  };
}

function batchDocument(rows: readonly RowToWrite[]): string {
  return `[${rows.map(rowDocument).join(',')}]`;
}

function rowDocument(row: RowToWrite): string {
  const plain = JSON.stringify({
    ...row.columns,
    id: row.id,
    _version: row.version === null ? null : formatMicros(row.version),
    _observed_at: formatMicros(row.observedAt),
    _source: row.source,
    _deleted_at: row.deletedAt === null ? null : formatMicros(row.deletedAt),
    _hash: row.hash,
  });
  return `${plain.slice(0, -1)},"_record":${stringifyJson(row.record)}}`;
}

/** A PostgreSQL array of ids or hashes, which hold nothing that needs quoting. */
function arrayLiteral(values: readonly string[]): string {
  return `{${values.join(',')}}`;
}
