/** Puts an answer together from ready-made bytes, several times faster than joining strings. */
export interface ByteWriter {
  text(part: string): void;
  /** Short text of ASCII alone, such as numbers and dates. */
  ascii(part: string): void;
  bytes(part: Uint8Array): void;
  /** What was written so far; the writer is not used again. */
  take(): Buffer;
}

/** Grows with the largest answer so far (up to the limit), so that most answers need one buffer. */
let firstSize = 65_536;
const FIRST_SIZE_LIMIT = 1_048_576;
/** Bytes that one UTF-16 unit can become in UTF-8. */
const UTF8_MOST = 3;

export function byteWriter(): ByteWriter {
  let buffer = Buffer.allocUnsafe(firstSize);
  let used = 0;

  const makeRoom = (wanted: number): void => {
    if (used + wanted <= buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * buffer.length, used + wanted));
    larger.set(buffer.subarray(0, used));
    buffer = larger;
  };

  return {
    text: (part) => {
      makeRoom(part.length * UTF8_MOST);
      used += buffer.write(part, used);
    },
    ascii: (part) => {
      makeRoom(part.length);
      // A loop beats the call into native code for texts this short.
      for (let i = 0; i < part.length; i++) buffer[used++] = part.charCodeAt(i);
    },
    bytes: (part) => {
      makeRoom(part.length);
      buffer.set(part, used);
      used += part.length;
    },
    take: () => {
      firstSize = Math.min(FIRST_SIZE_LIMIT, Math.max(firstSize, used + (used >> 3)));
      return buffer.subarray(0, used);
    },
  };
}
