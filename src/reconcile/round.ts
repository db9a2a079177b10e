/** Work over many models, several at a time, journaled as one run. */
import { setMaxListeners } from 'node:events';
import type { Model } from '../catalog/types.ts';
import type { Json } from '../core/json.ts';
import type { Sql } from '../postgres/connection.ts';
import { journaled, type RunKind, type RunStatus } from '../store/runs.ts';
import { aloneWith } from './lease.ts';
import { type ListingObserver, type ListingReport, NOTHING } from './listing.ts';

export interface RoundOptions {
  readonly models: readonly Model[];
  readonly concurrency: number;
  readonly holder: string;
  readonly observer: ListingObserver;
  readonly signal: AbortSignal;
}

export interface RoundReport extends ListingReport {
  /** The strategy used: `backfill`, `interval`, `newest`, `reread`, `sweep`, or `none` if nothing was due. */
  readonly way: string;
  /** Rows that a sweep did not find. */
  readonly suspects?: number;
  /** Why suspects were left alone. */
  readonly guarded?: string | null;
}

/** The report for a model without requests. */
export const nothingDone = (model: string) =>
  ({ model, way: 'none', outcome: 'complete', reason: null, counts: NOTHING, seconds: 0 }) satisfies RoundReport;

export interface Round {
  readonly runId: string;
  readonly status: RunStatus;
  readonly models: readonly RoundReport[];
}

interface Work<R> {
  readonly kind: RunKind;
  readonly one: (model: Model, runId: string, signal: AbortSignal) => Promise<R>;
  readonly statusOf: (reports: readonly R[]) => RunStatus;
  readonly summaryOf: (reports: readonly R[]) => Json;
}

/**
 * Works over models, several at a time, and journals the run.
 * @throws what ended the run before all models were tried: a lost database, a refused key, the signal's reason
 */
export async function overModels<R>(
  sql: Sql,
  options: Omit<RoundOptions, 'observer'>,
  { kind, one, statusOf, summaryOf }: Work<R>,
): Promise<{ readonly runId: string; readonly status: RunStatus; readonly models: readonly R[] }> {
  const reports: R[] = [];
  const queue = [...options.models];
  const failure = new AbortController();
  const signal = AbortSignal.any([options.signal, failure.signal]);
  // Every wait of every model listens to it, a few at a time.
  setMaxListeners(0, signal);

  async function worker(runId: string): Promise<void> {
    for (let model = queue.shift(); model !== undefined && !signal.aborted; model = queue.shift()) {
      reports.push(await one(model, runId, signal));
    }
  }

  const run = {
    kind,
    holder: options.holder,
    signal: options.signal,
    summary: () => summaryOf(reports),
    status: () => statusOf(reports),
  };
  return journaled(sql, run, async (runId) => {
    const workers = Array.from({ length: options.concurrency }, () => worker(runId));
    await Promise.all(workers.map((ended) => ended.catch((error) => failure.abort(error))));
    signal.throwIfAborted();
    return { runId, status: statusOf(reports), models: reports };
  });
}

export function runRound(
  sql: Sql,
  kind: 'backfill' | 'reconcile' | 'sweep',
  options: RoundOptions,
  one: Work<RoundReport>['one'],
): Promise<Round> {
  const alone: Work<RoundReport>['one'] = (model, runId, signal) =>
    aloneWith({ sql, holder: options.holder, model: model.name, signal }, (leased) => one(model, runId, leased));
  return overModels(sql, options, { kind, one: alone, statusOf: (reports) => statusOf(kind, reports), summaryOf });
}

/**
 * Failed if nothing could be read; differences if a model or a row was not read, or a guard intervened. For a sweep,
 * which is a check, a model that it could not read is always a difference.
 */
export function statusOf(kind: RunKind, reports: readonly RoundReport[]): RunStatus {
  const failed = reports.filter(({ outcome }) => outcome === 'failed').length;
  const tried = reports.filter(({ outcome }) => outcome !== 'skipped').length;
  if (kind !== 'sweep' && failed > 0 && failed === tried) return 'failed';
  const doubtful = reports.some(
    ({ outcome, guarded, unreadable = [] }) =>
      outcome === 'incomplete' || (guarded ?? null) !== null || unreadable.length > 0,
  );
  return failed > 0 || doubtful ? 'differences' : 'done';
}

export function summaryOf(reports: readonly RoundReport[]): Json {
  return reports.map(({ model, way, outcome, reason, counts, seconds, suspects = 0, guarded = null }) => ({
    model,
    way,
    outcome,
    reason,
    ...counts,
    suspects,
    guarded,
    seconds: toMillis(seconds),
  }));
}

/** Rounds seconds to the millisecond, as in the journal. */
export function toMillis(seconds: number): number {
  return Math.round(seconds * 1_000) / 1_000;
}
