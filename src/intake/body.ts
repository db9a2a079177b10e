/** Reading a request's body up to a bound. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';

/** The body has more bytes than allowed. */
export class BodyTooLargeError extends Error {
  override readonly name = 'BodyTooLargeError';
}

/**
 * Reads the body as text, byte for byte (a byte order mark stays), and no more of it than the limit.
 *
 * Takes Node's own request: the web stream that a `Request` wraps around it costs more than all else in answering.
 * @throws BodyTooLargeError when there is more; what still comes is discarded, for as long as the server waits at all.
 * @throws TypeError when it is not UTF-8; Error when the sender went away.
 */
export function readBody(incoming: IncomingMessage, limitBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const discard = () => {
      incoming.off('data', onData);
      incoming.resume();
      reject(new BodyTooLargeError(`more than ${limitBytes} bytes`));
    };
    const onData = (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytes > limitBytes) discard();
      else chunks.push(chunk);
    };
    if (Number(incoming.headers['content-length'] ?? 0) > limitBytes) return discard();
    incoming.on('data', onData);
    incoming.once('end', () => {
      const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      if (isUtf8(body)) resolve(body.toString('utf8'));
      else reject(new TypeError('the body is not UTF-8'));
    });
    incoming.once('error', reject);
    incoming.once('close', () => {
      // It comes after every request; an error costs more to make than all else here.
      if (!incoming.readableEnded) reject(new Error('the sender went away before the end of the body'));
    });
  });
}
