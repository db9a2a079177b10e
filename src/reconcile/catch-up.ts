/** One round over models: each is caught up incrementally, backfilled where it never was, or read again. */

import type { Model } from '../catalog/types.ts';
import { MICROS_PER_SECOND } from '../core/instant.ts';
import { FlowluError, ListingError } from '../flowlu/errors.ts';
import { databaseClock } from '../postgres/clock.ts';
import type { Sql } from '../postgres/connection.ts';
import { lastRefusal, rowsListed } from '../store/listings.ts';
import { knownFacts } from '../store/measurements.ts';
import { confirmIncrement, findWatermark, noteFailure } from '../store/watermarks.ts';
import type { ListingDeps } from './deps.ts';
import { catchUp } from './incremental.ts';
import { guardRefusal, isRefusal, listModel, reasonOf } from './listing.ts';
import { type Round, type RoundOptions, type RoundReport, runRound } from './round.ts';
import { sweepModel } from './sweep.ts';

export interface CatchUpOptions extends RoundOptions {
  /** Share of the time that reading whole models again may take; 1 reads all of them now. */
  readonly rereadShare: number;
  /** How long a refused model is left alone, in seconds. */
  readonly retryRefusedAfter_s: number;
}

/** Rows that a request brings where the portal has not been measured. */
const ROWS_PER_REQUEST = 100;

/**
 * Incremental catch-up of many models.
 * @throws what ended the round before all models were tried.
 */
export function catchUpAll(deps: ListingDeps, options: CatchUpOptions): Promise<Round> {
  return runRound(deps.sql, 'reconcile', options, (model, runId, signal) =>
    catchUpModel(deps, model, runId, { ...options, signal }),
  );
}

export interface SweepAllOptions extends RoundOptions {
  readonly allowDeletes: number;
  /** Goes on where earlier sweeps were cut off; see `sweepModel`. Defaults to false. */
  readonly resume?: boolean;
}

/** Full sweep of many models. */
export function sweepAll(deps: ListingDeps, options: SweepAllOptions): Promise<Round> {
  const { observer, allowDeletes, resume = false } = options;
  return runRound(deps.sql, 'sweep', options, async (model, runId, signal) => ({
    ...(await sweepModel(deps, model, { runId, allowDeletes, resume }, observer, signal)),
    way: 'sweep',
  }));
}

async function catchUpModel(
  deps: ListingDeps,
  model: Model,
  runId: string,
  options: CatchUpOptions,
): Promise<RoundReport> {
  const { observer, signal } = options;
  const startedAt = performance.now();
  const nothing = { read: 0, written: 0, unchanged: 0, requests: 0 };
  const report = (way: string, ending: Partial<RoundReport>): RoundReport => ({
    model: model.name,
    outcome: 'complete',
    reason: null,
    counts: nothing,
    seconds: (performance.now() - startedAt) / 1_000,
    way,
    ...ending,
  });
  const refusal = await lastRefusal(deps.sql, model.name);
  if (refusal !== null && refusal.age_s < options.retryRefusedAfter_s) {
    return report('none', { outcome: 'skipped', reason: refusal.reason });
  }
  if ((await findWatermark(deps.sql, model.name)) === null) {
    return { ...(await listModel(deps, { kind: 'backfill', model, runId }, observer, signal)), way: 'backfill' };
  }
  try {
    const increment = await catchUp(deps, model, signal);
    if (increment !== null) return report(increment.strategy, { counts: increment.counts });
    const fence = await databaseClock(deps.sql);
    if (!(await isRereadDue(deps.sql, model, fence, options.rereadShare))) return report('none', {});
    const again = await listModel(deps, { kind: 'backfill', model, runId, afresh: true }, observer, signal);
    if (again.outcome === 'complete') await confirmIncrement(deps.sql, model, fence, 'reread', true);
    return { ...again, way: 'reread', guarded: await guardRefusal(deps.sql, again) };
  } catch (error) {
    if (!(error instanceof FlowluError || error instanceof ListingError)) throw error;
    if (error instanceof FlowluError && error.kind === 'unauthorized') throw error;
    await noteFailure(deps.sql, model.name, error.message);
    if (!(error instanceof FlowluError && isRefusal(error))) {
      return report('none', { outcome: 'failed', reason: error.message });
    }
    const refused = report('none', { outcome: 'skipped', reason: reasonOf(error, model) });
    return { ...refused, guarded: await guardRefusal(deps.sql, refused) };
  }
}

/** Reading a model again is due when doing so, at one request a second, takes no more than its share of the time. */
async function isRereadDue(sql: Sql, model: Model, now: number, share: number): Promise<boolean> {
  if (share >= 1) return true;
  const watermark = await findWatermark(sql, model.name);
  const { bearable_size, page_size = ROWS_PER_REQUEST } = await knownFacts(sql, model.name);
  const cost_s = 1 + (await rowsListed(sql, model.name)) / (bearable_size ?? page_size);
  const since_s = (now - (watermark?.lastReconciledAt ?? 0)) / MICROS_PER_SECOND;
  return since_s * share >= cost_s;
}
