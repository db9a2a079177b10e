/**
 * The rows of one model: the seeded ones (made on demand), changed by an overlay of what happened since.
 * Rows are addressed by id and by rank (position in order of id), both without walking the table.
 */
import type { ByteWriter } from './bytes.ts';
import type { Id, SimRecord, Value } from './json.ts';
import { idAt, indexesBelow, indexOfId, type SeedRows } from './seed-rows.ts';

export interface Table {
  /** Grows by one with every change; caches hang on it. */
  readonly revision: () => number;
  readonly count: () => number;
  readonly maxId: () => Id;
  has(id: Id): boolean;
  get(id: Id): SimRecord | undefined;
  value(id: Id, key: string): Value | undefined;
  /** Writes the row's list text; false, and nothing written, where a change makes the seeded text untrue. */
  writeSeed(id: Id, out: ByteWriter): boolean;
  put(id: Id, record: SimRecord): void;
  remove(id: Id): void;
  /** Id of the live row with this rank (0-based). */
  at(rank: number): Id | undefined;
  /** How many live rows have a smaller id. */
  rankOf(id: Id): number;
}

/** How many entries of a sorted list are below `value`. */
function lowerBound<T extends Id>(list: readonly T[], value: Id): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((list[middle] as T) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Smallest n in [0, end] for which `holds(n)`; `holds` must turn from false to true once at most. */
function firstWhere(end: number, holds: (n: number) => boolean): number {
  let low = 0;
  let high = end;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

export function createTable(seed: SeedRows): Table {
  const changed = new Map<string, SimRecord>();
  /** Seeded positions that are gone, ascending. */
  const removed: number[] = [];
  /** Ids of rows that the seed does not have, ascending. */
  const extras: Id[] = [];
  let revision = 0;
  let highest: Id = seed.count === 0 ? 0 : idAt(seed.count - 1);

  const seededIndex = (id: Id): number | undefined => {
    if (typeof id === 'bigint' || id < 1) return undefined;
    const index = indexOfId(id);
    return index !== undefined && index < seed.count ? index : undefined;
  };
  const isRemoved = (index: number): boolean => removed[lowerBound(removed, index)] === index;
  const liveSeeds = (): number => seed.count - removed.length;
  const has = (id: Id): boolean => {
    const index = seededIndex(id);
    return index === undefined ? extras[lowerBound(extras, id)] === id : !isRemoved(index);
  };
  const liveSeedsBelow = (id: Id): number => {
    const index = typeof id === 'bigint' ? seed.count : Math.min(seed.count, indexesBelow(id));
    return index - lowerBound(removed, index);
  };
  /** Id of the n-th seeded row that is still there. */
  const liveSeedId = (n: number): number => idAt(n + firstWhere(removed.length, (i) => (removed[i] as number) - i > n));

  return {
    revision: () => revision,
    count: () => liveSeeds() + extras.length,
    maxId: () => highest,
    has,
    get: (id) => {
      const known = changed.get(String(id));
      if (known !== undefined) return known;
      const index = seededIndex(id);
      return index === undefined || isRemoved(index) ? undefined : seed.record(index);
    },
    value: (id, key) => {
      const known = changed.size === 0 ? undefined : changed.get(String(id));
      if (known !== undefined) return known[key];
      const index = seededIndex(id);
      return index === undefined ? undefined : seed.value(index, key);
    },
    writeSeed: (id, out) => {
      if (changed.size > 0 && changed.has(String(id))) return false;
      const index = seededIndex(id);
      if (index === undefined) return false;
      seed.writeList(index, out);
      return true;
    },
    put: (id, record) => {
      revision++;
      if (!has(id)) {
        const index = seededIndex(id);
        if (index === undefined) extras.splice(lowerBound(extras, id), 0, id);
        else removed.splice(lowerBound(removed, index), 1);
        if (id > highest) highest = id;
      }
      changed.set(String(id), record);
    },
    remove: (id) => {
      if (!has(id)) return;
      revision++;
      changed.delete(String(id));
      const index = seededIndex(id);
      if (index === undefined) extras.splice(lowerBound(extras, id), 1);
      else removed.splice(lowerBound(removed, index), 0, index);
    },
    at: (rank) => {
      if (rank < 0 || rank >= liveSeeds() + extras.length) return undefined;
      if (extras.length === 0) return liveSeedId(rank);
      const live = liveSeeds();
      const rankOfSeed = (n: number): number => n + lowerBound(extras, liveSeedId(n));
      const n = firstWhere(live, (candidate) => rankOfSeed(candidate) >= rank);
      return n < live && rankOfSeed(n) === rank ? liveSeedId(n) : extras[rank - n];
    },
    rankOf: (id) => liveSeedsBelow(id) + lowerBound(extras, id),
  };
}
