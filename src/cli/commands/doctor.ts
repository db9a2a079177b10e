/** `doctor`: checks configuration, database, key, rights per model, filter and sort support, time zone. */
import { Command } from 'commander';
import { models } from '../../catalog/index.ts';
import type { Model } from '../../catalog/types.ts';
import { matchesModel } from '../../config/index.ts';
import { createRedactor } from '../../core/redact.ts';
import { type Authorization, apiKeyAuthorization } from '../../flowlu/authorization.ts';
import { createClient, type FlowluClient } from '../../flowlu/client.ts';
import { FlowluError } from '../../flowlu/errors.ts';
import { createPace, localBudget } from '../../flowlu/pace.ts';
import { connect, type Sql } from '../../postgres/connection.ts';
import { createZone } from '../../record/zone.ts';
import { authorizationOf } from '../../service/authorization.ts';
import { hasDatabase, type OpenDatabase, openDatabase } from '../../service/database.ts';
import { sharedBudget } from '../../store/budget.ts';
import { webhookDelay } from '../../store/mirror-rows/reads.ts';
import { boundPortal } from '../../store/portal.ts';
import { storedHistorySettings } from '../../store/settings.ts';
import { type Check, fail, messageOf, ok, type Report, warn } from '../doctor/check.ts';
import { checkDatabase, checkViews } from '../doctor/database.ts';
import { checkLogin } from '../doctor/login.ts';
import { measurePages } from '../doctor/pages.ts';
import { checkPortal, type ReadableModel } from '../doctor/portal.ts';
import { checkPersonalData } from '../doctor/privacy.ts';
import { probeQueries, ROWS_NEEDED, type VersionedModel } from '../doctor/probe.ts';
import { openRecording, recordingFetch } from '../doctor/recording.ts';
import { checkSettings } from '../doctor/settings.ts';
import { checkStoredZone, checkZone } from '../doctor/zone.ts';
import { EXIT } from '../exit-codes.ts';
import { formatDuration, printJson, printLine, write } from '../output.ts';
import { type CommandContext, runCommand } from '../run.ts';

interface Flags {
  readonly quick?: boolean;
  readonly json?: boolean;
  readonly record?: string;
}

/** A check is no work to be finished at any price. */
const RETRY = { attempts: 3, totalMs: 20_000, maxRetryAfterMs: 10_000 };
const REQUEST_TIMEOUT_MS = 15_000;

const MARKS = { ok: '✔', warn: '!', fail: '✖' } as const;

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check settings, database, key, rights, filters, sorting and time zone, and say what to do')
    .option('--quick', 'ask for one model per module only')
    .option('--record <directory>', 'write down the form of every answer, without its contents, for a bug report')
    .option('--json', 'print the checks as JSON')
    .action((flags: Flags) =>
      runCommand({ name: 'doctor', logTo: 'stderr' }, async (context) => {
        const redact = createRedactor(context.config.secrets);
        const checks: Check[] = [];
        const report: Report = (check) => {
          const safe = { ...check, found: redact(check.found) };
          checks.push(safe);
          if (!flags.json) printCheck(safe);
        };
        for (const check of checkSettings(context.config, process.versions.node)) report(check);
        await examine(context, flags, report);
        const count = (status: Check['status']) => checks.filter((check) => check.status === status).length;
        const healthy = count('fail') === 0;
        if (flags.json) printJson({ healthy, checks });
        else printLine(`\n${count('ok')} in order, ${count('warn')} to look at, ${count('fail')} to mend.`);
        return healthy ? EXIT.done : EXIT.finding;
      }),
    );
}

function printCheck({ name, status, found, advice }: Check): void {
  const text = found.replace(/\p{Cc}+/gu, ' ');
  printLine(`${MARKS[status]} ${name}: ${text}`);
  if (advice !== undefined) printLine(`    ${advice}`);
}

/** Everything that needs the database or the portal; what is not there does not keep the rest from being checked. */
async function examine(context: CommandContext, flags: Flags, report: Report): Promise<void> {
  const { config, log, signal } = context;
  const address = { url: config.database.url ?? undefined, embeddedDirectory: config.database.dataDir };
  if (!hasDatabase(address)) {
    report(warn('database', `none in ${config.database.dataDir} yet`, 'flowlu-mirror serve or backfill makes one'));
    await examinePortal(context, flags, null, report);
    return;
  }
  let database: OpenDatabase;
  try {
    database = await openDatabase({ ...address, log, signal });
  } catch (error) {
    signal.throwIfAborted();
    report(fail('database', `cannot be opened: ${messageOf(error)}`, 'check DATABASE_URL, or DATA_DIR without one'));
    await examinePortal(context, flags, null, report);
    return;
  }
  const sql = connect(database.url, { applicationName: 'flowlu-mirror doctor', max: 2 });
  try {
    const isUsable = await checkDatabase(sql, database.displayUrl, report);
    if (isUsable) await checkViews(sql, config, report);
    for (const check of await checkPersonalData(config, isUsable ? sql : null)) report(check);
    await examinePortal(context, flags, isUsable ? sql : null, report);
  } finally {
    await sql.end({ timeout: 5 });
    await database.close();
  }
}

/** `sql`: the database, where it holds a mirror. */
async function examinePortal(context: CommandContext, flags: Flags, sql: Sql | null, report: Report): Promise<void> {
  const { baseUrl, apiKey, oauth, timezone } = context.config.flowlu;
  const stored = sql === null ? {} : await storedHistorySettings(sql);
  const contradiction = checkStoredZone(timezone, stored.timezone);
  if (contradiction !== null) report(contradiction);
  if (baseUrl === null || (apiKey ?? oauth) === null) {
    report(warn('portal', 'no key: the mirror lives on webhooks alone', 'set FLOWLU_COMPANY and FLOWLU_API_KEY'));
    return;
  }
  const authorization = await openAuthorization(context, sql, report);
  if (authorization === null) return;
  const bound = sql === null ? null : await boundPortal(sql);
  if (bound !== null && bound !== new URL(baseUrl).host) {
    const found = `this database mirrors ${bound}, the settings name ${new URL(baseUrl).host}`;
    report(fail('portal', found, 'use another database for another portal'));
    return;
  }
  const trouble = { sent: 0, throttled: 0, missedSlots: 0 };
  const recording = flags.record === undefined ? null : openRecording(flags.record);
  const fetchIt = recording === null ? fetch : recordingFetch(recording, createRedactor(context.config.secrets));
  const client = clientOf(context, sql, { baseUrl, authorization, fetch: fetchIt }, trouble);
  const chosen = chooseModels(context, flags.quick ?? false);
  announce(chosen.length, context, flags);
  const readable = await checkPortal(client, baseUrl, chosen, report, context.signal);
  if (readable !== null)
    await examineAnswers(context, client, readable, { sql, isZoneRefuted: contradiction !== null }, report);
  if (recording !== null)
    report(ok('record', `the form of every answer, without its contents, is in ${recording.path}`));
  if (trouble.missedSlots > trouble.sent / 10) {
    const advice = 'give this machine more processor time, or a shorter and steadier way to the database';
    report(
      warn('request slots', `${trouble.missedSlots} passed unused, because the process was too late for them`, advice),
    );
  }
  if (trouble.throttled > 0) {
    const advice = 'another integration shares the limit, or FLOWLU_REQUESTS_PER_SECOND is above that of the tariff';
    report(warn('rate limit', `the portal turned ${trouble.throttled} requests away for coming too fast`, advice));
  }
}

/** The right to ask the portal, once it is clear that there is one. */
async function openAuthorization(
  { config, log, signal }: CommandContext,
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
  { config }: CommandContext,
  sql: Sql | null,
  portal: { readonly baseUrl: string; readonly authorization: Authorization; readonly fetch: typeof fetch },
  trouble: { sent: number; throttled: number; missedSlots: number },
): FlowluClient {
  const { requestsPerSecond } = config.flowlu;
  return createClient({
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
}

function chooseModels({ config }: CommandContext, quick: boolean): readonly Model[] {
  const mirrored = models.filter(({ name, listable }) => listable && matchesModel(config.flowlu.models, name));
  if (!quick) return mirrored;
  const modules = new Set(mirrored.map(({ module }) => module));
  // Deals, tasks and the like have a version and rows; dictionaries often have neither.
  return [...modules].flatMap((module) => {
    const own = mirrored.filter((model) => model.module === module);
    return own.find(({ version, edition }) => version !== null && edition === 'flowlu') ?? own[0] ?? [];
  });
}

/** A minute of silence would look like a hang. */
function announce(requests: number, { config }: CommandContext, { json }: Flags): void {
  const { requestsPerSecond } = config.flowlu;
  const seconds = requestsPerSecond > 0 ? requests / requestsPerSecond : 0;
  if (json || seconds < 5) return;
  write(process.stderr, `… asking the portal for ${requests} models, about ${formatDuration(seconds * 1_000)}\n`);
}

async function examineAnswers(
  { config, signal }: CommandContext,
  client: FlowluClient,
  readable: readonly ReadableModel[],
  { sql, isZoneRefuted }: { readonly sql: Sql | null; readonly isZoneRefuted: boolean },
  report: Report,
): Promise<void> {
  const fitting = readable
    .filter((one): one is ReadableModel & { model: VersionedModel } => one.model.version !== null)
    .filter(({ total }) => total === null || total >= ROWS_NEEDED)
    .sort((a, b) => (b.total ?? 0) - (a.total ?? 0));
  for (const check of await measurePages(client, readable, config.flowlu.requestsPerSecond, signal)) report(check);
  const chosen = fitting[0]?.model;
  if (chosen === undefined) {
    report(
      warn('sorting and filters', 'no model has enough rows to tell', 'run doctor again when the portal is in use'),
    );
    return;
  }
  try {
    const { checks, versions } = await probeQueries(client, chosen, signal);
    for (const check of checks) report(check);
    if (isZoneRefuted) return;
    const delay = sql === null ? null : await webhookDelay(sql, chosen);
    report(checkZone(createZone(config.flowlu.timezone), versions, delay, Date.now()));
  } catch (error) {
    if (!(error instanceof FlowluError)) throw error;
    report(warn('sorting and filters', messageOf(error), 'try again later'));
  }
}
