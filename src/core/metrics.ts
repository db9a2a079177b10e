/**
 * All Prometheus instruments of the process.
 *
 * Label values come from small fixed sets: models of the catalogue (all others count as `uncatalogued`), route
 * patterns, outcomes. They are never an id, an address or a secret.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export type Metrics = ReturnType<typeof createMetrics>;

const PREFIX = 'flowlu_mirror_';

/** Seconds. */
const DURATIONS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** Deliveries per commit. */
const BATCHES = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000];

/** The usual 10 ms would use more CPU than everything else that an idle service does. */
const LOOP_WATCHED_EVERY_MS = 100;

/**
 * Creates the instruments on their own registries, so that a process can hold several sets. `counted` holds what each
 * process counts, which adds up over the processes of one port; `state` holds what is read from the database or is the
 * same for all.
 */
export function createMetrics() {
  const [counted, state] = [new Registry(), new Registry()];
  collectDefaultMetrics({ register: counted, eventLoopMonitoringPrecision: LOOP_WATCHED_EVERY_MS });

  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter({ name: PREFIX + name, help, labelNames, registers: [counted] });
  const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Gauge({ name: PREFIX + name, help, labelNames, registers: [state] });
  const histogram = <L extends string>(name: string, help: string, buckets: number[], ...labelNames: L[]) =>
    new Histogram({ name: PREFIX + name, help, buckets, labelNames, registers: [counted] });

  return {
    counted,
    state,

    deliveriesReceived: counter('deliveries_received_total', 'Webhooks received, by HTTP status answered', 'status'),
    intakeBatchSize: histogram('intake_batch_size', 'Deliveries committed to the ledger together', BATCHES),
    intakeQueueLength: new Gauge({
      name: `${PREFIX}intake_queue_length`,
      help: 'Deliveries received that wait for their commit',
      registers: [counted],
    }),

    deliveriesApplied: counter('deliveries_applied_total', 'Deliveries decided, by decision', 'decision'),
    applyDuration: histogram('apply_duration_seconds', 'Time to apply one batch of deliveries', DURATIONS),
    lastDelivery: gauge(
      'last_delivery_timestamp_seconds',
      'When the last webhook arrived at any replica, as Unix time',
    ),
    failedDeliveries: gauge('failed_deliveries', 'Deliveries that could not be applied and were set aside'),
    ledgerBacklog: gauge('ledger_backlog', 'Deliveries in the ledger that are not applied yet'),
    doubtfulRows: gauge('doubtful_rows', 'Rows that wait for the API to decide'),

    apiRequests: counter('api_requests_total', 'Requests to Flowlu, by method and outcome', 'method', 'outcome'),
    apiRequestDuration: histogram('api_request_duration_seconds', 'Time of one request to Flowlu', DURATIONS),
    apiRetries: counter('api_retries_total', 'Requests to Flowlu that were repeated'),
    keyRefused: gauge('api_key_refused', '1 while Flowlu refuses the API key'),
    oauthRefreshes: counter('oauth_refreshes_total', 'Refreshes of the access token, by outcome', 'outcome'),

    requestBudget: gauge(
      'request_budget_per_second',
      'Requests a second that all processes together may make; 0 for no limit',
    ),

    findings: gauge(
      'findings',
      'What is found to be wrong or worth knowing, as on the status page',
      'code',
      'severity',
    ),
    firstReading: gauge('first_reading', '1 while the models are read for the first time'),
    databaseUp: gauge('database_up', '1 while the database answers'),
    databaseClock: gauge('database_clock_timestamp_seconds', "The database's clock, as Unix time"),
    databaseConnections: gauge('database_connections', 'Connections of all replicas of the service, by state', 'state'),

    rowsUncoercible: counter('rows_uncoercible_total', 'Rows with a value that does not fit its column', 'model'),

    reconcileLastSuccess: gauge(
      'reconcile_last_success_timestamp_seconds',
      'When the model was last reconciled, as Unix time',
      'model',
    ),
    driftRows: counter(
      'drift_rows_total',
      'Rows that the API showed to have changed and no webhook had announced',
      'model',
    ),
    sweepRows: counter('sweep_rows_total', 'Rows compared by sweeps, by outcome', 'outcome'),

    tlsCertificateExpiry: gauge(
      'tls_certificate_expiry_timestamp_seconds',
      'When the certificate in use expires, as Unix time; 0 without HTTPS',
    ),

    httpRequestDuration: histogram(
      'http_request_duration_seconds',
      'Time to answer an HTTP request, by route pattern and status',
      DURATIONS,
      'route',
      'status',
    ),

    /** The registries `counted` and `state` together. */
    registry: Registry.merge([counted, state]),
  };
}
