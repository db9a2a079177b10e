/** A server in front of PostgreSQL that speaks TLS, as managed databases do; or one that answers in other ways. */
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { CertificateFiles } from './certificates.ts';

/** What a server says whose pg_hba.conf has no line for such a connection. */
const NO_ENTRY = (() => {
  const fields = Buffer.from('SFATAL\0C28000\0Mno pg_hba.conf entry\0\0');
  const head = Buffer.from([0x45, 0, 0, 0, fields.length + 4]);
  return Buffer.concat([head, fields]);
})();

/** How a host behaves. */
export type Behaviour =
  | ('tls' | 'plain' | 'silent' | 'closes' | 'refuses TLS')
  | ('breaks TLS' | 'lets nobody in by TLS' | 'lets nobody in without TLS' | 'lets nobody in');

export interface TlsProxy {
  readonly port: number;
  behaviour: Behaviour;
  /** Connections that were made, all told. */
  attempts(): number;
  /** What clients ask for as the name of the server. */
  readonly names: string[];
  /** Resets what is open. */
  reset(): void;
  close(): Promise<void>;
}

/** @param targetUrl the real server, without TLS */
export async function startTlsProxy(
  targetUrl: string,
  { certFile, keyFile }: CertificateFiles,
  behaviour: Behaviour = 'tls',
): Promise<TlsProxy> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  let attempts = 0;
  const server = createServer((incoming) => {
    attempts += 1;
    sockets.add(incoming);
    incoming.on('error', () => {}).on('close', () => sockets.delete(incoming));
    const now = proxy.behaviour;
    if (now === 'silent') return incoming.resume();
    if (now === 'closes') return incoming.end();
    if (now === 'plain') return join(incoming, connect(Number(target.port), target.hostname));
    return incoming.once('data', (first: Buffer) => {
      // Eight bytes that ask for TLS; anything else begins the conversation.
      if (first.length !== 8) {
        if (now === 'lets nobody in without TLS' || now === 'lets nobody in') return incoming.end(NO_ENTRY);
        const outgoing = connect(Number(target.port), target.hostname);
        outgoing.write(first);
        return join(incoming, outgoing);
      }
      if (now === 'refuses TLS') {
        incoming.write('N');
        return join(incoming, connect(Number(target.port), target.hostname));
      }
      if (now === 'breaks TLS') return incoming.end('S').once('data', () => incoming.destroy());
      const secure = new TLSSocket(incoming, {
        isServer: true,
        cert: readFileSync(certFile),
        key: readFileSync(keyFile),
        SNICallback: (name, done) => {
          proxy.names.push(name);
          done(null);
        },
      });
      incoming.write('S');
      if (now === 'lets nobody in by TLS' || now === 'lets nobody in')
        return secure.on('error', () => {}).once('data', () => secure.end(NO_ENTRY));
      return join(secure, connect(Number(target.port), target.hostname));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const reset = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const proxy: TlsProxy = {
    port,
    behaviour,
    attempts: () => attempts,
    names: [],
    reset,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      reset();
      await closed;
    },
  };
  return proxy;
}

function join(one: Socket, other: Socket): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => {}).on('close', () => to.destroy());
    from.pipe(to);
  }
}
