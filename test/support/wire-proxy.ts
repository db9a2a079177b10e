/** A proxy in front of PostgreSQL that understands its protocol: it sees each message, and may tamper with it. */
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import type { CertificateFiles } from './certificates.ts';

type Direction = 'to server' | 'to client';
/**
 * What happens to a message: it passes; the server refuses it, or is shut down instead of sending it; it is lost, or is
 * the first of all that are lost from then on; the connection breaks in its place; or it is late by so many milliseconds.
 */
export type Fate = 'pass' | 'fail' | 'drop' | 'silence' | 'cut' | number;

/** A message after the start of the connection; `type` is the protocol's letter for it. */
export interface WireMessage {
  readonly direction: Direction;
  readonly type: string;
}

export interface WireProxyOptions {
  /** Speaks TLS, as managed servers do; clients that do not ask for it are served as well. */
  readonly certificate?: CertificateFiles;
  /** Has the server forget prepared statements after each transaction, as a pooler that hands out another connection. */
  readonly forgetsStatements?: boolean;
  /** A parameter that no connection may begin with, as poolers have them. */
  readonly refusesParameter?: string;
  readonly fateOf?: (message: WireMessage) => Fate;
}

export interface WireProxy {
  /** The URL of the target with the proxy's address. */
  url(url: string): string;
  /** Resets every connection, and refuses new ones until `heal`. */
  cut(): void;
  /** Keeps connections open but passes nothing on until `heal`. */
  stall(): void;
  heal(): void;
  close(): Promise<void>;
}

const SSL_REQUEST = 80_877_103;
const CANCEL_REQUEST = 80_877_102;

/** @param targetUrl the real server, without TLS */
export async function startWireProxy(targetUrl: string, options: WireProxyOptions = {}): Promise<WireProxy> {
  const { certificate, refusesParameter } = options;
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  let state: 'open' | 'cut' | 'stalled' = 'open';
  let wake = () => {};
  let opened = Promise.resolve();
  const cutAll = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.setNoDelay(true).on('error', () => {});
    return socket.on('close', () => sockets.delete(socket));
  };
  const isOpen = () => (state === 'stalled' ? opened : undefined);
  const meet = (client: Socket, first: Buffer) => {
    if (refusesParameter !== undefined && first.includes(`\0${refusesParameter}\0`)) {
      const words = `Munsupported startup parameter: ${refusesParameter}`;
      return client.end(text('E', 'SFATAL', 'VFATAL', 'C08P01', words, ''));
    }
    const server = keep(connect(Number(target.port), target.hostname));
    server.on('close', () => client.destroy());
    client.on('close', () => server.destroy());
    server.write(first);
    if (first.readUInt32BE(4) === CANCEL_REQUEST) server.pipe(client);
    else converse(client, server, options, isOpen);
  };
  const listener = createServer((socket) => {
    if (state === 'cut') return void socket.resetAndDestroy();
    keep(socket).once('data', (first: Buffer) => {
      if (first.readUInt32BE(4) !== SSL_REQUEST) return meet(socket, first);
      socket.write(certificate === undefined ? 'N' : 'S');
      const client =
        certificate === undefined
          ? socket
          : new TLSSocket(socket, {
              isServer: true,
              cert: readFileSync(certificate.certFile),
              key: readFileSync(certificate.keyFile),
            }).on('error', () => {});
      return client.once('data', (next: Buffer) => meet(client, next));
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    url(url) {
      const proxied = new URL(url);
      proxied.host = `127.0.0.1:${(listener.address() as AddressInfo).port}`;
      if (certificate !== undefined) proxied.searchParams.set('sslmode', 'require');
      return proxied.href;
    },
    cut() {
      state = 'cut';
      cutAll();
    },
    stall() {
      state = 'stalled';
      opened = new Promise((resolve) => {
        wake = resolve;
      });
    },
    heal() {
      state = 'open';
      wake();
    },
    async close() {
      wake();
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      cutAll();
      await closed;
    },
  };
}

/** Passes messages on, one after the other in each direction. */
function converse(
  client: Socket,
  server: Socket,
  { fateOf = () => 'pass', forgetsStatements = false }: WireProxyOptions,
  isOpen: () => Promise<void> | undefined,
): void {
  /** Answers that the server owes: a `ReadyForQuery` for each query and sync, and one for the start. */
  let owed = 1;
  /** Whether the client has begun to ask something whose end, a sync, is still to come. */
  let isAsking = false;
  /** While the server is told to forget, its answer is kept from the client, and the client waits. */
  let forgotten: Promise<void> | undefined;
  let forget = () => {};

  async function toServer(message: Buffer, type: string): Promise<void> {
    while (forgotten !== undefined) await forgotten;
    isAsking = type !== 'Q' && type !== 'S';
    if (!isAsking) owed += 1;
    server.write(message);
  }

  function toClient(message: Buffer, type: string): void {
    if (type === 'Z') owed -= 1;
    if (forgotten === undefined) client.write(message);
    else if (type === 'Z') {
      forgotten = undefined;
      forget();
      return;
    }
    const isIdle = type === 'Z' && owed === 0 && !isAsking && message.toString('latin1', 5) === 'I';
    if (!isIdle || !forgetsStatements) return;
    owed += 1;
    forgotten = new Promise((resolve) => {
      forget = resolve;
    });
    server.write(text('Q', 'deallocate all'));
  }

  const common = { isOpen, fateOf };
  pump(client, { ...common, direction: 'to server', pass: toServer, failing: failingRequest });
  pump(server, {
    ...common,
    direction: 'to client',
    pass: toClient,
    failing() {
      // What a server says that is shut down.
      client.end(text('E', 'SFATAL', 'VFATAL', 'C57P01', 'Mterminating connection', ''));
      return null;
    },
  });
}

interface Pump {
  readonly direction: Direction;
  readonly isOpen: () => Promise<void> | undefined;
  readonly fateOf: (message: WireMessage) => Fate;
  readonly pass: (message: Buffer, type: string) => Promise<void> | void;
  /** What passes in place of a message that fails. */
  readonly failing: (type: string) => Buffer | null;
}

/** Takes the messages of one direction, one after the other. */
function pump(from: Socket, { direction, isOpen, fateOf, pass, failing }: Pump): void {
  let rest: Buffer = Buffer.alloc(0);
  let isSilent = false;
  let before = Promise.resolve();

  async function handle(message: Buffer): Promise<void> {
    await isOpen();
    const type = message.toString('latin1', 0, 1);
    const fate = isSilent || type === 'X' ? 'pass' : fateOf({ direction, type });
    if (typeof fate === 'number') await sleep(fate);
    if (fate === 'silence') isSilent = true;
    if (fate === 'cut') from.destroy();
    if (isSilent || fate === 'drop' || fate === 'cut') return;
    const sent = fate === 'fail' ? failing(type) : message;
    if (sent !== null) await pass(sent, type);
  }

  from.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 5 && rest.length > rest.readUInt32BE(1)) {
      const end = 1 + rest.readUInt32BE(1);
      const message = rest.subarray(0, end);
      rest = rest.subarray(end);
      before = before.then(() => handle(message));
    }
  });
}

/** What the server refuses in the place of a message; the end of a request cannot be refused. */
function failingRequest(type: string): Buffer {
  if (type === 'Q') return text('Q', `do $$ begin raise exception 'cancelled' using errcode = '57014'; end $$`);
  // A portal of a statement that is not there, without parameters and results.
  return type === 'S' ? text('S') : text('B', '', 'lost_by_the_proxy', '\0'.repeat(5));
}

/** A message of texts, each ended by a zero. */
function text(type: string, ...fields: readonly string[]): Buffer {
  const content = Buffer.from(fields.map((field) => `${field}\0`).join(''));
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(content.length + 4, 1);
  return Buffer.concat([head, content]);
}
