/** The content of the status page, `/status.json` and `status`: the health and everything behind it. Reads only. */
import { version } from '../core/version.ts';
import type { SecretUse } from '../intake/secret-use.ts';
import type { Queryable, Sql } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import {
  type Arrivals,
  arrivalsOfTheDay,
  type DeliveryCounts,
  deliveryCounts,
  type FailedDelivery,
  lastFailures,
  lastHeaders,
} from '../store/deliveries/reports.ts';
import { type GrantStatus, grantStatus } from '../store/grant.ts';
import { absentModels, progressOf, type RunProgress, unreadModels } from '../store/listings.ts';
import { allMeasurements, type Measurement } from '../store/measurements.ts';
import { lastRuns, type RunSummary, requestsOfTheDay } from '../store/runs.ts';
import { readSettings } from '../store/settings.ts';
import { type ModelStatus, modelStatuses } from '../store/watermarks.ts';

import { type Coverage, type ForeignName, foreignNames, readCoverage } from './coverage.ts';
import type { Expectations, Facts, ReportedReading } from './facts.ts';
import { type Assessment, headed } from './findings.ts';
import type { Health } from './health.ts';
import { obstaclesOf } from './obstacles.ts';

export interface ReportedModel extends ModelStatus {
  /** How well webhooks announce its changes; null if unknown. */
  readonly coverage: Coverage | null;
  /** Why the last reading failed or was incomplete. */
  readonly unread: string | null;
  /** Whether the portal lacks it. */
  readonly absent: boolean;
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
  /** How long `serve` leaves the database alone when nothing comes in; 0 if it never does. */
  readonly database_sleep_seconds: number;
  /** The OAuth grant; null if nobody has logged in, as with an API key. */
  readonly oauth: GrantStatus | null;
  readonly webhook_secrets: readonly SecretUse[];
  readonly first_reading: ReportedReading | null;
  readonly portal_facts: readonly Measurement[];
  readonly webhooks: readonly Coverage[];
  readonly webhook_headers: Readonly<Record<string, string>>;
  /** Model names that only webhooks use. */
  readonly foreign_names: readonly ForeignName[];
  readonly failed_deliveries: readonly FailedDelivery[];
  readonly runs: readonly RunSummary[];
  /** Progress of the newest run; null if none is running. */
  readonly running: RunProgress | null;
  readonly models: readonly ReportedModel[];
  /** The last day by quarters of an hour. */
  readonly day: readonly (Arrivals & { readonly requests: number })[];
  /** Requests allowed in a quarter of an hour; 0 for no limit. */
  readonly requests_per_quarter: number;
}

export interface ReportSource {
  readonly sql: Sql;
  readonly expected: Expectations;
  readonly health: () => Promise<Health>;
  /** Without a password. */
  readonly database: string;
  readonly requestsPerSecond: number;
  readonly readSecretUse: () => Promise<readonly SecretUse[]>;
}

/** Maximum number of deliveries, and of runs, shown. */
const LISTED = 20;
const QUARTER_S = 900;

const LIMITS = { byKey: false, readOnly: true, statementTimeoutMs: 5_000, lockTimeoutMs: 2_000 };

/** Reads the state of the mirror within limits, over one connection; null if the health says why there is none. */
export async function readReport(source: ReportSource): Promise<StatusReport | null> {
  const health = await source.health();
  const { situation } = health;
  if (situation.kind !== 'there') return null;
  const webhook_secrets = await source.readSecretUse();
  return await transact(source.sql, (tx) => read(tx, source, health, situation.facts, webhook_secrets), LIMITS);
}

/** What to say in place of a report. @param error why it could not be read */
export async function withoutReport({ sql, health }: ReportSource, error: Error | null): Promise<Assessment> {
  const { situation, findings } = await health();
  if (error === null || situation.kind !== 'there') return headed(findings);
  const found = await obstaclesOf(sql, error, { isThere: Promise.resolve(true) });
  return headed([...found, ...findings.filter(({ code }) => found.every((one) => one.code !== code))]);
}

async function read(
  sql: Queryable,
  { database, requestsPerSecond, expected }: ReportSource,
  { situation: _, ...assessment }: Health,
  facts: Facts,
  webhook_secrets: readonly SecretUse[],
): Promise<StatusReport> {
  const webhooks = await readCoverage(sql);
  const coverage = new Map(webhooks.map((one) => [one.model, one]));
  const unread = new Map((await unreadModels(sql)).map(({ model, reason }) => [model, reason ?? 'not read in full']));
  const absent = await absentModels(sql);
  // Models that the settings exclude matter only if they have rows.
  const wanted = new Set(expected.models);
  const statuses = (await modelStatuses(sql)).filter(
    ({ model, rows, deleted_rows }) => wanted.has(model) || rows + deleted_rows > 0,
  );
  const [arrivals, requests] = [await arrivalsOfTheDay(sql), await requestsOfTheDay(sql)];
  const runs = await lastRuns(sql, LISTED);
  const current = runs.filter(({ status }) => status === 'running').map(({ id }) => id);
  const running = current.length === 0 ? null : await progressOf(sql, current);
  return {
    ...assessment,
    version,
    generated_at: facts.now,
    portal: (await readSettings(sql, 'portal')).portal ?? null,
    database,
    deliveries: await deliveryCounts(sql),
    doubtful_rows: facts.doubts.total,
    database_sleep_seconds: expected.sleep_s,
    oauth: await grantStatus(sql),
    webhook_secrets,
    first_reading: facts.firstReading,
    portal_facts: await allMeasurements(sql),
    webhooks,
    webhook_headers: await lastHeaders(sql),
    foreign_names: await foreignNames(sql),
    failed_deliveries: await lastFailures(sql, LISTED),
    runs,
    running,
    models: statuses.map((model) => ({
      ...model,
      coverage: coverage.get(model.model) ?? null,
      unread: unread.get(model.model) ?? null,
      absent: absent.has(model.model),
    })),
    day: joined(arrivals, running === null ? requests : [...requests, { at: facts.now, requests: running.requests }]),
    requests_per_quarter: requestsPerSecond * QUARTER_S,
  };
}

function joined(
  arrivals: readonly Arrivals[],
  requests: readonly { at: string; requests: number }[],
): StatusReport['day'] {
  const startOf = (at: string) => Math.floor(Date.parse(at) / (QUARTER_S * 1_000));
  const quarters = new Map(arrivals.map((quarter) => [startOf(quarter.at), { ...quarter, requests: 0 }]));
  for (const { at, requests: number } of requests) {
    const quarter = quarters.get(startOf(at)) ?? { at, deliveries: 0, lag_s: null, requests: 0 };
    quarters.set(startOf(at), { ...quarter, requests: quarter.requests + number });
  }
  return [...quarters].toSorted(([a], [b]) => a - b).map(([, quarter]) => quarter);
}
