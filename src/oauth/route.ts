/** `GET /oauth/callback`: where the portal sends the browser back to after a login. */
import { Hono } from 'hono';
import { html } from 'hono/html';
import type { Logger } from '../core/log.ts';
import { onceIn } from '../core/time.ts';
import { type LoginAnswer, LoginError } from './login.ts';

export const CALLBACK_PATH = '/oauth/callback';

const WARNED_EVERY_MS = 60_000;

const HEADERS = {
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'X-Frame-Options': 'DENY',
  'X-Content-Type-Options': 'nosniff',
  // The address of this page holds a code and a state; it must not travel on.
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
};

/**
 * The route; to be mounted at the root. Nothing of its address is logged.
 * @param complete ends the login; throws LoginError where it cannot
 */
export function callbackRoutes(path: string, complete: (answer: LoginAnswer) => Promise<void>, log: Logger): Hono {
  const app = new Hono();
  const isWarnedNow = onceIn(WARNED_EVERY_MS);
  app.get(path, async (context) => {
    const { state = '', code = null, error = null } = context.req.query();
    try {
      await complete({ state, code, error });
      const done = page('Logged in', 'flowlu-mirror may read the portal now. You can close this window.');
      return context.html(done, 200, HEADERS);
    } catch (thrown) {
      if (thrown instanceof LoginError) {
        if (isWarnedNow())
          log.warn({ reason: thrown.message }, 'a login was turned away; others within a minute are not logged');
        return context.html(page('Not logged in', `${thrown.message}.`), 400, HEADERS);
      }
      log.error({ err: thrown }, 'a login failed');
      return context.html(page('Not logged in', 'Something went wrong here; the log says what.'), 500, HEADERS);
    }
  });
  return app;
}

function page(title: string, text: string) {
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>${title} – flowlu-mirror</title>
</head>
<body>
  <h1>${title}</h1>
  <p>${text}</p>
</body>
</html>`;
}
