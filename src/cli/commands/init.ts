import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command } from 'commander';
import { parse } from 'dotenv';
import { company } from '../../config/addresses.ts';
import { type Environment, readEnvironment, writeSettings } from '../../config/environment.ts';
import { type Config, loadConfig, problemWith } from '../../config/index.ts';
import { InterruptedError, UsageError } from '../../core/errors.ts';
import { hindranceOfWriting, reasonOf } from '../../core/files.ts';
import { createRedactor } from '../../core/redact.ts';
import type { Check } from '../../doctor/check.ts';
import { tryPortal } from '../../doctor/examine.ts';
import { printCheck, printLine } from '../../terminal/output.ts';
import { ask, confirm } from '../../terminal/prompt.ts';
import { EXIT } from '../exit-codes.ts';
import { type CommandContext, type Result, runCommand } from '../run.ts';

interface InitFlags {
  readonly company?: string;
  readonly key?: string;
  readonly timezone?: string;
  readonly baseUrl?: string;
  readonly file: string;
  readonly test: boolean;
  readonly force?: boolean;
}

export const initCommand = new Command('init')
  .option('--company <name>', 'sub-domain of the portal')
  .option('--key <key>', 'API key; better typed at the prompt, since other users can see command arguments')
  .option('--timezone <zone>', 'time zone of the portal, such as Europe/Berlin')
  .option('--base-url <url>', 'address of the API, for another edition or a test server')
  .option('--file <path>', 'file to write', '.env')
  .option('--no-test', 'do not ask the portal')
  .option('--force', 'overwrite the settings in the file')
  .action((flags: InitFlags, command: Command) =>
    runCommand(command, (context) => init(context, flags).catch(nothingWritten), {
      ignoresSettings: true,
      isBusy: false,
    }),
  );

/** Whatever stops `init` does so before the file is written. */
function nothingWritten(error: unknown): never {
  throw error instanceof InterruptedError ? new InterruptedError('stopped on request; nothing was written') : error;
}

async function init(context: CommandContext, flags: InitFlags): Promise<Result> {
  const { file, force = false } = flags;
  const hindrance = hindranceOfWriting(resolve(file));
  if (hindrance !== null)
    throw new UsageError(
      `${file} cannot be written (${hindrance}): run init in a directory of yours, or name another --file`,
    );
  const before = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw new UsageError(`${file} cannot be read: ${reasonOf(error)}`, { cause: error });
  });
  if (before !== null && !force) {
    if (!process.stdin.isTTY) throw new UsageError(`${file} exists; --force writes over its settings of the portal`);
    const question = `${file} exists. Write over its settings of the portal?`;
    if (!(await confirm(question, context.signal))) return unchanged([]);
  }
  const present = parse(before ?? '');
  const answers = await askFor(flags, present, context.signal);
  // The portal goes on sending to the address that it has been given.
  const keepsSecret = Boolean(present.WEBHOOK_SECRET || present.WEBHOOK_SECRET_FILE);
  const settings = keepsSecret ? answers : { ...answers, WEBHOOK_SECRET: randomBytes(32).toString('hex') };
  // What was typed wrongly is said at once, all of it.
  const { FLOWLU_API_KEY, FLOWLU_API_KEY_FILE, WEBHOOK_SECRET, WEBHOOK_SECRET_FILE } = present;
  const keys = answers.FLOWLU_API_KEY === undefined && { FLOWLU_API_KEY, FLOWLU_API_KEY_FILE };
  const config = loadConfig({ ...keys, WEBHOOK_SECRET, WEBHOOK_SECRET_FILE, ...settings });
  const checks: Check[] = flags.test ? await examine(context, config) : [];
  if (checks.some(({ status }) => status === 'fail')) return unchanged(checks);
  const [secret = ''] = config.webhook.secrets;
  const { FLOWLU_COMPANY: pasted } = answers;
  // Of an address that was pasted, the company alone is written.
  await writeSettings(file, before ?? '', { ...settings, ...(pasted && { FLOWLU_COMPANY: company.read(pasted) }) });
  const { PUBLIC_URL: publicUrl } = readEnvironment();
  const webhookUrl = `${(publicUrl || 'https://YOUR-HOST').replace(/\/+$/, '')}/webhooks/flowlu/${secret}`;
  const print = () => {
    const kept = keepsSecret ? ' The webhook secret was kept, so an address that is in the portal stays valid.' : '';
    printLine(`\nWritten to ${file}, which only you can read.${kept} The webhook address; Flowlu takes HTTPS only:\n`);
    printLine(`  ${webhookUrl}\n`);
    if (!publicUrl) printLine('YOUR-HOST is the name under which a proxy with HTTPS is in front of the service.');
    printLine(
      'Enter it in the portal under System Settings → Webhooks, and keep it to yourself: it holds the secret. Next:\n',
    );
    printLine('  flowlu-mirror doctor            checks settings, rights and time zone');
    printLine('  flowlu-mirror serve             reads everything, and keeps it current');
    printLine('  flowlu-mirror doctor --webhook  waits for the first webhook');
  };
  return { data: { file, webhook_url: webhookUrl, secret_kept: keepsSecret, checks }, print };
}

function unchanged(checks: readonly Check[]): Result {
  return { data: { file: null, checks }, print: () => printLine('Nothing was written.'), exitCode: EXIT.failed };
}

/** Asks for what the words of the command leave open; where the answer is empty, the file's own setting stays. */
async function askFor(
  { company: name, key, timezone, baseUrl }: InitFlags,
  present: Environment,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const { isTTY } = process.stdin;
  const hasKey = Boolean(present.FLOWLU_API_KEY || present.FLOWLU_API_KEY_FILE);
  const isComplete =
    (name ?? baseUrl) !== undefined && (hasKey || key !== undefined) && (timezone ?? present.FLOWLU_TIMEZONE);
  if (!isTTY && !isComplete) throw new UsageError('no terminal: give --company, --key and --timezone');
  const here = present.FLOWLU_TIMEZONE || new Intl.DateTimeFormat().resolvedOptions().timeZone;
  /** Asks until the answer can be used, so that a slip of the finger does not cost what was typed before. */
  const asked = async (setting: string, question: string, isSecret = false): Promise<string> => {
    if (!isTTY) return '';
    const answer = await ask(question, signal, isSecret);
    const problem = answer === '' ? null : problemWith(setting, answer);
    if (problem === null) return answer;
    printLine(`  ${problem}`);
    return asked(setting, question, isSecret);
  };
  const companyUrl =
    baseUrl === undefined ? (name ?? (await asked('FLOWLU_COMPANY', 'Company (acme for acme.flowlu.com):'))) : '';
  const keyQuestion = `API key (System Settings → API; empty to ${hasKey ? 'keep the present one' : 'live on webhooks alone'}):`;
  const apiKey = key ?? (await asked('FLOWLU_API_KEY', keyQuestion, true));
  const zone = timezone ?? (await asked('FLOWLU_TIMEZONE', `Time zone of the portal [${here}]:`));
  return {
    ...(companyUrl !== '' && { FLOWLU_COMPANY: companyUrl }),
    ...(baseUrl !== undefined && { FLOWLU_BASE_URL: baseUrl }),
    ...(apiKey !== '' && { FLOWLU_API_KEY: apiKey }),
    FLOWLU_TIMEZONE: zone === '' ? here : zone,
  };
}

/** Asks the portal for one model, and shows what comes back. */
async function examine({ isJson, signal }: CommandContext, config: Config): Promise<Check[]> {
  const redact = createRedactor(config.secrets);
  const checks: Check[] = [];
  const report = (check: Check) => {
    const safe = { ...check, found: redact(check.found) };
    checks.push(safe);
    if (!isJson) printCheck(safe);
  };
  await tryPortal(config, signal, report);
  return checks;
}
