/** What every answer to a browser carries, so that none is guessed at, kept, framed or told to others. */
import type { MiddlewareHandler } from 'hono';

const HEADERS = {
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
} as const;
/** A year, as browsers expect it; only over HTTPS of our own, since a proxy in front has a policy of its own. */
const STRICT_TRANSPORT = 'max-age=31536000';

/** Sets the headers before the route, which may replace one by its own. */
export function securityHeaders(isHttps: boolean): MiddlewareHandler {
  return async (context, next) => {
    for (const [name, value] of Object.entries(HEADERS)) context.header(name, value);
    if (isHttps) context.header('Strict-Transport-Security', STRICT_TRANSPORT);
    await next();
  };
}
