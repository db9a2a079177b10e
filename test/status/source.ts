import type { Sql } from '../../src/postgres/connection.ts';
import type { Expectations } from '../../src/status/facts.ts';
import { createHealth } from '../../src/status/health.ts';
import type { ReportSource } from '../../src/status/report.ts';

/** What the status is read from, as the service puts it together; a new one each time, since readings are kept for some seconds. */
export function sourceOf(sql: Sql, given: Partial<Expectations> = {}): ReportSource {
  const expected = {
    hasApi: true,
    oauthClient: null,
    compareEvery_s: 300,
    models: ['crm.account', 'crm.lead'],
    otherZone: null,
    recording: null,
    sleep_s: 0,
    isAsleep: () => false,
    ...given,
  };
  return {
    sql,
    expected,
    health: createHealth(sql, expected),
    database: 'postgres://mirror@db.internal/flowlu',
    requestsPerSecond: 1,
    readSecretUse: async () => [{ position: 1, last_used_at: null }],
  };
}
