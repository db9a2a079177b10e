/** Repeatable randomness: everything the simulator makes up follows from its seed. */

/** A stream of numbers in [0, 1). */
export type Random = () => number;

/** Spreads up to four integers over 32 bits; the same input always gives the same output. */
export function hash(a: number, b = 0, c = 0, d = 0): number {
  let h = 0x9e3779b9;
  for (const part of [a, b, c, d]) {
    h = Math.imul(h ^ part, 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    h ^= h >>> 16;
  }
  return h >>> 0;
}

/** The mulberry32 generator. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A whole number from `low` to `high`, both included. */
export const between = (random: Random, low: number, high: number): number =>
  low + Math.floor(random() * (high - low + 1));

export const chance = (random: Random, probability: number): boolean => random() < probability;

/** One of a list that is not empty. */
export function pick<T>(random: Random, list: readonly T[]): T {
  const chosen = list[Math.floor(random() * list.length)];
  if (chosen === undefined) throw new Error('cannot pick from an empty list');
  return chosen;
}

const hex = (value: number): string => value.toString(16).padStart(8, '0');

/** A version-4 UUID that follows from three numbers. */
export function uuidFrom(a: number, b: number, c: number): string {
  const text = [1, 2, 3, 4].map((word) => hex(hash(a, b, c, word))).join('');
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-4${text.slice(13, 16)}-a${text.slice(17, 20)}-${text.slice(20)}`;
}
