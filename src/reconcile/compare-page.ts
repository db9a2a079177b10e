/** Records of one answer against the mirror: content first, then the typed columns of the rows that agree. */

import { derive } from '../maintain/rebuild.ts';
import type { WriterContext } from '../merge/writer.ts';
import type { Sql } from '../postgres/connection.ts';
import { findUnlike } from '../store/mirror-rows/derived-columns.ts';
import { readRows } from '../store/mirror-rows/reads.ts';
import type { MirrorTable, StoredRow } from '../store/mirror-rows/rows.ts';
import { type CompareContext, compareRow, type Difference, type Finding, type Told } from './findings.ts';

export interface CompareDeps {
  readonly sql: Sql;
  readonly writer: WriterContext;
}

/** Beside content, what is compared: `_hash` depends on custom fields' names and is nobody's data. */
const INTERNAL_COLUMNS: ReadonlySet<string> = new Set(['_hash']);

/** Compares records with the mirror's rows of their ids. */
export async function comparePage(
  deps: CompareDeps,
  context: CompareContext,
  told: ReadonlyMap<string, Told>,
): Promise<readonly Finding[]> {
  if (told.size === 0) return [];
  const rows = new Map((await readRows(deps.sql, context.table, [...told.keys()])).map((row) => [row.id, row]));
  const findings = [...told].flatMap(([id, one]): Finding[] => {
    const difference = compareRow(rows.get(id) ?? null, one, context);
    return difference === null ? [] : [{ id, ...difference }];
  });
  const found = new Set(findings.map(({ id }) => id));
  const agreeing = [...rows.values()].filter(({ id, deletedAt }) => deletedAt === null && !found.has(id));
  const wrong = await wrongColumns(deps, context.table, agreeing);
  return [...findings, ...[...wrong].map(([id, difference]) => ({ id, ...difference }))];
}

/** Of these rows, those whose columns do not hold what their own records say. */
export async function wrongColumns(
  { sql, writer }: CompareDeps,
  table: MirrorTable,
  rows: readonly StoredRow[],
): Promise<ReadonlyMap<string, Difference>> {
  const unlike = await findUnlike(
    sql,
    table,
    rows.map((row) => derive(table, row, { ...writer, onInvalidValue: () => {} })),
  );
  const differences = [...unlike].flatMap(([id, names]): [string, Difference][] => {
    const columns = names.filter((name) => !INTERNAL_COLUMNS.has(name));
    return columns.length === 0 ? [] : [[id, { kind: 'differing', fields: [], columns }]];
  });
  return new Map(differences);
}
