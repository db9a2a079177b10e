/** Applies deliveries that are in the ledger but not in the mirror; one by one if a batch fails. */
import type { Logger } from '../core/log.ts';
import { readAnnouncement } from '../delivery/delivery.ts';
import { isPassing, type Sql, savepoint, type Transaction } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import { claimPending, type StoredDelivery, settleDeliveries } from '../store/deliveries/ledger.ts';
import { ALL_MODELS, noteBlocked, reasonOf } from './blocked.ts';
import { applyArrivals, asHint, type DeliveryContext, unapplied, wasHint, withholdErased } from './deliveries.ts';

export interface Drain {
  readonly sql: Sql;
  readonly context: DeliveryContext;
  readonly log: Logger;
}

const BATCH_SIZE = 200;
/** Per call, so that it ends even if deliveries keep coming. */
const MAX_BATCHES = 1_000;
/** Blocked deliveries wait in the ledger instead. */
const LIMITS = { lockTimeoutMs: 2_000 };

/** Applies everything pending that is not blocked; returns the number of deliveries taken. */
export async function drainPending(drain: Drain, signal: AbortSignal): Promise<number> {
  let total = 0;
  for (let batch = 0; batch < MAX_BATCHES && !signal.aborted; batch += 1) {
    const taken = await drainBatch(drain, signal);
    total += taken ?? 0;
    if (taken === 0) break;
  }
  return total;
}

/** Returns the number of deliveries taken; null if a model turned out to be blocked, and the rest can be tried. */
async function drainBatch(drain: Drain, signal: AbortSignal): Promise<number | null> {
  const { sql, context, log } = drain;
  if (context.blocked.now().has(ALL_MODELS)) return 0;
  try {
    return await transact(
      sql,
      async (tx) => {
        const stored = await claimPending(tx, BATCH_SIZE, context.blocked.now().keys());
        await applyStored(tx, stored, context);
        return stored.length;
      },
      LIMITS,
    );
  } catch (error) {
    if (await noteBlocked(error, drain)) return null;
    if (isPassing(error)) throw error;
    log.warn({ err: error }, 'a batch of pending deliveries cannot be applied as one; applying them one by one');
  }
  for (let taken = 0; taken < BATCH_SIZE && !signal.aborted; taken += 1) {
    try {
      const found = await transact(sql, (tx) => applyOldest(tx, drain), LIMITS);
      if (!found) return taken;
    } catch (error) {
      if (await noteBlocked(error, drain)) return null;
      throw error;
    }
  }
  return BATCH_SIZE;
}

/** Applies the oldest pending delivery, or sets it aside with the reason why it cannot be applied. */
async function applyOldest(tx: Transaction, { context, log }: Drain): Promise<boolean> {
  const stored = await claimPending(tx, 1, context.blocked.now().keys());
  const [delivery] = stored;
  if (delivery === undefined) return false;
  try {
    await savepoint(tx, (inner) => applyStored(inner, stored, context));
  } catch (error) {
    if (isPassing(error)) throw error;
    const outcome = unapplied('failed', null, reasonOf(error));
    const isHint = context.trust === 'verify' || wasHint(delivery.reason);
    await settleDeliveries(tx, [{ ...(isHint ? asHint(outcome) : outcome), id: delivery.id }]);
    log.error({ err: error, delivery: delivery.id }, 'a delivery cannot be applied and was set aside');
  }
  return true;
}

/** Applies deliveries of the ledger again within the caller's transaction, which the rule makes harmless. */
async function applyStored(
  tx: Transaction,
  stored: readonly StoredDelivery[],
  context: DeliveryContext,
): Promise<void> {
  const arrivals = stored.map(({ id, body, receivedAt, reason }) => ({
    id,
    receivedAt,
    announcement: readAnnouncement(body),
    isHint: wasHint(reason),
  }));
  const outcomes = await (await applyArrivals(tx, arrivals, context, (all) => all)).answers;
  const ids = stored.map(({ id }) => id).values();
  await settleDeliveries(
    tx,
    outcomes.map((outcome) => ({ ...outcome, id: ids.next().value as string })),
  );
  await withholdErased(tx, arrivals, outcomes);
}
