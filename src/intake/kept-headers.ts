/** Headers of a delivery that may teach what Flowlu sends: who calls, and anything like an id, a signature or a count. */
import type { IncomingHttpHeaders } from 'node:http';

export type KeptHeaders = Readonly<Record<string, string>>;

const KEPT =
  /^user-agent$|^content-type$|(^|-)(id|uuid|signature|sign|hmac|digest|hash|event|delivery|webhooks?|flowlu|aspro|attempt|retry|timestamp|nonce|version)(-|$)/;
const SECRET = /auth|cookie|secret|token|key|pass|session/;
const MAX_HEADERS = 12;
const MAX_LENGTH = 200;

/** @param secrets whose values are kept under no name */
export function keptHeaders(headers: IncomingHttpHeaders, secrets: readonly string[]): KeptHeaders {
  const kept = Object.entries(headers).flatMap(([name, value]) => {
    const isKept = typeof value === 'string' && name.length <= MAX_LENGTH && KEPT.test(name) && !SECRET.test(name);
    const isSafe = isKept && !secrets.some((secret) => value.includes(secret));
    // jsonb cannot hold U+0000; Node lets no other control character but the tab through.
    return isSafe ? [[name, value.slice(0, MAX_LENGTH).replaceAll('\0', '')] as const] : [];
  });
  return Object.fromEntries(kept.slice(0, MAX_HEADERS));
}
