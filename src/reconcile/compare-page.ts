/** Compares the records of one answer with the mirror: first content, then the typed columns of rows that agree. */

import { derive } from '../maintain/rebuild.ts';
import { findUnlike } from '../mirror-rows/derived-columns.ts';
import { rowPages } from '../mirror-rows/reads.ts';
import type { MirrorTable, StoredRow } from '../mirror-rows/rows.ts';
import type { ListingDeps } from './deps.ts';
import { type CompareContext, compareRow, type Difference, type Finding, type Told } from './findings.ts';

type CompareDeps = Pick<ListingDeps, 'sql' | 'writer'>;

/** Columns not compared: `_hash` depends on the names of custom fields and is no portal data. */
const INTERNAL_COLUMNS: ReadonlySet<string> = new Set(['_hash']);

export async function comparePage(
  deps: CompareDeps,
  context: CompareContext,
  told: ReadonlyMap<string, Told>,
): Promise<readonly Finding[]> {
  if (told.size === 0) return [];
  const unmet = new Map(told);
  const findings: Finding[] = [];
  for await (const { rows } of rowPages(deps.sql, context.table, told.size, undefined, [...told.keys()])) {
    const agreeing = rows.filter((row) => {
      const difference = compareRow(row, told.get(row.id) as Told, context);
      unmet.delete(row.id);
      if (difference !== null) findings.push({ id: row.id, ...difference });
      return difference === null && row.deletedAt === null;
    });
    const wrong = await wrongColumns(deps, context.table, agreeing);
    for (const [id, difference] of wrong) findings.push({ id, ...difference });
  }
  const missing = [...unmet].flatMap(([id, one]): Finding[] => {
    const difference = compareRow(null, one, context);
    return difference === null ? [] : [{ id, ...difference }];
  });
  return [...findings, ...missing];
}

/** The rows whose columns do not agree with their own records. */
export async function wrongColumns(
  { sql, writer }: CompareDeps,
  table: MirrorTable,
  rows: readonly StoredRow[],
): Promise<ReadonlyMap<string, Difference>> {
  const unlike = await findUnlike(
    sql,
    table,
    rows.map((row) => derive(table, row, writer)),
  );
  const differences = [...unlike].flatMap(([id, names]): [string, Difference][] => {
    const columns = names.filter((name) => !INTERNAL_COLUMNS.has(name));
    return columns.length === 0 ? [] : [[id, { kind: 'differing', fields: [], columns }]];
  });
  return new Map(differences);
}
