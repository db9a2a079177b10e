/**
 * A strict authorisation server: it forgives nothing that a standard lets it refuse.
 *
 * A code is good once, for a minute, for the redirect address and the verifier that it was asked for with; used twice,
 * whatever was issued for it is withdrawn. A refresh token is good once; used twice, its whole family is withdrawn.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { send } from './answers.ts';

export const OAUTH_PATH = '/oauth';

export interface OAuthOptions {
  readonly clientId: string;
  readonly clientSecret: string;
  readonly redirectUrls: readonly string[];
  /** Seconds that it says an access token lasts; null says nothing. Change at any time. */
  lifetime_s: number | null;
  /** As Flowlu documents it: `grant_type=code`, refreshing at `/refresh_token`, no `response_type`. */
  readonly dialect?: 'documented';
  /** Seconds that it really lasts, on this server's clock; may be less than promised. */
  real_lifetime_s?: number;
}

/** How the next token requests are spoilt. */
export interface OAuthFaults {
  /** Tokens are issued, and the connection breaks before the answer is out; so many times. */
  loseAnswer?: number;
  /** Answers with 503; so many times. */
  unavailable?: number;
  /** Answers with an error of this name; so many times. */
  error?: { readonly name: string; times: number };
  /** Takes so long, in milliseconds, after the tokens were issued. */
  slowMs?: number;
  /** Answers when this is fulfilled, after the tokens were issued. */
  hold?: Promise<void>;
}

interface Code {
  readonly redirectUrl: string;
  readonly challenge: string | null;
  readonly expiresAtMs: number;
  family: string | null;
}

interface Token {
  readonly family: string;
  readonly expiresAtMs: number;
  spent: boolean;
}

export interface OAuthServer {
  readonly options: OAuthOptions;
  readonly faults: OAuthFaults;
  /** What token requests came to: `code`, `refresh`, or the error's name. */
  readonly log: readonly string[];
  /** Every code, token and proof that ever left or reached the server, to look for where it should not be. */
  readonly secrets: ReadonlySet<string>;
  /** The states that browsers brought: secret until they are used. */
  readonly states: ReadonlySet<string>;
  /** Moves the server's clock, in seconds. */
  advance(seconds: number): void;
  /** True for an access token that is good now. */
  accepts(token: string): boolean;
  /** A person withdraws everything. */
  revokeAll(): void;
  handle(req: IncomingMessage, res: ServerResponse, url: URL): Promise<void>;
}

const CODE_LIFETIME_MS = 60_000;
const BODY_LIMIT = 16_384;

export function createOAuthServer(options: OAuthOptions): OAuthServer {
  const faults: OAuthFaults = {};
  const log: string[] = [];
  const secrets = new Set<string>();
  const states = new Set<string>();
  const codes = new Map<string, Code>();
  const access = new Map<string, Token>();
  const refresh = new Map<string, Token>();
  const families = new Set<string>();
  let shiftMs = 0;
  const now = () => performance.now() + shiftMs;
  const mint = () => {
    const value = randomBytes(24).toString('base64url');
    secrets.add(value);
    return value;
  };

  function issue(family: string) {
    const [accessToken, refreshToken] = [mint(), mint()];
    // Only the newest access token of a family is good.
    for (const token of access.values()) if (token.family === family) token.spent = true;
    const lifetime_s = options.real_lifetime_s ?? options.lifetime_s ?? 3_600;
    access.set(accessToken, { family, expiresAtMs: now() + lifetime_s * 1_000, spent: false });
    refresh.set(refreshToken, { family, expiresAtMs: Number.POSITIVE_INFINITY, spent: false });
    const promise = options.lifetime_s === null ? {} : { expires_in: options.lifetime_s };
    return { token_type: 'Bearer', access_token: accessToken, refresh_token: refreshToken, ...promise };
  }

  function byCode(form: URLSearchParams) {
    const code = codes.get(form.get('code') ?? '');
    if (code === undefined) return refuse('invalid_grant', 'no such code');
    if (code.family !== null) {
      families.delete(code.family);
      return refuse('invalid_grant', 'the code was used before');
    }
    code.family = mint();
    if (now() > code.expiresAtMs) return refuse('invalid_grant', 'the code has expired');
    if (form.get('redirect_uri') !== code.redirectUrl) return refuse('invalid_grant', 'another redirect_uri');
    const verifier = form.get('code_verifier') ?? '';
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    if (code.challenge !== null && challenge !== code.challenge) return refuse('invalid_grant', 'wrong verifier');
    families.add(code.family);
    return { status: 200, body: issue(code.family), said: 'code' };
  }

  function byRefresh(form: URLSearchParams) {
    const given = form.get('refresh_token') ?? '';
    const token = refresh.get(given);
    if (token === undefined || !families.has(token.family)) return refuse('invalid_grant', `${given} is not known`);
    if (token.spent) {
      families.delete(token.family);
      return refuse('invalid_grant', 'the refresh token was used twice');
    }
    token.spent = true;
    return { status: 200, body: issue(token.family), said: 'refresh' };
  }

  function refuse(error: string, error_description: string) {
    return { status: error === 'invalid_client' ? 401 : 400, body: { error, error_description }, said: error };
  }

  function authenticates(form: URLSearchParams): boolean {
    const digest = (text: string) => createHash('sha256').update(text).digest();
    const isOurs = timingSafeEqual(digest(form.get('client_secret') ?? ''), digest(options.clientSecret));
    return form.get('client_id') === options.clientId && isOurs;
  }

  /** What an address takes. */
  function takes(path: string, grantType: string | null): boolean {
    if (options.dialect !== 'documented') return path === '/token';
    return path === '/refresh_token' ? grantType === 'refresh_token' : grantType === 'code';
  }

  function judge(req: IncomingMessage, form: URLSearchParams, path: string) {
    if (!/^application\/x-www-form-urlencoded\b/.test(req.headers['content-type'] ?? '')) {
      return refuse('invalid_request', 'not a form');
    }
    if ([...form.keys()].length !== new Set(form.keys()).size) return refuse('invalid_request', 'a parameter twice');
    if (!authenticates(form)) return refuse('invalid_client', 'who is that?');
    if (!takes(path, form.get('grant_type'))) {
      // Nobody knows whether a portal looks at the code first: here one attempt spends it.
      codes.delete(form.get('code') ?? '');
      return refuse('unsupported_grant_type', 'not at this address');
    }
    switch (form.get('grant_type')) {
      case 'code':
      case 'authorization_code':
        return byCode(form);
      case 'refresh_token':
        return byRefresh(form);
      default:
        return refuse('unsupported_grant_type', 'only codes and refresh tokens');
    }
  }

  const hits = (name: 'loseAnswer' | 'unavailable'): boolean => {
    const left = faults[name] ?? 0;
    faults[name] = Math.max(0, left - 1);
    return left > 0;
  };

  async function token(req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
    if (req.method !== 'POST') return send(res, 405, '{"error":"invalid_request"}');
    const form = new URLSearchParams(await readAll(req));
    for (const name of ['code', 'code_verifier', 'client_secret', 'refresh_token']) {
      const value = form.get(name);
      if (value !== null) secrets.add(value);
    }
    if (hits('unavailable')) {
      log.push('unavailable');
      if (faults.slowMs !== undefined) await sleep(faults.slowMs);
      return send(res, 503, '<html>later</html>', 'text/html');
    }
    const { error } = faults;
    if (error !== undefined && error.times > 0) {
      error.times -= 1;
      log.push(error.name);
      return send(res, 400, JSON.stringify({ error: error.name }));
    }
    const { status, body, said } = judge(req, form, path);
    log.push(said);
    if (faults.slowMs !== undefined) await sleep(faults.slowMs);
    await faults.hold;
    if (hits('loseAnswer')) {
      req.socket.resetAndDestroy();
      return;
    }
    send(res, status, JSON.stringify(body), 'application/json', { 'cache-control': 'no-store' });
  }

  /** The page on which a user agrees; this user always does, unless `deny` is among the parameters. */
  function authorize(res: ServerResponse, url: URL): void {
    const redirectUrl = url.searchParams.get('redirect_uri') ?? '';
    const isKnown =
      url.searchParams.get('client_id') === options.clientId && options.redirectUrls.includes(redirectUrl);
    // To an address that is not registered, nobody is ever sent.
    if (!isKnown) {
      send(res, 400, '<html>unknown app or redirect address</html>', 'text/html');
      return;
    }
    const back = new URL(redirectUrl);
    const state = url.searchParams.get('state');
    if (state !== null) {
      back.searchParams.set('state', state);
      states.add(state);
    }
    const isCode = options.dialect === 'documented' || url.searchParams.get('response_type') === 'code';
    const challenge = url.searchParams.get('code_challenge');
    if (!isCode || (challenge !== null && url.searchParams.get('code_challenge_method') !== 'S256')) {
      back.searchParams.set('error', 'invalid_request');
    } else if (url.searchParams.has('deny')) {
      back.searchParams.set('error', 'access_denied');
    } else {
      const code = mint();
      codes.set(code, { redirectUrl, challenge, expiresAtMs: now() + CODE_LIFETIME_MS, family: null });
      back.searchParams.set('code', code);
    }
    send(res, 302, '', 'text/html', { location: back.href });
  }

  return {
    options,
    faults,
    log,
    secrets,
    states,
    advance: (seconds) => {
      shiftMs += seconds * 1_000;
    },
    accepts(value) {
      const found = access.get(value);
      return found !== undefined && !found.spent && families.has(found.family) && now() < found.expiresAtMs;
    },
    revokeAll: () => families.clear(),
    async handle(req, res, url) {
      const path = url.pathname.slice(OAUTH_PATH.length);
      const tokens = options.dialect === 'documented' ? ['/access_token', '/refresh_token'] : ['/token'];
      if (tokens.includes(path)) await token(req, res, path);
      else if (url.pathname === `${OAUTH_PATH}/authorize`) authorize(res, url);
      else send(res, 404, '{}');
    },
  };
}

async function readAll(req: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of req.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk;
    if (text.length > BODY_LIMIT) throw new Error('token request too large');
  }
  return text;
}
