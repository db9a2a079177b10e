import { readFile, stat } from 'node:fs/promises';
import { Command } from 'commander';
import { z } from 'zod';
import { models as catalogue } from '../../catalog/index.ts';
import { type Config, matchesModel } from '../../config/index.ts';
import { UsageError } from '../../core/errors.ts';
import { version } from '../../core/version.ts';
import { buildManifest } from '../../manifest/build.ts';
import { diffManifests, isSame, type ManifestDiff, type Trigger, triggersOf } from '../../manifest/diff.ts';
import { type Manifest, manifestSchema } from '../../manifest/schema.ts';
import { type NeededScope, neededScopes } from '../../manifest/scopes.ts';
import { type Column, printLine, printTable } from '../../terminal/output.ts';
import { EXIT } from '../exit-codes.ts';
import { type Result, runCommand } from '../run.ts';

interface ManifestFlags {
  readonly diff?: string;
  readonly webhookUrl?: boolean;
}

/** No such host can exist, so nobody installs it by mistake. */
const PLACEHOLDER = 'https://public-url-is-not-set.invalid';
const MAX_FILE_BYTES = 1_048_576;

export const manifestCommand = new Command('manifest')
  .option('--diff <file>', 'compare with the installed manifest instead: scopes and webhooks added and removed')
  .option('--webhook-url', 'include the webhook address, which contains the secret')
  .action(({ diff, webhookUrl = false }: ManifestFlags, command: Command) =>
    runCommand(command, async ({ config }) =>
      diff === undefined ? show(config, webhookUrl) : compare(config, webhookUrl, await readInstalled(diff)),
    ),
  );

interface Plan {
  readonly manifest: Manifest;
  readonly scopes: readonly NeededScope[];
  readonly triggers: readonly Trigger[];
  readonly notes: readonly string[];
}

function plan({ app, flowlu, webhook }: Config, withWebhookUrl: boolean): Plan {
  const mirrored = catalogue.filter(({ name }) => matchesModel(flowlu.models, name));
  const scopes = neededScopes(mirrored, app.scopes);
  const [secret] = webhook.secrets;
  if (withWebhookUrl && secret === undefined) throw new UsageError('--webhook-url needs WEBHOOK_SECRET');
  const publicUrl = app.publicUrl ?? PLACEHOLDER;
  const manifest = buildManifest({
    version,
    publicUrl,
    appId: app.id,
    contact: app.contact,
    scopes,
    webhookUrl: withWebhookUrl ? `${publicUrl}/webhooks/flowlu/${secret}` : null,
  });
  return { manifest, scopes, triggers: triggersOf(mirrored), notes: notesOn(scopes, app.publicUrl, withWebhookUrl) };
}

function notesOn(scopes: readonly NeededScope[], publicUrl: string | null, hasSecret: boolean): readonly string[] {
  const named = (basis: NeededScope['basis']) =>
    scopes.filter((scope) => scope.basis === basis).map(({ permission }) => permission);
  const notes: string[] = [];
  if (publicUrl === null) notes.push('PUBLIC_URL is not set: the addresses in the manifest lead nowhere.');
  if (hasSecret) notes.push('webhookURL holds the webhook secret: keep the manifest to yourself.');
  const [assigned, guessed] = [named('assigned'), named('guessed')];
  if (assigned.length > 0) {
    notes.push(`Documented, but not for each of the models that are thought to need them: ${assigned.join(', ')}.`);
  }
  if (guessed.length > 0) {
    const help =
      'If the portal does not know one, correct it with APP_SCOPES or leave its models out with FLOWLU_MODELS.';
    notes.push(`Guessed, since Flowlu documents no code for their models: ${guessed.join(', ')}. ${help}`);
  }
  return notes;
}

function show(config: Config, webhookUrl: boolean): Result {
  const data = plan(config, webhookUrl);
  return { data, print: () => printPlan(data), exitCode: config.app.publicUrl === null ? EXIT.finding : EXIT.done };
}

/** The manifest alone goes to stdout, so that it can be sent straight into a file. */
function printPlan({ manifest, scopes, triggers, notes }: Plan): void {
  const { stderr } = process;
  printLine(JSON.stringify(manifest, null, 2));
  printLine('\nScopes, and the models that need them', stderr);
  const models: Column<NeededScope> = ['models', (row) => row.models.join(' ')];
  printTable(scopes, [['scope', (row) => row.permission], 'basis', models], stderr);
  printLine('\nWebhooks to tick in the portal, under System Settings → Webhooks, as far as it offers them', stderr);
  printTable(triggers, ['model', ['actions', (row) => row.actions.join(' ')]], stderr);
  for (const note of notes) printLine(`\n${note}`, stderr);
}

function compare(config: Config, webhookUrl: boolean, installed: Manifest): Result {
  // Without the flag, what the installed one has decides, as far as the settings can make it.
  const hadWebhookUrl = installed.webhookURL !== undefined && config.webhook.secrets.length > 0;
  const { manifest, notes } = plan(config, webhookUrl || hadWebhookUrl);
  const mirrored = new Set(
    catalogue.map(({ name }) => name).filter((name) => matchesModel(config.flowlu.models, name)),
  );
  const diff = hideSecrets(diffManifests(installed, manifest, catalogue, mirrored, config.app.scopes));
  const same = isSame(diff);
  const print = () =>
    same ? printLine('The installed manifest is the one that these settings make.') : printDiff(diff);
  return { data: { same, ...diff, notes }, print, exitCode: same ? EXIT.done : EXIT.finding };
}

/** The address for webhooks holds the secret; that it differs is all that needs saying. */
function hideSecrets(diff: ManifestDiff): ManifestDiff {
  const shown = (value: unknown) =>
    typeof value === 'string' ? value.replace(/(\/webhooks\/flowlu\/).+/, '$1…') : value;
  return { ...diff, fields: diff.fields.map(({ field, from, to }) => ({ field, from: shown(from), to: shown(to) })) };
}

function printDiff(diff: ManifestDiff): void {
  const list = (title: string, lines: readonly string[]) => {
    if (lines.length > 0) printLine(`${title}\n${lines.map((line) => `  ${line}`).join('\n')}\n`);
  };
  const triggers = (rows: readonly Trigger[]) => rows.map(({ model, actions }) => `${model}: ${actions.join(', ')}`);
  list('Scopes that come; an administrator has to approve them', diff.scopes_added);
  list('Scopes that go', diff.scopes_removed);
  list('Scopes of the installed manifest without a known level; they go as well', diff.scopes_unknown);
  list('Webhooks that become possible; tick them in the portal after the update', triggers(diff.triggers_added));
  list('Webhooks that Flowlu will remove with the update', triggers(diff.triggers_removed));
  list(
    'Other fields that change',
    diff.fields.map(({ field, from, to }) => `${field}: ${JSON.stringify(from)} → ${JSON.stringify(to)}`),
  );
}

/** @throws UsageError for a file that is no manifest. */
async function readInstalled(path: string): Promise<Manifest> {
  try {
    if ((await stat(path)).size > MAX_FILE_BYTES) throw new Error(`is larger than ${MAX_FILE_BYTES} bytes`);
    return manifestSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new UsageError(`${path} cannot be read as a manifest: ${reason}`, { cause: error });
  }
}
