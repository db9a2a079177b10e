/**
 * The full sweep of a model: everything listed, unchanged rows untouched, and rows that are gone found out.
 *
 * A row is suspected when a listing passes its id without naming it. Suspicions count only once the listing is
 * provably complete; then they become doubts, beyond the guard a few of them, and the API is asked for each row. Of those
 * that a listing lacks which cannot be proven, a few are asked for in turn.
 */

import type { Model } from '../catalog/types.ts';
import type { Micros } from '../core/time.ts';
import { FlowluError, isRefusal, NotFoundError } from '../flowlu/errors.ts';
import { surplusOf } from '../listing/surplus.ts';
import { bury, REPORTED_AT_A_TIME } from '../merge/suspects.ts';
import { countRows } from '../mirror-rows/reads.ts';
import { mirrorTableOf } from '../mirror-rows/rows.ts';
import { transact } from '../postgres/transact.ts';
import {
  clearSuspects,
  countSuspects,
  doubtSuspects,
  keepNextSuspects,
  keepSomeSuspects,
  rowToTry,
  suspectUnlisted,
  UNLISTED,
  UNPROVEN,
} from '../store/doubts.ts';
import { allListedIds, clearListedIds } from '../store/listed-ids.ts';
import { findOpenListing, type ListingPosition, lastPosition, noteHeld } from '../store/listings.ts';
import { lastFact, measure } from '../store/measurements.ts';
import type { ListingDeps } from './deps.ts';
import { guardRefusal, type ListingObserver, type ListingReport, listModel } from './listing.ts';

/** How many rows of a model may vanish in one sweep before a person has to confirm it. */
const SHRINK_GUARD = { rows: 20, share: 0.1 } as const;

/** True when so many rows have vanished, of those that were live, that a person has to confirm it. Pure. */
export function isBeyondGuard(vanished: number, live: number): boolean {
  return vanished > SHRINK_GUARD.rows && vanished > live * SHRINK_GUARD.share;
}

export interface SweepOptions {
  readonly runId: string;
  /** Overrides the guard: so many rows may vanish. */
  readonly allowDeletes: number;
  /**
   * Goes on where an earlier sweep was cut off. Changes since, below that position, are then left to the next sweep, so
   * only a schedule should ask for it: whoever starts one by hand wants everything to be looked at from now on.
   */
  readonly resume: boolean;
}

export interface SweepReport extends ListingReport {
  /** Rows that the listing did not name. */
  readonly suspects: number;
  /** Why most of the suspects were left alone, or null. */
  readonly guarded: string | null;
}

/**
 * Sweeps one model. Suspects that pass the guard are doubtful afterwards; settling decides them.
 * @throws as `listModel` does.
 */
export async function sweepModel(
  deps: ListingDeps,
  model: Model,
  options: SweepOptions,
  observer: ListingObserver,
  signal: AbortSignal,
): Promise<SweepReport> {
  const open = options.resume ? await findOpenListing(deps.sql, 'sweep', model.name) : null;
  const afresh = open === null;
  if (afresh) await clearSuspects(deps.sql, model.name);
  const report = await listModel(deps, { kind: 'sweep', model, runId: options.runId, afresh }, observer, signal);
  const { position, fence } = await lastPosition(deps.sql, 'sweep', model.name);
  const isReadToItsEnd = report.outcome === 'complete' || report.outcome === 'incomplete';
  if (isReadToItsEnd) await suspectTheRest(deps, model, position, fence);
  else await clearSuspects(deps.sql, model.name);
  await clearListedIds(deps.sql, { kind: 'sweep', model: model.name });
  if (!isReadToItsEnd) return { ...report, suspects: 0, guarded: await guardRefusal(deps.sql, report) };
  return { ...report, ...(await conclude(deps, model, report, fence, options.allowDeletes, signal)) };
}

/** The last page's range has no end; and a listing by page numbers is one range, compared with all that it listed. */
async function suspectTheRest(
  { sql }: ListingDeps,
  model: Model,
  position: ListingPosition | null,
  fence: Micros,
): Promise<void> {
  const isOneRange = position?.mode !== 'keyset';
  if (isOneRange) await clearSuspects(sql, model.name);
  const listed = isOneRange ? await allListedIds(sql, { kind: 'sweep', model: model.name }) : [];
  const after = position?.mode === 'keyset' ? position.lastId : null;
  const range = { after, upTo: null, listed, observedAt: fence };
  await transact(sql, (tx) => suspectUnlisted(tx, model, range));
}

/** Rows that lists always lack are asked for in turn, so that those that are gone do not stay for ever. */
async function keepNext({ sql }: ListingDeps, model: Model): Promise<void> {
  const after = (await lastFact(sql, model.name, 'asked_up_to')) ?? '0';
  const next = await keepNextSuspects(sql, model.name, after, SHRINK_GUARD.rows);
  await measure(sql, model.name, { asked_up_to: next.at(-1) });
}

async function conclude(
  deps: ListingDeps,
  model: Model,
  { outcome, reason, unreadable = [] }: ListingReport,
  fence: Micros,
  allowDeletes: number,
  signal: AbortSignal,
) {
  const { sql } = deps;
  const { suspects, confirmed } = await countSuspects(sql, model);
  // The usual end. Counting the rows of a large model takes as long as reading a good part of it.
  const live = suspects === 0 ? 0 : await countRows(sql, mirrorTableOf(model), 'live');
  // What senders have made up must neither be protected by the guard nor protect what is really gone.
  const beyond = guard(confirmed, live, allowDeletes);
  const isListDoubted = beyond !== null && isMost(confirmed, live);
  // A row that is counted and not listed is there, and may be any of them.
  const isProven = outcome === 'complete' && surplusOf(reason) === null;
  // What a list that is not complete lacks is asked for in turn, which needs nobody.
  const guarded = isProven || isListDoubted ? beyond : null;
  await noteHeld(sql, model.name, guarded === null ? 0 : confirmed);
  if (suspects === 0) return { suspects, guarded };
  if (isProven || isListDoubted || suspects <= allowDeletes) {
    const asked = isListDoubted ? 0 : SHRINK_GUARD.rows;
    await keepSomeSuspects(sql, model, { reported: REPORTED_AT_A_TIME, confirmed: guarded === null ? null : asked });
  } else await keepNext(deps, model);
  // What the portal does not read singly is buried without its word, so within the guard only, whoever has reported it.
  // Among rows that are there and were not read some suspects may be.
  const isWithin = isProven && unreadable.length === 0 && guard(suspects, live, allowDeletes) === null;
  const mayBury = isWithin && !(await readsSingly(deps, model, signal));
  if (mayBury) await bury(deps, model, fence, UNLISTED);
  await transact(sql, (tx) => doubtSuspects(tx, model, isProven ? UNLISTED : UNPROVEN));
  return { suspects, guarded };
}

/** Whether the portal reads other rows of the model singly: then those that it refuses are hidden, not gone. */
async function readsSingly({ sql, client }: ListingDeps, model: Model, signal: AbortSignal): Promise<boolean> {
  const id = await rowToTry(sql, model);
  if (id === null) return false;
  return client.get(model, id, signal, 'brief').then(
    () => true,
    (error: unknown) => {
      if (!(error instanceof FlowluError) || error.kind === 'unauthorized') throw error;
      // Whatever else keeps it from answering just now, the next sweep will see.
      return error instanceof NotFoundError || !isRefusal(error);
    },
  );
}

/** Why so many suspects are not looked into at once, or null when they may be. Pure. */
function guard(suspects: number, live: number, allowDeletes: number): string | null {
  if (!isBeyondGuard(suspects, live) || suspects <= allowDeletes) return null;
  const asked = isMost(suspects, live)
    ? 'more than half: it is the list that is doubted, and the API is asked for none of them'
    : `more than the guard lets pass; each sweep has the API asked for ${SHRINK_GUARD.rows} of them`;
  return `${suspects} of ${live} rows were not listed, ${asked}; if they are really gone, confirm with --allow-deletes ${suspects}`;
}

/** Where most of the rows are missing, the portal may answer wrongly for single ones as well. */
const isMost = (suspects: number, live: number) => suspects > live / 2;
