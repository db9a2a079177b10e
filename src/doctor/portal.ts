/** Whether the portal can be read: its address, its key, and the key's rights model by model. */
import { extraModel, possibleModels } from '../catalog/index.ts';
import type { Model } from '../catalog/types.ts';
import { ACCESS_WORDS, type Access } from '../core/access.ts';
import { type FlowluClient, readRights } from '../flowlu/client.ts';
import { FlowluError, UNANSWERED } from '../flowlu/errors.ts';
import type { Finding } from '../status/finding.ts';
import { keyRefused, portalSilent } from '../status/portal.ts';
import { checkOf, fail, messageOf, namesOf, ok, type Report, warn } from './check.ts';

export interface ReadableModel {
  readonly model: Model;
  /** Rows that the portal claims to have, or null. */
  readonly total: number | null;
}

/** By what right it is asked, and what to say where the portal refuses that; there are words of the portal then. */
export interface Right {
  readonly name: Access;
  readonly refused: (words: string) => Finding | Promise<Finding>;
}

export const KEY: Right = { name: 'key', refused: (words) => keyRefused({ words, since: null }) };

interface Refusal {
  readonly model: Model;
  readonly error: FlowluError;
}
type Answer = (ReadableModel & { readonly error?: undefined }) | Refusal;

export const RIGHTS = 'rights at the portal';
const MODELS_AT_A_TIME = 4;
/** Models asked for before a portal that knows none of them is taken for no portal. */
const TRIALS = 5;
const trialRank = ({ name }: Model) => Number(!['crm.account', 'crm.lead', 'core.user', 'task.tasks'].includes(name));

/**
 * Asks for one row of each model; returns those that can be read, or null when the portal cannot be read at all.
 * @throws the signal's reason.
 */
export async function checkPortal(
  client: FlowluClient,
  baseUrl: string,
  models: readonly Model[],
  report: Report,
  signal: AbortSignal,
  right = KEY,
): Promise<readonly ReadableModel[] | null> {
  const listable = models.filter((model) => model.listable).toSorted((a, b) => trialRank(a) - trialRank(b));
  if (listable.length === 0) {
    report(warn('portal', 'no model is left to ask for', 'check FLOWLU_MODELS'));
    return null;
  }
  const origin = new URL(baseUrl).host;
  const answers: Answer[] = [];
  // A model that a portal lacks may be told as HTTP 404, as if there were no portal.
  for (const model of listable.slice(0, TRIALS)) {
    answers.push(await ask(client, model, signal));
    if (answers.at(-1)?.error?.status !== 404) break;
  }
  if (!(await reportTrial(answers.at(-1)?.error, origin, right, report))) return null;
  const rest = listable.slice(answers.length);
  for (let start = 0; start < rest.length; start += MODELS_AT_A_TIME) {
    const part = rest.slice(start, start + MODELS_AT_A_TIME);
    answers.push(...(await Promise.all(part.map((model) => ask(client, model, signal)))));
  }
  const readable = answers.filter((answer) => answer.error === undefined);
  const refused = answers.filter((answer) => answer.error !== undefined);
  reportRights(readable, refused, right, report);
  return readable;
}

export async function checkUser(client: FlowluClient, report: Report, signal: AbortSignal, right = KEY): Promise<void> {
  try {
    const { user, admin } = await readRights(client, signal);
    const advice = `what the portal hides from this user, the mirror lacks: ${ACCESS_WORDS[right.name].better}`;
    report(admin === false ? warn('rights of', `${user}, not an administrator`, advice) : ok('rights of', user));
  } catch (error) {
    signal.throwIfAborted();
    report(ok('rights of', `not told (${messageOf(error)})`));
  }
}

/** Asks for models that a portal may have although the catalogue does not know them, and suggests those that answer. */
export async function checkPossible(
  client: FlowluClient,
  mirrored: readonly string[],
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const asked = possibleModels.filter((name) => !mirrored.includes(name)).map(extraModel);
  const names: string[] = [];
  for (const model of asked) if ((await ask(client, model, signal)).error === undefined) names.push(model.name);
  if (names.length === 0) return;
  const setting = [...mirrored, ...names].join(',');
  report(warn('more models', `this portal also has ${names.join(', ')}`, `FLOWLU_EXTRA_MODELS=${setting}`));
}

async function ask(client: FlowluClient, model: Model, signal: AbortSignal): Promise<Answer> {
  try {
    const { total } = await client.list(model, { limit: 1, page: 1 }, signal);
    return { model, total };
  } catch (error) {
    if (error instanceof FlowluError) return { model, error };
    throw error;
  }
}

/** What the first answer says of the portal as a whole; false when asking on is pointless. */
async function reportTrial(
  error: FlowluError | undefined,
  origin: string,
  right: Right,
  report: Report,
): Promise<boolean> {
  if (error !== undefined && UNANSWERED.has(error.kind)) {
    report({ ...checkOf(portalSilent({ words: `${origin}: ${error.problem}`, since: null })), status: 'fail' });
    return false;
  }
  report(ok('portal', `${origin} answers`));
  if (error?.kind === 'unauthorized') {
    report(checkOf(await right.refused(error.problem)));
    return false;
  }
  report(ok(right.name, 'accepted'));
  return true;
}

const UNKNOWN: ReadonlySet<string> = new Set(['unknown_module', 'unknown_method']);

function reportRights(
  readable: readonly ReadableModel[],
  refused: readonly Refusal[],
  { name }: Right,
  report: Report,
): void {
  const found = `${readable.length} of ${readable.length + refused.length} models asked for can be read`;
  const advice = `${ACCESS_WORDS[name].give} rights to the modules to be mirrored`;
  report(readable.length > 0 ? ok(RIGHTS, found) : fail(RIGHTS, found, advice));
  const named = (chosen: readonly Refusal[]) => namesOf(chosen.map(({ model }) => model.name));
  const forbidden = refused.filter(({ error }) => error.kind === 'forbidden');
  if (forbidden.length > 0) {
    report(warn('no right', named(forbidden), 'give the rights, or leave these models out with FLOWLU_MODELS'));
  }
  const isUnknown = ({ error }: Refusal) => UNKNOWN.has(error.kind) || error.status === 404;
  const unknown = refused.filter(isUnknown);
  if (unknown.length > 0) report(ok('not in this portal', `${named(unknown)}: they are skipped`));
  const other = refused.filter((one) => one.error.kind !== 'forbidden' && !isUnknown(one));
  if (other.length > 0) {
    report(warn('not readable now', `${named(other)}: ${other[0]?.error.message}`, 'try again later'));
  }
}
