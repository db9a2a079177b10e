/**
 * Logging in: a browser is sent to the portal and comes back with a code, which is exchanged for tokens.
 *
 * What comes back is believed only with the `state` that went out: unguessable, stored as a hash, good once, for ten
 * minutes, for this client and redirect address. A code from elsewhere fails at the portal too, for want of the
 * verifier that only this login has (PKCE; a portal that does not know it ignores it).
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Sql } from '../postgres/connection.ts';
import { saveGrant } from '../store/grant.ts';
import { beginRequest, finishRequest, takeRequest } from '../store/oauth-requests.ts';
import { type Cipher, sealTokens } from './cipher.ts';
import { exchange, type OAuthClient } from './endpoint.ts';

export interface LoginDeps {
  readonly sql: Sql;
  readonly cipher: Cipher;
  readonly client: OAuthClient & { readonly authorizeUrl: string; readonly redirectUrl: string };
}

/** A login that did not succeed; the message says why and holds no secret. */
export class LoginError extends Error {
  override readonly name = 'LoginError';
}

export interface LoginAnswer {
  readonly state: string;
  readonly code: string | null;
  /** What the portal said instead of a code. */
  readonly error: string | null;
}

export const LOGIN_VALID_S = 600;
const STATE = /^[\w-]{43}$/;
const MAX_CODE = 4_096;
const PURPOSE = 'verifier of a login';

/** Begins a login at the address that it returns; `state` comes back with the browser, and is a secret until then. */
export async function beginLogin({ sql, cipher, client }: LoginDeps): Promise<{ url: string; state: string }> {
  const state = randomBytes(32).toString('base64url');
  const verifier = randomBytes(32).toString('base64url');
  const { clientId, redirectUrl } = client;
  const sealedVerifier = cipher.seal(verifier, PURPOSE);
  await beginRequest(sql, hashOf(state), { clientId, redirectUrl, sealedVerifier }, LOGIN_VALID_S);
  const url = new URL(client.authorizeUrl);
  const parameters = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUrl,
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return { url: url.href, state };
}

/** Ends a login with what the browser brought back, and stores the tokens. @throws LoginError */
export async function completeLogin({ sql, cipher, client }: LoginDeps, answer: LoginAnswer): Promise<void> {
  const unknown = new LoginError('this login is not known, has been used already, or took too long: begin it anew');
  if (!STATE.test(answer.state)) throw unknown;
  const hash = hashOf(answer.state);
  const request = await takeRequest(sql, hash, client.clientId);
  if (request === null) throw unknown;
  try {
    const { code, error } = answer;
    if (code === null || code === '' || code.length > MAX_CODE) {
      throw new LoginError(`the portal sent no code${error === null ? '' : ` (${plain(error)})`}`);
    }
    const verifier = cipher.open(request.sealedVerifier, PURPOSE);
    const { redirectUrl } = request;
    const outcome = await exchange(client, { type: 'authorization_code', code, verifier, redirectUrl });
    if (outcome.kind !== 'granted') throw new LoginError(`the portal gave no tokens: ${outcome.reason}`);
    const { tokens } = outcome;
    const sealed = sealTokens(cipher, client.clientId, tokens);
    await saveGrant(sql, { clientId: client.clientId, sealed, lifetime_s: tokens.lifetime_s });
    await finishRequest(sql, hash, 'done');
  } catch (error) {
    const reason = error instanceof LoginError ? error.message : 'it failed on the side of the mirror; see its log';
    await finishRequest(sql, hash, reason).catch(() => {});
    throw error;
  }
}

export function hashOf(state: string): string {
  return createHash('sha256').update(state).digest('hex');
}

/**
 * Reads the address to which the browser was sent back, as a person pastes it.
 * @throws LoginError for anything else.
 */
export function readAnswer(pasted: string): LoginAnswer {
  const url = URL.canParse(pasted.trim()) ? new URL(pasted.trim()) : null;
  const state = url?.searchParams.get('state') ?? null;
  if (url === null || state === null) {
    throw new LoginError('that is not the address to which the portal sent the browser: it holds code=… and state=…');
  }
  return { state, code: url.searchParams.get('code'), error: url.searchParams.get('error') };
}

/** A word of the portal's that is safe to show. */
function plain(text: string): string {
  return text.replace(/[^\w .:-]+/g, ' ').slice(0, 100);
}
