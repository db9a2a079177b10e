/**
 * Erasing one entity, on a privacy request: no value of it stays in any table.
 *
 * What stays is its id, as a row that is deleted and says that it was erased. By it a late webhook is known for what it
 * is: not applied, and of its body nothing is stored either. Only the API can bring the entity back, by having it.
 */
import { splitName } from '../catalog/name.ts';
import { type JsonObject, parseJson } from '../core/json.ts';
import { readDelivery } from '../delivery/delivery.ts';
import { bareBody, isWithheldBody, withheldBody } from '../delivery/protect.ts';
import {
  deleteUncatalogued,
  insertRows,
  lockRows,
  type MirrorTable,
  type RowToWrite,
  updateRows,
} from '../mirror-rows/rows.ts';
import { databaseClock } from '../postgres/clock.ts';
import type { Sql, Transaction } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import { candidateDeliveries, type Entity, withholdDeliveries } from '../store/deliveries/replay.ts';
import { forgetEntity } from '../store/erasure.ts';
import { type DeriveContext, derive } from './rebuild.ts';

export interface Erased {
  readonly had_row: boolean;
  /** Deliveries whose body was replaced, those included that nobody understood. */
  readonly deliveries: number;
  /** Lines of other tables of the ledger: doubts, suspicions, history. */
  readonly lines: number;
}

export function eraseEntity(sql: Sql, table: MirrorTable, id: string, context: DeriveContext): Promise<Erased> {
  const entity = { ...splitName(table.name), id };
  return transact(sql, async (tx) => {
    // The row comes first: whoever is about to write something about the entity waits for it, or is waited for.
    const had_row = await eraseRow(tx, table, id, context);
    const deliveries = await eraseDeliveries(tx, entity);
    return { had_row, deliveries, lines: await forgetEntity(tx, entity) };
  });
}

async function eraseRow(tx: Transaction, table: MirrorTable, id: string, context: DeriveContext): Promise<boolean> {
  const observedAt = await databaseClock(tx);
  const [row] = await lockRows(tx, table, [id]);
  const record = parseJson(`{"id":${id}}`) as JsonObject;
  const marker: RowToWrite = {
    ...derive(table, { id, record }, context),
    record,
    observedAt,
    source: 'erased',
    deletedAt: row?.deletedAt ?? observedAt,
  };
  if (row !== undefined) await updateRows(tx, table, [marker]);
  else await insertRows(tx, table, [marker]);
  // A model that the catalogue has come to know may have a second row in the common table, until a rebuild moves it.
  const hadSecond = table.model !== null && (await lockRows(tx, { name: table.name, model: null }, [id])).length > 0;
  if (hadSecond) await deleteUncatalogued(tx, splitName(table.name), [id]);
  return row !== undefined || hadSecond;
}

async function eraseDeliveries(tx: Transaction, entity: Entity): Promise<number> {
  let count = 0;
  for await (const { deliveries } of candidateDeliveries(tx, entity)) {
    const withheld = deliveries.flatMap(({ id, body }) => {
      const next = bodyWithout(body, entity);
      return next === null ? [] : [{ id, body: next }];
    });
    await withholdDeliveries(tx, withheld);
    count += withheld.length;
  }
  return count;
}

/** The body to keep instead; null where it has nothing to do with the entity, or tells nothing already. */
function bodyWithout(body: string, { id }: Entity): string | null {
  const announcement = readDelivery(body)?.announcement ?? null;
  // Nobody knows whom it is about, so it may be about this one.
  if (announcement === null) return isWithheldBody(body) ? null : withheldBody(body.length);
  const { entityId, otherId } = announcement;
  if (entityId !== null && entityId !== id && otherId !== id) return null;
  const next = bareBody(announcement);
  return next === body ? null : next;
}
