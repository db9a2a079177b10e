/**
 * The columns derived from `_record`: the typed ones, `_version` and `_hash`. The database compares them by value, so
 * that spellings of one number or time do not count as differences, and only differing rows are written.
 */
import { formatMicros, type Micros } from '../core/time.ts';
import type { Queryable, Transaction } from '../postgres/connection.ts';
import { identifier, literal } from '../postgres/quote.ts';
import type { ColumnValue } from '../record/coerce.ts';
import { sqlTypes } from '../tables/facts.ts';
import { type MirrorTable, perTable, placeOf } from './rows.ts';

export interface DerivedRow {
  readonly id: string;
  /** In the order of the model's fields. */
  readonly columns: readonly ColumnValue[];
  readonly version: Micros | null;
  readonly hash: string;
}

/** The ids of the rows whose stored columns differ, with the names of those columns. */
export async function findUnlike(
  sql: Queryable,
  table: MirrorTable,
  rows: readonly DerivedRow[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  if (rows.length === 0) return new Map();
  const { unlike, key } = statementsOf(table);
  const found = await sql.unsafe(unlike, [documentOf(table, rows), ...key], { prepare: true });
  return new Map(found.map((row): [string, readonly string[]] => [row.id, row.names]));
}

/** Writes only the derived columns of rows that the transaction has locked. */
export async function rewriteDerived(
  tx: Transaction,
  table: MirrorTable,
  rows: readonly DerivedRow[],
): Promise<number> {
  if (rows.length === 0) return 0;
  const { rewrite, key } = statementsOf(table);
  return (await tx.unsafe(rewrite, [documentOf(table, rows), ...key], { prepare: true })).count;
}

const statementsOf = perTable(build);

function build(table: MirrorTable) {
  const { model } = table;
  const { relation, part, key } = placeOf(table);
  const fields = Object.entries(model?.fields ?? {}).filter(([field]) => field !== 'id');
  const typed = fields.map(([field, { kind }]) => [field, sqlTypes[kind]] as const);
  const columns = [...typed, ['_version', 'timestamptz'] as const, ['_hash', 'uuid'] as const];
  const definitions = columns.map(([column, type]) => `${identifier(column)} ${type}`);
  const batch = `jsonb_to_recordset($1::text::jsonb) as n(id bigint, ${definitions.join(', ')})`;
  const all = (side: string) => columns.map(([column]) => `${side}.${identifier(column)}`).join(', ');
  const differs = columns.map(
    ([column]) =>
      `case when t.${identifier(column)} is distinct from n.${identifier(column)} then ${literal(column)}::text end`,
  );
  const matching = `t.id = n.id${part(2)} and (${all('t')}) is distinct from (${all('n')})`;
  return {
    key,
    unlike: `
      select n.id::text as id, array_remove(array[${differs.join(', ')}], null) as names
        from ${batch} join ${relation} t on ${matching}`,
    rewrite: `
      update ${relation} t
         set ${columns.map(([column]) => `${identifier(column)} = n.${identifier(column)}`).join(', ')}
        from ${batch}
       where ${matching}`,
  };
}

function documentOf({ model }: MirrorTable, rows: readonly DerivedRow[]): string {
  const names = Object.keys(model?.fields ?? {});
  return JSON.stringify(
    rows.map(({ id, columns, version, hash }) => ({
      ...Object.fromEntries(names.map((name, index) => [name, columns[index]])),
      id,
      _version: version === null ? null : formatMicros(version),
      _hash: hash,
    })),
  );
}
