/**
 * The full sweep of a model: lists everything, leaves unchanged rows alone, and finds deleted rows.
 *
 * A row becomes a suspect if a listing passes its id without it. Suspects count only once the listing is provably
 * complete; then they become doubtful (only a few of them if the guard objects), and the API is asked for each. If the
 * listing cannot be proven complete, a few of the missing rows are asked for in turn.
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

/** Whether a person has to confirm that so many of the live rows have vanished. Pure. */
export function isBeyondGuard(vanished: number, live: number): boolean {
  return vanished > SHRINK_GUARD.rows && vanished > live * SHRINK_GUARD.share;
}

export interface SweepOptions {
  readonly runId: string;
  /** Overrides the guard: this many rows may vanish. */
  readonly allowDeletes: number;
  /**
   * Continues an interrupted sweep. Later changes below its position are left to the next sweep, so only the schedule
   * should request this: a person who starts a sweep expects it to check everything from now on.
   */
  readonly resume: boolean;
}

export interface SweepReport extends ListingReport {
  /** Rows that the listing lacked. */
  readonly suspects: number;
  /** Why most of the suspects were left alone, or null. */
  readonly guarded: string | null;
}

/** Sweeps one model. Suspects that pass the guard become doubtful; settling decides them. @throws like `listModel` */
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

/** The last page's range has no end. A listing by page numbers is one range, compared with all ids it listed. */
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

/** Asks in turn for rows that lists always lack, so that deleted ones do not stay forever. */
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
  // The usual case. Counting the rows of a large model takes as long as reading a good part of it.
  const live = suspects === 0 ? 0 : await countRows(sql, mirrorTableOf(model), 'live');
  // Rows invented by senders must neither be protected by the guard nor protect rows that are really gone.
  const beyond = guard(confirmed, live, allowDeletes);
  const isListDoubted = beyond !== null && isMost(confirmed, live);
  // A row that is counted but not listed exists, and may be any of them.
  const isProven = outcome === 'complete' && surplusOf(reason) === null;
  // Rows that an incomplete list lacks are asked for in turn, which needs no person.
  const guarded = isProven || isListDoubted ? beyond : null;
  await noteHeld(sql, model.name, guarded === null ? 0 : confirmed);
  if (suspects === 0) return { suspects, guarded };
  if (isProven || isListDoubted || suspects <= allowDeletes) {
    const asked = isListDoubted ? 0 : SHRINK_GUARD.rows;
    await keepSomeSuspects(sql, model, { reported: REPORTED_AT_A_TIME, confirmed: guarded === null ? null : asked });
  } else await keepNext(deps, model);
  // Rows that the portal does not return singly are buried without its answer. This is only done within the guard,
  // whatever their source, and not if other rows were not read, since suspects may be among those.
  const isWithin = isProven && unreadable.length === 0 && guard(suspects, live, allowDeletes) === null;
  const mayBury = isWithin && !(await readsSingly(deps, model, signal));
  if (mayBury) await bury(deps, model, fence, UNLISTED);
  await transact(sql, (tx) => doubtSuspects(tx, model, isProven ? UNLISTED : UNPROVEN));
  return { suspects, guarded };
}

/** Whether the portal returns other rows of the model singly: those that it refuses are then hidden, not gone. */
async function readsSingly({ sql, client }: ListingDeps, model: Model, signal: AbortSignal): Promise<boolean> {
  const id = await rowToTry(sql, model);
  if (id === null) return false;
  return client.get(model, id, signal, 'brief').then(
    () => true,
    (error: unknown) => {
      if (!(error instanceof FlowluError) || error.kind === 'unauthorized') throw error;
      // If something else prevents the answer now, the next sweep will try again.
      return error instanceof NotFoundError || !isRefusal(error);
    },
  );
}

/** Why the suspects are not all checked at once, or null if they may be. Pure. */
function guard(suspects: number, live: number, allowDeletes: number): string | null {
  if (!isBeyondGuard(suspects, live) || suspects <= allowDeletes) return null;
  const asked = isMost(suspects, live)
    ? 'more than half: it is the list that is doubted, and the API is asked for none of them'
    : `more than the guard lets pass; each sweep has the API asked for ${SHRINK_GUARD.rows} of them`;
  return `${suspects} of ${live} rows were not listed, ${asked}; if they are really gone, confirm with --allow-deletes ${suspects}`;
}

/** If most rows are missing, the portal may also give wrong answers for single ones. */
const isMost = (suspects: number, live: number) => suspects > live / 2;
