/** Randomness that can be had again: every run prints its seed, `TEST_SEED` brings it back. */
import { SEED } from '../support/seed.ts';

export interface Chance {
  readonly seed: number;
  /** 0 to 1. */
  next(): number;
  /** A whole number between the two, both included. */
  between(low: number, high: number): number;
  pick<T>(items: readonly T[]): T;
}

/** Makes a source of randomness and prints its seed. */
export function chanceFor(what: string): Chance {
  process.stdout.write(`${what}: TEST_SEED=${SEED}\n`);
  let state = SEED;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    seed: SEED,
    next,
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    pick: (items) => items[Math.floor(next() * items.length)] as (typeof items)[number],
  };
}

/** How much longer than by default the suite should go on; `CHAOS_FACTOR=10` for a night. */
export const FACTOR = Math.max(1, Number(process.env.CHAOS_FACTOR) || 1);
