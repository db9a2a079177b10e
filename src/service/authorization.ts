/** By what right the portal is read: the settings brought to life. */
import { type Config, decodeTokenKey, type OAuthConfig } from '../config/index.ts';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { type Authorization, apiKeyAuthorization } from '../flowlu/authorization.ts';
import { type Cipher, createCipher } from '../oauth/cipher.ts';
import type { LoginDeps } from '../oauth/login.ts';
import { createTokenSource } from '../oauth/tokens.ts';
import type { Sql } from '../postgres/connection.ts';
import { type GrantStatus, grantStatus } from '../store/grant.ts';

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

/** The cipher that the settings' keys make. */
export function cipherOf({ tokenKeys }: OAuthConfig): Cipher {
  return createCipher(tokenKeys.flatMap((key) => decodeTokenKey(key) ?? []));
}

/** What logging in needs. */
export function loginDepsOf(oauth: OAuthConfig, sql: Sql): LoginDeps {
  return { sql, cipher: cipherOf(oauth), client: oauth };
}

/** How the portal stands to us, as far as the database knows. */
export type Standing =
  /** An API key is used, or none at all; only asking can tell. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'ready'; readonly grant: GrantStatus }
  | { readonly kind: 'login'; readonly why: string };

/** Whether asking the portal makes sense, without asking it. */
export async function standing({ flowlu: { oauth } }: Config, sql: Sql): Promise<Standing> {
  if (oauth === null) return { kind: 'unknown' };
  const grant = await grantStatus(sql);
  if (grant === null) return { kind: 'login', why: 'nobody is logged in to Flowlu' };
  if (grant.client_id !== oauth.clientId) {
    return { kind: 'login', why: 'the stored authorization is of another client id' };
  }
  if (grant.state === 'refused')
    return { kind: 'login', why: grant.problem ?? 'Flowlu has withdrawn the authorization' };
  return { kind: 'ready', grant };
}
