/**
 * The portal's token endpoint: a code or a refresh token goes in, tokens or a refusal come out.
 *
 * Two dialects: the standard's, and Flowlu's as documented, with `grant_type=code` and refreshing at an address of its
 * own. The addresses tell which comes first, since a code may be good for one attempt; the other is tried only where the
 * portal refuses how it was asked.
 */
import { z } from 'zod';
import { createRedactor } from '../core/redact.ts';
import { FlowluError } from '../flowlu/errors.ts';
import { httpExchange } from '../flowlu/http.ts';

export interface OAuthClient {
  readonly clientId: string;
  readonly clientSecret: string | null;
  readonly tokenUrl: string;
  /** Where refresh tokens are exchanged; null where nobody has said. */
  readonly refreshUrl?: string | null;
}

export interface Tokens {
  readonly access: string;
  /** Null where the portal gave none. */
  readonly refresh: string | null;
  /** How long the portal promises to accept the access token; null where it says nothing. */
  readonly lifetime_s: number | null;
}

/** What came of asking. Texts hold no secret. */
export type Exchange =
  | { readonly kind: 'granted'; readonly tokens: Tokens }
  /** The code or refresh token is no good, and never will be again. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** It may work later; `answered` tells whether the portal has spoken, or its answer may be lost. */
  | { readonly kind: 'failed'; readonly reason: string; readonly answered: boolean };

type Grant =
  | {
      readonly type: 'authorization_code';
      readonly code: string;
      readonly verifier: string;
      readonly redirectUrl: string;
    }
  | { readonly type: 'refresh_token'; readonly refresh: string };

const MAX_BODY_BYTES = 65_536;
const MAX_REASON = 200;
/** Generous: an answer that is not waited for may be one that has spent the refresh token. */
export const EXCHANGE_TIMEOUT_MS = 20_000;
/** Longer promises are cut to what a timestamp can hold without surprise. */
const MAX_LIFETIME_S = 10 * 365 * 86_400;

/** Visible ASCII, since it travels in a header. */
const token = z.stringFormat('token', /^[\x21-\x7e]{1,8192}$/);
const seconds = z.coerce
  .number()
  .positive()
  .transform((value) => Math.min(value, MAX_LIFETIME_S));

const granted = z.object({
  access_token: token,
  token_type: z.stringFormat('bearer', /^bearer$/i).optional(),
  expires_in: seconds.nullish().catch(null),
  refresh_token: token.nullish(),
});

/** The standard's form of an error, or that of the portal's API. */
const refusal = z.union([
  z.object({ error: z.string().min(1), error_description: z.string().optional() }),
  z
    .object({ error: z.object({ error_msg: z.string().min(1) }) })
    .transform(({ error }) => ({ error: error.error_msg, error_description: undefined })),
]);

/** Asks. Never throws for what the portal or the network do. */
export async function exchange(client: OAuthClient, grant: Grant): Promise<Exchange> {
  const [first, second] = dialects(client, grant);
  const { outcome, isRefusedWay } = await ask(client, grant, first);
  return second !== undefined && isRefusedWay ? (await ask(client, grant, second)).outcome : outcome;
}

interface Dialect {
  readonly url: string;
  readonly grantType: string;
}

function dialects({ tokenUrl, refreshUrl = null }: OAuthClient, { type }: Grant): readonly [Dialect, Dialect?] {
  // Flowlu documents /oauth2/access_token and /oauth2/refresh_token.
  const isFlowlus = new URL(tokenUrl).pathname.endsWith('/access_token');
  if (type === 'authorization_code') {
    const standard = { url: tokenUrl, grantType: type };
    const flowlus = { url: tokenUrl, grantType: 'code' };
    return isFlowlus || refreshUrl !== null ? [flowlus, standard] : [standard, flowlus];
  }
  if (refreshUrl !== null) return [{ url: refreshUrl, grantType: type }];
  const own = { url: tokenUrl, grantType: type };
  const sibling = { url: new URL('refresh_token', tokenUrl).href, grantType: type };
  return isFlowlus ? [sibling, own] : [own, sibling];
}

/** What came of asking in one way, and whether it is the way that was refused rather than the grant. */
async function ask(
  { clientId, clientSecret, refreshUrl }: OAuthClient,
  grant: Grant,
  { url, grantType }: Dialect,
): Promise<{ readonly outcome: Exchange; readonly isRefusedWay: boolean }> {
  const secrets = {
    ...(clientSecret !== null && { client_secret: clientSecret }),
    ...(grant.type === 'authorization_code'
      ? { code: grant.code, code_verifier: grant.verifier }
      : { refresh_token: grant.refresh }),
  };
  const form = new URLSearchParams({ grant_type: grantType, client_id: clientId, ...secrets });
  if (grant.type === 'authorization_code') form.set('redirect_uri', grant.redirectUrl);
  const redact = createRedactor(Object.values(secrets));
  const options = { form, timeoutMs: EXCHANGE_TIMEOUT_MS, maxBodyBytes: MAX_BODY_BYTES, redact };
  const setting = url === refreshUrl ? 'FLOWLU_OAUTH_REFRESH_URL' : 'FLOWLU_OAUTH_TOKEN_URL';
  try {
    const never = new AbortController().signal;
    const { status, text } = await httpExchange(url, `POST to the token endpoint (${setting})`, options, never);
    const clean = (reason: string) =>
      redact(reason)
        .replace(/\p{Cc}+/gu, ' ')
        .slice(0, MAX_REASON);
    const outcome = judge(status, text, setting, clean);
    const isElsewhere = status === 404 || status === 405;
    const isRefusedWay = outcome.kind === 'failed' && (isElsewhere || GRANT_TYPE.test(outcome.reason));
    return { outcome, isRefusedWay };
  } catch (error) {
    if (!(error instanceof FlowluError)) throw error;
    return { outcome: { kind: 'failed', reason: error.message, answered: false }, isRefusedWay: false };
  }
}

/** The portal does not know this way of asking. */
const GRANT_TYPE = /grant.?type/i;

/** A refresh token can be revoked in words that the standard does not know. */
const FINAL = /^invalid_grant$|revoked|expired/i;

function judge(status: number, text: string, setting: string, clean: (reason: string) => string): Exchange {
  const body = tryParse(text);
  const isBusy = status >= 500 || status === 429 || status === 408;
  const said = refusal.safeParse(body);
  if (said.success && !isBusy) {
    const { error, error_description: description = '' } = said.data;
    const reason = clean(description === '' ? error : `${error}: ${description}`);
    return FINAL.test(error) ? { kind: 'refused', reason } : { kind: 'failed', reason, answered: true };
  }
  if (status < 200 || status >= 300)
    return { kind: 'failed', reason: `HTTP ${status} (${setting})`, answered: !isBusy };
  const tokens = granted.safeParse(body);
  if (!tokens.success) {
    const reason = `HTTP ${status} without tokens; is it the token endpoint? Check ${setting}`;
    return { kind: 'failed', reason, answered: false };
  }
  const { access_token: access, refresh_token: refresh = null, expires_in: lifetime_s = null } = tokens.data;
  return { kind: 'granted', tokens: { access, refresh, lifetime_s } };
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON, and so neither tokens nor a refusal.
    return undefined;
  }
}
