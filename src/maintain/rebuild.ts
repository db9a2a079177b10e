/**
 * What follows from `_record`, derived anew: after a change of the catalogue, of the portal's time zone or of custom
 * fields, without a request to the API. Rows that are right already are neither locked nor written.
 */
import { inParts } from '../core/heavy.ts';
import { shapeOf, type WriterContext } from '../merge/writer.ts';
import { findUnlike, rewriteDerived } from '../mirror-rows/derived-columns.ts';
import { rowPages } from '../mirror-rows/reads.ts';
import { lockRows, type MirrorTable, type StoredRow } from '../mirror-rows/rows.ts';
import type { Sql } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import { coerceRecord } from '../record/coerce.ts';
import { contentHash } from '../record/record.ts';
import { versionOf } from '../record/version.ts';
import { forget } from '../store/measurements.ts';

const BATCH_SIZE = 500;

export type DeriveContext = Pick<WriterContext, 'zone' | 'shapeOf' | 'onInvalidValue'>;

export function derive(table: MirrorTable, row: Pick<StoredRow, 'id' | 'record'>, context: DeriveContext) {
  const shape = shapeOf(table, context);
  const { columns, invalid } = coerceRecord(shape, row.record, context.zone);
  const version = versionOf(table.model, row.record, context.zone);
  return { id: row.id, columns, invalid, version: version?.at ?? null, hash: contentHash(shape, row.record) };
}

/** Derives rows again as they are once locked; returns how many had to be written. */
export async function rederive(
  sql: Sql,
  table: MirrorTable,
  ids: readonly string[],
  context: DeriveContext,
): Promise<number> {
  const written = await inParts(ids, (part) =>
    transact(sql, async (tx) => {
      const rows = (await lockRows(tx, table, part)).map((row) => derive(table, row, context));
      return [await rewriteDerived(tx, table, rows)];
    }),
  );
  return written.reduce((sum, count) => sum + count, 0);
}

/**
 * Derives all rows of a table anew, in order of id, and yields how many of each batch were read and written.
 * @throws the signal's reason between two batches; what was written stays, and a second call goes over it quickly.
 */
export async function* rebuildTable(sql: Sql, table: MirrorTable, context: DeriveContext, signal: AbortSignal) {
  // What does not fit is counted anew.
  const fields = Object.keys(table.model?.fields ?? {});
  await forget(sql, table.name, ...fields.map((field) => `misfit:${field}` as const));
  for await (const { rows } of rowPages(sql, table, BATCH_SIZE, signal)) {
    const derived = rows.map((row) => derive(table, row, context));
    for (const { invalid } of derived) for (const field of invalid) context.onInvalidValue?.(table.name, field);
    const unlike = await findUnlike(sql, table, derived);
    // A webhook may have changed a row since it was read, so what is written follows from the row as it is locked.
    const written = unlike.size === 0 ? 0 : await rederive(sql, table, [...unlike.keys()], context);
    yield { read: rows.length, written };
  }
}
