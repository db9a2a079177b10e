/**
 * Replay: stored deliveries put through the rule once more, in order of arrival.
 *
 * A delivery that was applied has had its say at its time. Against a row that was learnt no earlier than it arrived,
 * or that says the same, it says nothing new: such a row holds its effect, or something that came after it. Judged as if it were news it
 * might bring an old state back, so it is passed over, and only rows that are lost or older are brought forward.
 */
import { splitName } from '../catalog/name.ts';
import { groupBy } from '../core/group.ts';
import type { Logger } from '../core/log.ts';
import { type Announcement, readDelivery } from '../delivery/delivery.ts';
import { reasonOf } from '../merge/blocked.ts';
import {
  applyArrivals,
  asHint,
  type DeliveryContext,
  unapplied,
  wasHint,
  withholdErased,
} from '../merge/deliveries.ts';
import { shapeOf } from '../merge/writer.ts';
import { lockRows, type StoredRow } from '../mirror-rows/rows.ts';
import { isPassing, type Sql, savepoint, type Transaction } from '../postgres/connection.ts';
import { eachPage, type Page } from '../postgres/pages.ts';
import { transact } from '../postgres/transact.ts';
import { contains, type Shape } from '../record/record.ts';
import {
  type Decision,
  type DeliveryStatus,
  type StoredDelivery,
  settleDeliveries,
} from '../store/deliveries/ledger.ts';
import { countDeliveries, type DeliveryFilter, takeDeliveries } from '../store/deliveries/replay.ts';
import { journaled } from '../store/runs.ts';

const BATCH_SIZE = 200;

export interface ReplayDeps {
  readonly sql: Sql;
  readonly context: DeliveryContext;
  readonly log: Logger;
  readonly holder: string;
}

/** How the replay of one delivery ended: the decision or, where none was taken, the status. */
export type ReplayOutcome = Decision | DeliveryStatus | typeof PASSED_OVER;

/** What became of the deliveries: how many per decision or, where none was taken, per status. */
export interface ReplayReport {
  readonly deliveries: number;
  readonly outcomes: Readonly<Partial<Record<ReplayOutcome, number>>>;
  /** Decisions that left a row for the API to settle. */
  readonly doubtful: number;
}

/** A delivery whose effect the mirror has, or something later. */
const PASSED_OVER = 'already_applied';

const WRITES: ReadonlySet<Decision | null> = new Set<Decision>(['inserted', 'updated', 'tombstoned', 'revived']);

interface Ending {
  readonly outcome: ReplayOutcome;
  readonly isDoubtful: boolean;
}

/**
 * Replays the deliveries that a filter names and that are there when it begins.
 * @param onStep told how many were taken up of how many
 * @throws when the database is lost, or the signal's reason between two batches; both leave whole batches behind.
 */
export async function replay(
  deps: ReplayDeps,
  filter: DeliveryFilter,
  onStep: (taken: number, total: number) => void,
  signal: AbortSignal,
): Promise<ReplayReport> {
  const { count, last } = await countDeliveries(deps.sql, filter);
  const outcomes: Partial<Record<ReplayOutcome, number>> = {};
  let deliveries = 0;
  let doubtful = 0;
  const summary = () => ({ deliveries, outcomes: { ...outcomes } as Record<string, number>, doubtful });
  const status = () => ((outcomes.failed ?? 0) + (outcomes.rejected ?? 0) > 0 ? 'differences' : 'done');
  const run = { kind: 'replay', holder: deps.holder, signal, summary, status } as const;
  return journaled(deps.sql, run, async () => {
    const batches = eachPage((after: string | null) => replayBatch(deps, filter, { after, last }), signal);
    for await (const { endings } of batches) {
      deliveries += endings.length;
      for (const { outcome, isDoubtful } of endings) {
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        if (isDoubtful) doubtful += 1;
      }
      onStep(deliveries, count);
    }
    return summary();
  });
}

async function replayBatch(
  { sql, context, log }: ReplayDeps,
  filter: DeliveryFilter,
  range: { readonly after: string | null; readonly last: string },
): Promise<Page<string> & { readonly endings: readonly Ending[] }> {
  const run = (each: (tx: Transaction, taken: readonly StoredDelivery[]) => Promise<readonly Ending[]>) =>
    transact(sql, async (tx) => {
      const taken = await takeDeliveries(tx, filter, range, BATCH_SIZE);
      return { endings: await each(tx, taken), last: taken.at(-1)?.id };
    });
  try {
    return await run((tx, taken) => applyAgain(tx, taken, context));
  } catch (error) {
    if (isPassing(error)) throw error;
    log.warn({ err: error }, 'a batch cannot be replayed as one; replaying it one by one');
  }
  return run(async (tx, taken) => {
    const endings: Ending[] = [];
    for (const delivery of taken) endings.push(await applyAloneAgain(tx, delivery, context, log));
    return endings;
  });
}

/** One delivery; where it cannot be applied, it is set aside with the reason, unless it had been applied before. */
async function applyAloneAgain(
  tx: Transaction,
  delivery: StoredDelivery,
  context: DeliveryContext,
  log: Logger,
): Promise<Ending> {
  try {
    const endings = await savepoint(tx, (inner) => applyAgain(inner, [delivery], context));
    return endings[0] as Ending;
  } catch (error) {
    if (isPassing(error)) throw error;
    log.error({ err: error, delivery: delivery.id }, 'a delivery cannot be applied');
    if (delivery.status !== 'applied') {
      const outcome = unapplied('failed', null, reasonOf(error));
      await settleDeliveries(tx, [{ ...(wasHint(delivery.reason) ? asHint(outcome) : outcome), id: delivery.id }]);
    }
    return { outcome: 'failed', isDoubtful: false };
  }
}

interface Understood {
  readonly delivery: StoredDelivery;
  readonly announcement: Announcement;
}

async function applyAgain(
  tx: Transaction,
  taken: readonly StoredDelivery[],
  context: DeliveryContext,
): Promise<readonly Ending[]> {
  const understood = taken.flatMap((delivery): Understood[] => {
    const announcement = readDelivery(delivery.body)?.announcement ?? null;
    return announcement === null ? [] : [{ delivery, announcement }];
  });
  const passedOver = await findPassedOver(tx, understood, context);
  const news = understood.filter(({ delivery }) => !passedOver.has(delivery.id));
  const arrivals = news.map(({ delivery: { id, receivedAt, reason }, announcement }) => {
    return { id, receivedAt, announcement, isHint: wasHint(reason) };
  });
  const outcomes = await (await applyArrivals(tx, arrivals, context, (all) => all)).answers;
  const recorded = outcomes.map((outcome, index) => {
    const { delivery, announcement } = news[index] as Understood;
    const subject = delivery.status === 'rejected' ? announcement : null;
    return { ...outcome, id: delivery.id, subject };
  });
  const wasApplied = new Set(news.flatMap(({ delivery: { id, status } }) => (status === 'applied' ? [id] : [])));
  // The ledger tells what became of a delivery when it came; a repetition without effect does not rewrite that.
  const changed = recorded.filter(({ id, decision }) => !wasApplied.has(id) || WRITES.has(decision));
  await settleDeliveries(tx, changed);
  await withholdErased(tx, arrivals, outcomes);
  const endings = new Map(
    recorded.map(({ id, decision, status, reason }): [string, Ending] => [
      id,
      { outcome: decision ?? status, isDoubtful: status === 'applied' && reason !== null },
    ]),
  );
  return taken.map(({ id }) => {
    if (passedOver.has(id)) return { outcome: PASSED_OVER, isDoubtful: false };
    return endings.get(id) ?? { outcome: 'rejected', isDoubtful: false };
  });
}

/** Applied deliveries that their row holds already or has left behind. Locks all rows concerned, as the writer will. */
async function findPassedOver(
  tx: Transaction,
  understood: readonly Understood[],
  context: DeliveryContext,
): Promise<ReadonlySet<string>> {
  const named = understood.filter(({ announcement }) => announcement.entityId !== null);
  const tables = groupBy(named, ({ announcement: { module, model } }) => `${module}.${model}`);
  const passedOver = new Set<string>();
  for (const [name, own] of [...tables].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { module, model } = splitName(name);
    const table = context.tableOf(module, model);
    if (table === null) continue;
    const ids = new Set(own.map(({ announcement }) => announcement.entityId as string));
    const rows = new Map((await lockRows(tx, table, [...ids])).map((row) => [row.id, row]));
    const shape = shapeOf(table, context);
    /** Entities whose row an earlier delivery of the batch may change: it will not be as it was read. */
    const moving = new Set<string>();
    for (const { delivery, announcement } of own) {
      const id = announcement.entityId as string;
      const row = rows.get(id);
      const isHeld =
        row !== undefined &&
        (row.observedAt >= delivery.receivedAt || (!moving.has(id) && tellsTheSame(row, announcement, shape)));
      if (delivery.status === 'applied' && isHeld) passedOver.add(delivery.id);
      else moving.add(id);
    }
  }
  return passedOver;
}

/** True when the row says what the delivery says: judged anew it would change nothing, but might raise an old doubt. */
function tellsTheSame(row: StoredRow, { action, current }: Announcement, shape: Shape): boolean {
  if (row.deletedAt !== null || action === 'delete') return row.deletedAt !== null && action === 'delete';
  return current !== null && contains(shape, row.record, current);
}
