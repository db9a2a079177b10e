/** Findings about the portal and the access to it. */
import type { Facts } from './facts.ts';
import type { Finding } from './finding.ts';

export function judgeKey({ refusal }: Facts): Finding | null {
  return refusal && keyRefused(refusal);
}

/** The portal refuses the API key, in the portal's words. */
export function keyRefused({ words, since }: { readonly words: string; readonly since: string | null }): Finding {
  return {
    code: 'key_refused',
    severity: 'bad',
    since,
    sentence: `Flowlu refuses the API key (${words})`,
    remedy:
      'Make a new key in the portal under System Settings → API; set FLOWLU_API_KEY to it and start the mirror again. A key that works again is noticed within ten minutes, or by any reading',
    command: 'flowlu-mirror reconcile',
  };
}

/** The portal refuses a login whose tokens are valid as far as the database knows. */
export function loginRefused(words: string): Finding {
  const sentence = `Flowlu refuses the login (${words})`;
  return { ...LOG_IN, code: 'login_refused', since: null, sentence };
}

const LOG_IN = {
  severity: 'bad',
  remedy: 'Log in; until then changes come by webhook only',
  command: 'flowlu-mirror login',
} as const;

/** What only a login solves; null if the portal is not read by OAuth. Also used by commands that need a login. */
export function judgeLogin({ grant, oauthClient }: Pick<Facts, 'grant' | 'oauthClient'>): Finding | null {
  if (oauthClient === null) return null;
  if (grant === null) {
    const sentence = 'Nobody is logged in to Flowlu, so nothing is read';
    return { ...LOG_IN, code: 'not_logged_in', since: null, sentence };
  }
  if (grant.client_id !== oauthClient) {
    const sentence = 'The stored login is of another app than FLOWLU_CLIENT_ID, so nothing is read';
    return { ...LOG_IN, code: 'not_logged_in', since: null, sentence };
  }
  if (grant.state !== 'refused') return null;
  const sentence = `Flowlu has withdrawn the login${grant.problem === null ? '' : ` (${grant.problem})`}`;
  return { ...LOG_IN, code: 'login_refused', since: grant.issued_at, sentence };
}

export function judgePortal({ silence }: Facts): Finding | null {
  return silence && portalSilent(silence);
}

/** No request gets an answer: time-outs, lost or refused connections, answers from another server. */
export function portalSilent({ words, since }: { readonly words: string; readonly since: string | null }): Finding {
  return {
    code: 'portal_silent',
    severity: 'care',
    since,
    sentence: `No request to Flowlu succeeds (${words})`,
    remedy:
      'Check FLOWLU_COMPANY or FLOWLU_BASE_URL, the proxy and the network; if the portal does not open in a browser either, wait. Webhooks are applied meanwhile, and what they miss is caught up as soon as Flowlu answers',
    command: 'flowlu-mirror doctor --quick',
  };
}
