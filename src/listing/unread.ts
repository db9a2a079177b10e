/**
 * Reads singly the rows that no list returns. Their ids are sought between the listed ones around them or, if the
 * portal's lists have no order, among all ids that are not listed.
 */
import type { Model } from '../catalog/types.ts';
import type { JsonObject } from '../core/json.ts';
import type { Micros } from '../core/time.ts';
import type { FlowluClient } from '../flowlu/client.ts';
import { FlowluError, NotFoundError } from '../flowlu/errors.ts';
import { compareIds, idOf } from '../record/id.ts';
import { rowsIn } from './sick-pages.ts';
import type { Direction, ListingPage, Unplaced, Unread, UnreadRows } from './types.ts';

/** Maximum number of ids to request for this many rows: a few more for each, since numbers may be unused. */
export const candidatesFor = (rows: number): number => 25 + 4 * rows;
/** How far beyond the listed ids rows are sought. */
const BEYOND = 25n;

interface ReadSingly {
  readonly record: JsonObject;
  readonly observedAt: Micros;
}

/** A gap, and which of its rows were found before. */
type Sought = UnreadRows & { readonly but?: readonly string[] };

interface Loose {
  readonly gap: UnreadRows;
  readonly found: readonly string[];
}

const NONE_AGAIN: Unread['again'] = { rows: 0, ids: [] };

export type UnreadReader = ReturnType<typeof createUnreadReader>;

/**
 * Follows the pages of a listing and reads the rows they lack singly, if possible.
 * @param keep receives each row read
 * @param held the known ids within a range, which are requested first
 * @param before the state of the listing that is resumed
 */
export function createUnreadReader(
  client: FlowluClient,
  model: Model,
  keep: (row: ReadSingly) => Promise<void>,
  held: (from: bigint, to: bigint) => Promise<readonly string[]>,
  before: Unread | null = null,
) {
  const broken = [...(before?.ids ?? [])];
  /** Gaps some of whose rows were not found. */
  let left: UnreadRows[] = [];
  /** Gaps from before, until the listing meets them again; it certainly meets those of pages without rows. */
  let old = (before?.gaps ?? []).filter((gap) => gap.previousId !== null || gap.nextId !== null);
  /** Rows that come again: at the end of a keyset's page, and on pages to which a listing goes back. */
  const met = new Set([...broken, ...(before?.again.ids ?? [])]);
  /** Gaps of pages without rows at the beginning; the next page with rows shows where they lie. */
  let waiting: readonly UnreadRows[] = [];
  let lastListed: string | null = null;
  /** `lastListed`, or a row after it that was read singly. By page numbers the next page begins after it. */
  let lastFound: string | null = null;
  let { again = NONE_AGAIN, direction = null, isOrdered = true }: Partial<Unread> = before ?? {};
  let unplaced: Unplaced | null = null;
  /** Rows found after the last listed one while the end of the gap is unknown; some may belong to the next page. */
  let loose: Loose | null = null;

  /** Possible ids of a gap's rows, likely ones first. */
  async function candidatesOf({ but = [], ...gap }: Sought): Promise<readonly string[]> {
    const all = { ...gap, count: gap.count + but.length };
    const ids = candidates(all, direction ?? 0).filter((id) => !but.includes(id));
    const [one, other] = [BigInt(ids[0] ?? 0), BigInt(ids.at(-1) ?? 0)];
    const known = new Set(ids.length < 2 ? [] : one < other ? await held(one, other) : await held(other, one));
    return [...ids.filter((id) => known.has(id)), ...ids.filter((id) => !known.has(id))];
  }

  /** All rows found so far after the last listed one. */
  function behind(gap: UnreadRows, found: readonly string[]): Loose {
    const count = gap.count + (loose?.gap.count ?? 0);
    return { gap: { ...(loose?.gap ?? gap), count }, found: [...(loose?.found ?? []), ...found] };
  }

  /** The gap whose rows are still to be found, because rows of the next page were found in their place. */
  function strayedInto(ids: readonly string[]): readonly Sought[] {
    if (loose === null || ids.length === 0) return [];
    const { gap, found } = loose;
    loose = null;
    const but = found.filter((id) => !ids.includes(id));
    if (but.length === found.length) return [];
    lastFound = but.at(-1) ?? gap.previousId;
    return [{ ...gap, count: found.length - but.length, nextId: ids[0] as string, but }];
  }

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

  /** Requests one row after the other until `count` are found. Rows met before count, but are not kept again. */
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
    return { found, asked, sick, requests: asked.length + refused.length };
  }

  /** Notes which rows of a gap were found. */
  function note(gap: UnreadRows, found: readonly string[], mode: ListingPage['mode']): void {
    const place = old.findIndex((one) => isSame(one, gap));
    old = old.filter((_, index) => index !== place);
    if (found.length < gap.count) left.push({ ...gap, count: gap.count - found.length });
    if (gap.nextId !== null) return;
    lastFound = found.at(-1) ?? lastFound;
    if (mode === 'keyset') again = { rows: gap.count, ids: found };
  }

  /** Notes the direction of the listing. A page without rows keeps that of the pages before. */
  function follow(path: readonly string[]): void {
    const before = direction;
    direction = directionOf(path);
    isOrdered &&= direction !== 0 && direction === (before ?? direction);
  }

  const gaps = () => [...old, ...left, ...waiting];

  /** Missing rows whose neighbours are unknown. */
  function missing(): number {
    const isPlaced = isOrdered && waiting.length === 0;
    return isPlaced ? 0 : rowsIn(gaps());
  }

  return {
    missing,
    unread(): Unread {
      const rows = broken.length + rowsIn(gaps()) + (unplaced?.count ?? 0);
      return { ids: [...broken], gaps: gaps(), unplaced, rows, again, direction, isOrdered };
    },
    /** Looks for what a page lacks; `ids` are those of existing rows. */
    async read({ items, unread, mode }: ListingPage, signal: AbortSignal) {
      again = NONE_AGAIN;
      // A keyset meets the rows after the last listed one again.
      if (mode === 'keyset') [old, left] = [old.filter(hasEnd), left.filter(hasEnd)];
      const ids = items.map((item) => idOf(item) as string);
      const strayed = strayedInto(ids);
      const from = mode === 'pages' ? lastFound : lastListed;
      const path = from === null ? ids : [from, ...ids];
      if (path.length > 1 && ids.length > 0) follow(path);
      lastListed = ids.at(-1) ?? lastListed;
      lastFound = ids.at(-1) ?? lastFound;
      // Whatever lies between the same rows is one gap.
      const before = waiting.slice(-1).map((gap) => ({ ...gap, count: rowsIn(waiting), nextId: ids[0] ?? null }));
      const gaps = [...before, ...unread.map((gap) => ({ ...gap, previousId: gap.previousId ?? from }))];
      waiting = gaps.filter((gap) => gap.previousId === null && gap.nextId === null);
      const sought = [...strayed, ...gaps.filter((one) => !waiting.includes(one))];
      const all = { requests: 0, ids: [] as string[] };
      for (const gap of sought) {
        const { found, sick, requests } = await look(await candidatesOf(gap), gap.count, signal);
        note(gap, found, mode);
        broken.push(...sick);
        all.requests += requests;
        all.ids.push(...found.filter((id) => !broken.includes(id)));
        if (gap.nextId === null && mode === 'pages') loose = behind(gap, found);
      }
      return all;
    },
    /** After the last page: looks for the missing rows under these ids. */
    async readUnplaced(ids: Iterable<string>, signal: AbortSignal) {
      const rows = missing();
      const { found, asked, sick, requests } = await look(ids, rows, signal);
      // If every answer is an error, it need not be about the record.
      const isTold = Math.max(found.length, asked.length) > sick.length;
      if (isTold) {
        broken.push(...sick);
        [old, left, waiting] = [[], [], []];
        unplaced = { count: rows - found.length, asked };
      }
      return { requests, ids: found.filter((id) => !sick.includes(id)) };
    },
  };
}

const hasEnd = ({ nextId }: UnreadRows): boolean => nextId !== null;

/** Whether they are the same gap. */
const isSame = (one: UnreadRows, other: UnreadRows): boolean =>
  one.nextId === other.nextId && (one.nextId !== null || one.previousId === other.previousId);

function directionOf(ids: readonly string[]): Direction {
  const steps = ids.slice(1).map((id, index) => (BigInt(id) > BigInt(ids[index] as string) ? 1 : -1));
  return steps.length > 0 && steps.every((step) => step === steps[0]) ? (steps[0] as 1 | -1) : 0;
}

/** Ids between the neighbours, nearest to the row before first; for a gap at the end of a page, those that follow. */
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
 * Unused ids: those between the smallest and the greatest in use, then some beyond.
 * @param after begins after this id and starts over at the end
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
