/**
 * The privacy settings, kept to by what was stored before they were made: rows, their history and deliveries are written anew without
 * what must not be stored, their fingerprints included. What keeps to them already is neither locked nor written.
 */
import { findModel } from '../catalog/index.ts';
import { inParts } from '../core/heavy.ts';
import { readDelivery } from '../delivery/delivery.ts';
import { isWithheldBody, protectDelivery } from '../delivery/protect.ts';
import { linkOf } from '../merge/rule/tie.ts';
import { shapeOf } from '../merge/writer.ts';
import { rowPages } from '../mirror-rows/reads.ts';
import { lockRows, type MirrorTable, type StoredRow, updateRows } from '../mirror-rows/rows.ts';
import type { Sql, Transaction } from '../postgres/connection.ts';
import { eachPage } from '../postgres/pages.ts';
import { transact } from '../postgres/transact.ts';
import type { Privacy } from '../privacy/policy.ts';
import { DEALS, keepDealStates } from '../store/deal-states.ts';
import {
  countDeliveries,
  type RewrittenDelivery,
  rewriteDeliveries,
  takeDeliveries,
} from '../store/deliveries/replay.ts';
import { type ChangePosition, type KeptChange, rewriteChanges, takeChanges } from '../store/history.ts';
import { type DeriveContext, derive } from './rebuild.ts';

const BATCH_SIZE = 500;

export interface RedactDeps {
  readonly sql: Sql;
  readonly context: DeriveContext;
  readonly privacy: Privacy;
}

export type RedactCounts = {
  readonly read: number;
  readonly rewritten: number;
};

/**
 * Goes over all rows of a table, tombstones included.
 * @throws the signal's reason between two batches; what was written stays.
 */
export function redactRows(deps: RedactDeps, table: MirrorTable, signal: AbortSignal): Promise<RedactCounts> {
  async function* pages() {
    for await (const { rows } of rowPages(deps.sql, table, BATCH_SIZE, signal)) {
      const ids = rows.filter((row) => redactedRow(row, table, deps) !== null).map(({ id }) => id);
      const rewrite = (part: readonly string[]) => transact(deps.sql, (tx) => rewriteRows(tx, table, part, deps));
      const written = ids.length === 0 ? [] : await inParts(ids, rewrite);
      yield { read: rows.length, rewritten: written.length };
    }
  }
  return sumOf(pages());
}

/** A webhook may have changed a row since it was read, so what is written follows from the row as it is locked. */
async function rewriteRows(
  tx: Transaction,
  table: MirrorTable,
  ids: readonly string[],
  deps: RedactDeps,
): Promise<readonly StoredRow[]> {
  const rows = (await lockRows(tx, table, ids)).flatMap((row) => redactedRow(row, table, deps) ?? []);
  const complete = rows.map((row) => ({ ...row, ...derive(table, row, deps.context) }));
  await updateRows(tx, table, complete);
  return rows;
}

function redactedRow(row: StoredRow, table: MirrorTable, { privacy }: RedactDeps): StoredRow | null {
  const record = privacy.protect(table.name, row.record);
  return record === row.record ? null : { ...row, record };
}

/** Goes over the history of a model. @throws the signal's reason between two batches; what was written stays. */
export function redactHistory(deps: RedactDeps, model: string, signal: AbortSignal): Promise<RedactCounts> {
  const redactPage = (after: ChangePosition | null) =>
    transact(deps.sql, async (tx) => {
      const taken = await takeChanges(tx, model, after, BATCH_SIZE);
      const changed = taken.flatMap((change) => redactedChange(model, change, deps) ?? []);
      await rewriteChanges(tx, model, changed);
      const ids = taken.map(({ entityId }) => entityId);
      if (model === DEALS) await keepDealStates(tx, ids);
      return { last: taken.at(-1), read: taken.length, rewritten: changed.length };
    });
  return sumOf(eachPage(redactPage, signal));
}

async function sumOf(pages: AsyncIterable<RedactCounts>): Promise<RedactCounts> {
  let read = 0;
  let rewritten = 0;
  for await (const page of pages) {
    read += page.read;
    rewritten += page.rewritten;
  }
  return { read, rewritten };
}

function redactedChange(model: string, change: KeptChange, { privacy }: RedactDeps): KeptChange | null {
  const without = (values: KeptChange['before']) => (values === null ? null : privacy.protect(model, values));
  const [before, after] = [without(change.before), without(change.after)];
  return before === change.before && after === change.after ? null : { ...change, before, after };
}

/**
 * Goes over all deliveries that the ledger holds now.
 * @throws the signal's reason between two batches; what was written stays.
 */
export async function redactDeliveries(deps: RedactDeps, signal: AbortSignal): Promise<RedactCounts> {
  const { last } = await countDeliveries(deps.sql, {});
  const redactPage = (after: string | null) =>
    transact(deps.sql, async (tx) => {
      const taken = await takeDeliveries(tx, {}, { after, last }, BATCH_SIZE);
      const changed = taken.flatMap(({ id, body }) => redactedDelivery(id, body, deps) ?? []);
      await rewriteDeliveries(tx, changed);
      return { last: taken.at(-1)?.id, read: taken.length, rewritten: changed.length };
    });
  return sumOf(eachPage(redactPage, signal));
}

/** The delivery as it may be stored; null where it is so already. */
function redactedDelivery(id: string, body: string, { privacy, context }: RedactDeps): RewrittenDelivery | null {
  const next = protectDelivery(readDelivery(body) ?? { body, announcement: null, rejection: 'not JSON' }, privacy);
  if (next.body === body || isWithheldBody(body)) return null;
  const { announcement } = next;
  if (announcement?.current == null) return { id, body: next.body, fromHash: null, toHash: null };
  const name = `${announcement.module}.${announcement.model}`;
  const shape = shapeOf({ name, model: findModel(name) ?? null }, context);
  const { from, to } = linkOf(shape, announcement.current, announcement.previous, announcement.action === 'create');
  return { id, body: next.body, fromHash: from, toHash: to };
}
