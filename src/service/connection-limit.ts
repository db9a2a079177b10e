/**
 * Room for honest senders: when the listener is crowded, whoever keeps it waiting gives way.
 *
 * Time-outs alone leave an attacker who opens thousands of connections and says nothing in possession of all of them
 * for as long as they last. Here the connection that has been open longest without a request of its own to answer is closed
 * for each new one beyond the limit; one whose request is being answered never is.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Health checks that are to notice a stop in time come more often than this. */
const WATCHED_MS = 3_000;

export interface Connections {
  /** Lets every connection end with its next answer, which says so. */
  leave(): void;
  /** True where somebody has asked for the readiness lately. */
  isWatched(): boolean;
  /** Closes those on which nobody waits for an answer. */
  closeIdle(): void;
}

/** Keeps at most `maxOpen` connections; to be called before the server listens. */
export function keepRoom(server: Server, maxOpen: number): Connections {
  let isLeaving = false;
  let watchedAtMs = Number.NEGATIVE_INFINITY;
  /** Connections with their latest exchange, oldest first. */
  const open = new Map<Socket, Exchange | null>();
  /** Connections that still negotiate TLS, by the sender's address and port. */
  const negotiating = new Map<string, Socket>();
  const isTls = 'setSecureContext' in server;

  function add(socket: Socket): void {
    open.set(socket, null);
    socket.once('close', () => open.delete(socket));
    makeRoom();
  }

  function makeRoom(): void {
    if (open.size + negotiating.size <= maxOpen) return;
    const [waiting] = negotiating.values();
    (waiting ?? slowestOf(open))?.destroy();
  }

  if (isTls) {
    server.on('connection', (socket: Socket) => {
      const name = nameOf(socket);
      negotiating.set(name, socket);
      socket.once('close', () => {
        if (negotiating.get(name) === socket) negotiating.delete(name);
      });
      makeRoom();
    });
    server.on('secureConnection', (socket: Socket) => {
      negotiating.delete(nameOf(socket));
      add(socket);
    });
  } else {
    server.on('connection', add);
  }
  server.prependListener('request', (request, response) => {
    open.set(request.socket, { request, response });
    if (request.url === '/readyz') watchedAtMs = performance.now();
    if (isLeaving) endWith(response);
  });

  /** An answer that has begun has said that the connection stays; then it is closed once it is idle. */
  function endWith(response: ServerResponse): void {
    response.shouldKeepAlive = false;
    if (response.headersSent) response.once('close', () => setImmediate(() => server.closeIdleConnections()));
  }

  return {
    leave() {
      isLeaving = true;
      for (const exchange of open.values())
        if (exchange !== null && !exchange.response.writableFinished) endWith(exchange.response);
    },
    isWatched: () => performance.now() - watchedAtMs < WATCHED_MS,
    closeIdle() {
      for (const [socket, exchange] of open) if (exchange === null) socket.destroy();
      server.closeIdleConnections();
    },
  };
}

const nameOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress}|${remotePort}`;

/** The oldest connection that has sent no whole request; else the oldest that is idle; else none. */
function slowestOf(open: ReadonlyMap<Socket, Exchange | null>): Socket | undefined {
  let idle: Socket | undefined;
  for (const [socket, exchange] of open) {
    if (socket.destroyed) continue;
    if (exchange === null || !exchange.request.complete) return socket;
    if (exchange.response.writableFinished) idle ??= socket;
  }
  return idle;
}
