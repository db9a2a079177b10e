/** Health, metrics and the status page: what others may ask of a running service. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { TimeoutError } from '../core/wait.ts';
import type { RecordHealth } from '../intake/record-health.ts';
import type { SecretUse } from '../intake/secret-use.ts';
import { schemaState } from '../migrate/migrate.ts';
import type { SchemaState } from '../migrate/migrations.ts';
import { causeOf } from '../postgres/causes.ts';
import type { Sql } from '../postgres/connection.ts';
import { countPending } from '../store/deliveries/reports.ts';
import { countDoubts } from '../store/doubts.ts';
import { keyRefusal } from '../store/measurements.ts';
import { tryWrite } from '../store/try-write.ts';
import { renderPage } from './page.ts';
import { LockedError, readStatus } from './report.ts';
import { shared } from './shared.ts';
import { refusalWords } from './words.ts';

export interface StatusOptions {
  readonly sql: Sql;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly version: string;
  /** Asked for on `/status`, `/status.json` and `/metrics` when set. */
  readonly token: string | null;
  /** When each webhook secret was last handed in. */
  readonly readSecretUse: () => Promise<readonly SecretUse[]>;
  /** How recording deliveries goes. */
  readonly recording: RecordHealth;
  /** True once the process has begun to stop: no new work should be sent to it. */
  readonly isStopping: () => boolean;
}

/** Longest wait for the database before a health check says no. */
const READY_TIMEOUT_MS = 3_000;
/** The same for a page. */
const STATUS_TIMEOUT_MS = 8_000;
/** What keeps the service from working on a schema, and what helps. */
const SCHEMA_PROBLEMS: Readonly<Record<SchemaState, string | null>> = {
  current: null,
  empty: 'the database has no schema; run flowlu-mirror migrate',
  behind: 'the database schema is behind; run flowlu-mirror migrate',
  newer: 'the database schema is newer than this program; run the newer version of flowlu-mirror',
};
/** The page's style stands in the page itself; all else is left out by the policy of every answer. */
const PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/** The routes; to be mounted at the root. */
export function statusRoutes(options: StatusOptions): Hono {
  const { sql, metrics, log, token } = options;
  const app = new Hono();
  const guard = requireToken(token);

  const isReady = shared(() => readiness(options), READY_TIMEOUT_MS);
  const gauges = shared(() => refreshGauges(sql, metrics), READY_TIMEOUT_MS);
  const status = shared(() => statusData(options), STATUS_TIMEOUT_MS);

  app.get('/livez', (context) =>
    options.recording.isStuck()
      ? context.json({ alive: false, problem: 'a batch of deliveries hangs; restart this process' }, 503)
      : context.json({ alive: true }),
  );
  app.get('/readyz', async (context) => {
    const problem = options.isStopping() ? { problem: 'stopping' } : await isReady().catch(problemOf);
    const last_recorded_at = options.recording.lastSuccessAt();
    if (problem !== null) return context.json({ ready: false, ...problem, last_recorded_at }, 503);
    const refusal = await keyRefusal(sql).catch(() => null);
    return context.json({
      ready: true,
      last_recorded_at,
      ...(refusal !== null && { degraded: refusalWords(refusal) }),
    });
  });
  app.get('/metrics', guard, async (context) => {
    await gauges().catch((error) => log.debug({ err: error }, 'gauges could not be refreshed'));
    return context.text(await metrics.registry.metrics(), 200, { 'Content-Type': metrics.registry.contentType });
  });
  app.get('/status.json', guard, (context) => answer(context, log, async () => context.json(await status())));
  app.get('/status', guard, (context) =>
    answer(context, log, async () =>
      context.html(renderPage(await status()), 200, { 'Content-Security-Policy': PAGE_POLICY }),
    ),
  );
  return app;
}

async function statusData({ sql, version, readSecretUse }: StatusOptions) {
  const [report, webhook_secrets] = await Promise.all([readStatus(sql), readSecretUse()]);
  return { version, generated_at: new Date().toISOString(), ...report, webhook_secrets };
}

async function answer(context: Context, log: Logger, work: () => Promise<Response>): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    log.warn({ err: error }, 'the status could not be read');
    context.header('Retry-After', '5');
    const text = error instanceof LockedError ? error.message : problemOf(error).problem;
    return context.json({ error: text }, 503);
  }
}

interface Problem {
  readonly problem: string;
  readonly remedy?: string;
  readonly since?: string;
}

/** What keeps this process from recording deliveries; null where nothing does. */
async function readiness({ sql, recording }: StatusOptions): Promise<Problem | null> {
  try {
    const problem = SCHEMA_PROBLEMS[await schemaState(sql)];
    if (problem !== null) return { problem };
    const trouble = recording.trouble();
    if (trouble === null) return null;
    // Without traffic nobody else would notice that it is over.
    const error = await tryWrite(sql).then(
      () => null,
      (reason: unknown) => reason,
    );
    if (error !== null) return { ...problemOf(error), since: trouble.since };
    recording.succeeded();
    return null;
  } catch (error) {
    return problemOf(error);
  }
}

function problemOf(error: unknown): Problem {
  if (error instanceof TimeoutError) return { problem: 'the database does not answer' };
  const { cause, remedy } = causeOf(error);
  return { problem: cause, remedy };
}

async function refreshGauges(sql: Sql, metrics: Metrics): Promise<void> {
  const [pending, doubtful] = await Promise.all([countPending(sql), countDoubts(sql)]);
  metrics.ledgerBacklog.set(pending);
  metrics.doubtfulRows.set(doubtful);
}

function requireToken(token: string | null): MiddlewareHandler {
  const expected = token === null ? null : digest(token);
  return async (context, next) => {
    if (expected !== null && !timingSafeEqual(digest(givenToken(context.req.header('authorization'))), expected)) {
      context.header('WWW-Authenticate', 'Basic realm="flowlu-mirror", charset="UTF-8"');
      return context.json({ error: 'a token is required' }, 401);
    }
    return next();
  };
}

/** The token of a Bearer header, or the password of a Basic one. */
function givenToken(header: string | undefined): string {
  const [scheme = '', value = ''] = (header ?? '').split(' ', 2);
  if (/^bearer$/i.test(scheme)) return value;
  if (!/^basic$/i.test(scheme)) return '';
  return Buffer.from(value, 'base64')
    .toString('utf8')
    .replace(/^[^:]*:/, '');
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
