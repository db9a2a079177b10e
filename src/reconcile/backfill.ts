/** Reads whole models through the API into the mirror, several at a time within the one request budget. */

import { rankOf } from '../catalog/ranks.ts';
import type { Unread } from '../listing/listing.ts';
import { firstReading, inheritListing } from '../store/listings.ts';
import type { ListingDeps } from './deps.ts';
import { guardRefusal, listModel } from './listing.ts';
import { nothingDone, type Round, type RoundOptions, runRound } from './round.ts';
import { unreadNames } from './unread.ts';

/** How old an interrupted run may be for the next one to build on what it finished. */
const INHERIT_SECONDS = 24 * 3_600;

/**
 * Backfills models. If an earlier backfill was interrupted, or not all models have been read once by any process, it
 * continues there: within a model, and after the finished models unless `skipsRead` is false.
 * @throws what ended the run before all models were tried: a lost database, a refused key, the signal's reason
 */
export async function backfill(
  deps: ListingDeps,
  { skipsRead = true, ...options }: RoundOptions & { readonly skipsRead?: boolean },
): Promise<Round> {
  const models = options.models.toSorted((a, b) => rankOf(a.name) - rankOf(b.name));
  const listable = models.flatMap(({ name, listable }) => (listable ? [name] : []));
  // This includes what the service had read when it was stopped.
  const isFirst = skipsRead && (await firstReading(deps.sql, listable)) !== null;
  return runRound(deps.sql, 'backfill', { ...options, models }, async (model, runId, signal) => {
    const key = { kind: 'backfill', model: model.name, runId } as const;
    const last = skipsRead ? await inheritListing(deps.sql, key, INHERIT_SECONDS, isFirst) : null;
    if (last !== null) {
      const unreadable = last.unread === null ? [] : unreadNames(last.unread as unknown as Unread);
      const report = { ...nothingDone(model.name), reason: last.reason, unreadable };
      options.observer.modelFinished(report);
      return report;
    }
    const report = await listModel(deps, { kind: 'backfill', model, runId }, options.observer, signal);
    return { ...report, way: 'backfill', guarded: await guardRefusal(deps.sql, report) };
  });
}
