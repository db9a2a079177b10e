/**
 * Records and applies a batch of webhook deliveries in one transaction.
 *
 * If applying fails although the database is available, the batch is recorded as pending, so that it can be
 * acknowledged; `drain` then finds the delivery at fault.
 */
import { inParts, TooHeavyError } from '../core/heavy.ts';
import type { Logger } from '../core/log.ts';
import type { Micros } from '../core/time.ts';
import type { Accepted, Announcement } from '../delivery/delivery.ts';
import { bareBody } from '../delivery/protect.ts';
import { durableClock } from '../postgres/clock.ts';
import { isConnectionError, type Sql, type Transaction } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import { appendDeliveries, type LedgerEntry } from '../store/deliveries/ledger.ts';
import { ALL_MODELS, noteBlocked, whyWaiting } from './blocked.ts';
import { applyArrivals, asHint, type DeliveryContext, isUnbelieved, type Outcome, unapplied } from './deliveries.ts';

export interface Receiver {
  readonly sql: Sql;
  readonly context: DeliveryContext;
  readonly log: Logger;
  /** Called for every committed delivery. */
  readonly onRecorded?: (entry: LedgerEntry) => void;
  /** Called if deliveries were recorded but not applied. */
  readonly onPending?: () => void;
}

/**
 * A sender must get its answer within 2 s even if models are blocked, which includes detecting that and writing the
 * rest without them. The first wait is longer than the one second after which the server looks for deadlocks, which are
 * retried.
 */
const LIMITS = { statementTimeoutMs: 5_000, lockTimeoutMs: 1_200, readsFirst: true };
const LATER_LIMITS = { ...LIMITS, lockTimeoutMs: 300 };
/** Blocked models found in a batch before all of it is left to `drain`. */
const MAX_BLOCKED = 2;

/**
 * Records a batch, in order; returns the ids of its deliveries once they are committed.
 * @throws if it is not or only partly recorded; the sender must then be told to repeat it
 */
export function receive(batch: readonly Accepted[], receiver: Receiver): Promise<readonly string[]> {
  return inParts(batch, (part) => receivePart(part, receiver));
}

async function receivePart(batch: readonly Accepted[], receiver: Receiver): Promise<readonly string[]> {
  const { sql, context, log } = receiver;
  let limits = LIMITS;
  for (let found = 0; ; found += 1) {
    const blocked = context.blocked.now();
    try {
      const { ids, entries } = await transact(sql, (tx) => recordAndApply(tx, batch, blocked, context), limits);
      const isPending = ({ status }: LedgerEntry) => status === 'pending';
      for (const entry of entries) if (!isPending(entry)) receiver.onRecorded?.(entry);
      if (entries.some(isPending)) receiver.onPending?.();
      return ids;
    } catch (error) {
      const isDivisible = error instanceof TooHeavyError && batch.length > 1;
      // If nothing was to be applied, it is the ledger that cannot be written.
      if (isConnectionError(error) || isDivisible || blocked.has(ALL_MODELS)) throw error;
      if ((await noteBlocked(error, receiver)) && found < MAX_BLOCKED) {
        limits = LATER_LIMITS;
        continue;
      }
      const ids = await record(batch, receiver, whyWaiting(error));
      // Logged only now: if even recording fails, the sender's answer and the log's summary give the reason.
      log.error({ err: error, deliveries: batch.length }, 'a batch could not be applied; it is applied one by one');
      return ids;
    }
  }
}

async function record(
  batch: readonly Accepted[],
  { sql, context, onPending }: Receiver,
  why: string,
): Promise<readonly string[]> {
  const write = async (tx: Transaction) => {
    const entries = entriesOf(batch, await durableClock(tx), context, () => waiting(why));
    return appendDeliveries(tx, entries);
  };
  const ids = await transact(sql, write, LIMITS);
  onPending?.();
  return ids;
}

/** Two round trips, see `writeObservations`. @param blocked models whose deliveries are recorded but not applied */
function recordAndApply(
  tx: Transaction,
  batch: readonly Accepted[],
  blocked: ReadonlyMap<string, string>,
  context: DeliveryContext,
) {
  const whyOf = ({ module, model }: Announcement) => blocked.get(ALL_MODELS) ?? blocked.get(`${module}.${model}`);
  const arrivals = batch.flatMap(({ announcement }) =>
    announcement === null || whyOf(announcement) !== undefined ? [] : [{ announcement, id: null }],
  );
  return applyArrivals(tx, arrivals, context, async (outcomes, now) => {
    const applied = outcomes.values();
    const entries = entriesOf(batch, now, context, (announcement) => {
      const why = whyOf(announcement);
      return why === undefined ? (applied.next().value as Outcome) : waiting(why);
    });
    return { ids: await appendDeliveries(tx, entries), entries };
  });
}

const waiting = (why: string) => unapplied('pending', null, why);

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
