/** Examines everything, from the settings to the portal's answers. */
import { models } from '../catalog/index.ts';
import type { Model } from '../catalog/types.ts';
import type { Config, OAuthConfig } from '../config/index.ts';
import { hindranceOfWriting } from '../core/files.ts';
import { groupBy } from '../core/group.ts';
import type { Logger } from '../core/log.ts';
import { createRedactor } from '../core/redact.ts';
import { type Authorization, apiKeyAuthorization } from '../flowlu/authorization.ts';
import { type ClientOptions, createClient, type FlowluClient } from '../flowlu/client.ts';
import { FlowluError } from '../flowlu/errors.ts';
import { createPace, localBudget } from '../flowlu/pace.ts';
import { webhookDelay } from '../mirror-rows/reads.ts';
import { openTokens } from '../oauth/cipher.ts';
import { connect, type Sql } from '../postgres/connection.ts';
import { createZone } from '../record/zone.ts';
import { expectationsOf } from '../service/app.ts';
import { authorizationOf, cipherOf, lacksLogin } from '../service/authorization.ts';
import { hasDatabase, type OpenDatabase, openDatabase } from '../service/database.ts';
import { mirroredModels } from '../service/session.ts';
import { createHealth } from '../status/health.ts';
import { loginRefused } from '../status/portal.ts';
import { span, TEXTS } from '../status/words.ts';
import { sharedBudget } from '../store/budget.ts';
import { readGrant } from '../store/grant.ts';
import { forget, lastFact, PORTAL } from '../store/measurements.ts';
import { boundPortal } from '../store/portal.ts';
import { storedHistorySettings } from '../store/settings.ts';
import { type Check, checkOf, fail, messageOf, ok, type Report, TOLD_NOTES, warn } from './check.ts';
import { checkDatabase, checkNumbers, checkViews } from './database.ts';
import { type Asked, measurePages, READING_THESE } from './pages.ts';
import { checkPortal, checkPossible, checkUser, KEY, type ReadableModel, RIGHTS, type Right } from './portal.ts';
import { newestVersion, probeQueries, ROWS_NEEDED, type VersionedModel } from './probe.ts';
import { openRecording, recordingFetch } from './recording.ts';
import { checkPersonalData, checkSettings } from './settings.ts';
import { waitForWebhook } from './webhook.ts';
import { checkStoredZone, checkZone } from './zone.ts';

export interface DoctorContext {
  readonly config: Config;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

export interface DoctorFlags {
  readonly quick?: boolean;
  readonly webhook?: boolean;
  readonly record?: string;
}

/** A check is no work to be finished at any price. */
const RETRY = { attempts: 3, totalMs: 20_000, maxRetryAfterMs: 10_000 };
const REQUEST_TIMEOUT_MS = 15_000;
/** Models of which one may have been changed just now, which tells the time zone. */
const MODELS_FOR_ZONE = 4;

/** Everything that needs the database or the portal; what is not there does not keep the rest from being checked. */
export async function examine(context: DoctorContext, flags: DoctorFlags, tell: Report): Promise<void> {
  const { config, signal } = context;
  const told = new Set<string>();
  const report = (check: Check) => {
    if (check.status === 'fail') told.add(check.name);
    tell(check);
  };
  for (const check of checkSettings(config, process.versions.node)) report(check);
  const database = await openIfAny(context, report);
  if (database === null) return examinePortal(context, flags, null, report);
  const sql = connect(database.url, { applicationName: 'flowlu-mirror doctor', max: 2 });
  try {
    const isUsable = await checkDatabase(sql, database.displayUrl, report);
    /** A look that fails, as at a table that is locked, keeps nothing else from being told. */
    const look = async (name: string, work: () => Promise<void>) => {
      if (!isUsable) return;
      await work().catch((error) => {
        signal.throwIfAborted();
        report(warn(name, `could not be looked at: ${messageOf(error)}`, 'see what else is found'));
      });
    };
    await look('views', () => checkViews(sql, config, report));
    if (isUsable && flags.webhook === true) await waitForWebhook(sql, context, report);
    await look('webhook texts', () => checkTexts(sql, report));
    await look('codes and invoices', () => checkNumbers(sql, report));
    for (const check of await checkPersonalData(config, isUsable ? sql : null)) report(check);
    await examinePortal(context, flags, isUsable ? sql : null, report);
    // Last, since a key that was accepted just now is refused no more.
    if (isUsable) await checkFindings(sql, config, told, report);
  } finally {
    await sql.end({ timeout: 5 });
    await database.close();
  }
}

async function openIfAny({ config, log, signal }: DoctorContext, report: Report): Promise<OpenDatabase | null> {
  if (!hasDatabase(config.database)) {
    const none = `none in ${config.database.dataDir} yet`;
    const hindrance = hindranceOfWriting(config.database.dataDir);
    const elsewhere = 'make it writable, set DATA_DIR to a directory that is, or set DATABASE_URL';
    if (hindrance === null) report(warn('database', none, 'flowlu-mirror serve or backfill makes one'));
    else report(fail('database', `${none}, and none can be made there (${hindrance})`, elsewhere));
    return null;
  }
  try {
    return await openDatabase(config.database, { log, signal });
  } catch (error) {
    signal.throwIfAborted();
    report(fail('database', `cannot be opened: ${messageOf(error)}`, 'check DATABASE_URL, or DATA_DIR without one'));
    return null;
  }
}

/** `sql`: the database, where it holds a mirror. */
async function examinePortal(
  context: DoctorContext,
  flags: DoctorFlags,
  sql: Sql | null,
  report: Report,
): Promise<void> {
  const { baseUrl, apiKey, oauth, timezone, requestsPerSecond } = context.config.flowlu;
  const stored = sql === null ? {} : await storedHistorySettings(sql);
  const contradiction = checkStoredZone(timezone, stored.timezone);
  if (contradiction !== null) report(contradiction);
  if (baseUrl === null || (apiKey ?? oauth) === null) {
    const advice = 'set FLOWLU_COMPANY and FLOWLU_API_KEY';
    return report(warn('portal', 'no key: the mirror lives on webhooks alone', advice));
  }
  const authorization = await openAuthorization(context, sql, report);
  if (authorization === null) return;
  const bound = sql === null ? null : await boundPortal(sql);
  if (bound !== null && bound !== new URL(baseUrl).host) {
    const found = `this database mirrors ${bound}, the settings name ${new URL(baseUrl).host}`;
    return report(fail('portal', found, 'use another database for another portal'));
  }
  const recording = flags.record === undefined ? null : openRecording(flags.record);
  const fetchIt = recording === null ? undefined : recordingFetch(recording, createRedactor(context.config.secrets));
  const { client, trouble } = clientOf(context, sql, { baseUrl, authorization, fetch: fetchIt });
  const chosen = chooseModels(context, flags.quick ?? false);
  const asked = { asked: chosen.length, mirrored: chooseModels(context, false).length };
  const seconds = requestsPerSecond > 0 ? chosen.length / requestsPerSecond : 0;
  if (seconds >= 5) context.say(`asking the portal for ${chosen.length} models, about ${span(seconds)}`);
  const right = sql === null || oauth === null ? KEY : loginRight(context.config, sql);
  const readable = await checkPortal(client, baseUrl, chosen, report, context.signal, right);
  if (readable !== null) {
    await checkUser(client, report, context.signal, right);
    await examineAnswers(context, client, readable, { sql, isZoneRefuted: contradiction !== null, ...asked }, report);
    if (flags.quick !== true) await checkPossible(client, context.config.flowlu.extraModels, report, context.signal);
  }
  if (recording !== null)
    report(ok('record', `the form of every answer, without its contents, is in ${recording.path}`));
  reportTrouble(trouble, report);
}

/** A refused refresh has told more than the refused request. */
function loginRight(config: Config, sql: Sql): Right {
  return { name: 'login', refused: async (words) => (await lacksLogin(config, sql)) ?? loginRefused(words) };
}

function reportTrouble(trouble: ReturnType<typeof clientOf>['trouble'], report: Report): void {
  if (trouble.missedSlots > trouble.sent / 10) {
    const found = `${trouble.missedSlots} were missed, so Flowlu was asked more slowly than the rate allows`;
    const advice = 'give this machine more processor time, or a shorter and steadier way to the database';
    report(warn('request slots', found, advice));
  }
  if (trouble.throttled > 0) {
    const advice = 'another integration shares the limit, or FLOWLU_REQUESTS_PER_SECOND is above that of the tariff';
    report(warn('rate limit', `the portal rejected ${trouble.throttled} requests for coming too fast`, advice));
  }
}

async function openAuthorization(
  { config, log, signal }: DoctorContext,
  sql: Sql | null,
  report: Report,
): Promise<Authorization | null> {
  const { apiKey, oauth } = config.flowlu;
  if (apiKey !== null) return apiKeyAuthorization(apiKey);
  if (oauth === null) return null;
  if (sql === null) {
    report(warn('login', 'cannot be looked up without the database', 'mend the database first'));
    return null;
  }
  const check = await checkLogin(config, oauth, sql);
  report(check);
  return check.status === 'fail' ? null : authorizationOf(config, { sql, log, stop: signal });
}

function clientOf(
  { config }: Pick<DoctorContext, 'config'>,
  sql: Sql | null,
  portal: Pick<ClientOptions, 'baseUrl' | 'authorization' | 'fetch'>,
) {
  const { requestsPerSecond } = config.flowlu;
  const trouble = { sent: 0, throttled: 0, missedSlots: 0 };
  const client = createClient({
    ...portal,
    pace: createPace(requestsPerSecond, sql === null ? localBudget() : sharedBudget(sql), () => {
      trouble.missedSlots += 1;
    }),
    retry: RETRY,
    timeoutMs: REQUEST_TIMEOUT_MS,
    onRequest: ({ outcome }) => {
      trouble.sent += 1;
      if (outcome === 'rate_limited') trouble.throttled += 1;
    },
  });
  return { client, trouble };
}

function chooseModels({ config }: Pick<DoctorContext, 'config'>, quick: boolean): readonly Model[] {
  const mirrored = mirroredModels(config).filter(({ listable }) => listable);
  if (!quick) return mirrored;
  // Deals, tasks and the like have a version and rows; dictionaries often have neither.
  return [...groupBy(mirrored, ({ module }) => module).values()].flatMap((own) => {
    return own.find(({ version, edition }) => version !== null && edition === 'flowlu') ?? own[0] ?? [];
  });
}

/** What the status page finds, but for what a check has told. */
async function checkFindings(sql: Sql, config: Config, told: ReadonlySet<string>, report: Report): Promise<void> {
  const { findings } = await createHealth(sql, expectationsOf({ config }))();
  const checks = findings.filter(({ severity, code }) => severity !== 'note' || TOLD_NOTES.has(code)).map(checkOf);
  for (const check of checks.filter(({ name }) => !told.has(name))) report(check);
}

/** Whether webhooks and API spell texts alike, as far as rows have shown it. */
async function checkTexts(sql: Sql, report: Report): Promise<void> {
  const texts = await lastFact(sql, PORTAL, 'webhook_texts');
  if (texts !== null && texts !== 'plain')
    report(ok('webhook texts', `they come ${TEXTS[texts]}: the mirror keeps the API's spelling`));
}

/** What somebody can do who is being asked for these settings: nothing has been set or started yet. */
const ADVICE_AT_FIRST: Readonly<Record<string, string>> = {
  portal: 'check the company (--company, or --base-url), and the network',
  key: 'check the key (--key) and the company; keys are made in the portal under System Settings → API',
  'time zone': "check the time zone (--timezone): the one of the portal's settings",
};

const SAYS_NOTHING = new Set([RIGHTS, READING_THESE]);

/** Whether the portal of new settings answers, takes the key and keeps its times in the zone given. */
export async function tryPortal(config: Config, signal: AbortSignal, tell: Report): Promise<void> {
  const report = (check: Check) => {
    // Of the one model that was asked for.
    if (check.status === 'ok' && SAYS_NOTHING.has(check.name)) return;
    const advice = check.status === 'fail' ? ADVICE_AT_FIRST[check.name] : undefined;
    tell(advice === undefined ? check : { ...check, advice });
  };
  const { baseUrl, apiKey } = config.flowlu;
  const model = models.find(({ name }) => name === 'crm.account');
  if (baseUrl === null || apiKey === null || model === undefined) return;
  const context = { config, signal };
  const portal = { baseUrl, authorization: apiKeyAuthorization(apiKey) };
  const { client } = clientOf(context, null, portal);
  const readable = await checkPortal(client, baseUrl, [model], report, signal);
  if (readable === null) return;
  const facts = { sql: null, isZoneRefuted: false, asked: 1, mirrored: chooseModels(context, false).length };
  await examineAnswers(context, client, readable, facts, report);
}

async function examineAnswers(
  { config, signal }: Pick<DoctorContext, 'config' | 'signal'>,
  client: FlowluClient,
  readable: readonly ReadableModel[],
  { sql, isZoneRefuted, ...asked }: Asked & { readonly sql: Sql | null; readonly isZoneRefuted: boolean },
  report: Report,
): Promise<void> {
  if (sql !== null && readable.length > 0) await forget(sql, PORTAL, 'refused', 'unanswered');
  const fitting = readable
    .filter((one): one is ReadableModel & { model: VersionedModel } => one.model.version !== null)
    .filter(({ total }) => total === null || total >= ROWS_NEEDED)
    .sort((a, b) => (b.total ?? 0) - (a.total ?? 0));
  for (const check of await measurePages(client, readable, { ...asked, ...config.flowlu }, signal)) report(check);
  const chosen = fitting[0]?.model;
  if (chosen === undefined) {
    const advice = 'run doctor again when the portal is in use';
    return report(warn('sorting and filters', 'no model has enough rows to tell', advice));
  }
  try {
    const { checks, versions } = await probeQueries(client, chosen, signal);
    for (const check of checks) report(check);
    if (isZoneRefuted) return;
    const delay = sql === null ? null : await webhookDelay(sql, chosen);
    const looked = fitting.slice(0, MODELS_FOR_ZONE).map(({ model }) => model);
    const newest = [...versions];
    for (const model of looked.slice(1)) newest.push(...(await newestVersion(client, model, signal)));
    const changes = { models: looked.map(({ name }) => name), versions: newest };
    report(checkZone(createZone(config.flowlu.timezone), changes, delay, Date.now()));
  } catch (error) {
    if (!(error instanceof FlowluError)) throw error;
    report(warn('sorting and filters', messageOf(error), 'try again later'));
  }
}

const LOGIN = 'login';

/** Whether somebody is logged in by OAuth, and whether what was granted can be used; looks at it without using it. */
async function checkLogin(config: Config, oauth: OAuthConfig, sql: Sql): Promise<Check> {
  const lacking = await lacksLogin(config, sql);
  if (lacking !== null) return checkOf(lacking);
  const grant = await readGrant(sql);
  if (grant === null) return fail(LOGIN, 'somebody logs out just now', 'run doctor again');
  const cipher = cipherOf(oauth);
  try {
    const { refresh } = openTokens(cipher, oauth.clientId, grant.sealed);
    if (refresh === null) {
      return warn(LOGIN, 'the portal gave no refresh token', 'log in anew whenever the access token ends');
    }
  } catch (error) {
    return fail(LOGIN, messageOf(error), 'list the former key in TOKEN_KEY as well, or run: flowlu-mirror login');
  }
  if (grant.failures > 0) {
    const advice = 'check FLOWLU_OAUTH_TOKEN_URL, FLOWLU_CLIENT_ID and FLOWLU_CLIENT_SECRET, and the network';
    return warn(LOGIN, `the last refresh brought nothing: ${grant.problem}`, advice);
  }
  if (cipher.isOutdated(grant.sealed)) {
    const advice = 'keep the former key in TOKEN_KEY until the next refresh';
    return warn(LOGIN, 'the tokens are still sealed with a former key', advice);
  }
  const left = grant.left_ms === null ? '' : `; the access token lasts ${span(grant.left_ms / 1_000)} more`;
  return ok(LOGIN, `logged in${left}`);
}
