/**
 * A batch of webhook deliveries, recorded and applied in one transaction.
 *
 * When applying fails for any reason but the database's absence, the batch is recorded as pending all the same, so
 * that it can be acknowledged; `drain` then finds the one delivery that is to blame.
 */
import type { Micros } from '../catalog/instant.ts';
import { databaseClock } from '../db/clock.ts';
import { isConnectionError, type Sql, type Transaction } from '../db/connection.ts';
import type { Accepted } from '../intake/delivery.ts';
import { appendDeliveries, type LedgerEntry } from '../intake/ledger.ts';
import type { Logger } from '../log.ts';
import { applyArrivals, type DeliveryContext, type Outcome, unapplied } from './deliveries.ts';
import { transact } from './transact.ts';

export interface Receiver {
  readonly sql: Sql;
  readonly context: DeliveryContext;
  readonly log: Logger;
  /** Told of every delivery that is committed. */
  readonly onRecorded?: (outcome: Outcome) => void;
  /** Told when deliveries were recorded without being applied. */
  readonly onPending?: () => void;
}

/**
 * Records a batch, in order; returns the ids of its deliveries once they are committed.
 * @throws when nothing is recorded; the sender must then be told to come again.
 */
export async function receive(batch: readonly Accepted[], receiver: Receiver): Promise<readonly string[]> {
  const { sql, context, log } = receiver;
  try {
    const { ids, outcomes } = await transact(sql, async (tx) => {
      const now = await databaseClock(tx);
      const announced = batch.flatMap(({ announcement }) =>
        announcement === null ? [] : [{ announcement, receivedAt: now, id: null }],
      );
      const applied = (await applyArrivals(tx, announced, context)).values();
      return record(tx, batch, now, () => applied.next().value as Outcome);
    });
    for (const outcome of outcomes) receiver.onRecorded?.(outcome);
    return ids;
  } catch (error) {
    if (isConnectionError(error)) throw error;
    log.error(
      { err: error, deliveries: batch.length },
      'a batch could not be applied; recording it to apply one by one',
    );
    const { ids } = await transact(sql, async (tx) =>
      record(tx, batch, await databaseClock(tx), () => unapplied('pending', null, null)),
    );
    receiver.onPending?.();
    return ids;
  }
}

async function record(tx: Transaction, batch: readonly Accepted[], receivedAt: Micros, outcomeOf: () => Outcome) {
  const entries = batch.map(({ body, announcement, ...rest }): LedgerEntry => {
    const common = { receivedAt, body };
    if (announcement === null) {
      const reason = 'rejection' in rest ? rest.rejection : null;
      return { ...common, ...unapplied('failed', null, reason), status: 'rejected', subject: null };
    }
    const { module, model, action } = announcement;
    return { ...common, ...outcomeOf(), subject: { module, model, action } };
  });
  return { ids: await appendDeliveries(tx, entries), outcomes: entries };
}
