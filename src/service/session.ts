/** What a command works with: the configuration brought to life, and its orderly end. */
import type { DestinationStream } from 'pino';
import { extraModel, findModel, models } from '../catalog/index.ts';
import { splitName } from '../catalog/name.ts';
import { useOwnNames } from '../catalog/other-names.ts';
import type { Model } from '../catalog/types.ts';
import { type Config, matchesModel, parseModelPatterns, unknownModels } from '../config/index.ts';
import { UsageError } from '../core/errors.ts';
import { thisHolder } from '../core/holder.ts';
import { createLogger, type Logger } from '../core/log.ts';
import { createMetrics, type Metrics } from '../core/metrics.ts';
import { createNaps, type Naps } from '../core/naps.ts';
import { createTally, type Tally } from '../core/tally.ts';
import { MICROS_PER_MS, withTimeout } from '../core/time.ts';
import { version } from '../core/version.ts';
import { createClient, type FlowluClient, type RequestEvent } from '../flowlu/client.ts';
import { createHold } from '../flowlu/hold.ts';
import { createPace, inTurns } from '../flowlu/pace.ts';
import { createBlockedModels } from '../merge/blocked.ts';
import type { DeliveryContext } from '../merge/deliveries.ts';
import type { SettleDeps } from '../merge/settle.ts';
import { createShapes, type Shapes } from '../merge/shapes.ts';
import { createTextSpelling } from '../merge/texts.ts';
import { areViewsCurrent, refreshViews } from '../migrate/refresh.ts';
import { connect, type Sql, transaction } from '../postgres/connection.ts';
import { createPrivacy, type Privacy } from '../privacy/policy.ts';
import { createZone } from '../record/zone.ts';
import { restBackground, sharedBudget, takeBackgroundTurn } from '../store/budget.ts';
import { addCounts, forget, PORTAL } from '../store/measurements.ts';
import { claimPortal, requirePortal } from '../store/portal.ts';
import type { HistorySettings } from '../store/settings.ts';
import { authorizationOf, lacksLogin } from './authorization.ts';
import { hasDatabase, type OpenDatabase, openDatabase } from './database.ts';
import { noteRights, type PortalWatch, watchPortal } from './portal-watch.ts';
import { learnAliases, requirePrivacy, warnIfUnkept } from './privacy.ts';
import { ensureSchema, NOTHING_SET_UP } from './schema.ts';
import {
  configuredSettings,
  defineSettings,
  type OtherZone,
  otherZoneOfRows,
  settingsInForce,
} from './settings-in-force.ts';

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
  readonly models: readonly Model[];
  readonly onMirror: OnMirror;
  /** That the settings of `serve` name another zone than that of the rows. */
  readonly otherZone: OtherZone | null;
  /** What requests to the portal show; null for commands that only look. */
  readonly watch: PortalWatch | null;
  readonly holder: string;
  /** What is counted for a person to look at, by model and fact; added to the database at the end, by `serve` also meanwhile. */
  readonly tally: Tally;
  /** When `serve` leaves the database alone. */
  readonly naps: Naps;
  readonly stop: AbortSignal;
  close(): Promise<void>;
}

/**
 * What a command may do to the mirror as a whole: `define` its facts; `serve` it, which defines them but goes on in the
 * zone of its rows; `rederive` all its rows as well, by another zone even; `work` on its rows; or `look` at a mirror that is
 * there, without making one.
 */
export type OnMirror = 'define' | 'serve' | 'rederive' | 'work' | 'look';

const definesFacts = (onMirror: OnMirror) => onMirror === 'define' || onMirror === 'serve';

interface SessionOptions extends Pick<Session, 'log' | 'onMirror'> {
  readonly signal: AbortSignal;
  readonly command: string;
}

/** The database of the settings, and connections to it. */
export type Pool = Pick<Session, 'config' | 'database' | 'sql' | 'close'>;

/** Opens the database, which may yet be away. @throws UsageError where there is none to look at */
export async function openPool(config: Config, { log, signal, command, onMirror }: SessionOptions): Promise<Pool> {
  requirePrivacy(config, log);
  useOwnNames(config.webhook.modelNames, config.flowlu.extraModels);
  if (onMirror === 'look' && !hasDatabase(config.database)) throw new UsageError(NOTHING_SET_UP);
  const database = await openDatabase(config.database, { log, signal });
  const { sleepMs } = config.database;
  const sql = connect(database.url, {
    applicationName: `flowlu-mirror ${command}`,
    max: config.database.pool,
    ...(sleepMs > 0 && { idleTimeoutSeconds: Math.min(IDLE_MAX_MS, sleepMs / 2) / 1_000 }),
    onPooler: () =>
      log.warn('a pooler in front of the database forgets prepared statements; going on without them (?prepare=false)'),
  });
  const close = async () => {
    await sql.end({ timeout: END_MAX_SECONDS });
    await database.close();
  };
  return { config, database, sql, close };
}

/** Brings the schema up to date, or says who must, and finds out which settings are in force. */
export async function prepare(
  { config, sql }: Pick<Pool, 'config' | 'sql'>,
  { log, onMirror }: Pick<SessionOptions, 'log' | 'onMirror'>,
): Promise<{ readonly settings: HistorySettings; readonly otherZone: OtherZone | null }> {
  const configured = configuredSettings(config);
  const { migrateUrl } = config.database;
  await ensureSchema(sql, { migrateUrl, zone: configured.timezone, mayMigrate: onMirror !== 'look', log });
  const defines = definesFacts(onMirror);
  const otherZone = defines ? await otherZoneOfRows(sql, configured) : null;
  if (otherZone !== null && onMirror === 'define') throw new UsageError(`${otherZone.found}: ${otherZone.advice}`);
  if (otherZone !== null) log.warn(`${otherZone.found}; it goes on with the latter: ${otherZone.advice}`);
  const wanted = { ...configured, ...(otherZone !== null && { timezone: otherZone.zone }) };
  const settings =
    defines || onMirror === 'rederive'
      ? await defineSettings(sql, wanted, migrateUrl, log)
      : await settingsInForce(sql, configured, log);
  if (onMirror === 'rederive') await forget(sql, PORTAL, 'ahead');
  const privacy = createPrivacy(config.privacy, createShapes().namesOf);
  await warnIfUnkept(sql, privacy, { log, notes: onMirror !== 'look' });
  return { settings, otherZone };
}

/** Opens the database, brings its schema up to date and prepares what every command needs. */
export async function openSession(config: Config, options: SessionOptions): Promise<Session> {
  const { log, signal, onMirror } = options;
  const { database, sql, close } = await openPool(config, options);
  const { settings, otherZone } = await prepare({ config, sql }, options).catch(async (error) => {
    await close();
    throw error;
  });
  const { sleepMs } = config.database;
  const { requestsPerSecond, apiKey } = config.flowlu;
  const watch = onMirror === 'look' ? null : watchPortal({ sql, log, requestsPerSecond, byKey: apiKey !== null });
  const metrics = createMetrics();
  const tally = createTally((counts) => addCounts(sql, counts));
  const shapes = createShapes();
  await shapes.refresh(sql);
  const privacy = createPrivacy(config.privacy, shapes.namesOf);
  return {
    config,
    log,
    metrics,
    database,
    sql,
    context: {
      ...contextOf(config, settings, { metrics, tally }, shapes),
      ...(onMirror !== 'look' && {
        texts: await createTextSpelling(sql, (err) => log.warn({ err }, 'a measurement could not be kept')),
      }),
    },
    shapes,
    privacy,
    models: mirroredModels(config),
    onMirror,
    otherZone,
    watch,
    holder: thisHolder(),
    tally,
    naps: createNaps({
      lastsMs: sleepMs,
      awakeMs: Math.min(AWAKE_MS, sleepMs) + config.reconcile.settleGraceMs,
    }),
    stop: signal,
    async close() {
      // A note of the last answers, to a database that may hang.
      await withTimeout(Promise.all([watch?.settled(), tally.flush()]), END_MAX_SECONDS * 1_000).catch(() => {});
      await close();
    },
  };
}

/** What the settings choose of the catalogue, and what they name beside it. */
export function mirroredModels(config: Config): readonly Model[] {
  return [
    ...models.filter(({ name }) => isMirrored(config, name)),
    ...config.flowlu.extraModels.filter((name) => findModel(name) === undefined).map(extraModel),
  ];
}

const isMirrored = ({ flowlu: { models: patterns, extraModels } }: Config, name: string) =>
  matchesModel(patterns, name) || extraModels.includes(name);

/** The part of a minute's requests that has to be late before it is worth a word: some are late on any machine, above all at the start. */
const MISSED_SHARE = 0.1;
const MISSED_MIN = 10;
/** Longest wait for the answer to whose rights are used; nothing depends on it. */
const RIGHTS_MAX_MS = 10_000;

/** A database that is to sleep is left alone so long after a doubt has come to its time: what follows from it is done by then. */
const AWAKE_MS = 30_000;
/** Connections that nobody uses keep such a database awake. */
const IDLE_MAX_MS = 20_000;

/** The work has ended by then; only a database that hangs still owes an answer. */
const END_MAX_SECONDS = 2;

function contextOf(
  config: Config,
  { timezone, keeps }: HistorySettings,
  { metrics, tally }: Pick<Session, 'metrics' | 'tally'>,
  shapes: Shapes,
): DeliveryContext {
  return {
    zone: createZone(timezone),
    shapeOf: shapes.of,
    settleGrace: config.reconcile.settleGraceMs * MICROS_PER_MS,
    keepsHistory: keeps,
    trust: config.webhook.trust,
    asksApi: (config.flowlu.apiKey ?? config.flowlu.oauth) !== null,
    blocked: createBlockedModels(),
    onInvalidValue(model, field) {
      metrics.rowsUncoercible.inc({ model: findModel(model) === undefined ? 'uncatalogued' : model });
      tally.add(`${model} misfit:${field}`);
    },
    tableOf(module, model) {
      const name = `${module}.${model}`;
      return isMirrored(config, name) ? { name, model: findModel(name) ?? null } : null;
    },
  };
}

/**
 * Refuses a command that reads the API when the settings name neither key nor client; a command's `check`.
 * @throws UsageError
 */
export function requireApi({ config }: Pick<Session, 'config'>): void {
  const { baseUrl, apiKey, oauth } = config.flowlu;
  if ((apiKey ?? oauth) !== null && baseUrl !== null) return;
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
  requireApi(session);
  const lacking = await lacksLogin(session.config, session.sql);
  if (lacking !== null) throw new UsageError(`${lacking.sentence}: run ${lacking.command}`);
  return ((await openClientsIfAny(session)) as Clients).client;
}

/** Clients for one portal, within the budget that all processes on this database share. */
export interface Clients {
  readonly client: FlowluClient;
  /** Keeps to the background's share of the budget. */
  readonly background: FlowluClient;
}

/**
 * The clients for the portal's API; null where the settings name no right to read it. With OAuth they may yet lack a login.
 * @throws OtherPortalError when the database mirrors another portal.
 */
export async function openClientsIfAny(session: Session): Promise<Clients | null> {
  const { config, sql, metrics, log } = session;
  const { baseUrl, requestsPerSecond, backgroundShare } = config.flowlu;
  const authorization = authorizationOf(config, session);
  if (baseUrl === null || authorization === null) return null;
  await (session.onMirror === 'look' ? requirePortal : claimPortal)(sql, baseUrl);
  const turnMs = 1_000 / (requestsPerSecond * backgroundShare);
  const whole = createPace(requestsPerSecond, sharedBudget(sql), reportMissedSlots(log, requestsPerSecond));
  const common = {
    baseUrl,
    authorization,
    hold: createHold(),
    onRequest: (event: RequestEvent) => {
      const { method, outcome, duration_ms, attempt } = event;
      session.naps.use();
      session.watch?.onRequest(event);
      if (outcome === 'ok' || outcome === 'unauthorized') metrics.keyRefused.set(outcome === 'ok' ? 0 : 1);
      metrics.apiRequests.inc({ method, outcome });
      metrics.apiRequestDuration.observe(duration_ms / 1_000);
      if (attempt > 1) metrics.apiRetries.inc();
      if (outcome === 'rate_limited') {
        restBackground(sql).catch((err) => log.debug({ err }, 'the background could not be told to rest'));
      }
    },
    protect: session.privacy?.protect,
  };
  const client = createClient({ ...common, pace: whole });
  if (session.privacy?.needsAliases === true) await learnAliases(session, client);
  if (definesFacts(session.onMirror)) {
    // A client of its own: a refusal of this question is none of the key.
    const asking = createClient({ baseUrl, authorization, pace: whole });
    void noteRights(sql, asking, log, AbortSignal.any([session.stop, AbortSignal.timeout(RIGHTS_MAX_MS)]));
  }
  return {
    client,
    background: createClient({
      ...common,
      pace: requestsPerSecond === 0 ? whole : inTurns(whole, () => takeBackgroundTurn(sql, turnMs)),
    }),
  };
}

/** Says, once a minute at most, that the process was too late for many of its requests. */
export function reportMissedSlots(log: Pick<Logger, 'warn'>, requestsPerSecond: number, now = () => performance.now()) {
  const most = Math.ceil(Math.max(MISSED_MIN, 60 * requestsPerSecond * MISSED_SHARE));
  let missed = 0;
  let minuteBeganMs = Number.NEGATIVE_INFINITY;
  return (lateMs: number): void => {
    if (now() - minuteBeganMs > 60_000) {
      minuteBeganMs = now();
      missed = 0;
    }
    missed += 1;
    if (missed !== most) return;
    log.warn(
      { missed, late_ms: Math.round(lateMs) },
      'Flowlu is asked more slowly than FLOWLU_REQUESTS_PER_SECOND allows: the machine or the database is too busy to send requests in time',
    );
  };
}

/** Learns which custom fields are defined by now: what records are compared by, and what the live views show. */
export async function refreshCustomFields({ sql, shapes, context, config, log }: Session): Promise<void> {
  const zone = context.zone.name;
  // Nearly always for nothing, and then in one transaction.
  const areCurrent = await transaction(sql, { readOnly: true, readsFirst: true }, async (tx) => {
    await shapes.refresh(tx);
    return areViewsCurrent(tx, zone);
  });
  if (!areCurrent) await refreshViews(sql, { zone, migrateUrl: config.database.migrateUrl, log });
}

/** What a command that reads a lot does at its end; views that are in use just then are left to the next one, or to `serve`. */
export async function bringViewsUpToDate(session: Session): Promise<void> {
  try {
    await refreshCustomFields(session);
  } catch (err) {
    session.log.warn({ err }, 'the views could not be brought up to date');
  }
}

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
  const names = session.models.map(({ name }) => name);
  const unknown = unknownModels(patterns, names);
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

/** The logger of a command. @param least in place of the level of the settings */
export function loggerFor({ logLevel, secrets }: Config, stream: DestinationStream, least = logLevel): Logger {
  return createLogger({ level: least, version, secrets, stream });
}

/** Models under way at a time where nothing but the machine sets the pace. */
const UNLIMITED_AT_A_TIME = 4;
/**
 * The same within a budget of requests: they take turns, so that small ones finish early, and while the answers of some
 * travel, the slots go to others.
 */
const PACED_AT_A_TIME = 16;

export function modelsAtATime({ flowlu: { requestsPerSecond } }: Config): number {
  return requestsPerSecond === 0 ? UNLIMITED_AT_A_TIME : PACED_AT_A_TIME;
}
