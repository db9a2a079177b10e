/** Work over many models, several side by side, journaled as one run. */
import { setMaxListeners } from 'node:events';
import type { Model } from '../catalog/types.ts';
import type { Json } from '../core/json.ts';
import type { Sql } from '../postgres/connection.ts';
import { beginRun, finishRun, type RunKind, type RunStatus } from '../store/runs.ts';
import type { ListingObserver, ListingReport } from './listing.ts';

export interface RoundOptions {
  readonly models: readonly Model[];
  readonly concurrency: number;
  readonly holder: string;
  readonly observer: ListingObserver;
  readonly signal: AbortSignal;
}

/** How a round ended for one model. */
export interface RoundReport extends ListingReport {
  /** The way taken: `backfill`, `interval`, `newest`, `reread`, `sweep`, or `none` when nothing was due. */
  readonly way: string;
  /** Rows that a sweep did not come across. */
  readonly suspects?: number;
  /** Why suspects were left alone. */
  readonly guarded?: string | null;
}

export interface Round {
  readonly runId: string;
  readonly status: RunStatus;
  readonly models: readonly RoundReport[];
}

/** Runs `work` over models, several side by side, and journals the run. */
export async function runRound(
  sql: Sql,
  kind: RunKind,
  options: RoundOptions,
  work: (model: Model, runId: string, signal: AbortSignal) => Promise<RoundReport>,
): Promise<Round> {
  const runId = await beginRun(sql, kind, options.holder);
  const reports: RoundReport[] = [];
  const queue = [...options.models];
  const failure = new AbortController();
  const signal = AbortSignal.any([options.signal, failure.signal]);
  // Every wait of every model listens to it, a few at a time.
  setMaxListeners(0, signal);

  async function worker(): Promise<void> {
    for (let model = queue.shift(); model !== undefined && !signal.aborted; model = queue.shift()) {
      reports.push(await work(model, runId, signal));
    }
  }

  try {
    await Promise.all(
      Array.from({ length: options.concurrency }, () => worker().catch((error) => failure.abort(error))),
    );
    signal.throwIfAborted();
  } catch (error) {
    const status = options.signal.aborted ? 'interrupted' : 'failed';
    await finishRun(sql, runId, status, summaryOf(reports)).catch(() => {});
    throw error;
  }
  const status = statusOf(kind, reports);
  await finishRun(sql, runId, status, summaryOf(reports));
  return { runId, status, models: reports };
}

/**
 * Failed when nothing could be read; differences when a model or a row was not, or a guard stopped it. A sweep is a
 * check: a model that it could not read is what it has found, whatever kept it from reading.
 */
function statusOf(kind: RunKind, reports: readonly RoundReport[]): RunStatus {
  const failed = reports.filter(({ outcome }) => outcome === 'failed').length;
  const tried = reports.filter(({ outcome }) => outcome !== 'skipped').length;
  if (kind !== 'sweep' && failed > 0 && failed === tried) return 'failed';
  const doubtful = reports.some(
    ({ outcome, guarded, unreadable = [] }) =>
      outcome === 'incomplete' || (guarded ?? null) !== null || unreadable.length > 0,
  );
  return failed > 0 || doubtful ? 'differences' : 'done';
}

function summaryOf(reports: readonly RoundReport[]): Json {
  return reports.map(({ model, way, outcome, reason, counts, seconds, suspects = 0, guarded = null }) => ({
    model,
    way,
    outcome,
    reason,
    ...counts,
    suspects,
    guarded,
    seconds: Math.round(seconds * 1_000) / 1_000,
  }));
}
