/** The state of the database for `/metrics`, read on request so that it is correct across restarts and replicas. */
import { findModel } from '../catalog/index.ts';
import type { Metrics } from '../core/metrics.ts';
import { serviceConnections } from '../migrate/health.ts';
import { lastReconciled } from '../store/watermarks.ts';
import type { ReportSource } from './report.ts';

/** Sets the gauges of a state. Values that cannot be read are omitted instead of shown as before. */
export async function refreshGauges({ sql, health, requestsPerSecond }: ReportSource, metrics: Metrics): Promise<void> {
  metrics.requestBudget.set(requestsPerSecond);
  const { findings, situation } = await health();
  metrics.findings.reset();
  for (const { code, severity } of findings) metrics.findings.inc({ code, severity });
  metrics.databaseUp.set(findings.some(({ code }) => code === 'database_away') ? 0 : 1);
  metrics.reconcileLastSuccess.reset();
  metrics.databaseConnections.reset();
  if (situation.kind !== 'there') return;
  const { deliveries, doubts, now, firstReading, refusal } = situation.facts;
  metrics.keyRefused.set(refusal === null ? 0 : 1);
  metrics.ledgerBacklog.set(deliveries.pending);
  metrics.failedDeliveries.set(deliveries.failed);
  metrics.doubtfulRows.set(doubts.total);
  metrics.firstReading.set(firstReading?.goesOn === true ? 1 : 0);
  if (deliveries.last_received_at !== null) metrics.lastDelivery.set(Date.parse(deliveries.last_received_at) / 1_000);
  metrics.databaseClock.set(Date.parse(now) / 1_000);
  for (const [model, at] of await lastReconciled(sql)) {
    if (findModel(model) !== undefined) metrics.reconcileLastSuccess.set({ model }, at);
  }
  for (const [state, connections] of await serviceConnections(sql))
    metrics.databaseConnections.set({ state }, connections);
}
