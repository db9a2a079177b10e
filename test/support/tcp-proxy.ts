/** A TCP proxy between a client and a real server, so that a test can take the server away and bring it back. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface TcpProxy {
  /** The given URL with the proxy's address in it. */
  url(target: string): string;
  /** Cuts what is open and refuses what comes. */
  cut(): void;
  /** Refuses what comes; what is open goes on. */
  shut(): void;
  /** Holds back everything in both directions; connections stay open. */
  stall(): void;
  /** Passes nothing on any more for the connections that are open, and never closes them; new ones work. */
  forget(): void;
  /** How many clients are connected, forgotten ones included. */
  clients(): number;
  /** How many have come in vain while it was cut. */
  refused(): number;
  /** Lets through again what is stalled, and accepts again what was cut. */
  heal(): void;
  close(): Promise<void>;
}

/** @param delayMs how long everything travels, in each direction. */
export async function startTcpProxy(targetUrl: string, delayMs = 0): Promise<TcpProxy> {
  const target = new URL(targetUrl);
  const sockets = new Set<Socket>();
  const clients = new Set<Socket>();
  let state: 'open' | 'cut' | 'stalled' = 'open';
  let refused = 0;

  const server: Server = createServer((incoming) => {
    if (state === 'cut') {
      refused += 1;
      incoming.resetAndDestroy();
      return;
    }
    clients.add(incoming);
    incoming.on('close', () => clients.delete(incoming));
    const outgoing = connect(Number(target.port), target.hostname);
    for (const [from, to] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk: Buffer) => {
        if (delayMs === 0) to.write(chunk);
        else setTimeout(() => to.write(chunk), delayMs);
      });
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      if (state === 'stalled') from.pause();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  const cutAll = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    url(url) {
      const proxied = new URL(url);
      proxied.hostname = '127.0.0.1';
      proxied.port = String(port);
      return proxied.href;
    },
    cut() {
      state = 'cut';
      cutAll();
    },
    shut() {
      state = 'cut';
    },
    stall() {
      state = 'stalled';
      for (const socket of sockets) socket.pause();
    },
    forget() {
      // What arrives is taken, so that a client that closes is noticed.
      for (const socket of sockets) socket.removeAllListeners('data').resume();
    },
    clients: () => clients.size,
    refused: () => refused,
    heal() {
      state = 'open';
      for (const socket of sockets) socket.resume();
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      cutAll();
      await closed;
    },
  };
}
