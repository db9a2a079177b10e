/** Health, metrics and the status page of a running service. */
import { type Context, Hono } from 'hono';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { withTimeout } from '../core/time.ts';
import { requireToken, type TokenOptions } from '../intake/token.ts';
import type { FindingCode } from './finding.ts';
import { needsPerson } from './findings.ts';
import { refreshGauges } from './gauges.ts';
import { renderAway, renderPage } from './page.tsx';
import { PAGE_POLICY } from './page-style.ts';
import { type ReportSource, readReport, withoutReport } from './report.ts';
import { kept, shared } from './shared.ts';

export interface StatusOptions extends ReportSource, TokenOptions {
  readonly metrics: Metrics;
  /** The metrics in Prometheus' format, if not only those of this process. */
  readonly metricsText?: () => Promise<string>;
  readonly log: Logger;
  /** True once the process has begun to stop and should get no new work. */
  readonly isStopping: () => boolean;
}

/** Findings that anybody may read, besides those that stop webhooks: their sentences name nothing of what is mirrored. */
const PUBLIC: ReadonlySet<FindingCode> = new Set(['key_refused', 'login_refused', 'not_logged_in']);
/** All requests within this time get the same page. */
const REPORT_KEPT_MS = 3_000;
const REPORT_MAX_MS = 8_000;
/** More than the health takes, and less than who scrapes them waits. */
const GAUGES_MAX_MS = 4_000;
const METRICS_KEPT_MS = 1_000;

/** Mount these at the root. */
export function statusRoutes(options: StatusOptions): Hono {
  const { metrics, log, health, metricsText = () => metrics.registry.metrics() } = options;
  const app = new Hono();
  const guard = requireToken(options);
  const report = kept(() => withTimeout(readReport(options), REPORT_MAX_MS), REPORT_KEPT_MS);
  const gauges = shared(() => refreshGauges(options, metrics), GAUGES_MAX_MS);
  const text = kept(async () => {
    if (!options.expected.isAsleep())
      await gauges().catch((error) => log.debug({ err: error }, 'gauges could not be refreshed'));
    return metricsText();
  }, METRICS_KEPT_MS);
  const page = remembering(renderPage);
  const { recording } = options.expected;

  app.get('/livez', (context) =>
    recording?.isStuck() === true
      ? context.json({ alive: false, problem: 'a batch of deliveries hangs; restart this process' }, 503)
      : context.json({ alive: true }),
  );
  app.get('/readyz', async (context) => {
    if (options.isStopping()) return context.json({ ready: false, problem: 'stopping' }, 503);
    const { findings, situation } = await health();
    const known = situation.kind === 'there' ? situation.facts.deliveries.last_received_at : null;
    const last_recorded_at = recording?.lastSuccessAt() ?? known;
    const blocking = findings.find((one) => one.stops_webhooks === true);
    if (blocking !== undefined) {
      const { sentence: problem, remedy, since } = blocking;
      return context.json({ ready: false, problem, remedy, since, last_recorded_at }, 503);
    }
    const troubles = findings.filter(({ severity }) => severity !== 'note');
    if (troubles.length === 0) return context.json({ ready: true, last_recorded_at });
    // Without a token, the page is public anyway.
    const told = troubles.filter(({ code }) => options.token === null || PUBLIC.has(code));
    return context.json({
      ready: true,
      last_recorded_at,
      degraded: [...new Set(troubles.map(({ code }) => code))],
      findings: told.map(({ code, sentence, remedy, command, since }) => ({ code, sentence, remedy, command, since })),
    });
  });
  app.get('/metrics', guard, async (context) => {
    return context.text(await text(), 200, { 'Content-Type': metrics.registry.contentType });
  });
  app.get('/status.json', guard, (context) =>
    answer(context, options, report, (data) => context.json({ ...data, needs_person: needsPerson(data) })),
  );
  app.get('/status', guard, (context) =>
    answer(context, options, report, (data) => context.html(page(data, context.req.query('q')), 200, PAGE_HEADERS)),
  );
  return app;
}

const PAGE_HEADERS = { 'Content-Security-Policy': PAGE_POLICY };

/** Answers with the report, or with what prevents reading it. */
async function answer(
  context: Context,
  options: StatusOptions,
  report: () => ReturnType<typeof readReport>,
  show: (data: NonNullable<Awaited<ReturnType<typeof readReport>>>) => Response | Promise<Response>,
): Promise<Response> {
  const data = await report().catch((error) => {
    options.log.warn({ err: error }, 'the status could not be read');
    return error as Error;
  });
  if (data !== null && !(data instanceof Error)) return show(data);
  const assessment = await withoutReport(options, data);
  context.header('Retry-After', '5');
  if (context.req.path.endsWith('.json')) {
    return context.json({ error: assessment.headline, ...assessment, needs_person: true }, 503);
  }
  return context.html(renderAway(assessment), 503, PAGE_HEADERS);
}

/** Caches the result for the last arguments. */
function remembering<A extends readonly unknown[], T>(make: (...given: A) => T): (...given: A) => T {
  let last: { readonly given: A; readonly made: T } | null = null;
  return (...given) => {
    if (last === null || !given.every((one, index) => one === last?.given[index]))
      last = { given, made: make(...given) };
    return last.made;
  };
}
