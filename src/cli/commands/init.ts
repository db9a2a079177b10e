import { randomBytes } from 'node:crypto';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { type Config, loadConfig } from '../../config/index.ts';
import { UsageError } from '../../core/errors.ts';
import { createRedactor } from '../../core/redact.ts';
import type { Check } from '../../doctor/check.ts';
import { tryPortal } from '../../doctor/examine.ts';
import { EXIT } from '../exit-codes.ts';
import { printCheck, printLine } from '../output.ts';
import { ask, confirm } from '../prompt.ts';
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
  .option('--key <key>', 'key of the API; better typed when asked, since other users can see the words of a command')
  .option('--timezone <zone>', 'time zone of the portal, such as Europe/Berlin')
  .option('--base-url <url>', 'address of the API, for another edition or a test server')
  .option('--file <path>', 'file to write', '.env')
  .option('--no-test', 'do not ask the portal')
  .option('--force', 'write over the settings that the file has')
  .action((flags: InitFlags, command: Command) =>
    runCommand(command, (context) => init(context, flags), { ignoresSettings: true, isBusy: false }),
  );

async function init(context: CommandContext, flags: InitFlags): Promise<Result> {
  const { file, force = false } = flags;
  const before = await readFile(file, 'utf8').catch(() => null);
  if (before !== null && !force) {
    if (!process.stdin.isTTY) throw new UsageError(`${file} exists; --force writes over its settings of the portal`);
    const question = `${file} exists. Write over its settings of the portal?`;
    if (!(await confirm(question, context.signal))) return unchanged([]);
  }
  const answers = await askFor(flags, context.signal);
  // What was typed wrongly is said at once, all of it.
  const config = loadConfig({ ...answers, WEBHOOK_SECRET: randomBytes(32).toString('hex') });
  const checks: Check[] = flags.test ? await examine(context, config) : [];
  if (checks.some(({ status }) => status === 'fail')) return unchanged(checks);
  const [secret = ''] = config.webhook.secrets;
  await write(file, before ?? '', { ...answers, WEBHOOK_SECRET: secret });
  const webhookUrl = `http://${config.http.host}:${config.http.port}/webhooks/flowlu/${secret}`;
  const print = () => {
    printLine(
      `\nWritten to ${file}, which only you can read. The webhook address, once a proxy with HTTPS is in front:\n`,
    );
    printLine(`  ${webhookUrl}\n`);
    printLine(
      'Enter it in the portal under System Settings → Webhooks, and keep it to yourself: it holds the secret. Next:\n',
    );
    printLine('  flowlu-mirror backfill          reads everything once');
    printLine('  flowlu-mirror serve             keeps it current');
    printLine('  flowlu-mirror doctor --webhook  waits for the first webhook');
  };
  return { data: { file, webhook_url: webhookUrl, checks }, print };
}

function unchanged(checks: readonly Check[]): Result {
  return { data: { file: null, checks }, print: () => printLine('Nothing was written.'), exitCode: EXIT.finding };
}

async function askFor({ company, key, timezone, baseUrl }: InitFlags, signal: AbortSignal) {
  const { isTTY } = process.stdin;
  if (!isTTY && (company ?? baseUrl) === undefined) {
    throw new UsageError('there is no terminal to ask on: give --company, --key and --timezone');
  }
  const here = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  const asked = async (question: string, isSecret = false) => (isTTY ? ask(question, signal, isSecret) : '');
  const companyUrl = baseUrl === undefined ? (company ?? (await asked('Company (acme for acme.flowlu.com):'))) : '';
  const apiKey = key ?? (await asked('API key (portal settings, API; empty to live on webhooks alone):', true));
  const zone = timezone ?? (await asked(`Time zone of the portal [${here}]:`));
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

/** Puts the settings in the place of those that the text has; every other line stays. */
async function write(file: string, before: string, settings: Readonly<Record<string, string>>): Promise<void> {
  const kept = before
    .split('\n')
    .filter(
      (line) => !/^\s*(?:export\s+)?(?:FLOWLU_(?:COMPANY|BASE_URL|API_KEY|TIMEZONE)|WEBHOOK_SECRET)\s*=/.test(line),
    );
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  const text = [...kept.join('\n').trimEnd().split('\n'), ...lines].filter((line, index) => index > 0 || line !== '');
  await writeFile(file, `${text.join('\n')}\n`, { mode: 0o600 });
  await chmod(file, 0o600);
}
