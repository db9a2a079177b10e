/** Takes the answer of a login on a loopback address, where `login` and the browser are on one machine. */
import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import { isLoopback } from '../config/index.ts';
import type { Logger } from '../core/log.ts';
import type { LoginAnswer } from '../oauth/login.ts';
import { callbackRoutes } from '../oauth/route.ts';
import { listenError } from './server.ts';

export interface Listener {
  close(): Promise<void>;
}

/**
 * Listens at the redirect address; null where it is not on loopback, or something, such as `serve`, listens already.
 * @throws Error when the address cannot be listened on for another reason.
 */
export async function listenForCallback(
  redirectUrl: string,
  complete: (answer: LoginAnswer) => Promise<void>,
  log: Logger,
): Promise<Listener | null> {
  const { protocol, hostname, port, pathname } = new URL(redirectUrl);
  if (protocol !== 'http:' || !isLoopback(hostname)) return null;
  const app = callbackRoutes(pathname, complete, log);
  const server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  const name = 'FLOWLU_OAUTH_REDIRECT_URL';
  const host = hostname.replace(/^\[|\]$/g, '');
  const address = { host, port: Number(port === '' ? 80 : port), hostName: name, portName: name };
  const isListening = await new Promise<boolean>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(listenError(error, address));
    });
    server.listen(address.port, address.host, () => resolve(true));
  });
  if (!isListening) return null;
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        // The page has been sent by then; a browser that keeps its connection open keeps nobody waiting.
        setTimeout(() => server.closeAllConnections(), 500).unref();
      }),
  };
}
