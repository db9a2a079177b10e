/** By what right the portal is read: the settings brought to life. */
import { type Config, decodeTokenKey, type OAuthConfig } from '../config/index.ts';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { type Authorization, apiKeyAuthorization } from '../flowlu/authorization.ts';
import { type FlowluError, UNANSWERED } from '../flowlu/errors.ts';
import { type Cipher, createCipher } from '../oauth/cipher.ts';
import type { LoginDeps } from '../oauth/login.ts';
import { createTokenSource } from '../oauth/tokens.ts';
import type { Sql } from '../postgres/connection.ts';
import type { Finding } from '../status/finding.ts';
import { judgeLogin, keyRefused, loginRefused, portalSilent } from '../status/portal.ts';
import { grantStatus } from '../store/grant.ts';

/** The right that the settings name; null where they name none. */
export function authorizationOf(
  { flowlu: { apiKey, oauth } }: Config,
  { sql, log, stop, metrics }: { sql: Sql; log: Logger; stop: AbortSignal; metrics?: Metrics },
): Authorization | null {
  if (apiKey !== null) return apiKeyAuthorization(apiKey);
  if (oauth === null) return null;
  return createTokenSource({
    sql,
    log,
    stop,
    client: oauth,
    cipher: cipherOf(oauth),
    onRefresh: (outcome) => metrics?.oauthRefreshes.inc({ outcome }),
  });
}

export function cipherOf({ tokenKeys }: OAuthConfig): Cipher {
  return createCipher(tokenKeys.flatMap((key) => decodeTokenKey(key) ?? []));
}

export function loginDepsOf(oauth: OAuthConfig, sql: Sql): LoginDeps {
  return { sql, cipher: cipherOf(oauth), client: oauth };
}

/** What keeps the portal from being asked before somebody logs in; null where an API key is used, or asking makes sense. */
export async function lacksLogin({ flowlu: { oauth } }: Config, sql: Sql): Promise<Finding | null> {
  return oauth === null ? null : judgeLogin({ grant: await grantStatus(sql), oauthClient: oauth.clientId });
}

/** What a failed request tells a person: the words of the findings where it is not about one model, else the portal's. */
export function problemOf({ kind, problem: words }: FlowluError, { flowlu: { oauth } }: Config) {
  if (kind === 'unauthorized') return oauth === null ? keyRefused({ words, since: null }) : loginRefused(words);
  return UNANSWERED.has(kind) ? portalSilent({ words, since: null }) : { sentence: words, remedy: null };
}
