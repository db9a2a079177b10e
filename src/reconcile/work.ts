/** The scheduler at work: each lane takes the next piece of work that no other replica has, and does it. */
import { setInterval as every } from 'node:timers/promises';
import type { Model } from '../catalog/types.ts';
import { MICROS_PER_SECOND } from '../core/instant.ts';
import { announcedBetween } from '../store/mirror-rows/reads.ts';
import { notePolled, noteTrouble, readSchedule, type ScheduleRow } from '../store/schedule.ts';
import { catchUpModel } from './catch-up.ts';
import type { ListingDeps } from './deps.ts';
import { LeaseTakenError, leaseOfModel, takenModels, withLease } from './lease.ts';
import { type ListingObserver, NOTHING } from './listing.ts';
import { WEBHOOK_DELAY } from './page.ts';
import { rankOf } from './ranks.ts';
import type { RoundReport } from './round.ts';
import { intervalsOf, type Lane, type ModelState, nextWork, type ScheduleLimits, type Work } from './schedule.ts';
import { sweepModel } from './sweep.ts';

export interface Background {
  readonly deps: ListingDeps;
  readonly models: readonly Model[];
  readonly limits: ScheduleLimits;
  readonly holder: string;
  readonly runId: string;
  readonly observer: ListingObserver;
}

/** What is read as a whole in so few requests is caught up that way, where there is no other. */
const SMALL_READING = 3;
/** A model that the portal lacks or refuses is asked for again so often: a right that comes back is noticed. */
const REFUSED_SECONDS = 3_600;
const FAILED_SECONDS = 30;
/** How often a piece of work under way looks whether somebody waits for its model. */
const LOOK_MS = 2_000;
/** Longest wait before it is planned again: webhooks, people and replicas may have changed what is next. */
const MAX_WAIT_S = 5;

class WantedError extends Error {
  override readonly name = 'WantedError';
}

/**
 * Does the next piece of work of a lane.
 * @returns its report; or, where there is none to do now, for how many milliseconds to wait.
 * @throws a lost database, a refused key, the signal's reason.
 */
export async function workOnce(
  background: Background,
  lane: Lane,
  signal: AbortSignal,
): Promise<RoundReport | { readonly waitMs: number }> {
  const { deps, models, limits, holder } = background;
  const [{ now, rows }, { held, wanted }] = await Promise.all([readSchedule(deps.sql), takenModels(deps.sql)]);
  const known = new Map(rows.map((row) => [row.model, row]));
  const states = models
    .filter(({ listable }) => listable)
    .map(({ name }) => stateOf(name, known.get(name), held.has(name) || wanted.has(name)));
  const next = nextWork(states, limits, lane, now);
  if (!('kind' in next)) return { waitMs: 1_000 * Math.min(next.wait_s, MAX_WAIT_S) };
  const model = models.find(({ name }) => name === next.model) as Model;
  const interval_s = intervalsOf(states, limits, now).get(next.model) ?? limits.poll_s;
  try {
    return await withLease({ sql: deps.sql, holder, signal, ...leaseOfModel(next.model) }, (leased) =>
      unlessWanted(background, next.model, leased, async (going) => {
        const before = known.get(next.model);
        const report = await doWork(background, next, model, before, going);
        await note(background, report, model, { kind: next.kind, now, interval_s, before });
        return report;
      }),
    );
  } catch (error) {
    if (!(error instanceof LeaseTakenError || error instanceof WantedError)) throw error;
    signal.throwIfAborted();
    return { waitMs: 0 };
  }
}

function stateOf(model: string, row: ScheduleRow | undefined, isTaken: boolean): ModelState {
  const { polledAt = null, pollRequests = null, sweptAt = null, sweepRequests = 1 } = row ?? {};
  return {
    model,
    rank: rankOf(model),
    sweptAt,
    polledAt,
    pollCost: pollRequests ?? (sweepRequests <= SMALL_READING ? sweepRequests : null),
    missedAt: row?.missedAt ?? null,
    announced: row?.announced ?? 0,
    freeAt: isTaken ? Number.POSITIVE_INFINITY : (row?.retryAt ?? 0),
  };
}

async function doWork(
  background: Background,
  { kind }: Work,
  model: Model,
  before: ScheduleRow | undefined,
  signal: AbortSignal,
): Promise<RoundReport> {
  const { deps, runId, observer } = background;
  const sweep = async () => {
    const options = { runId, allowDeletes: 0, resume: true };
    return { ...(await sweepModel(deps, model, options, observer, signal)), way: 'sweep' };
  };
  if (kind === 'sweep') return sweep();
  const isSmall = (before?.sweepRequests ?? 1) <= SMALL_READING;
  const nothing = {
    model: model.name,
    way: 'none',
    outcome: 'complete',
    reason: null,
    counts: NOTHING,
    seconds: 0,
  } as const;
  return catchUpModel(deps, { kind: 'backfill', model, runId }, observer, signal, async () =>
    isSmall ? sweep() : nothing,
  );
}

/** What the work has shown, for the next plan. */
async function note(
  { deps: { sql } }: Background,
  { outcome, counts, way }: RoundReport,
  model: Model,
  done: Pick<Work, 'kind'> & {
    readonly now: number;
    readonly interval_s: number;
    readonly before: ScheduleRow | undefined;
  },
): Promise<void> {
  const { kind, now, interval_s, before } = done;
  if (outcome !== 'complete') {
    return noteTrouble(sql, model.name, outcome === 'skipped' ? REFUSED_SECONDS : FAILED_SECONDS);
  }
  if (kind !== 'catch-up') return;
  const polled = { interval_s, began: now, requests: null, missed: 0, announced: 0 };
  if (way === 'none' || way === 'sweep') return notePolled(sql, model.name, polled);
  const [from, to] = [before?.polledAt ?? before?.sweptAt ?? now, now].map(
    (at) => Math.floor(at * MICROS_PER_SECOND) - WEBHOOK_DELAY,
  ) as [number, number];
  const announced = await announcedBetween(sql, model, from, to);
  await notePolled(sql, model.name, { ...polled, requests: counts.requests, missed: counts.missed, announced });
}

/** Does work until a person's command waits for the model. */
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
