/** What the mirror can say about itself: freshness, backlog, failures, last runs. Reads only. */

import type { Sql } from '../postgres/connection.ts';
import { type GrantStatus, grantStatus } from '../store/grant.ts';

export interface ModelStatus {
  readonly model: string;
  readonly rows: number;
  readonly deleted_rows: number;
  readonly last_change_at: string | null;
  readonly last_reconciled_at: string | null;
  /** Seconds since the model was last known to agree with the portal; null before the first time. */
  readonly lag_seconds: number | null;
  readonly doubtful_rows: number;
  /** How changes are found: `interval`, `newest` or `reread`; null before the first catch-up. */
  readonly strategy: string | null;
  /** The source time up to which changes are in the mirror; null for models without versions. */
  readonly watermark: string | null;
  /** Why the last catch-up failed, or null. */
  readonly last_error: string | null;
}

export interface FailedDelivery {
  readonly id: string;
  readonly received_at: string;
  readonly status: string;
  readonly model: string | null;
  readonly reason: string | null;
}

export interface RunStatusLine {
  readonly id: string;
  readonly kind: string;
  readonly status: string;
  readonly started_at: string;
  readonly finished_at: string | null;
}

export interface StatusReport {
  readonly deliveries: {
    readonly total: number;
    readonly pending: number;
    readonly failed: number;
    readonly rejected: number;
    readonly last_received_at: string | null;
    /** Age of the oldest delivery that is not applied yet. */
    readonly oldest_pending_seconds: number | null;
  };
  readonly doubtful_rows: number;
  /** What the portal has granted by OAuth; null where nobody has logged in, as with an API key. */
  readonly oauth: GrantStatus | null;
  readonly failed_deliveries: readonly FailedDelivery[];
  readonly runs: readonly RunStatusLine[];
  readonly models: readonly ModelStatus[];
}

/** Deliveries and runs shown at most. */
const LISTED = 20;

/** Reads the state of the mirror. */
export async function readStatus(sql: Sql): Promise<StatusReport> {
  const [[deliveries], [doubt], oauth, failed, runs, models] = await Promise.all([
    sql`select count(*)::int as total, count(*) filter (where status = 'pending')::int as pending,
               count(*) filter (where status = 'failed')::int as failed,
               count(*) filter (where status = 'rejected')::int as rejected,
               to_json(max(received_at)) #>> '{}' as last_received_at,
               extract(epoch from clock_timestamp() - min(received_at) filter (where status = 'pending'))::float8
                 as oldest_pending_seconds
          from sync.deliveries`,
    sql`select count(*)::int as rows from sync.doubtful`,
    grantStatus(sql),
    sql`select id::text as id, to_json(received_at) #>> '{}' as received_at, status, module || '.' || model as model,
               reason
          from sync.deliveries where status in ('failed', 'rejected') order by deliveries.id desc limit ${LISTED}`,
    sql`select id::text as id, kind, status, to_json(started_at) #>> '{}' as started_at,
               to_json(finished_at) #>> '{}' as finished_at
          from sync.runs order by runs.id desc limit ${LISTED}`,
    sql`select s.model, s.rows::float8 as rows, s.deleted_rows::float8 as deleted_rows,
               to_json(s.last_change_at) #>> '{}' as last_change_at,
               to_json(s.last_reconciled_at) #>> '{}' as last_reconciled_at, s.lag_seconds::float8 as lag_seconds,
               s.doubtful_rows::float8 as doubtful_rows, w.strategy, to_json(w.watermark) #>> '{}' as watermark,
               w.last_error
          from flowlu_live.sync_status s left join sync.watermarks w using (model) order by s.model`,
  ]);
  return {
    deliveries: deliveries as unknown as StatusReport['deliveries'],
    doubtful_rows: doubt?.rows as number,
    oauth,
    failed_deliveries: failed as unknown as readonly FailedDelivery[],
    runs: runs as unknown as readonly RunStatusLine[],
    models: models as unknown as readonly ModelStatus[],
  };
}
