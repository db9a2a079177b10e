/** Whether the privacy settings can be kept to, and are. */
import type { Config } from '../../config/index.ts';
import type { Sql } from '../../postgres/connection.ts';
import { checkPrivacy } from '../../privacy/check.ts';
import { createPrivacy } from '../../privacy/policy.ts';
import { keepsTo } from '../../store/privacy-mark.ts';
import { type Check, fail, namesOf, ok, warn } from './check.ts';

const NAME = 'personal data';

/** Looks at the settings, and at what is stored; nothing to say where there are no such settings. */
export async function checkPersonalData({ privacy: rules }: Config, sql: Sql | null): Promise<readonly Check[]> {
  const privacy = createPrivacy(rules, () => undefined);
  if (privacy === null) return [];
  const { problems, unknown } = checkPrivacy(rules);
  const [problem] = problems;
  if (problem !== undefined) return [fail(NAME, problem, 'change FLOWLU_OMIT_FIELDS or FLOWLU_HASH_FIELDS')];
  const checks: Check[] = [];
  if (unknown.length > 0) {
    const found = `the catalogue does not know ${namesOf(unknown)}`;
    checks.push(warn(NAME, found, 'look for a typing mistake: a field that is called otherwise is not protected'));
  }
  if (sql !== null && !(await keepsTo(sql, privacy.fingerprint))) {
    const found = 'the settings are new or have changed; what was stored before does not keep to them';
    checks.push(warn(NAME, found, 'run: flowlu-mirror redact'));
  }
  const { omit, hash } = rules;
  return checks.length > 0 ? checks : [ok(NAME, `${omit.length} fields left out, ${hash.length} hashed`)];
}
