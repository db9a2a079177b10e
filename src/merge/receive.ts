/**
 * A batch of webhook deliveries, recorded and applied in one transaction.
 *
 * When applying fails for any reason but the database's absence, the batch is recorded as pending all the same, so
 * that it can be acknowledged; `drain` then finds the one delivery that is to blame.
 */

import type { Logger } from '../core/log.ts';
import type { Micros } from '../core/time.ts';
import type { Accepted, Announcement } from '../delivery/delivery.ts';
import { bareBody } from '../delivery/protect.ts';
import { databaseClock } from '../postgres/clock.ts';
import { isConnectionError, type Sql, type Transaction } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import { appendDeliveries, type LedgerEntry } from '../store/deliveries/ledger.ts';
import { inParts, TooHeavyError } from '../store/heavy.ts';
import { lockHolders } from '../store/locks.ts';
import { applyArrivals, asHint, type DeliveryContext, isUnbelieved, type Outcome, unapplied } from './deliveries.ts';

export interface Receiver {
  readonly sql: Sql;
  readonly context: DeliveryContext;
  readonly log: Logger;
  /** Told of every delivery that is committed. */
  readonly onRecorded?: (entry: LedgerEntry) => void;
  /** Told when deliveries were recorded without being applied. */
  readonly onPending?: () => void;
}

/** A sender waits 8 s: in that time what is blocked must have been found out, and the rest be written without it. */
const LIMITS = { statementTimeoutMs: 5_000, lockTimeoutMs: 2_000 };
/** Models of one batch that are found to be blocked before all of it is left to `drain`. */
const MAX_BLOCKED = 2;

/**
 * Records a batch, in order; returns the ids of its deliveries once they are committed.
 * @throws when it is not recorded, or only in part; the sender must then be told to come again.
 */
export function receive(batch: readonly Accepted[], receiver: Receiver): Promise<readonly string[]> {
  return inParts(batch, (part) => receivePart(part, receiver));
}

async function receivePart(batch: readonly Accepted[], receiver: Receiver): Promise<readonly string[]> {
  const { sql, context, log } = receiver;
  for (let found = 0; ; found += 1) {
    try {
      const blocked = context.blocked.now();
      const { ids, entries } = await transact(sql, (tx) => recordAndApply(tx, batch, blocked, context), LIMITS);
      const isPending = ({ status }: LedgerEntry) => status === 'pending';
      for (const entry of entries) if (!isPending(entry)) receiver.onRecorded?.(entry);
      if (entries.some(isPending)) receiver.onPending?.();
      return ids;
    } catch (error) {
      if (isConnectionError(error) || (error instanceof TooHeavyError && batch.length > 1)) throw error;
      if (context.blocked.note(error) && found < MAX_BLOCKED) {
        const holders = await lockHolders(sql).catch(() => []);
        log.warn({ err: error, holders }, 'a model is blocked; its deliveries are recorded and wait');
        continue;
      }
      log.error(
        { err: error, deliveries: batch.length },
        'a batch could not be applied; recording it to apply one by one',
      );
      return await record(batch, receiver);
    }
  }
}

async function record(batch: readonly Accepted[], { sql, context, onPending }: Receiver): Promise<readonly string[]> {
  const write = async (tx: Transaction) => {
    const receivedAt = await databaseClock(tx);
    return appendDeliveries(tx, entriesOf(batch, receivedAt, context, waiting));
  };
  const ids = await transact(sql, write, LIMITS);
  onPending?.();
  return ids;
}

/**
 * Two round trips beside the begin; see `writeObservations`.
 * @param blocked models whose deliveries are recorded without being applied
 */
function recordAndApply(
  tx: Transaction,
  batch: readonly Accepted[],
  blocked: ReadonlySet<string>,
  context: DeliveryContext,
) {
  const waits = ({ module, model }: Announcement) => blocked.has(`${module}.${model}`);
  const arrivals = batch.flatMap(({ announcement }) =>
    announcement === null || waits(announcement) ? [] : [{ announcement, id: null }],
  );
  return applyArrivals(tx, arrivals, context, async (outcomes, now) => {
    const applied = outcomes.values();
    const entries = entriesOf(batch, now, context, (announcement) =>
      waits(announcement) ? waiting() : (applied.next().value as Outcome),
    );
    return { ids: await appendDeliveries(tx, entries), entries };
  });
}

const waiting = () => unapplied('pending', null, null);

function entriesOf(
  batch: readonly Accepted[],
  receivedAt: Micros,
  context: DeliveryContext,
  outcomeOf: (announcement: Announcement) => Outcome,
): readonly LedgerEntry[] {
  return batch.map((accepted): LedgerEntry => {
    const { body, announcement, headers = null } = accepted;
    if (announcement === null) {
      const failed = unapplied('failed', null, accepted.rejection);
      const outcome = context.trust === 'verify' ? asHint(failed) : failed;
      return { ...outcome, receivedAt, body, headers, status: 'rejected', subject: null };
    }
    const told = outcomeOf(announcement);
    const outcome = isUnbelieved(announcement, context) ? asHint(told) : told;
    const kept = outcome.decision === 'erased' ? bareBody(announcement) : body;
    return { ...outcome, receivedAt, body: kept, headers, subject: announcement };
  });
}
