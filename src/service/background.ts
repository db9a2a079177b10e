/** What `serve` does beside answering: apply what waits, catch up, sweep, settle, let go of old deliveries and history. */

import type { FlowluClient } from '../flowlu/client.ts';
import { drainPending } from '../merge/drain.ts';
import { settleDue } from '../merge/settle.ts';
import { maintainHistory } from '../migrate/history-partitions.ts';
import { asOwner } from '../migrate/owner.ts';
import { leaveReadOnly } from '../postgres/read-only.ts';
import { catchUpAll, sweepAll } from '../reconcile/catch-up.ts';
import { LeaseTakenError, withLease } from '../reconcile/lease.ts';
import type { ListingObserver } from '../reconcile/listing.ts';
import type { Round } from '../reconcile/round.ts';
import { createHealth } from '../status/health.ts';
import { pruneDeliveries } from '../store/deliveries/replay.ts';
import { isSweepDue, pruneRuns } from '../store/runs.ts';
import { expectationsOf } from './app.ts';
import { standing } from './authorization.ts';
import { type Loop, startLoop } from './loop.ts';
import { createReminders } from './reminders.ts';
import { modelsAtATime, refreshCustomFields, type Session, settleDepsOf } from './session.ts';

/** How often deliveries that were recorded but not applied are looked for; they are rare. */
const DRAIN_INTERVAL_MS = 5_000;
const SETTLE_INTERVAL_MS = 1_000;
/** Doubts settled in one go, so that stopping need not wait long. */
const SETTLE_BATCH = 100;
const PRUNE_INTERVAL_MS = 10 * 60_000;
/** How often it is looked whether the history needs another month, or no longer needs one. */
const HISTORY_INTERVAL_MS = 10 * 60_000;
/** How often it is looked whether custom fields came, went or changed: five small statements. */
const CUSTOM_FIELDS_INTERVAL_MS = 5_000;
/** How often it is looked whether the database has been set to read-only. */
const READ_ONLY_INTERVAL_MS = 5_000;
/** How often it is looked whether a sweep is due. */
const SWEEP_CHECK_MS = 60_000;
/** Share of the time that models without versions may be read again. */
const REREAD_SHARE = 0.2;
/** A model that the portal lacks or refuses is asked for again so often: a right that comes back is noticed. */
const RETRY_REFUSED_SECONDS = 3_600;

/** How often it is looked for what a person has to do. */
const REMINDER_INTERVAL_MS = 60_000;

export interface Background {
  readonly drain: Loop;
  /** Null without an API to ask. */
  readonly settle: Loop | null;
  readonly all: readonly Loop[];
}

/** Starts everything that runs by itself. */
export function startBackground(session: Session, client: FlowluClient | null, signal: AbortSignal): Background {
  const { sql, context, log, config, metrics } = session;
  const loop = (name: string, intervalMs: number, work: (stop: AbortSignal) => Promise<unknown>) =>
    startLoop({ name, intervalMs, log, signal, work });
  const health = createHealth(sql, expectationsOf(config));
  const remind = createReminders(log);
  const drain = loop('applying pending deliveries', DRAIN_INTERVAL_MS, (stop) =>
    drainPending({ sql, context, log }, stop),
  );
  const loops = [
    drain,
    loop('looking whether the database takes writes', READ_ONLY_INTERVAL_MS, () => leaveReadOnly(sql)),
    loop('looking for custom fields', CUSTOM_FIELDS_INTERVAL_MS, () => refreshCustomFields(session)),
    loop('keeping the months of the history', HISTORY_INTERVAL_MS, () => keepMonths(session)),
    loop('letting go of old runs', PRUNE_INTERVAL_MS, () => pruneRuns(sql)),
    loop('looking for what needs a person', REMINDER_INTERVAL_MS, async () => remind((await health()).findings)),
  ];
  const { deliveryRetentionMs, intervalMs, sweepIntervalMs } = config.reconcile;
  if (deliveryRetentionMs > 0) {
    loops.push(
      loop('letting go of old deliveries', PRUNE_INTERVAL_MS, (stop) =>
        pruneDeliveries(sql, deliveryRetentionMs, stop),
      ),
    );
  }
  if (client === null) return { drain, settle: null, all: loops };

  /** Work that asks the portal rests while nobody is logged in or the key is refused: it could only fail, again and again. */
  const asking = (name: string, intervalMs: number, work: (stop: AbortSignal) => Promise<unknown>) =>
    loop(name, intervalMs, async (stop) => {
      if ((await standing(config, sql)).kind === 'login') return;
      if (session.watch === null || (await session.watch.mayAsk())) await work(stop);
    });
  const deps = { sql, client, writer: context };
  const options = (stop: AbortSignal) => ({
    models: session.models,
    concurrency: modelsAtATime(session.config),
    holder: session.holder,
    observer: logging(session),
    signal: stop,
  });
  const settle = asking('settling doubtful rows', SETTLE_INTERVAL_MS, (stop) =>
    settleDue(settleDepsOf(session, client), SETTLE_BATCH, stop),
  );
  loops.push(settle);
  if (intervalMs > 0) {
    loops.push(
      asking('catching up', intervalMs, (stop) =>
        alone(session, 'reconcile', stop, async (leased) => {
          const limits = { rereadShare: REREAD_SHARE, retryRefusedAfter_s: RETRY_REFUSED_SECONDS };
          report(session, await catchUpAll(deps, { ...options(leased), ...limits }));
        }),
      ),
    );
  }
  if (sweepIntervalMs > 0) {
    loops.push(
      asking('sweeping', Math.min(SWEEP_CHECK_MS, sweepIntervalMs), async (stop) => {
        if (!(await isSweepDue(sql, sweepIntervalMs))) return;
        await alone(session, 'sweep', stop, async (leased) => {
          const round = await sweepAll(deps, { ...options(leased), allowDeletes: 0, resume: true });
          report(session, round);
          for (const { counts } of round.models) {
            metrics.sweepRows.inc({ outcome: 'written' }, counts.written);
            metrics.sweepRows.inc({ outcome: 'unchanged' }, counts.unchanged);
          }
        });
      }),
    );
  }
  return { drain, settle, all: loops };
}

/** Tables are made and dropped by their owner; where nobody here may be it, that is left to `migrate`. */
async function keepMonths({ sql, config, log }: Session): Promise<void> {
  const kept = await asOwner(sql, config.database.migrateUrl, (owner) =>
    maintainHistory(owner, config.history.retentionMs),
  );
  if (kept === null) {
    log.debug('months of the history are left to the owner of the schema');
    return;
  }
  const { made, dropped } = kept.done;
  if (made.length + dropped.length > 0) log.info({ made, dropped }, 'months of the history');
}

/** Runs work that one replica at a time does; quietly leaves it to another that is at it already. */
async function alone(
  { sql, holder }: Session,
  name: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  try {
    await withLease({ sql, name, holder, signal, waitMs: 0 }, work);
  } catch (error) {
    if (!(error instanceof LeaseTakenError)) throw error;
  }
}

function logging({ log }: Session): ListingObserver {
  return {
    modelStarted: (model, total) => log.debug({ model, total }, 'listing'),
    modelAdvanced: () => {},
    modelFinished: ({ model, outcome, reason, counts, seconds }) =>
      log[outcome === 'failed' ? 'warn' : 'debug']({ model, outcome, reason, ...counts, seconds }, 'listed'),
  };
}

function report({ log, metrics }: Session, round: Round): void {
  for (const { model, way, counts } of round.models) {
    // A first reading finds everything; what a later one has to write was announced by nobody.
    if (way !== 'backfill' && counts.written > 0) metrics.driftRows.inc({ model }, counts.written);
  }
  const total = (pick: (row: Round['models'][number]) => number) =>
    round.models.reduce((sum, row) => sum + pick(row), 0);
  const guarded = round.models.flatMap(({ model, guarded = null }) => (guarded === null ? [] : [{ model, guarded }]));
  const failed = round.models.flatMap(({ model, outcome, reason }) =>
    outcome === 'failed' ? [{ model, reason }] : [],
  );
  log[round.status === 'done' ? 'info' : 'warn'](
    {
      run: round.runId,
      status: round.status,
      read: total((row) => row.counts.read),
      written: total((row) => row.counts.written),
      requests: total((row) => row.counts.requests),
      ...(guarded.length > 0 && { guarded }),
      ...(failed.length > 0 && { failed }),
    },
    'round finished',
  );
}
