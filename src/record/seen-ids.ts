/** The ids that a listing has returned, as bitmaps of neighbouring ids, since most are close together. */

const BITS_PER_CHUNK = 1024;
/** Ids of at most this many digits are exact as numbers. */
const EXACT_DIGITS = 15;

export type SeenIds = ReturnType<typeof createSeenIds>;

/** @param maxChunks limits the memory: 250 bytes per chunk; a million consecutive ids take a thousand chunks */
export function createSeenIds(maxChunks = 500_000) {
  const chunks = new Map<number, Uint32Array>();
  const long = new Set<string>();
  let size = 0;
  let full = false;

  /** The chunk and bit of an id of at most `EXACT_DIGITS` digits. */
  function place(id: string) {
    const number = Number(id);
    const bit = number % BITS_PER_CHUNK;
    return { chunk: (number - bit) / BITS_PER_CHUNK, word: bit >>> 5, mask: 1 << (bit & 31) };
  }

  function has(id: string): boolean {
    if (id.length > EXACT_DIGITS) return long.has(id);
    const { chunk, word, mask } = place(id);
    return ((chunks.get(chunk)?.[word] ?? 0) & mask) !== 0;
  }

  function remember(id: string): void {
    if (id.length > EXACT_DIGITS) {
      long.add(id);
      return;
    }
    const { chunk, word, mask } = place(id);
    const bits = chunks.get(chunk) ?? new Uint32Array(BITS_PER_CHUNK / 32);
    chunks.set(chunk, bits);
    (bits[word] as number) |= mask;
  }

  return {
    has,
    /** Adds an id; true when it is new. */
    add(id: string): boolean {
      if (has(id)) return false;
      if (chunks.size + long.size >= maxChunks) {
        full = true;
      } else {
        remember(id);
        size += 1;
      }
      return true;
    },
    size: () => size,
    /** True once something could not be remembered. */
    isFull: () => full,
  };
}
