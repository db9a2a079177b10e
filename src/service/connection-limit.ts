/**
 * Room for honest senders: when the listener is crowded, whoever keeps it waiting gives way.
 *
 * Time-outs alone leave an attacker who opens thousands of connections and says nothing in possession of all of them
 * for as long as they last. Here the connection that has been open longest without a request of its own to answer is closed
 * for each new one beyond the limit; one whose request is being answered never is, nor one whose request may have arrived
 * and was not read yet.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

interface Exchange {
  /** Requests before it on the connection that were not answered when it came. */
  readonly behind: number;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Health checks that are to notice a stop in time come more often than this. */
const WATCHED_MS = 3_000;

/** No sender of webhooks and no proxy asks again before it has its answer; each request takes up room until then. */
const MAX_BEHIND = 100;

/** What a connection is given for its first request, or its TLS handshake, before it may have to give way. */
const FIRST_WORD_MS = 100;
/** Beyond this multiple of the limit none is given any time. */
const CROWD_FACTOR = 1.5;

/** Keeps at most `maxOpen` connections; to be called before the server listens. */
export function keepRoom(server: Server, maxOpen: number) {
  let isLeaving = false;
  let watchedAtMs = Number.NEGATIVE_INFINITY;
  /** Connections with their latest exchange, oldest first. */
  const open = new Map<Socket, Exchange | null>();
  /** Connections that still negotiate TLS, by the sender's address and port. */
  const negotiating = new Map<string, Socket>();
  const numbers = new WeakMap<Socket, number>();
  let newest = 0;
  const isTls = 'setSecureContext' in server;

  function add(socket: Socket): void {
    open.set(socket, null);
    socket.once('close', () => open.delete(socket));
    makeRoom(socket);
  }

  const isCrowded = (limit = maxOpen) => open.size + negotiating.size > limit;
  function makeRoom(socket: Socket): void {
    newest += 1;
    numbers.set(socket, newest);
    // Many may come in one turn of the event loop, and what they have sent is read in the next one only.
    if (isCrowded(maxOpen * CROWD_FACTOR)) giveWay(newest);
    else if (isCrowded()) setTimeout(() => setImmediate(giveWay, newest), FIRST_WORD_MS).unref();
  }

  function giveWay(upTo: number): void {
    if (!isCrowded()) return;
    const mayGo = (socket: Socket) => (numbers.get(socket) ?? 0) <= upTo;
    const [waiting] = negotiating.values();
    const slowest = waiting !== undefined && mayGo(waiting) ? waiting : slowestOf(open, mayGo);
    slowest?.destroy();
  }

  if (isTls) {
    server.on('connection', (socket: Socket) => {
      const name = nameOf(socket);
      negotiating.set(name, socket);
      socket.once('close', () => {
        if (negotiating.get(name) === socket) negotiating.delete(name);
      });
      makeRoom(socket);
    });
    server.on('secureConnection', (socket: Socket) => {
      negotiating.delete(nameOf(socket));
      add(socket);
    });
  } else {
    server.on('connection', add);
  }
  server.prependListener('request', (request, response) => {
    const before = open.get(request.socket);
    const behind = before?.response.writableFinished === false ? before.behind + 1 : 0;
    open.set(request.socket, { request, response, behind });
    if (behind > MAX_BEHIND) request.socket.destroy();
    if (request.url === '/readyz') watchedAtMs = performance.now();
    if (isLeaving) endWith(response);
  });

  /** An answer that has begun has said that the connection stays; then it is closed once it is idle. */
  function endWith(response: ServerResponse): void {
    response.shouldKeepAlive = false;
    if (response.headersSent) response.once('close', () => setImmediate(() => server.closeIdleConnections()));
  }

  return {
    /** Lets every connection end with its next answer, which says so. */
    leave(): void {
      isLeaving = true;
      for (const exchange of open.values())
        if (exchange !== null && !exchange.response.writableFinished) endWith(exchange.response);
    },
    /** True where somebody has asked for the readiness lately. */
    isWatched: () => performance.now() - watchedAtMs < WATCHED_MS,
    /** Closes those on which nobody waits for an answer. */
    closeIdle(): void {
      for (const [socket, exchange] of open) if (exchange === null) socket.destroy();
      server.closeIdleConnections();
    },
  };
}

const nameOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress}|${remotePort}`;

/** The oldest connection that has sent no whole request; else the oldest that is idle; else none. */
function slowestOf(open: ReadonlyMap<Socket, Exchange | null>, mayGo: (socket: Socket) => boolean): Socket | undefined {
  let idle: Socket | undefined;
  for (const [socket, exchange] of open) {
    if (socket.destroyed || !mayGo(socket)) continue;
    if (exchange === null || !exchange.request.complete) return socket;
    if (exchange.response.writableFinished) idle ??= socket;
  }
  return idle;
}
