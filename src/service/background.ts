/** What `serve` does beside answering: apply what waits, catch up, sweep, settle, let go of old deliveries and history. */
import type { Logger } from '../core/log.ts';
import { sleep } from '../core/time.ts';
import { drainPending } from '../merge/drain.ts';
import { settleDue } from '../merge/settle.ts';
import { maintainHistory } from '../migrate/history-partitions.ts';
import { asOwner } from '../migrate/owner.ts';
import type { Sql } from '../postgres/connection.ts';
import { isLateToReadOnly } from '../postgres/read-only.ts';
import { poolOf } from '../postgres/renewal.ts';
import type { ListingObserver } from '../reconcile/listing.ts';
import type { RoundReport } from '../reconcile/round.ts';
import type { Lane } from '../reconcile/schedule.ts';
import { createLanes } from '../reconcile/work.ts';
import type { Finding } from '../status/finding.ts';
import { needsPerson } from '../status/findings.ts';
import { createHealth, type Health } from '../status/health.ts';
import { hasPending } from '../store/deliveries/ledger.ts';
import { pruneDeliveries } from '../store/deliveries/replay.ts';
import { hasDueDoubts } from '../store/doubts.ts';
import { pruneRuns } from '../store/runs.ts';
import { expectationsOf } from './app.ts';
import { lacksLogin } from './authorization.ts';
import { type Loop, startLoop, UNTIL_WOKEN_MS } from './loop.ts';
import { type Clients, refreshCustomFields, type Session, settleDepsOf } from './session.ts';
import { isFirstWorker } from './workers.ts';

/** How often what is looked for. An object, so that a test can reach it sooner. */
export const INTERVALS = {
  /**
   * The database is asked for what nobody has told this process: how soon after its time a doubt is noticed, a delivery
   * that another process has left behind, a database that was set to read-only. What this process has itself wakes its
   * loop at once.
   */
  lookMs: 5_000,
  pruneMs: 10 * 60_000,
  /** Whether the history needs another month, or no longer needs one. */
  historyMs: 10 * 60_000,
  /** Whether custom fields came, went or changed: nine small statements. */
  customFieldsMs: 15_000,
  /** How soon a lane of the scheduler goes on after one run, or looks again whether it may ask. */
  scheduleMs: 1_000,
  /** Whether somebody has logged in, or the key is good again. */
  refusedMs: 10_000,
  /** What a person has to do: the log says it within a minute. */
  reminderMs: 20_000,
};
/** Doubts settled in one go: as many as one sweep raises of a model at most. */
const SETTLE_BATCH = 2_000;
const LANES: Readonly<Record<Lane, string>> = { quick: 'looking for changes', long: 'comparing models' };

/**
 * Starts everything that runs by itself; of several workers only the first does what has to be done once.
 * @param health what the pages say, for the log
 * @returns the loops; `settle` is null without an API to ask.
 */
export function startBackground(
  session: Session,
  clients: Clients | null,
  signal: AbortSignal,
  health: () => Promise<Health> = createHealth(session.sql, expectationsOf(session)),
) {
  const { sql, context, log, config, models, holder, naps } = session;
  const loop = (name: string, intervalMs: number, work: (stop: AbortSignal) => Promise<unknown>) =>
    startLoop({ name, intervalMs, log, signal, naps, work });
  const drain = loop('applying pending deliveries', UNTIL_WOKEN_MS, (stop) =>
    drainPending({ sql, context, log }, stop),
  );
  let settle: Loop | null = null;
  const loops = [
    drain,
    loop('looking for work', INTERVALS.lookMs, async () => {
      const blocked = context.blocked.now();
      const due = await lookForWork(sql, blocked.keys());
      // They are tried again until they are applied.
      if (due.hasPending || blocked.size > 0) naps.stir();
      if (due.hasPending) drain.wake();
      if (due.hasDueDoubts) settle?.wake();
    }),
    loop('looking for custom fields', INTERVALS.customFieldsMs, () => refreshCustomFields(session)),
  ];
  if (!isFirstWorker()) return { drain, settle: null, all: loops };

  const remind = createReminders(log);
  loops.push(
    loop('keeping the months of the history', INTERVALS.historyMs, () => keepMonths(session)),
    loop('letting go of old runs', INTERVALS.pruneMs, () => pruneRuns(sql)),
    loop('looking for what needs a person', INTERVALS.reminderMs, async () => remind(await health())),
  );
  const { deliveryRetentionMs, failedRetentionMs, intervalMs, sweepIntervalMs } = config.reconcile;
  const letGo = (name: string, retentionMs: number, work: (stop: AbortSignal) => Promise<unknown>) => {
    if (retentionMs > 0) loops.push(loop(name, INTERVALS.pruneMs, work));
  };
  letGo('letting go of old deliveries', deliveryRetentionMs, (stop) => pruneDeliveries(sql, deliveryRetentionMs, stop));
  letGo('letting go of failed deliveries', failedRetentionMs, async (stop) => {
    const deliveries = await pruneDeliveries(sql, failedRetentionMs, stop, 'failed');
    if (deliveries > 0) log.warn({ deliveries }, 'deliveries that were never applied are older than FAILED_RETENTION');
  });
  if (clients === null) return { drain, settle, all: loops };

  /** Work that asks the portal rests while nobody is logged in or the key is refused: it could only fail, again and again. */
  const asking = (name: string, intervalMs: number, work: (stop: AbortSignal) => Promise<unknown>) =>
    loop(name, intervalMs, async (stop) => {
      const isLoggedIn = (await lacksLogin(config, sql)) === null;
      if (isLoggedIn && (session.watch === null || (await session.watch.mayAsk()))) return work(stop);
      await sleep(INTERVALS.refusedMs, stop);
    });
  settle = asking('settling doubtful rows', UNTIL_WOKEN_MS, (stop) =>
    settleDue(settleDepsOf(session, clients.client), SETTLE_BATCH, stop),
  );
  loops.push(settle);
  const { requestsPerSecond, backgroundShare } = config.flowlu;
  const rate = requestsPerSecond === 0 ? Number.POSITIVE_INFINITY : requestsPerSecond * backgroundShare;
  const limits = { rate, poll_s: intervalMs / 1_000, sweep_s: sweepIntervalMs / 1_000 };
  const deps = { sql, client: clients.background, writer: context };
  const { workAWhile } = createLanes({ deps, models, limits, holder, naps, observer: logging(log) });
  const guards = new Map<string, string | null>();
  const onReport = (report: RoundReport) => {
    noteReport(report, session);
    if (report.way !== 'sweep') return;
    const { model, guarded = null } = report;
    // Sweeps follow each other; what has not changed since the last one is no news.
    if (guarded !== null && guarded !== guards.get(model))
      log.warn({ model, guarded }, 'a sweep was stopped by its guard');
    guards.set(model, guarded);
  };
  const lanes: Lane[] = new Array<Lane>(intervalMs + sweepIntervalMs > 0 ? longLanes(rate) : 0).fill('long');
  if (intervalMs > 0) lanes.push('quick');
  for (const lane of lanes) {
    loops.push(asking(LANES[lane], INTERVALS.scheduleMs, (stop) => workAWhile(lane, onReport, stop)));
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

/** Models read as a whole at a time: so many that answers on their way leave no slot unused. */
const longLanes = (rate: number) => (rate === Number.POSITIVE_INFINITY ? 4 : Math.min(8, Math.ceil(rate)));

function noteReport({ model, outcome, way, counts }: RoundReport, { metrics }: Session) {
  if (outcome === 'complete' && way !== 'none') metrics.reconcileLastSuccess.set({ model }, Date.now() / 1_000);
  if (way === 'sweep') {
    metrics.sweepRows.inc({ outcome: 'written' }, counts.written);
    metrics.sweepRows.inc({ outcome: 'unchanged' }, counts.unchanged);
  }
  // A first reading finds everything.
  if (way !== 'backfill' && counts.missed > 0) metrics.driftRows.inc({ model }, counts.missed);
}

function logging(log: Logger): ListingObserver {
  return {
    modelStarted: (model, total) => log.debug({ model, total }, 'listing'),
    modelAdvanced: () => {},
    modelFinished: ({ model, outcome, reason, counts, seconds }) =>
      log[outcome === 'failed' ? 'warn' : 'debug']({ model, outcome, reason, ...counts, seconds }, 'listed'),
  };
}

/**
 * Asks, in one statement, what there is to do that nobody has told this process: deliveries that were recorded and not
 * applied, perhaps by a process that is gone, and doubts that have come to their time. Where the database has been set to
 * read-only meanwhile, also gives the pool's connections up.
 */
export async function lookForWork(sql: Sql, blocked: Iterable<string>) {
  const [row] = await sql`
    select (${hasPending(sql, blocked)}) as "hasPending", (${hasDueDoubts(sql)}) as "hasDueDoubts",
           (${isLateToReadOnly(sql)}) as "isLate"`;
  if (row?.isLate === true) poolOf(sql).leave();
  return row as unknown as { readonly hasPending: boolean; readonly hasDueDoubts: boolean };
}

/** How soon the same is said again. */
const AGAIN_MS = 24 * 3_600_000;

/**
 * Says in the log what a person has to do, when it was found twice in a row, once a day while it lasts, and when it is over.
 * Takes the health at each look; while the facts cannot be read, nothing is known of the other findings.
 * @param now the clock in milliseconds
 */
export function createReminders(log: Pick<Logger, 'info' | 'warn'>, now: () => number = Date.now) {
  /** When each was said; null for what was seen once, as while the database was slow for a moment. */
  let seen = new Map<string, number | null>();
  const told = new Set<Finding['code']>();
  return ({ findings, situation }: Pick<Health, 'findings' | 'situation'>): void => {
    const isBlind = situation.kind !== 'there';
    const current = findings.filter(({ severity }) => needsPerson({ state: severity === 'note' ? 'good' : severity }));
    const codes = new Set(current.map(({ code }) => code));
    const next = new Map(isBlind ? seen : []);
    for (const { code, models, sentence, remedy, command } of current) {
      // Another remedy is another cause; a sentence differs with every count in it.
      const key = [code, remedy, models].join(' ');
      const last = seen.get(key);
      const isDue = last !== undefined && (last === null || now() - last >= AGAIN_MS);
      if (isDue) log.warn({ finding: code, models, remedy, command }, sentence);
      if (isDue) told.add(code);
      next.set(key, isDue ? now() : (last ?? null));
    }
    seen = next;
    const over = isBlind ? [] : [...told].filter((code) => !codes.has(code));
    for (const finding of over) {
      told.delete(finding);
      log.info({ finding }, 'what needed a person is over');
    }
  };
}
