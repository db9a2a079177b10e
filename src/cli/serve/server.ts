/** The listener: started when it really listens, stopped within a bound. */
import { createServer } from 'node:http';
import type { ServiceApp } from './app.ts';

/** Time-outs against clients that are slow on purpose, in milliseconds. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_TIMEOUT_MS = 5_000;
const MAX_CONNECTIONS = 2_000;

export interface Listener {
  /** `http://host:port` */
  readonly url: string;
  /** Takes no new connections and waits for the open ones, up to the bound; then cuts them. */
  stop(graceMs: number): Promise<void>;
}

/**
 * Starts listening.
 * @throws Error when the address cannot be listened on.
 */
export async function listen(app: Pick<ServiceApp, 'listener'>, host: string, port: number): Promise<Listener> {
  const server = createServer(app.listener);
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.keepAliveTimeout = KEEP_ALIVE_TIMEOUT_MS;
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const hint = error.code === 'EADDRINUSE' ? `port ${port} is taken; set PORT to another one` : error.message;
      reject(new Error(`cannot listen on ${host}:${port}: ${hint}`, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
  const address = server.address();
  const actualPort = typeof address === 'object' && address !== null ? address.port : port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${actualPort}`,
    async stop(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const cut = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(cut);
    },
  };
}
