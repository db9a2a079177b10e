/** What the process and its settings say, without asking anybody. */
import type { Config } from '../config/index.ts';
import type { Sql } from '../postgres/connection.ts';
import { checkPrivacy } from '../privacy/check.ts';
import { createPrivacy } from '../privacy/policy.ts';
import { mirroredModels } from '../service/session.ts';
import { keepsTo } from '../store/privacy-mark.ts';
import { type Check, fail, namesOf, ok, warn } from './check.ts';

const NODE_MIN = [20, 19] as const;

export function checkSettings(config: Config, nodeVersion: string): readonly Check[] {
  return [checkNode(nodeVersion), checkSecrets(config), checkRate(config), checkModels(config)];
}

function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isEnough = major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1]);
  return isEnough ? ok('Node.js', version) : fail('Node.js', version, `install ${NODE_MIN.join('.')} or later`);
}

/** Why more models are mirrored than the portal is asked for. */
function checkModels(config: Config): Check {
  const models = mirroredModels(config);
  const unlisted = models.filter(({ listable }) => !listable).map(({ name }) => name);
  const alone =
    unlisted.length === 0 ? '' : `, of which webhooks alone fill ${namesOf(unlisted)}: the API has no list of it`;
  return ok('models', `${models.length}${alone}`);
}

function checkSecrets({ webhook: { secrets } }: Config): Check {
  const name = 'webhook secret';
  if (secrets.length === 0) {
    return warn(name, 'none, so `serve` will not start', 'set WEBHOOK_SECRET; make one with: openssl rand -hex 32');
  }
  return ok(name, secrets.length === 1 ? 'one' : `${secrets.length}, as in a rotation`);
}

function checkRate({ flowlu: { requestsPerSecond, baseUrl } }: Config): Check {
  const name = 'request rate';
  const isLocal = baseUrl !== null && /^(localhost|127\..*|\[::1\])$/.test(new URL(baseUrl).hostname);
  if (requestsPerSecond > 0) return ok(name, `${requestsPerSecond} a second, all processes together`);
  if (isLocal) return ok(name, 'no limit');
  const advice =
    'Flowlu limits requests per account and second, 1 in the trial: set FLOWLU_REQUESTS_PER_SECOND below the limit of your tariff';
  return warn(name, 'no limit', advice);
}

const PERSONAL_DATA = 'personal data';

/** Looks at the settings, and at what is stored; nothing to say where there are no such settings. */
export async function checkPersonalData(
  { privacy: rules, flowlu }: Config,
  sql: Sql | null,
): Promise<readonly Check[]> {
  const privacy = createPrivacy(rules, () => undefined);
  if (privacy === null) return [];
  const { problems, unknown } = checkPrivacy(rules, flowlu.extraModels);
  const [problem] = problems;
  if (problem !== undefined) return [fail(PERSONAL_DATA, problem, 'change FLOWLU_OMIT_FIELDS or FLOWLU_HASH_FIELDS')];
  const checks: Check[] = [];
  if (unknown.length > 0) {
    const found = `the catalogue does not know ${namesOf(unknown)}`;
    const advice = 'look for a typing mistake: a field that is called otherwise is not protected';
    checks.push(warn(PERSONAL_DATA, found, advice));
  }
  if (sql !== null && !(await keepsTo(sql, privacy.fingerprint))) {
    const found = 'the settings are new or have changed; what was stored before does not keep to them';
    checks.push(warn(PERSONAL_DATA, found, 'run: flowlu-mirror redact'));
  }
  const { omit, hash } = rules;
  return checks.length > 0 ? checks : [ok(PERSONAL_DATA, `${omit.length} fields left out, ${hash.length} hashed`)];
}
