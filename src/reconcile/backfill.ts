/** Reads whole models through the API into the mirror, several side by side within the one request budget. */
import { type ListingDeps, listModel } from './listing.ts';
import { type Round, type RoundOptions, runRound } from './round.ts';

/**
 * Backfills models; where an earlier backfill was cut off, it goes on from there.
 * @throws what ended the run before all models were tried: a lost database, a refused key, the signal's reason.
 */
export function backfill(deps: ListingDeps, options: RoundOptions): Promise<Round> {
  return runRound(deps.sql, 'backfill', options, async (model, runId, signal) => ({
    ...(await listModel(deps, { kind: 'backfill', model, runId }, options.observer, signal)),
    way: 'backfill',
  }));
}
