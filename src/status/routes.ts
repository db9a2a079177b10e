/** Health, metrics and the status page: what others may ask of a running service. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { TimeoutError, withTimeout } from '../core/wait.ts';
import type { SecretUse } from '../intake/secret-use.ts';
import { schemaState } from '../migrate/migrate.ts';
import type { SchemaState } from '../migrate/migrations.ts';
import type { Sql } from '../postgres/connection.ts';
import { countPending } from '../store/deliveries/reports.ts';
import { countDoubts } from '../store/doubts.ts';
import { renderPage } from './page.ts';
import { readStatus } from './report.ts';

export interface StatusOptions {
  readonly sql: Sql;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly version: string;
  /** Asked for on `/status`, `/status.json` and `/metrics` when set. */
  readonly token: string | null;
  /** When each webhook secret was last handed in. */
  readonly readSecretUse: () => Promise<readonly SecretUse[]>;
  /** True once the process has begun to stop: no new work should be sent to it. */
  readonly isStopping: () => boolean;
}

/** Longest wait for the database before a health check says no. */
const READY_TIMEOUT_MS = 3_000;
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

  app.get('/livez', (context) => context.json({ alive: true }));
  app.get('/readyz', async (context) => {
    const problem = options.isStopping() ? 'stopping' : await readiness(sql);
    return problem === null ? context.json({ ready: true }) : context.json({ ready: false, problem }, 503);
  });
  app.get('/metrics', guard, async (context) => {
    await refreshGauges(sql, metrics).catch((error) => log.debug({ err: error }, 'gauges could not be refreshed'));
    return context.text(await metrics.registry.metrics(), 200, { 'Content-Type': metrics.registry.contentType });
  });
  app.get('/status.json', guard, (context) =>
    answer(context, log, async () => context.json(await statusData(options))),
  );
  app.get('/status', guard, (context) =>
    answer(context, log, async () =>
      context.html(renderPage(await statusData(options)), 200, { 'Content-Security-Policy': PAGE_POLICY }),
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
    return context.json({ error: 'the database is away' }, 503);
  }
}

async function readiness(sql: Sql): Promise<string | null> {
  try {
    return SCHEMA_PROBLEMS[await withTimeout(schemaState(sql), READY_TIMEOUT_MS)];
  } catch (error) {
    return error instanceof TimeoutError ? 'the database does not answer' : 'the database is away';
  }
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
