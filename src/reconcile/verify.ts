/**
 * Verification: reads both sides, compares them field by field, and separates differences from changes in progress.
 * Every difference found is checked again (recheck.ts). Only reading the single record can prove that it does not
 * exist; a list cannot.
 */

import type { Model } from '../catalog/types.ts';
import { sleep } from '../core/time.ts';
import { metered } from '../flowlu/client.ts';
import { FlowluError } from '../flowlu/errors.ts';
import { shapeOf } from '../merge/writer.ts';
import { countRows, readRowsAfter } from '../mirror-rows/reads.ts';
import { mirrorTableOf } from '../mirror-rows/rows.ts';
import { databaseClock } from '../postgres/clock.ts';
import { absentModels, type ListingOutcome, listedModels, unreadModels } from '../store/listings.ts';
import type { RunStatus } from '../store/runs.ts';
import type { ListingDeps } from './deps.ts';
import { createCandidates, type Finding, type FindingKind } from './findings.ts';
import { type Ending, endingOf as endingOfListing, NOT_LISTABLE, NOTHING } from './listing.ts';
import { type Rechecked, recheck } from './recheck.ts';
import { overModels, type RoundOptions, toMillis } from './round.ts';
import { type Search, type Shortcoming, searchAll, searchSample } from './verify-listing.ts';

export interface VerifyOptions extends RoundOptions {
  readonly repair: boolean;
  /** Rows per model to compare; null for all. */
  readonly sample: number | null;
  /** How long to wait for a change in progress before checking a candidate again. */
  readonly pauseMs?: number;
  /** Candidates per model that are checked again. */
  readonly maxRechecks?: number;
}

export interface ModelVerification {
  readonly model: string;
  /** `complete` if everything requested was compared. */
  readonly outcome: ListingOutcome;
  readonly reason: string | null;
  /** Rows compared. */
  readonly rows: number;
  readonly missing: number;
  readonly extra: number;
  readonly stale: number;
  readonly differing: number;
  /** Differences that had gone when checked again. */
  readonly in_flight: number;
  /** Differences that were not checked again. */
  readonly unchecked: number;
  readonly repaired: number;
  /** Why rows were not tombstoned, or null. */
  readonly guarded: string | null;
  /** Differences confirmed by the second check. */
  readonly findings: readonly Finding[];
  readonly requests: number;
  readonly seconds: number;
}

export interface Verification {
  readonly run_id: string;
  readonly status: RunStatus;
  readonly models: readonly ModelVerification[];
}

/** The reason for not comparing: every row would be missing and requested singly. */
export const NOT_READ = 'not read yet';
const PAUSE_MS = 3_000;
/** Without repair, the second check only separates differences from changes in progress: a few dozen suffice. */
const MAX_RECHECKS = 50;
const MAX_REPAIRS = 10_000;

/**
 * Verifies models, several at a time, and journals the run.
 * @throws what ended the run before all models were tried: a lost database, a refused key, the signal's reason
 */
export async function verify(deps: ListingDeps, options: VerifyOptions): Promise<Verification> {
  const { sql } = deps;
  const [listed, absent, unread] = await Promise.all([listedModels(sql), absentModels(sql), unreadModels(sql)]);
  const tried = new Set([...listed, ...absent, ...unread.map(({ model }) => model)]);
  const { runId, status, models } = await overModels<ModelVerification>(deps.sql, options, {
    kind: 'verify',
    one: (model, _, signal) => verifyModel(deps, model, tried.has(model.name), { ...options, signal }),
    statusOf: (reports) => (reports.every(isInOrder) ? 'done' : 'differences'),
    summaryOf: (reports) =>
      reports.map(({ findings: _, seconds, ...report }) => ({ ...report, seconds: toMillis(seconds) })),
  });
  return { run_id: runId, status, models: models.toSorted((a, b) => (a.model < b.model ? -1 : 1)) };
}

/** Whether both sides agree now, as far as that could be checked. */
function isInOrder(report: ModelVerification): boolean {
  const { outcome, findings, repaired, unchecked, guarded } = report;
  const isCompared = outcome === 'complete' || outcome === 'skipped';
  return isCompared && findings.length === repaired && unchecked === 0 && guarded === null;
}

async function verifyModel(
  deps: ListingDeps,
  model: Model,
  wasTried: boolean,
  options: VerifyOptions,
): Promise<ModelVerification> {
  const { observer, signal, repair, sample } = options;
  const began = performance.now();
  const table = mirrorTableOf(model);
  const context = { table, shape: shapeOf(table, deps.writer), zone: deps.writer.zone };
  const candidates = createCandidates(MAX_REPAIRS);
  let rows = 0;
  let requests = 0;
  const advance = (step: { rows: number; requests: number }) => {
    rows += step.rows;
    requests += step.requests;
    observer.modelAdvanced(model.name, { ...NOTHING, read: step.rows, unchanged: step.rows, requests: step.requests });
  };
  const onStep: Search['onStep'] = (step) => {
    if (rows === 0 && step.rows > 0) observer.modelStarted(model.name, sample === null ? step.total : null);
    advance(step);
  };
  const startedAt = await databaseClock(deps.sql);
  const { client, spent } = metered(deps.client);
  const search = { deps: { ...deps, client }, model, context, candidates, startedAt, onStep, signal };
  const ending = await searchModel(search, sample, wasTried).catch((error) => endingOf(error, deps, model));
  advance({ rows: 0, requests: spent() - requests });
  const taken = candidates.taken();
  if (taken.length > 0) await sleep(options.pauseMs ?? PAUSE_MS, signal);
  const looked = await recheck(deps, context, taken, candidates.missed(), {
    max: options.maxRechecks ?? (repair ? MAX_REPAIRS : MAX_RECHECKS),
    repair,
    onRequest: () => advance({ rows: 0, requests: 1 }),
    signal,
  });
  const ended = withUnlisted(ending, looked.unlisted);
  const seconds = (performance.now() - began) / 1_000;
  const report = { model: model.name, rows, requests, seconds, ...ended, ...countsOf(looked) };
  const { outcome, reason, repaired: written } = report;
  const counts = { ...NOTHING, read: rows, written, unchanged: rows - written, requests };
  const told = reason === NOT_READ ? 'skipped' : outcome;
  observer.modelFinished({ model: model.name, outcome: told, reason, counts, seconds });
  return { ...report, reason: reason ?? looked.reason };
}

/** A list that lacks some rows may also lack others that the mirror does not have. */
function withUnlisted(ending: Ending, unlisted: number): Ending {
  if (unlisted === 0 || ending.outcome !== 'complete') return ending;
  return { outcome: 'incomplete', reason: `the portal's list left out rows that the portal has: ${unlisted}` };
}

async function searchModel(search: Search, sample: number | null, wasTried: boolean): Promise<Ending> {
  if (!search.model.listable) return { outcome: 'skipped', reason: NOT_LISTABLE };
  const { deps, context } = search;
  const isEmpty = !wasTried && (await readRowsAfter(deps.sql, context.table, null, 1)).length === 0;
  if (isEmpty) return { outcome: 'incomplete', reason: NOT_READ };
  const why: Shortcoming = sample === null ? await searchAll(search) : await searchSample(search, sample);
  return { outcome: why === null ? 'complete' : 'incomplete', reason: why };
}

/** How an error ends the comparison of its model; rethrown if it ends the whole run. */
async function endingOf(error: unknown, { sql }: ListingDeps, model: Model): Promise<Ending> {
  const { reason } = endingOfListing(error, model);
  const isUnknown =
    error instanceof FlowluError && (error.kind === 'unknown_module' || error.kind === 'unknown_method');
  // A portal without a model agrees with a mirror without rows of it.
  const held = isUnknown ? await countRows(sql, mirrorTableOf(model), 'live') : 0;
  if (isUnknown && held === 0) return { outcome: 'skipped', reason };
  return { outcome: 'failed', reason: held > 0 ? `${reason}; the mirror holds ${held} rows` : reason };
}

function countsOf({ findings, inFlight, unchecked, repaired, guarded }: Rechecked) {
  const count = (kind: FindingKind) => findings.filter((finding) => finding.kind === kind).length;
  return {
    missing: count('missing'),
    extra: count('extra'),
    stale: count('stale'),
    differing: count('differing'),
    in_flight: inFlight,
    unchecked,
    repaired,
    guarded,
    findings,
  };
}
