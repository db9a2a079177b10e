/**
 * The full sweep of a model: everything listed, unchanged rows untouched, and rows that are gone found out.
 *
 * A row is suspected when a listing passes its id without naming it. Suspicions count only once the listing is
 * provably complete, and only within the guard; then they become doubts, and the API is asked for each row.
 */

import type { Model } from '../catalog/types.ts';
import type { Transaction } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import { clearSuspects, countSuspects, doubtSuspects, suspectUnlisted } from '../store/doubts.ts';
import { findOpenListing, lastSweep } from '../store/listings.ts';
import { countRows } from '../store/mirror-rows/reads.ts';
import {
  guardRefusal,
  type ListedRange,
  type ListingDeps,
  type ListingObserver,
  type ListingReport,
  listModel,
} from './listing.ts';
import { rememberIds } from './remembered-ids.ts';

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
  /** Why the suspects were left alone, or null. */
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
  // Suspicions of finished ranges are durable, so a keyset goes on; plain pages would have to be remembered.
  const afresh = open?.position?.mode !== 'keyset';
  if (afresh) await clearSuspects(deps.sql, model.name);
  const seen = rememberIds();
  let last: Pick<ListedRange, 'upTo' | 'observedAt'> | null = null;
  const onRange = async (tx: Transaction, range: ListedRange) => {
    const { ids, after, upTo, observedAt } = range;
    last = range;
    // A listing that turns out to need page numbers begins anew, but does not hand out its first page again.
    if (upTo.mode !== 'keyset' || after === null) seen.add(ids, observedAt);
    if (upTo.mode !== 'keyset') return;
    const lower = after?.mode === 'keyset' ? after.lastId : null;
    await suspectUnlisted(tx, model, { after: lower, upTo: upTo.lastId, listed: ids, observedAt });
  };
  const report = await listModel(
    deps,
    { kind: 'sweep', model, runId: options.runId, afresh, onRange },
    observer,
    signal,
  );
  if (report.outcome !== 'complete') {
    await clearSuspects(deps.sql, model.name);
    return { ...report, suspects: 0, guarded: await guardRefusal(deps.sql, report) };
  }
  const fence = await suspectTheRest(deps, model, last ?? (await resumedAt(deps, model)), seen);
  if (fence !== null) return { ...report, suspects: 0, guarded: fence };
  return { ...report, ...(await concludeSuspicions(deps, model, options.allowDeletes)) };
}

/** The last page's range has no end; and without any order, everything is one range. */
async function suspectTheRest(
  deps: ListingDeps,
  model: Model,
  last: Pick<ListedRange, 'upTo' | 'observedAt'> | null,
  seen: ReturnType<typeof rememberIds>,
): Promise<string | null> {
  if (last === null) return null;
  const { upTo, observedAt } = last;
  if (upTo.mode === 'keyset') {
    await transact(deps.sql, (tx) =>
      suspectUnlisted(tx, model, { after: upTo.lastId, upTo: null, listed: [], observedAt }),
    );
    return null;
  }
  const listed = seen.all();
  if (listed === null) return 'the portal lists in no order and the model has too many rows to remember';
  await clearSuspects(deps.sql, model.name);
  await transact(deps.sql, (tx) =>
    suspectUnlisted(tx, model, { after: null, upTo: null, listed, observedAt: seen.since() }),
  );
  return null;
}

/** A listing without a single page: the model is empty, or was resumed at its very end. */
async function resumedAt(deps: ListingDeps, model: Model): Promise<Pick<ListedRange, 'upTo' | 'observedAt'> | null> {
  const stood = await lastSweep(deps.sql, model.name);
  if (stood === null) return null;
  return { upTo: { mode: 'keyset', lastId: stood.lastId ?? '-9223372036854775808' }, observedAt: stood.fence };
}

async function concludeSuspicions(deps: ListingDeps, model: Model, allowDeletes: number) {
  const suspects = await countSuspects(deps.sql, model.name);
  // The usual end. Counting the rows of a large model takes as long as reading a good part of it.
  if (suspects === 0) return { suspects, guarded: null };
  const live = await countRows(deps.sql, { name: model.name, model }, 'live');
  const guarded = guard(suspects, live, allowDeletes);
  if (guarded === null) await transact(deps.sql, (tx) => doubtSuspects(tx, model));
  else await clearSuspects(deps.sql, model.name);
  return { suspects, guarded };
}

/** Why so many suspects are not believed, or null when they may be looked into. Pure. */
function guard(suspects: number, live: number, allowDeletes: number): string | null {
  if (!isBeyondGuard(suspects, live) || suspects <= allowDeletes) return null;
  return (
    `${suspects} of ${live} rows were not listed, more than the guard lets pass; ` +
    `if they are really gone, confirm with --allow-deletes ${suspects}`
  );
}
