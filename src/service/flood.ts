/**
 * Requests that need no secret cost a bounded amount a second. Beyond that they are refused before anything is done for
 * them, and their connections close, with whatever else was sent through them; health checks are answered all the same.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Requests of a second; one person, a monitoring system and a load balancer together make a handful. */
const MAX_A_SECOND = 100;
const HEALTH = /^\/(?:livez|readyz)(?:\?|$)/;

/** Makes a function that is true for requests that it has refused, or that come on a connection about to close. */
export function createFloodGate() {
  let second = { since: performance.now(), requests: 0 };
  const closing = new WeakSet<Socket>();
  return (request: IncomingMessage, response: ServerResponse): boolean => {
    if (closing.has(request.socket)) return true;
    if (performance.now() - second.since >= 1_000) second = { since: performance.now(), requests: 0 };
    second.requests += 1;
    if (second.requests <= MAX_A_SECOND) return false;
    closing.add(request.socket);
    response.shouldKeepAlive = false;
    if (HEALTH.test(request.url ?? '')) return false;
    response.writeHead(503, { 'Retry-After': '1', 'Content-Length': '0' }).end();
    return true;
  };
}
