/** What the mirror can say about itself: freshness, backlog, failures, last runs. Reads only. */

import type { Sql } from '../postgres/connection.ts';
import { type DeliveryCounts, deliveryCounts, type FailedDelivery, lastFailures } from '../store/deliveries/reports.ts';
import { countDoubts } from '../store/doubts.ts';
import { type GrantStatus, grantStatus } from '../store/grant.ts';
import { lastRuns, type RunSummary } from '../store/runs.ts';
import { type ModelStatus, modelStatuses } from '../store/watermarks.ts';

export interface StatusReport {
  readonly deliveries: DeliveryCounts;
  readonly doubtful_rows: number;
  /** What the portal has granted by OAuth; null where nobody has logged in, as with an API key. */
  readonly oauth: GrantStatus | null;
  readonly failed_deliveries: readonly FailedDelivery[];
  readonly runs: readonly RunSummary[];
  readonly models: readonly ModelStatus[];
}

/** Deliveries and runs shown at most. */
const LISTED = 20;

/** Reads the state of the mirror. */
export async function readStatus(sql: Sql): Promise<StatusReport> {
  const [deliveries, doubtful_rows, oauth, failed_deliveries, runs, models] = await Promise.all([
    deliveryCounts(sql),
    countDoubts(sql),
    grantStatus(sql),
    lastFailures(sql, LISTED),
    lastRuns(sql, LISTED),
    modelStatuses(sql),
  ]);
  return { deliveries, doubtful_rows, oauth, failed_deliveries, runs, models };
}
