/** Answers on the wire: the good ones, the portal's own errors, and the broken ones. */
import type { ServerResponse } from 'node:http';
import type { FaultCheck } from './faults.ts';

const JSON_TYPE = 'application/json; charset=utf-8';
const HTML_TYPE = 'text/html; charset=utf-8';

const bytesOf = (body: string | Buffer): Buffer => (typeof body === 'string' ? Buffer.from(body) : body);

export function send(
  res: ServerResponse,
  status: number,
  body: string | Buffer,
  type = JSON_TYPE,
  headers: Record<string, string> = {},
): void {
  const bytes = bytesOf(body);
  res.writeHead(status, { 'content-type': type, 'content-length': bytes.length, ...headers });
  res.end(bytes);
}

const MESSAGES: Readonly<Record<number, string>> = {
  10: 'unknown error',
  11: 'authorization failed',
  12: 'invalid request',
  13: 'server error',
  20: 'not found',
  21: 'validation error',
  22: 'access denied',
  30: 'access denied',
  31: 'unknown module',
  32: 'unknown model',
};

/** The portal's usual error: HTTP 200 with a code. */
export const errorBody = (code: number, message = MESSAGES[code] ?? 'error'): string =>
  JSON.stringify({ error: { error_code: code, error_msg: message } });

const errorPage = (status: number): string =>
  `<html><head><title>${status}</title></head><body><h1>${status}</h1><hr>web server</body></html>`;

const firewallPage = (status: number): string =>
  `<!DOCTYPE html><html><head><title>Just a moment...</title></head><body><h1>${status}</h1>Checking your browser before accessing the site.</body></html>`;

const LOGIN_PAGE =
  '<!DOCTYPE html><html><head><title>Log in</title></head><body><form action="/login"><input name="username"></form></body></html>';

const retryAfter = (seconds: number): Record<string, string> =>
  seconds >= 0 ? { 'retry-after': String(seconds) } : {};

/** Stands for "no Retry-After header". */
const NO_HEADER = -1;

export const sendTooMany = (res: ServerResponse, seconds = NO_HEADER): void =>
  send(res, 429, 'Too Many Requests', 'text/plain; charset=utf-8', retryAfter(seconds));

/**
 * Answers with a fault that needs no data. Returns true when it did (or decided never to answer).
 */
export function sendFault(res: ServerResponse, check: FaultCheck, elsewhere: string): boolean {
  const tooMany = check.value('http429', NO_HEADER);
  if (tooMany !== undefined) {
    sendTooMany(res, tooMany);
    return true;
  }
  const firewall = check.value('firewall', 403);
  if (firewall !== undefined) {
    send(res, firewall, firewallPage(firewall), HTML_TYPE, { server: 'cloudflare' });
    return true;
  }
  const unavailable = check.value('http503', NO_HEADER);
  if (unavailable !== undefined) {
    send(res, 503, errorPage(503), HTML_TYPE, retryAfter(unavailable));
    return true;
  }
  const code = check.value('errorCode', 13);
  if (code !== undefined) {
    send(res, 200, errorBody(code));
    return true;
  }
  if (check.hits('http500')) send(res, 500, errorPage(500), HTML_TYPE);
  else if (check.hits('http502')) send(res, 502, errorPage(502), HTML_TYPE);
  else if (check.hits('http504')) send(res, 504, errorPage(504), HTML_TYPE);
  else if (check.hits('http404')) send(res, 404, errorPage(404), HTML_TYPE);
  else if (check.hits('http401')) send(res, 401, JSON.stringify({ error: 'Access token has been revoked' }));
  else if (check.hits('errorString')) {
    send(
      res,
      200,
      JSON.stringify({
        error: 'validation',
        description: 'Form filling error',
        details: { name: 'name cannot be empty' },
      }),
    );
  } else if (check.hits('throttleMessage')) send(res, 200, errorBody(10, 'Request rate per second exceeded'));
  else if (check.hits('htmlLogin')) send(res, 200, LOGIN_PAGE, HTML_TYPE);
  else if (check.hits('redirect')) send(res, 302, '', HTML_TYPE, { location: elsewhere + (res.req.url ?? '') });
  else if (check.hits('emptyBody')) send(res, 200, '');
  else return check.hits('hang');
  return true;
}

/** Sends a good body, unless it is to be cut or the connection is to break. */
export function sendBody(res: ServerResponse, check: FaultCheck, body: string | Buffer): void {
  if (check.hits('invalidUtf8')) {
    const bytes = Buffer.from(bytesOf(body));
    // The middle of the first long text becomes the e acute of Latin-1.
    const at = bytes.indexOf('name":"');
    bytes[Math.max(0, at) + 'name":"'.length] = 0xe9;
    send(res, 200, bytes);
    return;
  }
  if (check.hits('truncatedJson')) {
    const bytes = bytesOf(body);
    send(res, 200, bytes.subarray(0, Math.floor(bytes.length * 0.6)));
    return;
  }
  if (!check.hits('resetMidBody')) {
    send(res, 200, body);
    return;
  }
  const bytes = bytesOf(body);
  res.writeHead(200, { 'content-type': JSON_TYPE, 'content-length': bytes.length });
  res.write(bytes.subarray(0, Math.floor(bytes.length / 2)), () => res.socket?.resetAndDestroy());
}
