/** Health, metrics and the status page: what others may ask of a running service. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { shared } from './facts.ts';
import { type FindingCode, needsPerson } from './findings.ts';
import { refreshGauges } from './gauges.ts';
import { renderAway, renderPage } from './page.tsx';
import { PAGE_POLICY } from './page-style.ts';
import { type ReportSource, readReport } from './report.ts';

export interface StatusOptions extends ReportSource {
  readonly metrics: Metrics;
  readonly log: Logger;
  /** Asked for on `/status`, `/status.json` and `/metrics` when set. */
  readonly token: string | null;
  /** True once the process has begun to stop: no new work should be sent to it. */
  readonly isStopping: () => boolean;
}

/** What keeps the service from taking webhooks, in words for anybody who can reach the port. */
const BLOCKING: Readonly<Partial<Record<FindingCode, string>>> = {
  database_away: 'the database does not answer',
  schema: 'the database schema does not fit this program; run flowlu-mirror migrate with the newest version',
  not_accepting: 'webhooks cannot be stored',
};
/** A page costs some ten statements; all who look within this time get the same one. */
const REPORT_KEPT_MS = 3_000;

/** The routes; to be mounted at the root. */
export function statusRoutes(options: StatusOptions): Hono {
  const { metrics, log, token, health } = options;
  const app = new Hono();
  const guard = requireToken(token);
  const report = shared(() => readReport(options), REPORT_KEPT_MS);

  app.get('/livez', (context) => context.json({ alive: true }));
  app.get('/readyz', async (context) => {
    if (options.isStopping()) return context.json({ ready: false, problem: 'stopping' }, 503);
    const { findings } = await health();
    const blocking = findings.find(({ code }) => BLOCKING[code] !== undefined);
    if (blocking !== undefined) {
      const problem = blocking.code === 'schema' ? blocking.sentence : BLOCKING[blocking.code];
      return context.json({ ready: false, problem, remedy: blocking.command, since: blocking.since }, 503);
    }
    const degraded = findings.flatMap(({ code, severity }) => (severity === 'note' ? [] : [code]));
    return context.json({ ready: true, ...(degraded.length > 0 && { degraded: [...new Set(degraded)] }) });
  });
  app.get('/metrics', guard, async (context) => {
    await refreshGauges(options, metrics).catch((error) => log.debug({ err: error }, 'gauges could not be refreshed'));
    return context.text(await metrics.registry.metrics(), 200, { 'Content-Type': metrics.registry.contentType });
  });
  app.get('/status.json', guard, (context) =>
    answer(context, options, report, (data) => context.json({ ...data, needs_person: needsPerson(data) })),
  );
  app.get('/status', guard, (context) =>
    answer(context, options, report, (data) =>
      context.html(renderPage(data, context.req.query('q')), 200, PAGE_HEADERS),
    ),
  );
  return app;
}

const PAGE_HEADERS = { 'Content-Security-Policy': PAGE_POLICY };

/** Answers with the report, or says what keeps it from being read. */
async function answer(
  context: Context,
  { log, health }: StatusOptions,
  report: () => ReturnType<typeof readReport>,
  show: (data: NonNullable<Awaited<ReturnType<typeof readReport>>>) => Response | Promise<Response>,
): Promise<Response> {
  const data = await report().catch((error) => {
    log.warn({ err: error }, 'the status could not be read');
    return null;
  });
  if (data !== null) return show(data);
  const { situation: _, ...assessment } = await health();
  context.header('Retry-After', '5');
  if (context.req.path.endsWith('.json')) {
    return context.json({ error: 'the database is away', ...assessment, needs_person: true }, 503);
  }
  return context.html(renderAway(assessment), 503, PAGE_HEADERS);
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
