/** What a command works with: the configuration brought to life, and its orderly end. */

import { findModel, models } from '../catalog/index.ts';
import { splitName } from '../catalog/name.ts';
import type { Model } from '../catalog/types.ts';
import { type Config, matchesModel, parseModelPatterns, unknownModels } from '../config.ts';
import { UsageError } from '../core/errors.ts';
import { MICROS_PER_MS } from '../core/instant.ts';
import { createLogger, type Logger } from '../core/log.ts';
import { createMetrics, type Metrics } from '../core/metrics.ts';
import { version } from '../core/version.ts';
import { createClient, type FlowluClient } from '../flowlu/client.ts';
import type { DeliveryContext } from '../merge/deliveries.ts';
import type { SettleDeps } from '../merge/settle.ts';
import { createShapes, type Shapes } from '../merge/shapes.ts';
import { createTextSpelling } from '../merge/texts.ts';
import { refreshViews } from '../migrate/refresh.ts';
import { connect, type Sql } from '../postgres/connection.ts';
import { createPrivacy, type Privacy } from '../privacy/policy.ts';
import { thisHolder } from '../reconcile/holder.ts';
import { createZone } from '../record/zone.ts';
import { sharedPace } from '../store/budget.ts';
import { noteHistorySettings } from '../store/history-settings.ts';
import { claimPortal } from '../store/portal.ts';
import { authorizationOf, standing } from './authorization.ts';
import { type OpenDatabase, openDatabase } from './database.ts';
import { learnAliases, requirePrivacy, warnIfUnkept } from './privacy.ts';
import { ensureSchema } from './schema.ts';

export interface Session {
  readonly config: Config;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly database: OpenDatabase;
  readonly sql: Sql;
  readonly context: DeliveryContext;
  /** What `context` compares records by; to be refreshed as custom fields come and go. */
  readonly shapes: Shapes;
  /** What must not be stored; null where everything may. */
  readonly privacy: Privacy | null;
  /** Models that the settings mirror. */
  readonly models: readonly Model[];
  /** Names this process in journals and leases. */
  readonly holder: string;
  /** The end of the process. */
  readonly stop: AbortSignal;
  close(): Promise<void>;
}

/** Opens the database, brings its schema up to date and prepares what every command needs. */
export async function openSession(
  config: Config,
  options: { readonly log: Logger; readonly signal: AbortSignal; readonly command: string },
): Promise<Session> {
  const { log, signal, command } = options;
  requirePrivacy(config.privacy, log);
  const unknown = unknownModels(config.flowlu.models, names);
  if (unknown.length > 0)
    log.warn({ patterns: unknown }, 'FLOWLU_MODELS names models that the catalogue does not know');
  const database = await openDatabase({
    url: config.database.url ?? undefined,
    embeddedDirectory: config.database.dataDir,
    log,
    signal,
  });
  const sql = connect(database.url, { applicationName: `flowlu-mirror ${command}`, max: config.database.pool });
  const close = async () => {
    await sql.end({ timeout: END_MAX_SECONDS });
    await database.close();
  };
  try {
    await ensureSchema(sql, { migrateUrl: config.database.migrateUrl, zone: config.flowlu.timezone, log });
    await noteHistorySettings(sql, { timezone: config.flowlu.timezone, keeps: config.history.keeps });
  } catch (error) {
    await close();
    throw error;
  }
  const metrics = createMetrics();
  const shapes = createShapes();
  await shapes.refresh(sql);
  const privacy = createPrivacy(config.privacy, (name) => shapes.of({ name, model: findModel(name) ?? null }).aliases);
  await warnIfUnkept(sql, privacy, log);
  return {
    config,
    log,
    metrics,
    database,
    sql,
    context: {
      ...contextOf(config, metrics, shapes),
      texts: await createTextSpelling(sql, (err) => log.warn({ err }, 'a measurement could not be kept')),
    },
    shapes,
    privacy,
    models: models.filter(({ name }) => matchesModel(config.flowlu.models, name)),
    holder: thisHolder(),
    stop: signal,
    close,
  };
}

/** The work has ended by then; only a database that hangs still owes an answer. */
const END_MAX_SECONDS = 2;

const names = models.map(({ name }) => name);

function contextOf(config: Config, metrics: Metrics, shapes: Shapes): DeliveryContext {
  return {
    zone: createZone(config.flowlu.timezone),
    shapeOf: shapes.of,
    settleGrace: config.reconcile.settleGraceMs * MICROS_PER_MS,
    keepsHistory: config.history.keeps,
    trust: config.webhook.trust,
    onInvalidValue: (model) =>
      metrics.rowsUncoercible.inc({ model: findModel(model) === undefined ? 'uncatalogued' : model }),
    tableOf(module, model) {
      const name = `${module}.${model}`;
      return matchesModel(config.flowlu.models, name) ? { name, model: findModel(name) ?? null } : null;
    },
  };
}

/**
 * Refuses a command that reads the API when the settings name neither key nor client; a command's `check`.
 * @throws UsageError
 */
export function requireApi({ config }: Pick<Session, 'config'>): { readonly baseUrl: string } {
  const { baseUrl, apiKey, oauth } = config.flowlu;
  if ((apiKey ?? oauth) !== null && baseUrl !== null) return { baseUrl };
  throw new UsageError(
    'this command reads the Flowlu API: set FLOWLU_COMPANY and FLOWLU_API_KEY (or FLOWLU_CLIENT_ID, to log in by OAuth). ' +
      'Without them the mirror lives on webhooks alone.',
  );
}

/**
 * The client for a command that cannot do without the portal.
 * @throws UsageError when the settings name no right to read it, or nobody is logged in; OtherPortalError when the
 *   database mirrors another portal.
 */
export async function openClient(session: Session): Promise<FlowluClient> {
  const { baseUrl } = requireApi(session);
  const now = await standing(session.config, session.sql);
  if (now.kind === 'login') throw new UsageError(`${now.why}; run: flowlu-mirror login`);
  return connectClient(session, baseUrl);
}

/**
 * The client for the portal's API, within the budget that all processes on this database share; null where the
 * settings name no right to read it. With OAuth it may yet lack a login.
 * @throws OtherPortalError when the database mirrors another portal.
 */
export async function openClientIfAny(session: Session): Promise<FlowluClient | null> {
  const { baseUrl, apiKey, oauth } = session.config.flowlu;
  return baseUrl === null || (apiKey ?? oauth) === null ? null : connectClient(session, baseUrl);
}

async function connectClient(session: Session, baseUrl: string): Promise<FlowluClient> {
  const { config, sql, metrics } = session;
  const authorization = authorizationOf(config, session);
  if (authorization === null) throw new UsageError('the settings name no right to read the portal');
  await claimPortal(sql, baseUrl);
  const client = createClient({
    baseUrl,
    authorization,
    pace: sharedPace(sql, config.flowlu.requestsPerSecond),
    onRequest: ({ method, outcome, duration_ms, attempt }) => {
      metrics.apiRequests.inc({ method, outcome });
      metrics.apiRequestDuration.observe(duration_ms / 1_000);
      if (attempt > 1) metrics.apiRetries.inc();
    },
    protect: session.privacy?.protect,
  });
  if (session.privacy?.needsAliases === true) await learnAliases(session, client);
  return client;
}

/** Learns which custom fields are defined by now: what records are compared by, and what the live views show. */
export async function refreshCustomFields({ sql, shapes, config, log }: Session): Promise<void> {
  await shapes.refresh(sql);
  await refreshViews(sql, { zone: config.flowlu.timezone, migrateUrl: config.database.migrateUrl, log });
}

/** What a command that reads a lot does at its end; views that are in use just then are left to the next one, or to `serve`. */
export async function bringViewsUpToDate(session: Session): Promise<void> {
  try {
    await refreshCustomFields(session);
  } catch (err) {
    session.log.warn({ err }, 'the views could not be brought up to date');
  }
}

/** What settling doubts needs. */
export function settleDepsOf(session: Session, client: FlowluClient): SettleDeps {
  const { sql, context } = session;
  return {
    sql,
    client,
    writer: context,
    tableOf(name) {
      const { module, model } = splitName(name);
      return context.tableOf(module, model);
    },
  };
}

/**
 * The mirrored models that the words on the command line choose; all of them when there are none.
 * @throws UsageError for a word that chooses nothing.
 */
export function chooseModels(session: Session, words: readonly string[]): readonly Model[] {
  if (words.length === 0) return session.models;
  const patterns = readPatterns(words);
  const unknown = unknownModels(
    patterns,
    session.models.map(({ name }) => name),
  );
  if (unknown.length > 0) {
    throw new UsageError(`no mirrored model is called ${unknown.join(', ')}; \`flowlu-mirror models\` lists them`);
  }
  return session.models.filter(({ name }) => matchesModel(patterns, name));
}

function readPatterns(words: readonly string[]) {
  try {
    return parseModelPatterns(words);
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}

/** The logger of a command: stdout belongs to results, so commands that print some log to stderr. */
export function loggerFor(config: Config, destination: 'stdout' | 'stderr'): Logger {
  const { logLevel, secrets } = config;
  return createLogger({
    level: logLevel,
    version,
    secrets,
    ...(destination === 'stderr' && { stream: process.stderr }),
  });
}

/** Models under way at a time where nothing but the machine sets the pace. */
const UNLIMITED_AT_A_TIME = 4;
/**
 * The same within a budget of requests: they take turns, so that small ones finish early, and while the answers of some
 * travel, the slots go to others.
 */
const PACED_AT_A_TIME = 16;

/** How many models to have under way at a time. */
export function modelsAtATime({ flowlu: { requestsPerSecond } }: Config): number {
  return requestsPerSecond === 0 ? UNLIMITED_AT_A_TIME : PACED_AT_A_TIME;
}
