/** The listener: started when it really listens, stopped within a bound. */
import { createServer, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { ServiceApp } from './app.ts';
import { keepRoom } from './connection-limit.ts';
import { readTlsPair, type TlsFiles, type TlsPair } from './tls.ts';

/** Bounds against clients that are slow, or large, on purpose; times in milliseconds. */
const LIMITS = {
  headersMs: 10_000,
  requestMs: 30_000,
  /** How often the two above are looked at. */
  checkMs: 1_000,
  /** Longer than proxies keep idle connections by default (Caddy 2 min, nginx 1 min): they should close first. */
  keepAliveMs: 150_000,
  /** Silence in the middle of a request or an answer. */
  silenceMs: 60_000,
  handshakeMs: 5_000,
  headerBytes: 16_384,
  connections: 2_000,
};
type Limits = typeof LIMITS;

/** While stopping, how long connections are still taken where health checks come, so that these notice it first. */
const NOTICED_MS = 1_000;
/** While stopping, how long a connection may be open that has sent nothing yet: its first request may be on its way. */
const FIRST_REQUEST_MS = 250;

/** The hard limit, as a multiple of `connections`: some are still about to give way to others. */
const SPARE_FACTOR = 2;

export interface ListenOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly tls?: TlsFiles | null;
  readonly limits?: Partial<Limits>;
}

export type Listener = Awaited<ReturnType<typeof listen>>;

/** Starts listening. @throws Error when the address cannot be listened on, or the certificate not be used. */
export async function listen(app: Pick<ServiceApp, 'listener'>, options: ListenOptions) {
  const { host, port, tls = null } = options;
  const limits = { ...LIMITS, ...options.limits };
  let pair = tls === null ? null : await readTlsPair(tls);
  const server = createServerFor(app, pair, limits);
  const connections = keepRoom(server, limits.connections);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, { host, port, hostName: 'HOST', portName: 'PORT' })));
    server.listen(port, host, resolve);
  });
  const address = server.address();
  const actualPort = typeof address === 'object' && address !== null ? address.port : port;
  return {
    url: `${pair === null ? 'http' : 'https'}://${authorityOf(host, actualPort)}`,
    get certificateExpiresAt(): Date | null {
      return pair?.expiresAt ?? null;
    },
    /**
     * Puts the certificate to use if its files have changed; open connections keep the one that they began with.
     * @returns true when there was a new one.
     * @throws Error when the files cannot be used; the old certificate stays.
     */
    async renewCertificate(): Promise<boolean> {
      if (tls === null) return false;
      const next = await readTlsPair(tls);
      if (next.cert === pair?.cert && next.key === pair.key) return false;
      (server as TlsServer).setSecureContext(secureContextOf(next));
      pair = next;
      return true;
    },
    /**
     * Ends each connection with its next answer, which says so; closes idle ones and takes no new ones, at once, or after
     * a second where health checks come. What is still open after the bound is cut.
     */
    async stop(graceMs: number): Promise<void> {
      connections.leave();
      if (connections.isWatched()) await sleep(Math.min(graceMs, NOTICED_MS));
      // What has arrived already is read before its connection counts as idle.
      else await nextTurn();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const idle = setTimeout(connections.closeIdle, FIRST_REQUEST_MS);
      const cut = setTimeout(() => server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(idle);
      clearTimeout(cut);
    },
  };
}

/** Why an address cannot be listened on, and which setting to change. */
export function listenError(
  cause: NodeJS.ErrnoException,
  address: { readonly host: string; readonly port: number; readonly hostName: string; readonly portName: string },
): Error {
  const { host, port, hostName, portName } = address;
  const own = `set ${hostName} to an address of this machine, such as 127.0.0.1`;
  const elsewhere = `no network interface here has the address ${host}; ${own}`;
  const nameless = `the name ${host} does not resolve; ${own}`;
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `port ${port} is taken; set ${portName} to another one`,
    EACCES: `this user may not listen on port ${port}; set ${portName} to one from 1024 on`,
    EADDRNOTAVAIL: elsewhere,
    EAFNOSUPPORT: elsewhere,
    EINVAL: elsewhere,
    ENOTFOUND: nameless,
    EAI_AGAIN: nameless,
  };
  const reason = reasons[cause.code ?? ''] ?? cause.message;
  return new Error(`cannot listen on ${authorityOf(host, port)}: ${reason}`, { cause });
}

/** Host and port as an address has them. */
export const authorityOf = (host: string, port: number) => `${host.includes(':') ? `[${host}]` : host}:${port}`;

function createServerFor(app: Pick<ServiceApp, 'listener'>, pair: TlsPair | null, limits: Limits): Server {
  const options: ServerOptions = {
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: limits.checkMs,
    keepAliveTimeout: limits.keepAliveMs,
    maxHeaderSize: limits.headerBytes,
  };
  const server: Server =
    pair === null
      ? createServer(options, app.listener)
      : createTlsServer({ ...options, ...secureContextOf(pair), handshakeTimeout: limits.handshakeMs }, app.listener);
  server.timeout = limits.silenceMs;
  // Who has closed their side after the request still reads the answer; Node's types leave this out.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.maxConnections = Math.ceil(limits.connections * SPARE_FACTOR);
  return server;
}

function secureContextOf({ cert, key }: TlsPair) {
  return { cert, key, minVersion: 'TLSv1.2' } as const;
}
