/** What the status page, `/status.json` and `status` show: the health with its findings, and everything behind them. Reads only. */
import { version } from '../core/version.ts';
import type { SecretUse } from '../intake/secret-use.ts';
import type { Sql } from '../postgres/connection.ts';
import {
  type Arrivals,
  arrivalsOfTheDay,
  type DeliveryCounts,
  deliveriesByModel,
  deliveryCounts,
  type FailedDelivery,
  lastFailures,
} from '../store/deliveries/reports.ts';
import { type GrantStatus, grantStatus } from '../store/grant.ts';
import { type FirstReading, progressOf, type RunProgress, unreadModels } from '../store/listings.ts';
import { allMeasurements, type Measurement } from '../store/measurements.ts';
import { lastRuns, lastStart, type RunSummary, requestsOfTheDay } from '../store/runs.ts';
import { readSettings } from '../store/settings.ts';
import { type ModelStatus, modelStatuses } from '../store/watermarks.ts';

import type { Expectations, Health } from './facts.ts';
import type { Assessment } from './findings.ts';

export interface ReportedModel extends ModelStatus {
  /** Webhooks about it in the last day. */
  readonly deliveries_of_the_day: number;
  /** Why it could not be read, or not in full, the last time. */
  readonly unread: string | null;
}

export interface StatusReport extends Assessment {
  readonly version: string;
  /** By the database's clock. */
  readonly generated_at: string;
  /** Host of the portal; null before its first request. */
  readonly portal: string | null;
  /** The database, without a password. */
  readonly database: string;
  readonly deliveries: DeliveryCounts;
  readonly doubtful_rows: number;
  /** What the portal has granted by OAuth; null where nobody has logged in, as with an API key. */
  readonly oauth: GrantStatus | null;
  readonly webhook_secrets: readonly SecretUse[];
  readonly first_reading: FirstReading | null;
  /** What the portal has been found to do. */
  readonly portal_facts: readonly Measurement[];
  readonly failed_deliveries: readonly FailedDelivery[];
  readonly runs: readonly RunSummary[];
  /** How far the newest run has come; null when none is under way. */
  readonly running: RunProgress | null;
  /** When the next comparison and the next sweep begin; null where they are off. */
  readonly next: { readonly reconcile: string | null; readonly sweep: string | null };
  readonly models: readonly ReportedModel[];
  /** The last day by quarters of an hour. */
  readonly day: readonly (Arrivals & { readonly requests: number })[];
  /** Requests that a quarter of an hour may have; 0 for no limit. */
  readonly requests_per_quarter: number;
}

export interface ReportSource {
  readonly sql: Sql;
  readonly expected: Expectations;
  readonly health: () => Promise<Health>;
  /** Without a password. */
  readonly database: string;
  readonly requestsPerSecond: number;
  /** When each webhook secret was last handed in. */
  readonly readSecretUse: () => Promise<readonly SecretUse[]>;
}

/** Deliveries and runs shown at most. */
const LISTED = 20;
const QUARTER_S = 900;

/** Reads the state of the mirror; null where there is none to read. One statement after another: a look costs one connection. */
export async function readReport(source: ReportSource): Promise<StatusReport | null> {
  const { sql, expected, database, requestsPerSecond, readSecretUse } = source;
  const { situation, ...assessment } = await source.health();
  if (situation.kind !== 'there') return null;
  const { facts } = situation;
  const webhooks = await deliveriesByModel(sql);
  const unread = new Map((await unreadModels(sql)).map(({ model, reason }) => [model, reason ?? 'not read in full']));
  const [arrivals, requests] = [await arrivalsOfTheDay(sql), await requestsOfTheDay(sql)];
  const runs = await lastRuns(sql, LISTED);
  const running = runs.find(({ status }) => status === 'running');
  return {
    ...assessment,
    version,
    generated_at: facts.now,
    portal: (await readSettings(sql, 'portal')).portal ?? null,
    database,
    deliveries: await deliveryCounts(sql),
    doubtful_rows: facts.doubts.total,
    oauth: await grantStatus(sql),
    webhook_secrets: await readSecretUse(),
    first_reading: facts.firstReading,
    portal_facts: await allMeasurements(sql),
    failed_deliveries: await lastFailures(sql, LISTED),
    runs,
    running: running === undefined ? null : await progressOf(sql, running.id),
    next: {
      reconcile: following(await lastStart(sql, 'reconcile'), expected.compareEvery_s),
      sweep: following(await lastStart(sql, 'sweep'), expected.sweepEvery_s),
    },
    models: (await modelStatuses(sql)).map((model) => ({
      ...model,
      deliveries_of_the_day: webhooks.get(model.model) ?? 0,
      unread: unread.get(model.model) ?? null,
    })),
    day: joined(arrivals, requests),
    requests_per_quarter: requestsPerSecond * QUARTER_S,
  };
}

function following(last: string | null, every_s: number): string | null {
  return last === null || every_s === 0 ? null : new Date(Date.parse(last) + every_s * 1_000).toISOString();
}

function joined(
  arrivals: readonly Arrivals[],
  requests: readonly { at: string; requests: number }[],
): StatusReport['day'] {
  const quarters = new Map(arrivals.map((quarter) => [quarter.at, { ...quarter, requests: 0 }]));
  for (const { at, requests: number } of requests) {
    quarters.set(at, { ...(quarters.get(at) ?? { at, deliveries: 0, lag_s: null }), requests: number });
  }
  return [...quarters.values()].toSorted((a, b) => a.at.localeCompare(b.at));
}
