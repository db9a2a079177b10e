/**
 * Which refused requests look like Flowlu's own, so that a person is told of them; all others may be strangers'. A right
 * secret, wherever it stands, is proof. A wrong one is a hint where it comes again: Flowlu repeats the one that it was
 * given, and who guesses tries others.
 */
import { hash } from 'node:crypto';
import { createSecretCheck } from './gate.ts';

export type RefusedKind = 'stranger' | 'secret' | 'address' | 'network' | 'method' | 'body';

/** By the outcome of the answer. */
const OWN: Readonly<Record<string, RefusedKind>> = {
  misdirected: 'address',
  foreign: 'network',
  wrong_method: 'method',
  not_json: 'body',
  too_large: 'body',
  rejected: 'body',
};
/** Flowlu's would be as long as one of ours, which have at least so many characters. */
const SECRET_MIN = 16;
const MAX_REMEMBERED = 1_000;
const MAX_PARTS = 10;

/** Makes a function that says how an answer counts; null where nothing was refused, or for a while only. */
export function createRefusedKinds(secrets: readonly string[]) {
  const positionOf = createSecretCheck(secrets);
  const wrong = new Set<string>();
  function comesAgain(secret = ''): boolean {
    if (secret.length < SECRET_MIN) return false;
    const print = hash('sha256', secret, 'base64');
    if (wrong.has(print)) return true;
    wrong.add(print);
    if (wrong.size > MAX_REMEMBERED) wrong.delete(wrong.values().next().value as string);
    return false;
  }
  return (outcome: string, url: string, secret: string | undefined): RefusedKind | null => {
    if (outcome === 'unauthorized' || outcome === 'guessing') return comesAgain(secret) ? 'secret' : 'stranger';
    const kind = OWN[outcome];
    if (kind === undefined || kind === 'body') return kind ?? null;
    const isOwn = [secret, ...url.split(/[/?]/, MAX_PARTS)].some((part) => positionOf(part) !== null);
    return isOwn ? kind : 'stranger';
  };
}

const AT_FLOWLU = 'In Flowlu, under System Settings → Webhooks, ';

/** What a person is told of each kind, and what helps. */
export const REFUSED_WORDS: Readonly<Record<RefusedKind, { readonly what: string; readonly remedy: string }>> = {
  secret: {
    what: 'Flowlu is posting with another secret than WEBHOOK_SECRET',
    remedy: `${AT_FLOWLU}let the address end in WEBHOOK_SECRET; or add the secret that it ends in there to WEBHOOK_SECRET, and start \`serve\` again`,
  },
  address: {
    what: 'Webhooks with the right secret come to a wrong address',
    remedy: `${AT_FLOWLU}let the path of the address be /webhooks/flowlu/ and then WEBHOOK_SECRET; that of an automation has /MODULE.MODEL after it`,
  },
  network: {
    what: 'Webhooks with the right secret come from a network that WEBHOOK_ALLOW_FROM does not name',
    remedy:
      'The log of `serve` names the sender: add its network to WEBHOOK_ALLOW_FROM, or a proxy in front to TRUSTED_PROXIES',
  },
  method: {
    what: 'Requests with the right secret come by another method than POST',
    remedy: 'Choose POST where they are sent from',
  },
  body: {
    what: 'Webhooks with the right secret cannot be read',
    remedy: '`status` lists those that were JSON, with what they lack; docs/http.md shows a body that can be read',
  },
  stranger: {
    what: 'Requests to the addresses of webhooks were refused that may be of strangers',
    remedy: `Where Flowlu's webhooks arrive, nothing is to be done. Else: ${AT_FLOWLU}the path of the address must be /webhooks/flowlu/ and then WEBHOOK_SECRET`,
  },
};
