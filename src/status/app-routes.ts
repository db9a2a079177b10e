/**
 * `/app`: the page that the portal shows in a frame.
 *
 * Flowlu passes on who looks at it but signs nothing, so everybody gets the same page: whether the mirror is running
 * and roughly how fresh it is. Flowlu may open it by POST, with tokens of the user in the body, which is never read.
 */
import { Hono } from 'hono';
import { ICON, renderAppPage } from './app-page.ts';
import type { Health } from './health.ts';

export interface AppOptions {
  readonly health: () => Promise<Health>;
  /** Origins whose pages may show it in a frame; none if empty. */
  readonly frameAncestors: readonly string[];
}

/** Mount these at the root. */
export function appRoutes({ health, frameAncestors }: AppOptions): Hono {
  const ancestors = frameAncestors.length === 0 ? "'none'" : frameAncestors.join(' ');
  const headers = {
    // No X-Frame-Options, which can only forbid frames or allow those of the page's own origin.
    'Content-Security-Policy': `default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors ${ancestors}`,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
  };
  const app = new Hono();
  app.on(['GET', 'POST'], '/app', async (context) => {
    const now = await health();
    return context.html(renderAppPage(now), now.situation.kind === 'there' ? 200 : 503, headers);
  });
  app.get('/app/icon.svg', (context) =>
    context.body(ICON, 200, {
      'Content-Type': 'image/svg+xml',
      'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
      'X-Content-Type-Options': 'nosniff',
      'Cache-Control': 'public, max-age=86400',
    }),
  );
  return app;
}
