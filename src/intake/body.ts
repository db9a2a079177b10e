/** Reading a request's body up to a bound. */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';

export class BodyTooLargeError extends Error {
  override readonly name = 'BodyTooLargeError';
}

export class NoRoomError extends Error {
  override readonly name = 'NoRoomError';
}

export interface Room {
  bytes: number;
  readonly max: number;
}

/** A body that is no longer finds room in any case. */
const SMALL_BYTES = 32_768;

/** A chunk of a byte costs as much work as one of many: whoever has sent so many that are so small on average is cut off. */
const THIN_BYTES = 64;
const THIN_CHUNKS = 10_000;

/**
 * Reads the body as text, byte for byte (a byte order mark stays), and no more of it than the limit. What has arrived of it
 * takes room until it is read, not what it announces.
 *
 * Takes Node's own request: the web stream that a `Request` wraps around it costs more than all else in answering.
 * @throws BodyTooLargeError when there is more, NoRoomError when others take the room; what still comes is discarded, for
 *   as long as the server waits at all.
 * @throws TypeError when it is not UTF-8; Error when the sender went away, or was cut off.
 */
export function readBody(incoming: IncomingMessage, limitBytes: number, room: Room): Promise<string> {
  let bytes = 0;
  return new Promise<string>((resolve, reject) => {
    // One buffer that grows: of chunks of a byte each the objects alone would take a hundred times what has arrived.
    let body: Buffer = NOTHING;
    let chunks = 0;
    const discard = (error: Error) => {
      incoming.off('data', onData);
      incoming.resume();
      body = NOTHING;
      reject(error);
    };
    const onData = (chunk: Buffer) => {
      chunks += 1;
      if (chunks > THIN_CHUNKS && bytes < chunks * THIN_BYTES) incoming.destroy();
      const before = bytes;
      bytes += chunk.byteLength;
      room.bytes += chunk.byteLength;
      if (bytes > limitBytes) discard(new BodyTooLargeError(`more than ${limitBytes} bytes`));
      else if (bytes > SMALL_BYTES && room.bytes > room.max && room.bytes > bytes) discard(new NoRoomError('no room'));
      else body = before === 0 ? chunk : joined(body, before, chunk);
    };
    if (Number(incoming.headers['content-length'] ?? 0) > limitBytes) {
      return discard(new BodyTooLargeError(`more than ${limitBytes} bytes`));
    }
    incoming.on('data', onData);
    incoming.once('end', () => {
      const whole = body.subarray(0, bytes);
      if (isUtf8(whole)) resolve(whole.toString('utf8'));
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

const NOTHING = Buffer.alloc(0);

/** The first `length` bytes and what follows; where there is no room for that, in a buffer twice as large. */
function joined(buffer: Buffer, length: number, chunk: Buffer): Buffer {
  const needed = length + chunk.byteLength;
  const target = needed <= buffer.byteLength ? buffer : Buffer.allocUnsafe(2 * needed);
  if (target !== buffer) buffer.copy(target, 0, 0, length);
  chunk.copy(target, length);
  return target;
}
