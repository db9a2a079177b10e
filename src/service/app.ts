/** What `serve` answers over HTTP: intake, health, metrics and status under one roof. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import { weightOf } from '../core/json.ts';
import { onceIn, withTimeout } from '../core/time.ts';
import { traced } from '../core/tracing.ts';
import type { Accepted } from '../delivery/delivery.ts';
import { createBatcher } from '../intake/batcher.ts';
import { createIntake } from '../intake/listener.ts';
import { createRecordHealth, type RecordHealth } from '../intake/record-health.ts';
import { createSecretUse } from '../intake/secret-use.ts';
import { membershipOf, sourceOf } from '../intake/sources.ts';
import { isUnbelieved } from '../merge/deliveries.ts';
import { receive } from '../merge/receive.ts';
import { completeLogin, type LoginAnswer } from '../oauth/login.ts';
import { CALLBACK_PATH, callbackRoutes } from '../oauth/route.ts';
import { appRoutes } from '../status/app-routes.ts';
import type { Expectations } from '../status/facts.ts';
import { createHealth } from '../status/health.ts';
import type { ReportSource } from '../status/report.ts';
import { statusRoutes } from '../status/routes.ts';
import type { LedgerEntry } from '../store/deliveries/ledger.ts';
import { PORTAL } from '../store/measurements.ts';
import { loginDepsOf } from './authorization.ts';
import { mirroredModels, type Session } from './session.ts';
import { metricsOf } from './workers.ts';

/** How long a batch may keep its lane. Should it end after all, its senders come again with what is there already. */
const LANE_MAX_MS = 30_000;
/** Shorter than what senders are known to wait. */
const COMMIT_TIMEOUT_MS = 8_000;

const COUNTED_EVERY_MS = 1_000;

export type ServiceApp = ReturnType<typeof createApp>;

export function createApp(
  session: Session,
  events: {
    readonly onPending: () => void;
    readonly onHint?: () => void;
    readonly isStopping: () => boolean;
    readonly onRecorded?: ((entry: LedgerEntry) => void) | undefined;
  },
) {
  const { config, log, metrics, sql, context } = session;
  const health = createRecordHealth();
  const batcher = createBatcher<Accepted>({
    sourceOf: ({ announcement }) => (announcement === null ? '' : `${announcement.module}.${announcement.model}`),
    weightOf: ({ body, announcement }) =>
      body.length + weightOf(announcement?.current ?? null) + weightOf(announcement?.previous ?? null),
    keyOf: ({ announcement }) =>
      announcement === null ? '' : `${announcement.module}.${announcement.model}:${announcement.entityId}`,
    onBatch: (size, queued) => {
      metrics.intakeBatchSize.observe(size);
      metrics.intakeQueueLength.set(queued);
    },
    flush: async (batch) => {
      const done = metrics.applyDuration.startTimer();
      const receiver = {
        sql,
        context,
        log,
        onRecorded: (entry: LedgerEntry) => {
          const { decision, status, subject } = entry;
          events.onRecorded?.(entry);
          metrics.deliveriesApplied.inc({ decision: decision ?? status });
          if (subject !== null && isUnbelieved(subject, context)) events.onHint?.();
        },
        onPending: events.onPending,
      };
      return await withTimeout(
        health
          .watch(() => traced('webhooks', { 'flowlu.deliveries': batch.length }, () => receive(batch, receiver)))
          .finally(() => {
            done();
            session.naps.stir();
          }),
        LANE_MAX_MS,
      );
    },
  });

  const noteSecretUse = async () => void (await Promise.all([secretUse.note(sql), session.tally.flush()]));
  // At once, so that the first webhook shows as soon as somebody looks; what fails is noted again by the loop.
  const secretUse = createSecretUse(config.webhook.secrets, () => void noteSecretUse().catch(() => {}));
  const isFlushed = onceIn(COUNTED_EVERY_MS);
  const intake = createIntake({
    gate: {
      secrets: config.webhook.secrets,
      allowFrom: config.webhook.allowFrom,
      trustedProxies: config.http.trustedProxies,
      onForeign: ({ source, isForwarded }) =>
        log.warn(
          { source, forwarded: isForwarded },
          'a webhook was refused by WEBHOOK_ALLOW_FROM; if a proxy is in front, TRUSTED_PROXIES has to name it',
        ),
      onGuessing: (source) => log.warn({ source }, 'too many wrong webhook secrets from one source'),
      onRight: secretUse.mark,
    },
    bodyLimitBytes: config.webhook.bodyLimitBytes,
    privacy: session.privacy,
    timeoutMs: COMMIT_TIMEOUT_MS,
    record: (accepted) => batcher.add(accepted),
    log,
    onAnswer: ({ outcome, route, status, seconds, refused }) => {
      if (refused !== null) session.tally.add(`${PORTAL} refused:${refused}`);
      // At once, so that who looks sees why nothing arrives; what strangers send wakes no database that sleeps.
      if (refused !== null && !session.naps.isAsleep() && isFlushed()) void session.tally.flush().catch(() => {});
      metrics.deliveriesReceived.inc({ status: outcome });
      metrics.httpRequestDuration.observe({ route, status: String(status) }, seconds);
    },
  });
  const source = reportSource(session, () => secretUse.read(sql), health);
  const pages = getRequestListener(createPages(session, source, events.isStopping).fetch, {
    overrideGlobalObjects: false,
    // Health checks of load balancers speak HTTP/1.0 and name no host.
    hostname: 'localhost',
  });
  const isFlood = createFloodGate();
  return {
    listener: ((request, response) => {
      // What was sent through a connection that is closed already is still read from what had arrived.
      if (request.socket.destroyed) return;
      // A target may repeat the origin (RFC 9112, section 3.2.2).
      request.url = request.url?.replace(/^https?:\/\/[^/?#]*\/?/i, '/');
      if (!intake(request, response) && !isFlood(request, response)) void pages(request, response);
    }) satisfies RequestListener,
    /** Resolves when every accepted delivery has been answered. */
    idle: batcher.idle,
    /** Notes in the database which webhook secrets were handed in, and what was counted, since the last time. */
    noteSecretUse,
  };
}

/** Everything but the intake. */
function createPages(session: Session, source: ReportSource, isStopping: () => boolean): Hono {
  const { config, log, metrics, sql } = session;
  const app = new Hono();
  app.use(async (context, next) => {
    const started = performance.now();
    await next();
    const labels = { route: routePath(context, -1), status: String(context.res.status) };
    metrics.httpRequestDuration.observe(labels, (performance.now() - started) / 1_000);
  });
  // Who looks wants to see how things are; health checks and metrics come without end, and are told what was last known.
  app.on('GET', ['/status', '/status.json', '/app'], (_context, next) => {
    session.naps.stir();
    return next();
  });
  app.use(securityHeaders(config.http.tls !== null));
  const token = config.http.statusToken;
  const isTrusted = membershipOf(config.http.trustedProxies);
  const sourceIn = (context: Context<{ Bindings: Partial<HttpBindings> }>) =>
    sourceOf(context.env.incoming?.socket.remoteAddress, context.req.header('x-forwarded-for'), isTrusted);
  const metricsText = metricsOf(metrics);
  app.route('/', statusRoutes({ ...source, metrics, metricsText, log, token, isStopping, sourceIn }));
  const { oauth, baseUrl } = config.flowlu;
  // Who may show the app's page in a frame: the portal, unless the settings name others.
  const frameAncestors = config.app.frameAncestors ?? (baseUrl === null ? [] : [new URL(baseUrl).origin]);
  app.route('/', appRoutes({ health: source.health, frameAncestors }));
  if (oauth !== null) {
    const login = loginDepsOf(oauth, sql);
    const complete = (answer: LoginAnswer) => completeLogin(login, answer);
    app.route('/', callbackRoutes(CALLBACK_PATH, complete, log));
  }
  app.get('/', (context) => context.redirect('/status'));
  app.notFound((context) => context.json({ error: 'nothing here' }, 404));
  app.onError((error, context) => {
    log.error({ err: error }, 'a request failed');
    return context.json({ error: 'internal error' }, 500);
  });
  return app;
}

/** What the settings lead one to expect of the mirror. */
export function expectationsOf(
  { config, otherZone, naps }: Pick<Session, 'config'> & Partial<Pick<Session, 'otherZone' | 'naps'>>,
  recording: RecordHealth | null = null,
): Expectations {
  const { apiKey, oauth, baseUrl } = config.flowlu;
  const { intervalMs } = config.reconcile;
  return {
    hasApi: baseUrl !== null && (apiKey ?? oauth) !== null,
    oauthClient: oauth?.clientId ?? null,
    compareEvery_s: intervalMs === 0 ? 0 : Math.max(intervalMs, config.database.sleepMs) / 1_000,
    models: mirroredModels(config).map(({ name }) => name),
    otherZone: otherZone ?? null,
    recording,
    sleep_s: config.database.sleepMs / 1_000,
    isAsleep: () => naps?.isAsleep() === true,
  };
}

export function reportSource(
  session: Session,
  readSecretUse: ReportSource['readSecretUse'],
  recording: RecordHealth | null = null,
): ReportSource {
  const { config, sql, database } = session;
  const expected = expectationsOf(session, recording);
  return {
    sql,
    expected,
    health: createHealth(sql, expected),
    database: database.displayUrl,
    requestsPerSecond: config.flowlu.requestsPerSecond,
    readSecretUse,
  };
}

/** What every answer to a browser carries, so that none is guessed at, kept, framed or told to others. */
const HEADERS = {
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
} as const;
/** A year, as browsers expect it; only over HTTPS of our own, since a proxy in front has a policy of its own. */
const STRICT_TRANSPORT = 'max-age=31536000';

/** Sets the headers before the route, which may replace one by its own. */
function securityHeaders(isHttps: boolean): MiddlewareHandler {
  return async (context, next) => {
    for (const [name, value] of Object.entries(HEADERS)) context.header(name, value);
    if (isHttps) context.header('Strict-Transport-Security', STRICT_TRANSPORT);
    await next();
  };
}

/** Requests of a second; one person, a monitoring system and a load balancer together make a handful. */
const MAX_A_SECOND = 100;
const HEALTH = /^\/(?:livez|readyz)(?:\?|$)/;

/**
 * Requests that need no secret cost a bounded amount a second. Beyond that they are refused before anything is done for
 * them, and their connections close, with whatever else was sent through them; health checks are answered all the same.
 * @returns true for requests that it has refused, or that come on a connection about to close.
 */
function createFloodGate() {
  let second = { since: performance.now(), requests: 0 };
  const closing = new WeakSet<Socket>();
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    if (closing.has(request.socket)) return true;
    if (performance.now() - second.since >= 1_000) second = { since: performance.now(), requests: 0 };
    second.requests += 1;
    if (second.requests <= MAX_A_SECOND) return false;
    closing.add(request.socket);
    response.shouldKeepAlive = false;
    if (HEALTH.test(request.url ?? '')) return false;
    response.writeHead(503, { 'Retry-After': '1', 'Content-Length': '0' }).end();
    return true;
  };
}
