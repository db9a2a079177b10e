/** How the mirror is, in words coarse enough for anybody to read. */
import { withTimeout } from '../core/wait.ts';
import type { Sql } from '../postgres/connection.ts';
import { lastArrival } from '../store/deliveries/reports.ts';
import { grantStatus } from '../store/grant.ts';
import { keyRefusal } from '../store/measurements.ts';
import { hasRuns } from '../store/runs.ts';
import { lastAgreement } from '../store/watermarks.ts';

/** How long ago the mirror last heard from the portal. */
export type Freshness = 'minutes' | 'hours' | 'day' | 'older' | 'never';

/** Tells nothing of what is mirrored: no name, no number, no time. */
export interface Health {
  /** False while the database does not answer; the rest then says nothing. */
  readonly isThere: boolean;
  readonly freshness: Freshness;
  /** Whether freshness counts from a comparison with the portal; otherwise there is no API, and it counts from a webhook. */
  readonly isCompared: boolean;
  /** Whether somebody who runs the mirror should look. */
  readonly needsLook: boolean;
}

/** Ages in seconds up to which a freshness holds. */
const MINUTES_S = 20 * 60;
const HOURS_S = 6 * 3_600;
const DAY_S = 36 * 3_600;
/** Anybody may ask; the database is asked so often at most. */
const KEPT_MS = 10_000;
const ANSWER_MAX_MS = 3_000;
const AWAY: Health = { isThere: false, freshness: 'never', isCompared: true, needsLook: true };

/** One reading of the health for all who ask, however many. Never throws. */
export function createHealth(sql: Sql): () => Promise<Health> {
  let kept: Health = AWAY;
  let keptUntilMs = 0;
  let reading: Promise<Health> | null = null;
  return async () => {
    if (performance.now() < keptUntilMs) return kept;
    reading ??= withTimeout(readHealth(sql), ANSWER_MAX_MS)
      .catch(() => AWAY)
      .then((health) => {
        kept = health;
        keptUntilMs = performance.now() + KEPT_MS;
        reading = null;
        return health;
      });
    return reading;
  };
}

/** Reads it: the last complete look at the portal, or, without an API, the last webhook. */
async function readHealth(sql: Sql): Promise<Health> {
  const [isCompared, age_s, arrival, grant, refusal] = await Promise.all([
    hasRuns(sql, ['schedule', 'backfill', 'reconcile', 'sweep']),
    lastAgreement(sql),
    lastArrival(sql),
    grantStatus(sql),
    keyRefusal(sql),
  ]);
  const freshness = freshnessOf(isCompared ? age_s : arrival.age_s);
  const isStale = isCompared && (freshness === 'older' || freshness === 'never');
  const needsLook = isStale || arrival.hasFailed || grant?.state === 'refused' || refusal !== null;
  return { isThere: true, freshness, isCompared, needsLook };
}

function freshnessOf(age_s: number | null): Freshness {
  if (age_s === null) return 'never';
  if (age_s < MINUTES_S) return 'minutes';
  if (age_s < HOURS_S) return 'hours';
  return age_s < DAY_S ? 'day' : 'older';
}
