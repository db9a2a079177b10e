/** What the mirror can say about itself: freshness, backlog, failures, last runs. Reads only. */

import { errorCode, type Queryable, type Sql, transaction } from '../postgres/connection.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { type DeliveryCounts, deliveryCounts, type FailedDelivery, lastFailures } from '../store/deliveries/reports.ts';
import { countDoubts } from '../store/doubts.ts';
import { type GrantStatus, grantStatus } from '../store/grant.ts';
import { type UnreadModel, unreadModels } from '../store/listings.ts';
import { holderWords, lockHolders } from '../store/locks.ts';
import { allMeasurements, type KeyRefusal, keyRefusal, type Measurement } from '../store/measurements.ts';
import { lastRuns, type RunSummary } from '../store/runs.ts';
import { type ModelStatus, modelStatuses } from '../store/watermarks.ts';
import { type Coverage, type ForeignName, foreignNames, readCoverage } from './coverage.ts';

export interface StatusReport {
  readonly deliveries: DeliveryCounts;
  readonly doubtful_rows: number;
  /** What the portal has granted by OAuth; null where nobody has logged in, as with an API key. */
  readonly oauth: GrantStatus | null;
  /** Since when Flowlu refuses the API key; null while it does not. */
  readonly key_refused: KeyRefusal | null;
  /** Models that could not be read, or not in full, the last time. */
  readonly unread_models: readonly UnreadModel[];
  /** What the portal has been found to do. */
  readonly portal: readonly Measurement[];
  /** How well webhooks announce changes, by model. */
  readonly webhooks: readonly Coverage[];
  /** Names that webhooks alone use. */
  readonly foreign_names: readonly ForeignName[];
  readonly failed_deliveries: readonly FailedDelivery[];
  readonly runs: readonly RunSummary[];
  readonly models: readonly ModelStatus[];
}

/** Deliveries and runs shown at most. */
const LISTED = 20;

const LIMITS = { readOnly: true, statementTimeoutMs: 5_000, lockTimeoutMs: 2_000 };

/**
 * Reads the state of the mirror, within limits.
 * @throws LockedError where somebody holds a lock on what is read
 */
export async function readStatus(sql: Sql): Promise<StatusReport> {
  try {
    return await transaction(sql, LIMITS, read);
  } catch (error) {
    if (errorCode(error) !== SQLSTATE.lockNotAvailable) throw error;
    const holders = await lockHolders(sql);
    throw new LockedError(holders.map(holderWords).join('\n') || 'a lock was in the way; try again', { cause: error });
  }
}

/** The message names who holds the lock, and what ends it. */
export class LockedError extends Error {
  override readonly name = 'LockedError';
}

async function read(sql: Queryable): Promise<StatusReport> {
  const [counts, rights, portal, coverage, runs, models] = await Promise.all([
    Promise.all([deliveryCounts(sql), countDoubts(sql), lastFailures(sql, LISTED)]),
    Promise.all([grantStatus(sql), keyRefusal(sql)]),
    Promise.all([unreadModels(sql), allMeasurements(sql)]),
    Promise.all([readCoverage(sql), foreignNames(sql)]),
    lastRuns(sql, LISTED),
    modelStatuses(sql),
  ]);
  const [deliveries, doubtful_rows, failed_deliveries] = counts;
  const [oauth, key_refused] = rights;
  const [unread_models, measured] = portal;
  const [webhooks, foreign_names] = coverage;
  return {
    ...{ deliveries, doubtful_rows, oauth, key_refused, unread_models, portal: measured, webhooks, foreign_names },
    ...{ failed_deliveries, runs, models },
  };
}
