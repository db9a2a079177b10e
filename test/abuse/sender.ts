/** Posts many bodies over a few connections that stay open, and reads what comes back; a client with as little of its own as can be. */
import type { Socket } from 'node:net';
import { open } from './wire.ts';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export interface Sender {
  /** Answers in the order of the bodies. Rejects when one does not come within `timeoutMs`. */
  post(bodies: readonly Buffer[]): Promise<readonly Answer[]>;
  close(): void;
}

const TIMEOUT_MS = 15_000;

export async function createSender(url: string, path: string, connections = 32): Promise<Sender> {
  const lanes = await Promise.all(Array.from({ length: connections }, () => lane(url, path)));
  return {
    async post(bodies) {
      const answers: Answer[] = [];
      const next = bodies.entries();
      await Promise.all(
        lanes.map(async (one) => {
          for (const [index, body] of next) answers[index] = await one.post(body);
        }),
      );
      return answers;
    },
    close() {
      for (const one of lanes) one.close();
    },
  };
}

async function lane(url: string, path: string) {
  let socket: Socket | null = null;
  let isClosing = false;
  async function connected(): Promise<Socket> {
    if (socket !== null && !socket.destroyed && !isClosing) return socket;
    socket = await open(url);
    isClosing = false;
    return socket.setNoDelay(true).on('error', () => {});
  }
  return {
    async post(body: Buffer): Promise<Answer> {
      const through = await connected();
      const answered = read(through);
      const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`;
      through.write(Buffer.concat([Buffer.from(head), body]));
      const { head: told, ...answer } = await answered;
      isClosing = /^connection: close/im.test(told);
      return answer;
    },
    close() {
      socket?.destroy();
    },
  };
}

/** One answer with a length. */
function read(socket: Socket): Promise<Answer & { readonly head: string }> {
  return new Promise((resolve, reject) => {
    let text = '';
    const end = (settle: () => void) => {
      clearTimeout(timer);
      socket.off('data', onData).off('close', onClose);
      settle();
    };
    const onClose = () => end(() => reject(new Error(`the connection ended instead of an answer: ${text}`)));
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const split = text.indexOf('\r\n\r\n');
      if (split < 0) return;
      const head = text.slice(0, split);
      const content = text.slice(split + 4);
      const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? Number.NaN);
      if (content.length < length) return;
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
      end(() => resolve({ status, text: content, head }));
    };
    const timer = setTimeout(() => end(() => reject(new Error('no answer came'))), TIMEOUT_MS);
    socket.on('data', onData).on('close', onClose);
  });
}
