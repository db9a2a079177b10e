/** Writes pages of the API's rows to the mirror: changed rows through the writer; the others cost no write. */

import type { JsonObject } from '../core/json.ts';
import { MICROS_PER_SECOND, type Micros } from '../core/time.ts';
import { type Observed, shapeOf, type WriterContext, writeObservations } from '../merge/writer.ts';
import { findChanged, type MirrorTable } from '../mirror-rows/rows.ts';
import { allAnswers, type LastFlight, type Transaction } from '../postgres/connection.ts';
import { contains, contentHash, hasAlias } from '../record/record.ts';
import { credible, versionOf } from '../record/version.ts';
import { clearDoubts } from '../store/doubts.ts';

export interface Page {
  readonly items: readonly { readonly id: string; readonly record: JsonObject }[];
  /** The moment before the request was sent. */
  readonly observedAt: Micros;
}

export interface PageCounts {
  readonly read: number;
  readonly written: number;
  readonly unchanged: number;
  /** Written rows that no webhook had announced in time. */
  readonly missed: number;
}

/** A webhook that arrives later than this after the change counts as lost. */
export const WEBHOOK_DELAY = 10 * MICROS_PER_SECOND;

export const addCounts = <T extends Record<keyof T, number>>(a: T, b: T): T =>
  Object.fromEntries(Object.keys(a).map((key) => [key, a[key as keyof T] + b[key as keyof T]])) as T;

const TOO_LARGE = 'too large to be compared beside others; the API is asked for it alone';

/**
 * Compares pages with the mirror and writes the differences, within the caller's transaction.
 * @param alongside as in `writeObservations`; gets the counts
 */
export async function writePages<T>(
  tx: Transaction,
  table: MirrorTable,
  pages: readonly Page[],
  context: WriterContext,
  alongside: (counts: PageCounts) => T | Promise<T>,
): Promise<LastFlight<T>> {
  const shape = shapeOf(table, context);
  // If a row comes twice, the later answer counts.
  const rows = new Map(
    pages.flatMap(({ items, observedAt }) =>
      items.map(({ id, record }) => [id, { id, record, observedAt, hash: contentHash(shape, record) }]),
    ),
  );
  const changed = await findChanged(tx, table, [...rows.values()]);
  // A row may hold more than a list contains, or have been hashed before a custom field was known. If it contains the
  // listed fields, it is not even locked, since a lock is also a write.
  const observed: Observed[] = [];
  for (const [id, held] of changed) {
    const row = rows.get(id);
    if (row === undefined) continue;
    const { record, observedAt } = row;
    if (held?.record === null) {
      // The row is not read, so an empty record with its hash stands for it.
      const observation = { says: 'unclear', reason: TOO_LARGE, observedAt } as const;
      observed.push({ table, entityId: id, observation, known: { record: {}, hash: held.hash } });
      continue;
    }
    if (held !== null && contains(shape, held.record, record) && !hasAlias(shape, held.record, record)) continue;
    const version = credible(versionOf(table.model, record, context.zone), observedAt);
    const observation = { says: 'present', record, version, observedAt, whole: false, settling: false } as const;
    observed.push({ table, entityId: id, observation, ...(held !== null && { known: held }) });
  }
  // Only identical content settles a doubt, which may be about what this list leaves out.
  const agreed = [...rows.values()].flatMap(({ id: entityId, observedAt }) =>
    changed.has(entityId) ? [] : [{ model: table.name, entityId, observedAt }],
  );
  return writeObservations(tx, { subjects: observed, observed }, context, async (verdicts) => {
    const written = observed.filter((_, index) => verdicts[index]?.row !== null);
    const missed = written.filter(({ observation }) => {
      const changedAt = observation.says === 'present' ? observation.version?.at : undefined;
      return (changedAt ?? 0) < observation.observedAt - WEBHOOK_DELAY;
    });
    const unchanged = rows.size - written.length;
    const counts = { read: rows.size, written: written.length, unchanged, missed: missed.length };
    const cleared = clearDoubts(tx, agreed);
    const [, answer] = await allAnswers([cleared, (async () => alongside(counts))()]);
    return answer;
  });
}
