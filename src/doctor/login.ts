/** Whether somebody is logged in by OAuth, and whether what was granted can be used. */
import type { Config, OAuthConfig } from '../config/index.ts';
import { openTokens } from '../oauth/cipher.ts';
import type { Sql } from '../postgres/connection.ts';
import { cipherOf, lacksLogin } from '../service/authorization.ts';
import { span } from '../status/words.ts';
import { readGrant } from '../store/grant.ts';
import { type Check, checkOf, fail, messageOf, ok, warn } from './check.ts';

const NAME = 'login';

export async function checkLogin(config: Config, oauth: OAuthConfig, sql: Sql): Promise<Check> {
  const lacking = await lacksLogin(config, sql);
  if (lacking !== null) return checkOf(lacking);
  const grant = await readGrant(sql);
  if (grant === null) return fail(NAME, 'somebody logs out just now', 'run doctor again');
  const cipher = cipherOf(oauth);
  try {
    const { refresh } = openTokens(cipher, oauth.clientId, grant.sealed);
    if (refresh === null) {
      return warn(NAME, 'the portal gave no refresh token', 'log in anew whenever the access token ends');
    }
  } catch (error) {
    return fail(NAME, messageOf(error), 'list the former key in TOKEN_KEY as well, or run: flowlu-mirror login');
  }
  if (grant.failures > 0) {
    const advice = 'check FLOWLU_OAUTH_TOKEN_URL, FLOWLU_CLIENT_ID and FLOWLU_CLIENT_SECRET, and the network';
    return warn(NAME, `the last refresh brought nothing: ${grant.problem}`, advice);
  }
  if (cipher.isOutdated(grant.sealed)) {
    const advice = 'keep the former key in TOKEN_KEY until the next refresh';
    return warn(NAME, 'the tokens are still sealed with a former key', advice);
  }
  const left = grant.left_ms === null ? '' : `; the access token lasts ${span(grant.left_ms / 1_000)} more`;
  return ok(NAME, `logged in${left}`);
}
