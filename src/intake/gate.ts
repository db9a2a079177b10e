/** Who may hand in a webhook: the sender's network first, then the secret. Nothing of the body is read before. */
import { hash, timingSafeEqual } from 'node:crypto';
import { onceIn } from '../core/time.ts';
import { createAttemptCounter } from './attempts.ts';
import { membershipOf, type Network, sourceOf } from './sources.ts';

export interface GateOptions {
  readonly secrets: readonly string[];
  /** Networks that webhooks are taken from; null: from everywhere. */
  readonly allowFrom?: readonly Network[] | null;
  /** Networks of proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly Network[];
  /** Told of requests from networks that are not on the list, once a minute at most. */
  readonly onForeign?: (caller: { readonly source: string | null; readonly isForwarded: boolean }) => void;
  /** Told once a minute and source that it hands in too many wrong secrets. */
  readonly onGuessing?: (source: string | null) => void;
  readonly onRight?: (position: number) => void;
}

interface Caller {
  readonly peer: string | undefined;
  readonly forwardedFor: string | undefined;
  readonly secret: string | undefined;
}

/** Why a caller is turned away: not from a network of the list; a wrong secret; one after too many others. */
export interface Refusal {
  readonly outcome: 'foreign' | 'unauthorized' | 'guessing';
  readonly status: 401 | 403 | 429;
  readonly error: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const FOREIGN = { status: 403, outcome: 'foreign', error: 'webhooks are not taken from this address' } as const;
const WRONG = { status: 401, outcome: 'unauthorized', error: 'wrong or missing secret' } as const;

const TELL_INTERVAL_MS = 60_000;

/** Makes the gate: null lets the caller in. */
export function createGate(options: GateOptions): (caller: Caller) => Refusal | null {
  const { allowFrom = null, trustedProxies = [] } = options;
  const positionOf = createSecretCheck(options.secrets);
  const isTrusted = membershipOf(trustedProxies);
  const isAllowed = allowFrom === null ? null : membershipOf(allowFrom);
  const attempts = createAttemptCounter();
  const isToldNow = onceIn(TELL_INTERVAL_MS);
  return ({ peer, forwardedFor, secret }) => {
    if (isAllowed !== null) {
      const source = sourceOf(peer, forwardedFor, isTrusted);
      if (source === null || !isAllowed(source)) {
        if (isToldNow()) options.onForeign?.({ source, isForwarded: forwardedFor !== undefined });
        return FOREIGN;
      }
    }
    const position = positionOf(secret);
    if (position !== null) {
      options.onRight?.(position);
      return null;
    }
    const source = sourceOf(peer, forwardedFor, isTrusted);
    const { isTooMany, isFirstTooMany, retryAfter_s } = attempts.wrong(source, performance.now());
    if (!isTooMany) return WRONG;
    if (isFirstTooMany) options.onGuessing?.(source);
    const headers = { 'Retry-After': String(retryAfter_s), Connection: 'close' };
    return { status: 429, outcome: 'guessing', error: 'too many wrong secrets', headers };
  };
}

/**
 * Makes a check against all accepted secrets; several are accepted while one replaces another.
 * @returns a function from a candidate to the position of the secret that it is, or null.
 */
export function createSecretCheck(secrets: readonly string[]): (candidate: string | undefined) => number | null {
  // Digests have one length, which `timingSafeEqual` wants, and hide how long the secrets are.
  const digest = (text: string) => hash('sha256', text, 'buffer');
  const accepted = secrets.map(digest);
  return (candidate) => {
    if (candidate === undefined || candidate === '') return null;
    const given = digest(candidate);
    // Every secret is compared, so that the time does not tell which one came close.
    const position = accepted.map((secret) => timingSafeEqual(secret, given)).indexOf(true);
    return position < 0 ? null : position;
  };
}
