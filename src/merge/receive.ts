/**
 * A batch of webhook deliveries, recorded and applied in one transaction.
 *
 * When applying fails for any reason but the database's absence, the batch is recorded as pending all the same, so
 * that it can be acknowledged; `drain` then finds the one delivery that is to blame.
 */

import type { Micros } from '../core/instant.ts';
import type { Logger } from '../core/log.ts';
import type { Accepted } from '../delivery/delivery.ts';
import { bareBody } from '../delivery/protect.ts';
import { databaseClock } from '../postgres/clock.ts';
import { isConnectionError, type Sql, type Transaction } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import { appendDeliveries, type LedgerEntry } from '../store/deliveries/ledger.ts';
import { applyArrivals, asHint, type DeliveryContext, type Outcome, unapplied } from './deliveries.ts';

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
    const { ids, entries } = await transact(sql, (tx) => recordAndApply(tx, batch, context));
    for (const entry of entries) receiver.onRecorded?.(entry);
    return ids;
  } catch (error) {
    if (isConnectionError(error)) throw error;
    log.error(
      { err: error, deliveries: batch.length },
      'a batch could not be applied; recording it to apply one by one',
    );
    const ids = await transact(sql, async (tx) => {
      const receivedAt = await databaseClock(tx);
      return appendDeliveries(
        tx,
        entriesOf(batch, receivedAt, context, () => unapplied('pending', null, null)),
      );
    });
    receiver.onPending?.();
    return ids;
  }
}

/** Two round trips beside the begin; see `writeObservations`. */
function recordAndApply(tx: Transaction, batch: readonly Accepted[], context: DeliveryContext) {
  const arrivals = batch.flatMap(({ announcement }) => (announcement === null ? [] : [{ announcement, id: null }]));
  return applyArrivals(tx, arrivals, context, async (outcomes, now) => {
    const applied = outcomes.values();
    const entries = entriesOf(batch, now, context, () => applied.next().value as Outcome);
    return { ids: await appendDeliveries(tx, entries), entries };
  });
}

function entriesOf(
  batch: readonly Accepted[],
  receivedAt: Micros,
  { trust }: DeliveryContext,
  outcomeOf: () => Outcome,
): readonly LedgerEntry[] {
  const entries = batch.map((accepted): LedgerEntry => {
    const { body, announcement } = accepted;
    if (announcement === null) {
      const outcome = unapplied('failed', null, accepted.rejection);
      return { ...outcome, receivedAt, body, status: 'rejected', subject: null };
    }
    const outcome = outcomeOf();
    const kept = outcome.decision === 'erased' ? bareBody(announcement) : body;
    return { ...outcome, receivedAt, body: kept, subject: announcement };
  });
  return trust === 'verify' ? entries.map(asHint) : entries;
}
