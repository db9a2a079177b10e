/**
 * One kept-alive HTTP connection with one request at a time.
 *
 * It speaks just enough HTTP for the servers measured here. The general client of Node.js costs as much processor
 * time as the service that it is to measure, and both have to share the machine.
 */
import { connect } from 'node:net';

export interface Connection {
  /** Sends a request; resolves with the status once the whole answer is there. */
  post(path: string, headers: string, body: string): Promise<number>;
  close(): void;
}

const MAX_HEAD_BYTES = 16_384;

/** Opens a connection. */
export async function openConnection(port: number): Promise<Connection> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve).once('error', reject);
  });
  let waiting: { resolve: (status: number) => void; reject: (error: Error) => void } | null = null;
  let received = '';

  const fail = (error: Error) => {
    waiting?.reject(error);
    waiting = null;
  };
  socket.on('error', fail).on('close', () => fail(new Error('the server closed the connection')));
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
    const head = received.indexOf('\r\n\r\n');
    if (head < 0) {
      if (received.length > MAX_HEAD_BYTES) socket.destroy(new Error('an endless answer'));
      return;
    }
    const length = /\r\ncontent-length: *(\d+)/i.exec(received.slice(0, head))?.[1];
    if (length === undefined) {
      socket.destroy(new Error('an answer without its length'));
      return;
    }
    if (received.length < head + 4 + Number(length)) return;
    const status = Number(received.slice(9, 12));
    received = '';
    const done = waiting;
    waiting = null;
    done?.resolve(status);
  });

  return {
    post(path, headers, body) {
      return new Promise((resolve, reject) => {
        if (socket.destroyed) return reject(new Error('the connection is closed'));
        waiting = { resolve, reject };
        socket.write(
          `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\n` +
            `content-length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`,
        );
      });
    },
    close: () => {
      socket.destroy();
    },
  };
}
