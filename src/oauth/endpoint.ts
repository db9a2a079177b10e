/** The portal's token endpoint: a code or a refresh token goes in, tokens or a refusal come out. */
import { z } from 'zod';
import { createRedactor } from '../core/redact.ts';
import { FlowluError } from '../flowlu/errors.ts';
import { httpPostForm } from '../flowlu/http.ts';

/** Who asks, and where. */
export interface OAuthClient {
  readonly clientId: string;
  /** Null for an app without a secret. */
  readonly clientSecret: string | null;
  readonly tokenUrl: string;
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

export type Grant =
  | {
      readonly type: 'authorization_code';
      readonly code: string;
      readonly verifier: string;
      readonly redirectUrl: string;
    }
  | { readonly type: 'refresh_token'; readonly refresh: string };

const WHAT = 'POST to the token endpoint';
const MAX_BODY_BYTES = 65_536;
const MAX_REASON = 200;
/** Generous: an answer that is not waited for may be one that has spent the refresh token. */
export const EXCHANGE_TIMEOUT_MS = 20_000;
/** Longer promises are cut to what a timestamp can hold without surprise. */
const MAX_LIFETIME_S = 10 * 365 * 86_400;

/** Visible ASCII, since it travels in a header. */
const token = z
  .string()
  .max(8_192)
  .regex(/^[\x21-\x7e]+$/);
const seconds = z.coerce
  .number()
  .positive()
  .transform((value) => Math.min(value, MAX_LIFETIME_S));

const granted = z.object({
  access_token: token,
  token_type: z
    .string()
    .regex(/^bearer$/i)
    .optional(),
  expires_in: seconds.nullish().catch(null),
  refresh_token: token.nullish(),
});

const refusal = z.object({ error: z.string().min(1), error_description: z.string().optional() });

/** Asks. Never throws for what the portal or the network do. */
export async function exchange(client: OAuthClient, grant: Grant, fetchIt: typeof fetch = fetch): Promise<Exchange> {
  const { clientId, clientSecret, tokenUrl } = client;
  const form = new URLSearchParams({ grant_type: grant.type, client_id: clientId });
  if (clientSecret !== null) form.set('client_secret', clientSecret);
  const secrets = clientSecret === null ? [] : [clientSecret];
  if (grant.type === 'authorization_code') {
    form.set('code', grant.code);
    form.set('redirect_uri', grant.redirectUrl);
    form.set('code_verifier', grant.verifier);
    secrets.push(grant.code, grant.verifier);
  } else {
    form.set('refresh_token', grant.refresh);
    secrets.push(grant.refresh);
  }
  const redact = createRedactor(secrets);
  const options = { fetch: fetchIt, timeoutMs: EXCHANGE_TIMEOUT_MS, maxBodyBytes: MAX_BODY_BYTES, redact };
  try {
    const { status, text } = await httpPostForm(tokenUrl, form, WHAT, options, new AbortController().signal);
    return judge(status, text, (reason) =>
      redact(reason)
        .replace(/\p{Cc}+/gu, ' ')
        .slice(0, MAX_REASON),
    );
  } catch (error) {
    if (!(error instanceof FlowluError)) throw error;
    return { kind: 'failed', reason: error.message, answered: false };
  }
}

/** A refresh token can be revoked in words that the standard does not know. */
const FINAL = /^invalid_grant$|revoked|expired/i;

function judge(status: number, text: string, clean: (reason: string) => string): Exchange {
  const body = tryParse(text);
  const isBusy = status >= 500 || status === 429 || status === 408;
  const said = refusal.safeParse(body);
  if (said.success && !isBusy) {
    const { error, error_description: description = '' } = said.data;
    const reason = clean(description === '' ? error : `${error}: ${description}`);
    return FINAL.test(error) ? { kind: 'refused', reason } : { kind: 'failed', reason, answered: true };
  }
  if (status < 200 || status >= 300) return { kind: 'failed', reason: `HTTP ${status}`, answered: !isBusy };
  const tokens = granted.safeParse(body);
  if (!tokens.success) {
    return { kind: 'failed', reason: `HTTP ${status} without tokens; is it the token endpoint?`, answered: false };
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
