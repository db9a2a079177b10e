/** One round over models, started by a person: each is caught up, read again, or swept. */

import { metered } from '../flowlu/client.ts';
import { FlowluError } from '../flowlu/errors.ts';
import { databaseClock } from '../postgres/clock.ts';
import { confirmIncrement, findWatermark, noteFailure } from '../store/watermarks.ts';
import type { ListingDeps } from './deps.ts';
import { catchUp } from './incremental.ts';
import { endingOf, guardRefusal, type ListingObserver, type ListingTask, listModel, NOTHING } from './listing.ts';
import { type Round, type RoundOptions, type RoundReport, runRound } from './round.ts';
import { sweepModel } from './sweep.ts';

/** Catches up many models. @throws what ended the round before all models were tried */
export function catchUpAll(deps: ListingDeps, options: RoundOptions): Promise<Round> {
  return runRound(deps.sql, 'reconcile', options, async (model, runId, signal) => {
    const task = { kind: 'backfill', model, runId } as const;
    const report = await catchUpModel(deps, task, options.observer, signal, async () => {
      const fence = await databaseClock(deps.sql);
      const again = await listModel(deps, { ...task, afresh: true }, options.observer, signal);
      if (again.outcome === 'complete') await confirmIncrement(deps.sql, model, fence, 'reread', true);
      return { ...again, way: 'reread', guarded: await guardRefusal(deps.sql, again) };
    });
    // What is listed has said so itself.
    if (report.way !== 'backfill' && report.way !== 'reread') {
      options.observer.modelAdvanced(model.name, report.counts);
      options.observer.modelFinished(report);
    }
    return report;
  });
}

export function sweepAll(
  deps: ListingDeps,
  { allowDeletes, ...options }: RoundOptions & { readonly allowDeletes: number },
): Promise<Round> {
  return runRound(deps.sql, 'sweep', options, async (model, runId, signal) => ({
    ...(await sweepModel(deps, model, { runId, allowDeletes, resume: false }, options.observer, signal)),
    way: 'sweep',
  }));
}

/**
 * Catches up one model the cheapest way: incrementally, otherwise by `readAll`. A model never read is read.
 * @throws what ends a round: a lost database, a refused key, the signal's reason
 */
export async function catchUpModel(
  deps: ListingDeps,
  task: ListingTask,
  observer: ListingObserver,
  signal: AbortSignal,
  readAll: () => Promise<RoundReport>,
): Promise<RoundReport> {
  const { model } = task;
  const startedAt = performance.now();
  const report = (way: string, ending: Partial<RoundReport>): RoundReport => ({
    model: model.name,
    outcome: 'complete',
    reason: null,
    counts: NOTHING,
    seconds: (performance.now() - startedAt) / 1_000,
    way,
    ...ending,
  });
  if ((await findWatermark(deps.sql, model.name)) === null) {
    return { ...(await listModel(deps, task, observer, signal)), way: 'backfill' };
  }
  const { client, spent } = metered(deps.client);
  try {
    const increment = await catchUp({ ...deps, client }, model, signal);
    return increment === null ? await readAll() : report(increment.strategy, { counts: increment.counts });
  } catch (error) {
    signal.throwIfAborted();
    const ending = endingOf(error, model);
    const problem = error instanceof FlowluError ? error.problem : (error as Error).message;
    await noteFailure(deps.sql, model.name, problem);
    const failed = report('none', { ...ending, counts: { ...NOTHING, requests: spent() } });
    return { ...failed, guarded: await guardRefusal(deps.sql, failed) };
  }
}
