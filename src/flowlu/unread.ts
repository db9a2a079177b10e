/**
 * Rows that no list brings, read singly where that works: looked for between the ids that are listed around them. In a
 * portal whose lists have no order nothing lies around them, and any id that no list names may be theirs.
 */
import type { Model } from '../catalog/types.ts';
import type { JsonObject } from '../core/json.ts';
import type { Micros } from '../core/time.ts';
import { compareIds, idOf } from '../record/id.ts';
import type { FlowluClient } from './client.ts';
import { FlowluError, NotFoundError } from './errors.ts';
import type { ListingPage, UnreadRows } from './listing-types.ts';

/** Ids asked for singly, at most, to find so many rows: a few more for each, since numbers may be left out. */
export const candidatesFor = (rows: number): number => 25 + 4 * rows;
/** How far beyond the ids that are listed rows are looked for. */
const BEYOND = 25n;

interface ReadSingly {
  readonly record: JsonObject;
  readonly observedAt: Micros;
}

/** What a search under all ids that no list names has left over. */
export interface Unplaced {
  readonly count: number;
  /** Ids that were asked for. */
  readonly asked: readonly string[];
}

/** Rows that were not read. */
export interface Unread {
  /** Those that are there, and fail singly, too. */
  readonly ids: readonly string[];
  readonly gaps: readonly UnreadRows[];
  readonly unplaced: Unplaced | null;
}

export type UnreadReader = ReturnType<typeof createUnreadReader>;

/**
 * Follows the pages of a listing and reads what they lack singly, where that works.
 * @param keep takes a row that was read
 */
export function createUnreadReader(client: FlowluClient, model: Model, keep: (row: ReadSingly) => Promise<void>) {
  const broken: string[] = [];
  /** Gaps of which not all rows were found. */
  let left: UnreadRows[] = [];
  /** A keyset meets the rows at the end of a page again, and a listing that goes back those of its pages. */
  const met = new Set<string>();
  /** Gaps of pages that brought no row, before any that did: where they lie is known with the next one. */
  let waiting: readonly UnreadRows[] = [];
  let lastListed: string | null = null;
  /** The same, or a row after it that was read singly. By page numbers the next page begins behind that one. */
  let lastFound: string | null = null;
  let direction: Direction | null = null;
  let isOrdered = true;
  let unplaced: Unplaced | null = null;

  async function ask(id: string, signal: AbortSignal): Promise<'read' | 'absent' | 'broken' | 'refused'> {
    try {
      await keep(await client.get(model, id, signal, 'brief'));
      return 'read';
    } catch (error) {
      if (!(error instanceof FlowluError) || error.kind === 'unauthorized') throw error;
      if (error instanceof NotFoundError) return 'absent';
      // Without single reads nothing more can be found out.
      return error.mayBeTooMuch ? 'broken' : 'refused';
    }
  }

  /** Asks for one row after the other until so many are found; one that was met before counts, but is not kept again. */
  async function look(ids: Iterable<string>, count: number, signal: AbortSignal) {
    const found: string[] = [];
    const by = { met: [], read: [], absent: [], broken: [], refused: [] } as Record<string, string[]>;
    for (const id of ids) {
      const outcome = met.has(id) ? 'met' : await ask(id, signal);
      by[outcome]?.push(id);
      if (outcome === 'refused') break;
      if (outcome === 'absent') continue;
      met.add(id);
      found.push(id);
      if (found.length === count) break;
    }
    const { read = [], absent = [], broken: sick = [], refused = [] } = by;
    const asked = [...read, ...absent, ...sick];
    return { found, asked, sick, read: read.length, requests: asked.length + refused.length };
  }

  /** Notes where the listing goes. A page without a row goes where the ones before it went. */
  function follow(path: readonly string[]): void {
    const before = direction;
    direction = directionOf(path);
    isOrdered &&= direction !== 0 && direction === (before ?? direction);
  }

  /** Rows that are missing, where nothing tells between which others they lie. */
  function missing(): number {
    const isPlaced = isOrdered && waiting.length === 0;
    return isPlaced ? 0 : [...left, ...waiting].reduce((sum, { count }) => sum + count, 0);
  }

  return {
    missing,
    unread: (): Unread => ({ ids: broken, gaps: [...left, ...waiting], unplaced }),
    /** Looks for what a page lacks; `ids` are those of rows that are there. */
    async read({ items, unread, mode }: ListingPage, signal: AbortSignal) {
      let [read, requests] = [0, 0];
      const there: string[] = [];
      const ids = items.map((item) => idOf(item) as string);
      const from = mode === 'pages' ? lastFound : lastListed;
      const path = from === null ? ids : [from, ...ids];
      if (path.length > 1 && ids.length > 0) follow(path);
      lastListed = ids.at(-1) ?? lastListed;
      lastFound = ids.at(-1) ?? lastFound;
      const before = waiting.map((gap) => ({ ...gap, nextId: ids[0] ?? null }));
      const gaps = [...before, ...unread.map((gap) => ({ ...gap, previousId: gap.previousId ?? from }))];
      waiting = gaps.filter((gap) => gap.previousId === null && gap.nextId === null);
      for (const gap of gaps.filter((one) => !waiting.includes(one))) {
        const { found, sick, ...counts } = await look(candidates(gap, direction ?? 0), gap.count, signal);
        if (gap.nextId === null) lastFound = found.at(-1) ?? lastFound;
        if (found.length < gap.count) left.push({ ...gap, count: gap.count - found.length });
        broken.push(...sick);
        requests += counts.requests;
        read += counts.read;
        there.push(...found.filter((id) => !broken.includes(id)));
      }
      return { read, requests, ids: there };
    },
    /** After the last page: looks for the missing rows under these ids. */
    async readUnplaced(ids: Iterable<string>, signal: AbortSignal) {
      const rows = missing();
      const { found, asked, sick, read, requests } = await look(ids, rows, signal);
      // Where every answer is an error it need not be that of a record.
      const isTold = read > 0 || asked.length > sick.length;
      if (isTold) {
        broken.push(...sick);
        [left, waiting] = [[], []];
        unplaced = { count: rows - found.length, asked };
      }
      return { read, requests, ids: found.filter((id) => !sick.includes(id)) };
    },
  };
}

/** Where the ids of a listing go: up, down, or neither. */
type Direction = 1 | -1 | 0;

function directionOf(ids: readonly string[]): Direction {
  const steps = ids.slice(1).map((id, index) => (BigInt(id) > BigInt(ids[index] as string) ? 1 : -1));
  return steps.length > 0 && steps.every((step) => step === steps[0]) ? (steps[0] as 1 | -1) : 0;
}

/** Ids between the neighbours, nearest to the row before first; of a gap at the end of a page, those that follow. */
function candidates({ previousId, nextId, count }: UnreadRows, direction: Direction): readonly string[] {
  if (direction === 0) return [];
  const step = BigInt(direction);
  const start = previousId === null ? null : BigInt(previousId) + step;
  const end = nextId === null ? null : BigInt(nextId);
  const length = candidatesFor(count);
  const first = start ?? (end === null ? null : end - step * BigInt(length));
  if (first === null) return [];
  const ids = Array.from({ length }, (_, index) => first + step * BigInt(index));
  return ids.filter((id) => id > 0n && (end === null || (end - id) * step > 0n)).map(String);
}

/**
 * Ids that are not in use: those between the least and the greatest that is, then some beyond these.
 * @param after begins behind it, and comes round to it at the end
 */
export function* freeIds(used: ReadonlySet<string>, after: string | null): Generator<string> {
  const ids = [...used].sort(compareIds);
  const [least, greatest] = [BigInt(ids[0] ?? 1), BigInt(ids.at(-1) ?? 0)];
  const first = least > BEYOND ? least - BEYOND : 1n;
  const last = greatest + BEYOND;
  const begin = after === null || BigInt(after) < first || BigInt(after) >= last ? least : BigInt(after) + 1n;
  for (let id = begin; id <= last; id += 1n) if (!used.has(String(id))) yield String(id);
  for (let id = first; id < begin; id += 1n) if (!used.has(String(id))) yield String(id);
}
