/** Reading a request's body up to a bound. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';

/** The body has more bytes than allowed. */
export class BodyTooLargeError extends Error {
  override readonly name = 'BodyTooLargeError';
}

/** There is no room for the body beside those that are arriving already. */
export class NoRoomError extends Error {
  override readonly name = 'NoRoomError';
}

/** Room that bodies take while they arrive. */
export interface Room {
  bytes: number;
  readonly max: number;
}

/** A body that is no longer finds room in any case. */
const SMALL_BYTES = 32_768;

/**
 * Reads the body as text, byte for byte (a byte order mark stays), and no more of it than the limit. What has arrived of it
 * takes room until it is read, not what it announces.
 *
 * Takes Node's own request: the web stream that a `Request` wraps around it costs more than all else in answering.
 * @throws BodyTooLargeError when there is more, NoRoomError when others take the room; what still comes is discarded, for
 *   as long as the server waits at all.
 * @throws TypeError when it is not UTF-8; Error when the sender went away.
 */
export function readBody(incoming: IncomingMessage, limitBytes: number, room: Room): Promise<string> {
  let bytes = 0;
  return new Promise<string>((resolve, reject) => {
    const chunks: Buffer[] = [];
    const discard = (error: Error) => {
      incoming.off('data', onData);
      incoming.resume();
      chunks.length = 0;
      reject(error);
    };
    const onData = (chunk: Buffer) => {
      bytes += chunk.byteLength;
      room.bytes += chunk.byteLength;
      if (bytes > limitBytes) discard(new BodyTooLargeError(`more than ${limitBytes} bytes`));
      else if (bytes > SMALL_BYTES && room.bytes > room.max && room.bytes > bytes) discard(new NoRoomError('no room'));
      else chunks.push(chunk);
    };
    if (Number(incoming.headers['content-length'] ?? 0) > limitBytes) {
      return discard(new BodyTooLargeError(`more than ${limitBytes} bytes`));
    }
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
  }).finally(() => {
    room.bytes -= bytes;
  });
}
