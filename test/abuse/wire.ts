/** Talking to the service over bare sockets, for what no HTTP client would send. */
import { connect, type Socket } from 'node:net';

/** The answers on one connection: their status codes, in order, and everything that came. */
export interface Answers {
  readonly statuses: readonly number[];
  readonly text: string;
  /** True when the service ended the connection. */
  readonly isClosed: boolean;
}

export function open(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** Sends bytes, piece by piece, and listens until the service closes or nothing has come for `quietMs`. */
export async function send(url: string, pieces: string | Buffer | readonly string[], quietMs = 400): Promise<Answers> {
  const socket = await open(url);
  socket.setNoDelay(true);
  const text = { value: '' };
  const isClosed = await new Promise<boolean>((resolve) => {
    let timer = setTimeout(resolve, quietMs * 4, false);
    socket.on('data', (chunk: Buffer) => {
      text.value += chunk.toString('latin1');
      clearTimeout(timer);
      timer = setTimeout(resolve, quietMs, false);
    });
    socket
      .on('error', () => {})
      .on('close', () => {
        clearTimeout(timer);
        resolve(true);
      });
    for (const piece of Array.isArray(pieces) ? pieces : [pieces]) socket.write(piece as string | Buffer);
  });
  socket.destroy();
  const statuses = [...text.value.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  return { statuses, text: text.value, isClosed };
}
