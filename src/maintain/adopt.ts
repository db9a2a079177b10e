/** Rows of models that the catalogue did not know, moved into the tables that it has for them now. */
import type { Model } from '../catalog/types.ts';
import { inParts } from '../core/heavy.ts';
import { rowVersion } from '../merge/rule/fold.ts';
import { readRowsAfter } from '../mirror-rows/reads.ts';
import {
  deleteUncatalogued,
  insertRows,
  lockRows,
  type MirrorTable,
  type RowToWrite,
  type StoredRow,
  updateRows,
} from '../mirror-rows/rows.ts';
import type { Sql, Transaction } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import { compareVersions } from '../record/version.ts';
import { raiseDoubts } from '../store/doubts.ts';
import { type DeriveContext, derive } from './rebuild.ts';

const BATCH_SIZE = 200;

/**
 * Moves all rows of a model out of the common table; returns how many.
 * @throws the signal's reason between two batches.
 */
export async function adoptUncatalogued(
  sql: Sql,
  model: Model,
  context: DeriveContext,
  signal: AbortSignal,
): Promise<number> {
  const from: MirrorTable = { name: model.name, model: null };
  let moved = 0;
  // Ends with the part: each turn takes rows away from it.
  for (;;) {
    signal.throwIfAborted();
    const rows = await readRowsAfter(sql, from, null, BATCH_SIZE);
    if (rows.length === 0) return moved;
    const ids = rows.map(({ id }) => id);
    moved += (await inParts(ids, (part) => transact(sql, (tx) => move(tx, model, part, context)))).length;
  }
}

async function move(tx: Transaction, model: Model, ids: readonly string[], context: DeriveContext) {
  const from: MirrorTable = { name: model.name, model: null };
  const to: MirrorTable = { name: model.name, model };
  const rows = await lockRows(tx, from, ids);
  const held = new Map((await lockRows(tx, to, ids)).map((row) => [row.id, row]));
  const complete = (row: StoredRow): RowToWrite => ({ ...row, ...derive(to, row, context) });
  const inserts = rows.filter(({ id }) => !held.has(id)).map(complete);
  const twice = rows.flatMap((row) => {
    const other = held.get(row.id);
    return other === undefined ? [] : [{ row, other }];
  });
  await insertRows(tx, to, inserts);
  const updates = twice.filter(({ row, other }) => isNewer(row, other, to, context)).map(({ row }) => complete(row));
  await updateRows(tx, to, updates);
  const reason = 'it was held in two tables at a time';
  const doubts = twice.map(({ row }) => ({ model: to.name, entityId: row.id, reason }));
  await raiseDoubts(tx, doubts);
  await deleteUncatalogued(tx, model, ids);
  return rows;
}

/** By version where that tells, else by when the mirror learnt it. */
function isNewer(row: StoredRow, other: StoredRow, table: MirrorTable, context: DeriveContext): boolean {
  const version = ({ record, observedAt }: StoredRow) =>
    rowVersion(record, observedAt, { model: table.model, zone: context.zone });
  const order = compareVersions(version(row), version(other)) ?? 0;
  return order === 0 ? row.observedAt > other.observedAt : order > 0;
}
