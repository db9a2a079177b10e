/** What the mirror can say about itself: freshness, backlog, failures, last runs. Reads only. */

import type { Sql } from '../postgres/connection.ts';
import { type DeliveryCounts, deliveryCounts, type FailedDelivery, lastFailures } from '../store/deliveries/reports.ts';
import { countDoubts } from '../store/doubts.ts';
import { type GrantStatus, grantStatus } from '../store/grant.ts';
import { type UnreadModel, unreadModels } from '../store/listings.ts';
import { allMeasurements, type KeyRefusal, keyRefusal, type Measurement } from '../store/measurements.ts';
import { lastRuns, type RunSummary } from '../store/runs.ts';
import { type ModelStatus, modelStatuses } from '../store/watermarks.ts';

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
  readonly failed_deliveries: readonly FailedDelivery[];
  readonly runs: readonly RunSummary[];
  readonly models: readonly ModelStatus[];
}

/** Deliveries and runs shown at most. */
const LISTED = 20;

/** Reads the state of the mirror. */
export async function readStatus(sql: Sql): Promise<StatusReport> {
  const [deliveries, doubtful_rows, oauth, key_refused, unread_models, portal, failed_deliveries, runs, models] =
    await Promise.all([
      deliveryCounts(sql),
      countDoubts(sql),
      grantStatus(sql),
      keyRefusal(sql),
      unreadModels(sql),
      allMeasurements(sql),
      lastFailures(sql, LISTED),
      lastRuns(sql, LISTED),
      modelStatuses(sql),
    ]);
  return { deliveries, doubtful_rows, oauth, key_refused, unread_models, portal, failed_deliveries, runs, models };
}
