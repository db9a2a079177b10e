/** Health, metrics and the status page of a running service. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { TimeoutError, withTimeout } from '../core/time.ts';
import { createAttemptCounter } from '../intake/attempts.ts';
import { causeOf, UNKNOWN } from '../postgres/causes.ts';
import type { FindingCode } from './finding.ts';
import { type Assessment, needsPerson } from './findings.ts';
import { refreshGauges } from './gauges.ts';
import { renderAway, renderPage } from './page.tsx';
import { PAGE_POLICY } from './page-style.ts';
import { LockedError, type ReportSource, readReport } from './report.ts';
import { kept, shared } from './shared.ts';

export interface StatusOptions extends ReportSource {
  readonly metrics: Metrics;
  /** The metrics in Prometheus' format, if not only those of this process. */
  readonly metricsText?: () => Promise<string>;
  readonly log: Logger;
  /** If set, required for `/status`, `/status.json` and `/metrics`. */
  readonly token: string | null;
  readonly sourceIn?: (context: Context) => string | null;
  /** True once the process has begun to stop and should get no new work. */
  readonly isStopping: () => boolean;
}

/** Findings that prevent receiving webhooks. */
const BLOCKING: ReadonlySet<FindingCode> = new Set(['database_away', 'schema', 'not_accepting']);
/** Findings that anybody may read: like those above, their sentences name nothing of what is mirrored. */
const PUBLIC: ReadonlySet<FindingCode> = new Set(['key_refused', 'login_refused', 'not_logged_in']);
/** All requests within this time get the same page. */
const REPORT_KEPT_MS = 3_000;
const REPORT_MAX_MS = 8_000;
const GAUGES_MAX_MS = 3_000;
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
    const blocking = findings.find(({ code }) => BLOCKING.has(code));
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
  { log, health }: StatusOptions,
  report: () => ReturnType<typeof readReport>,
  show: (data: NonNullable<Awaited<ReturnType<typeof readReport>>>) => Response | Promise<Response>,
): Promise<Response> {
  const data = await report().catch((error) => {
    log.warn({ err: error }, 'the status could not be read');
    return error as Error;
  });
  if (data !== null && !(data instanceof Error)) return show(data);
  const { situation: _, ...found } = await health();
  const assessment = data !== null && found.state !== 'bad' ? unread(found, data) : found;
  context.header('Retry-After', '5');
  if (context.req.path.endsWith('.json')) {
    return context.json({ error: assessment.headline, ...assessment, needs_person: true }, 503);
  }
  return context.html(renderAway(assessment), 503, PAGE_HEADERS);
}

/** The health if the rest of the page could not be read. */
function unread({ findings }: Assessment, error: Error): Assessment {
  const finding = { code: 'not_readable', severity: 'bad', since: null, ...hindrance(error), command: LOOK } as const;
  return { state: 'bad', headline: finding.sentence, sentence: finding.remedy, findings: [finding, ...findings] };
}

const LOOK = 'flowlu-mirror doctor --quick';

function hindrance(error: Error): { readonly sentence: string; readonly remedy: string } {
  if (error instanceof LockedError)
    return { sentence: error.message, remedy: 'Whoever holds the lock keeps changes from being applied' };
  if (error instanceof TimeoutError)
    return { sentence: 'The status could not be read in time', remedy: 'Look at the load of the database' };
  const known = causeOf(error);
  if (known === UNKNOWN) return { sentence: 'The status could not be read', remedy: 'The log has the reason' };
  return { sentence: `The status could not be read: ${known.cause}`, remedy: known.remedy };
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

/** As with webhook secrets, the right token is always accepted; too many wrong ones are refused. */
function requireToken({ token, log, sourceIn }: StatusOptions): MiddlewareHandler {
  const expected = token === null ? null : digest(token);
  const attempts = createAttemptCounter();
  return async (context, next) => {
    const given = context.req.header('authorization');
    if (expected === null || timingSafeEqual(digest(givenToken(given)), expected)) return next();
    context.header('WWW-Authenticate', 'Basic realm="flowlu-mirror", charset="UTF-8"');
    if (given === undefined) return context.json({ error: 'a token is required' }, 401);
    const source = sourceIn?.(context) ?? null;
    const { isTooMany, isFirstTooMany, retryAfter_s } = attempts.wrong(source, performance.now());
    if (isFirstTooMany) log.warn({ source }, 'too many wrong status tokens from one source');
    if (!isTooMany) return context.json({ error: 'a token is required' }, 401);
    return context.json({ error: 'too many wrong tokens' }, 429, { 'Retry-After': String(retryAfter_s) });
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
