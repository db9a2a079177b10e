/** Runs the schedule: each lane takes the next piece of work that no other replica has. */
import { setInterval as every } from 'node:timers/promises';
import { isNewestFirst, rankOf } from '../catalog/ranks.ts';
import type { Model } from '../catalog/types.ts';
import type { Naps } from '../core/naps.ts';
import { MICROS_PER_SECOND, sleep } from '../core/time.ts';
import { traced } from '../core/tracing.ts';
import { announcedBetween } from '../mirror-rows/reads.ts';
import { believedAt } from '../postgres/clock.ts';
import { allAnswers, transaction } from '../postgres/connection.ts';
import { journaled } from '../store/runs.ts';
import { noteNewest, notePolled, noteTrouble, readSchedule, type ScheduleRow } from '../store/schedule.ts';
import { catchUpModel } from './catch-up.ts';
import type { ListingDeps } from './deps.ts';
import { readNewestRows } from './incremental.ts';
import { LeaseTakenError, leaseOfModel, takenModels, withLease } from './lease.ts';
import { type ListingObserver, NOTHING } from './listing.ts';
import { addCounts, WEBHOOK_DELAY } from './page.ts';
import { nothingDone, type RoundReport, statusOf, summaryOf } from './round.ts';
import {
  canWait,
  intervalsOf,
  type Lane,
  type ModelState,
  nextWork,
  type ScheduleLimits,
  type WorkKind,
} from './schedule.ts';
import { sweepModel } from './sweep.ts';

export interface Background {
  readonly deps: ListingDeps;
  readonly models: readonly Model[];
  readonly limits: ScheduleLimits;
  readonly holder: string;
  readonly naps: Naps;
  readonly observer: ListingObserver;
}

/** How long the work of a lane is journaled as one run. A piece of work is not interrupted for that. */
const RUN_MS = 15 * 60_000;
/** A model that can be read completely in this many requests is caught up that way if there is no other. */
const SMALL_READING = 3;
/** How often a model that the portal lacks or refuses is tried again, to notice a right that was granted. */
const REFUSED_SECONDS = 3_600;
const FAILED_SECONDS = 30;
/** How often work in progress checks whether somebody waits for its model. */
const LOOK_MS = 2_000;
/**
 * Longest wait before planning again: webhooks, people and replicas may have changed what is next. An object, so that a
 * test can shorten it.
 */
export const PLANS = { maxWait_s: 10 };

class WantedError extends Error {
  override readonly name = 'WantedError';
}

/** Does the next piece of work of a lane. @returns its report, or how many ms to wait if there is none now */
type WorkOnce = (lane: Lane, runId: string, signal: AbortSignal) => Promise<RoundReport | { readonly waitMs: number }>;

/**
 * The lanes of this process, which choose their work one after the other.
 * @throws (each of its promises) a lost database, a refused key, the signal's reason
 */
export function createLanes(background: Background) {
  const { deps, holder, naps } = background;
  let choosing: Promise<unknown> = Promise.resolve();
  /** Idle lanes share one reading of the schedule, so that more of them cause no more queries. */
  const restUntil = new Map<Lane, number>();

  const workOnce: WorkOnce = async (lane, runId, signal) => {
    const before = choosing;
    let letNextChoose = () => {};
    choosing = new Promise<void>((resolve) => {
      letNextChoose = resolve;
    });
    await before;
    try {
      const chosen = await choose(background, lane, restUntil);
      if ('waitMs' in chosen) return chosen;
      const lease = { sql: deps.sql, holder, signal, ...leaseOfModel(chosen.model.name) };
      return await withLease(lease, (leased) => {
        letNextChoose();
        return unlessWanted(background, chosen.model.name, leased, async (going) => {
          const work = () => doWork(background, chosen, runId, going);
          const report = await traced(chosen.kind, { 'flowlu.model': chosen.model.name }, work);
          await note(background, report, chosen);
          // The other lanes rest because of a plan in which this model was taken.
          restUntil.clear();
          return report;
        });
      });
    } catch (error) {
      if (!(error instanceof LeaseTakenError || error instanceof WantedError)) throw error;
      signal.throwIfAborted();
      return { waitMs: 0 };
    } finally {
      letNextChoose();
    }
  };

  return {
    workOnce,
    /** Works in a lane for a while, journaled as one run. */
    workAWhile(lane: Lane, onReport: (report: RoundReport) => void, signal: AbortSignal): Promise<void> {
      const kind = lane === 'quick' ? 'reconcile' : 'sweep';
      const done = new Map<string, RoundReport>();
      const reports = () => [...done.values()];
      const summary = () => summaryOf(reports());
      const run = { kind, holder, signal, summary, status: () => statusOf(kind, reports()) } as const;
      return journaled(deps.sql, run, async (runId) => {
        for (const endsAt = performance.now() + RUN_MS; performance.now() < endsAt; ) {
          const report = await workOnce(lane, runId, signal);
          if ('waitMs' in report) {
            // The run ends here, because keeping it alive would mean writing to the database.
            if (naps.isTired()) return;
            await sleep(report.waitMs, signal);
            continue;
          }
          onReport(report);
          const { counts, seconds } = done.get(report.model) ?? { counts: NOTHING, seconds: 0 };
          const all = { counts: addCounts(counts, report.counts), seconds: seconds + report.seconds };
          done.set(report.model, { ...report, ...all });
        }
      });
    },
  };
}

/** A piece of work, and what was known when it was chosen. */
interface Chosen {
  readonly kind: WorkKind;
  readonly model: Model;
  readonly before: ScheduleRow | undefined;
  readonly now: number;
  readonly interval_s: number;
}

async function choose(
  { deps, models, limits, naps }: Background,
  lane: Lane,
  restUntil: Map<Lane, number>,
): Promise<Chosen | { readonly waitMs: number }> {
  const restMs = (restUntil.get(lane) ?? 0) - performance.now();
  if (restMs > 0) return { waitMs: restMs };
  const [{ held, wanted }, { now, rows }] = await transaction(deps.sql, { readOnly: true, readsFirst: true }, (tx) =>
    // In this order: a process that no longer holds a model has noted what it did.
    allAnswers([takenModels(tx), readSchedule(tx)]),
  );
  const known = new Map(rows.map((row) => [row.model, row]));
  const states = models
    .filter(({ listable }) => listable)
    .map((model) => stateOf(model, known.get(model.name), now, held.has(model.name) || wanted.has(model.name)));
  const nexts = { quick: nextWork(states, limits, 'quick', now), long: nextWork(states, limits, 'long', now) };
  const msOf = (work: ReturnType<typeof nextWork>) =>
    'kind' in work ? 0 : 1_000 * Math.min(work.wait_s, PLANS.maxWait_s);
  for (const each of ['quick', 'long'] as const) restUntil.set(each, performance.now() + msOf(nexts[each]));
  const next = nexts[lane];
  if (!('kind' in next)) return { waitMs: msOf(next) };
  if (naps.isTired() && canWait(next, states, limits, now)) return { waitMs: 0 };
  const interval_s = Math.max(intervalsOf(states, limits, now).get(next.model) ?? limits.poll_s, naps.lastsMs / 1_000);
  const model = models.find(({ name }) => name === next.model) as Model;
  return { kind: next.kind, model, before: known.get(next.model), now, interval_s };
}

function stateOf(model: Model, row: ScheduleRow | undefined, now: number, isTaken: boolean): ModelState {
  const { polledAt = null, pollRequests = null, sweptAt = null, sweepRequests = 1, missedAt = null } = row ?? {};
  return {
    model: model.name,
    rank: rankOf(model.name),
    isNewestFirst: polledAt === null && model.version !== null && isNewestFirst(model.name),
    sweptAt: believedAt(sweptAt, now),
    sweepCost: sweepRequests,
    polledAt: believedAt(polledAt, now),
    pollCost: pollRequests ?? (sweepRequests <= SMALL_READING ? sweepRequests : null),
    isEmpty: row?.rows === 0,
    missedAt: believedAt(missedAt, now),
    announced: row?.announced ?? 0,
    freeAt: isTaken ? Number.POSITIVE_INFINITY : (believedAt(row?.retryAt ?? null, now, REFUSED_SECONDS) ?? 0),
  };
}

async function doWork(
  { deps, observer }: Background,
  { kind, model, before }: Chosen,
  runId: string,
  signal: AbortSignal,
): Promise<RoundReport> {
  const sweep = async () => {
    const options = { runId, allowDeletes: 0, resume: true };
    return { ...(await sweepModel(deps, model, options, observer, signal)), way: 'sweep' };
  };
  const nothing = nothingDone(model.name);
  if (kind === 'newest') return { ...nothing, way: 'newest', counts: await readNewestRows(deps, model, signal) };
  const { sweepRequests = 1, pollRequests = null } = before ?? {};
  // A complete reading that takes no more requests also finds deletions.
  const isSweep = kind === 'sweep' || (kind === 'catch-up' && pollRequests !== null && sweepRequests <= pollRequests);
  if (isSweep) return sweep();
  return catchUpModel(deps, { kind: 'backfill', model, runId }, observer, signal, async () =>
    sweepRequests <= SMALL_READING ? sweep() : nothing,
  );
}

/** Notes the result of the work for the next plan. */
async function note(
  { deps: { sql }, limits }: Background,
  { outcome, counts, way }: RoundReport,
  { kind, model, before, now, interval_s }: Chosen,
): Promise<void> {
  if (outcome !== 'complete') {
    const rest_s = outcome === 'skipped' ? REFUSED_SECONDS : Math.min(FAILED_SECONDS, limits.poll_s || limits.sweep_s);
    return noteTrouble(sql, model.name, rest_s, REFUSED_SECONDS);
  }
  if (kind === 'read' || kind === 'sweep') return;
  const polled = { interval_s, began: now, requests: before?.pollRequests ?? null, missed: 0, announced: 0 };
  if (kind === 'newest') return noteNewest(sql, model.name);
  if (way === 'none') return notePolled(sql, model.name, { ...polled, requests: null });
  const [from, to] = [before?.polledAt ?? before?.sweptAt ?? now, now].map(
    (at) => Math.floor(at * MICROS_PER_SECOND) - WEBHOOK_DELAY,
  ) as [number, number];
  const announced = await announcedBetween(sql, model, from, to);
  // `noteListed` notes what a sweep found.
  const found = way === 'sweep' ? {} : { requests: counts.requests, missed: counts.missed };
  await notePolled(sql, model.name, { ...polled, announced, ...found });
}

/** Works until a person's command waits for the model. */
async function unlessWanted<T>(
  { deps: { sql } }: Background,
  model: string,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const done = new AbortController();
  const watching = (async () => {
    for await (const _ of every(LOOK_MS, undefined, { signal: done.signal })) {
      const { wanted } = await takenModels(sql);
      if (wanted.has(model)) stop.abort(new WantedError(`somebody waits for ${model}`));
    }
  })().catch(() => {});
  try {
    return await work(AbortSignal.any([signal, stop.signal]));
  } finally {
    done.abort();
    await watching;
  }
}
