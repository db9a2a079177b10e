/** Reads whole models through the API into the mirror, several side by side within the one request budget. */
import type { Model } from '../catalog/types.ts';
import { beginRun, finishRun, type RunStatus } from '../db/runs.ts';
import { type ListingDeps, type ListingObserver, type ListingReport, listModel } from './listing.ts';

export interface BackfillOptions {
  readonly models: readonly Model[];
  /** Models under way at a time: small ones finish early while a large one goes on. */
  readonly concurrency: number;
  /** Who runs it, for the journal. */
  readonly holder: string;
  readonly observer: ListingObserver;
  readonly signal: AbortSignal;
}

export interface BackfillReport {
  readonly status: RunStatus;
  readonly models: readonly ListingReport[];
}

/**
 * Backfills models; where an earlier backfill was cut off, it goes on from there.
 * @throws what ended the run before all models were tried: a lost database, a refused key, the signal's reason.
 */
export async function backfill(deps: ListingDeps, options: BackfillOptions): Promise<BackfillReport> {
  const runId = await beginRun(deps.sql, 'backfill', options.holder);
  const reports: ListingReport[] = [];
  const queue = [...options.models];
  const failure = new AbortController();
  const signal = AbortSignal.any([options.signal, failure.signal]);

  async function work(): Promise<void> {
    for (let model = queue.shift(); model !== undefined && !signal.aborted; model = queue.shift()) {
      reports.push(await listModel(deps, 'backfill', model, runId, options.observer, signal));
    }
  }

  try {
    const workers = Array.from({ length: options.concurrency }, () => work().catch((error) => failure.abort(error)));
    await Promise.all(workers);
    signal.throwIfAborted();
  } catch (error) {
    const status = options.signal.aborted ? 'interrupted' : 'failed';
    await finishRun(deps.sql, runId, status, summaryOf(reports)).catch(() => {});
    throw error;
  }
  const status = statusOf(reports);
  await finishRun(deps.sql, runId, status, summaryOf(reports));
  return { status, models: reports };
}

/** Failed when a model failed; differences when one could not be read in full although the portal has it. */
function statusOf(reports: readonly ListingReport[]): RunStatus {
  if (reports.some(({ outcome }) => outcome === 'failed')) return 'failed';
  return reports.some(({ outcome }) => outcome === 'incomplete') ? 'differences' : 'done';
}

function summaryOf(reports: readonly ListingReport[]) {
  return reports.map(({ model, outcome, reason, counts, seconds }) => ({
    model,
    outcome,
    reason,
    ...counts,
    seconds: Math.round(seconds * 1_000) / 1_000,
  }));
}
