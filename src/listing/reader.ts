/** The pages of a listing, measured: ids, order, the size that the portal grants and bears, and what is broken in them. */

import type { JsonObject } from '../core/json.ts';
import type { Micros } from '../core/time.ts';
import type { FlowluClient, ListAnswer, Patience } from '../flowlu/client.ts';
import { FlowluError, ListingError } from '../flowlu/errors.ts';
import type { ListedModel, ListQuery } from '../flowlu/url.ts';
import { compareIds, idOf } from '../record/id.ts';
import { createBeyond } from './beyond.ts';
import {
  type Answer,
  type Block,
  ENDS_EARLY,
  type Gap,
  GrantedSizeFound,
  onTooMuch,
  readBlock,
  SENDS_NONE,
  type Surroundings,
  UNCOUNTED,
  WHOLE,
} from './sick-pages.ts';
import type { ListingMeasures, ListingOptions, UnreadRows } from './types.ts';

export interface ReadPage {
  readonly items: readonly JsonObject[];
  readonly ids: readonly string[];
  readonly unread: readonly UnreadRows[];
  /** Positions that the page covers: its rows, and those that cannot be read. */
  readonly rows: number;
  readonly total: number | null;
  readonly observedAt: Micros;
  /** Ids strictly increase, in the order that the portal sent. */
  readonly ascending: boolean;
  /** Fewer rows than the portal puts on a page. Most likely the end, yet a page may also come short in the middle. */
  readonly short: boolean;
  /** No row came, nobody counts the rows, and nothing shows that none follows the latest one. */
  readonly isOpen: boolean;
}

export interface PageReader {
  /** Reads the rows after an id (from the start when null) in order of their ids. */
  after(lastId: string | null, expected: number): Promise<ReadPage>;
  /** The same, giving up early; whether the portal takes the filter at all is not known yet. */
  afterIfAccepted(lastId: string): Promise<ReadPage | null>;
  /** Reads the page that begins with the row at a position, in order of ids where the portal accepts to sort. */
  at(offset: number, expected: number): Promise<ReadPage>;
  /** The same, to see whether anything has changed; a page that has gaps is known to. */
  atAgain(offset: number, expected: number): Promise<ReadPage>;
  /** Rows on a page; positions of pages are multiples of it. */
  size(): number;
  /** Whether an order was asked for and not refused. */
  isSorted(): boolean;
  /** Requests spent so far. */
  requests(): number;
  /** Whether some answer counted rows. */
  counts(): boolean;
  measured(): Pick<ListingMeasures, 'pageSize' | 'bearableSize'>;
}

const BY_ID = { field: 'id', direction: 'asc' } as const;
/** Sizes of pages that portals are known to grant, or might. */
const PLAUSIBLE_SIZES: ReadonlySet<number> = new Set([25, 50]);
/** Blocks that had to be read in parts before smaller ones are asked for from the start. */
const HEAVY_BLOCKS = 2;
/** Rows that may break their lists before the model is given up. */
const MAX_UNREAD = 200;
/** As so many of them counts a page that breaks as a whole: reading around its rows costs no lists. */
const WHOLE_PAGE = 5;
/** Requests that a listing may spend beside those that the portal's count explains, and where it counts nothing. */
const SPARE_REQUESTS = 500;
const UNCOUNTED_REQUESTS = 1_000_000;
/** No portal grants fewer rows on a page. */
const LEAST_GRANTED = 10;

/** The latest page that brought rows. */
interface Latest {
  /** Position after it. */
  readonly end: number;
  /** Its rows, where it came as a whole and may have had room for more; 0 where an error in place of rows ended it. */
  readonly rows: number | null;
  /** Its ids after the last gap. */
  readonly tail: readonly string[];
  readonly isShort: boolean;
}

/** @throws ListingError beyond the bounds or for rows without an id. */
export function createPageReader(client: FlowluClient, model: ListedModel, options: ListingOptions): PageReader {
  const { signal, filters, cursor, known = {}, heals = true } = options;
  const asked = options.pageSize ?? 100;
  let size = cursor?.mode === 'pages' ? cursor.size : (known.bearableSize ?? asked);
  /** Whether that is the portal's size already: a listing that is resumed need not have found it out yet. */
  let isSizeKnown = (cursor?.mode === 'pages' && size !== asked) || typeof known.bearableSize === 'number';
  let sort = known.order !== 'refused';
  let requests = 0;
  let heavy = 0;
  let granted: number | null = null;
  let bearableSize: number | null = null;
  let unreadRows = options.unread?.rows ?? 0;
  /** Pages with gaps, by their positions. */
  const gapped = new Map<number, ReadPage>();
  let goodPage: number | null = null;
  const beyond = createBeyond(client, model, signal, () => {
    requests += 1;
  });
  /** Lists were found to bring nothing from here on. */
  let over = Number.POSITIVE_INFINITY;
  /** Where rows were met, until the portal's size of pages is known. */
  const positions = new Map<string, number>();
  let largestTotal: number | null = null;
  /** Most rows of one answer. */
  let largest = 0;
  let latest: Latest | null = null;
  let hasAnswered = false;
  /** Without the parameters of its own where the portal refuses these: archived rows may then be left out of lists. */
  let listed = model;

  function maxRequests(): number {
    const counted = largestTotal === null ? UNCOUNTED_REQUESTS : SPARE_REQUESTS + 4 * Math.ceil(largestTotal / size);
    return options.maxRequests ?? counted;
  }

  async function list(query: ListQuery, sorted: boolean, patience: Patience): Promise<ListAnswer> {
    if (requests >= maxRequests()) throw new ListingError(`${model.name}: no end after ${requests} requests`);
    const conditions = filters === undefined ? {} : { filters: { ...filters, ...query.filters } };
    const order = sorted ? { orderBy: BY_ID } : {};
    try {
      const answer = await client.list(listed, { ...order, ...query, ...conditions }, signal, patience);
      requests += answer.requests;
      return answer;
    } catch (error) {
      requests += 1;
      throw error;
    }
  }

  /** A last try without the model's own parameters, or null. */
  async function listBare(query: ListQuery): Promise<ListAnswer | null> {
    if (model.listQuery === undefined) return null;
    listed = { ...model, listQuery: {} };
    const answer = await list(query, false, 'once').catch(() => null);
    if (answer === null) listed = model;
    return answer;
  }

  /** One request; before the first answer, one more without the order, which may be what is refused. */
  async function request(query: ListQuery, patience: Patience): Promise<Answer> {
    let answer: ListAnswer;
    try {
      answer = await list(query, sort, patience);
    } catch (error) {
      if ((!sort && model.listQuery === undefined) || hasAnswered || !mayBeRefused(error)) throw error;
      const plain = (await list(query, false, 'once').catch(() => null)) ?? (await listBare(query));
      if (plain === null) throw error;
      sort = false;
      answer = plain;
    }
    hasAnswered = true;
    const { items, total, observedAt, ordered } = answer;
    const ids = items.map((item) => {
      const id = idOf(item);
      if (id === null) throw new ListingError(`${model.name}: a row without an id`);
      return id;
    });
    largest = Math.max(largest, ids.length);
    largestTotal = total === null ? largestTotal : Math.max(largestTotal ?? 0, total);
    return { items, ids, total, observedAt, ordered };
  }

  function surroundingsOf(anchor: string | null, offset: number, expected: number): Surroundings {
    // A total may count the whole model, whatever the filter.
    const due = anchor === null && expected === 0 ? null : expected;
    const { held = async () => null } = options;
    const common = { expected: due, provesEnd: proofOfEnd(anchor !== null, offset, due), held };
    const after = {
      isAfterShort: latest?.isShort === true && offset >= latest.end,
      rowsAfter: () => beyond.rows(size),
    };
    if (anchor !== null)
      return { ...common, ...after, positions: placesIn(new Map()), doubtsNone: false, goodPage: null };
    const doubtsNone = options.held !== undefined && latest === null;
    return { ...common, ...after, positions: placesIn(positions), doubtsNone, goodPage };
  }

  const placesIn = (places: Map<string, number>) => (isSizeKnown ? null : places);

  async function read(anchor: string | null, offset: number, expected: number): Promise<ReadPage> {
    const after = anchor === null ? {} : { filters: { id: { type: 'more', value: anchor } } as const };
    const ask = (at: number, rows: number, patience: Patience) =>
      request({ limit: rows, page: at / rows + 1, ...after }, patience);
    if (!heals || offset >= over) return measure({ ...(await ask(offset, size, 'brief')), ...WHOLE }, offset, anchor);
    const surroundings = surroundingsOf(anchor, offset, expected);
    try {
      return measure(await readBlock(ask, offset, size, surroundings), offset, anchor);
    } catch (error) {
      if (!(error instanceof GrantedSizeFound)) throw error;
      size = error.size;
      isSizeKnown = true;
      if (anchor === null) granted = size;
      const at = Math.floor(offset / size) * size;
      return measure(await readBlock(ask, at, size, { ...surroundings, positions: null }), at, anchor);
    }
  }

  /**
   * Finds out whether no row follows the latest page: it had room for more, or an answer that begins with its last rows
   * has. A row that breaks its lists would have broken that answer, too.
   */
  function proofOfEnd(isKeyset: boolean, offset: number, expected: number | null): (() => Promise<boolean>) | null {
    if (latest === null || expected !== UNCOUNTED) return null;
    const { end, rows, tail } = latest;
    return async () => {
      // Read again, it does not follow the latest page.
      if (!isKeyset && offset < end) return false;
      const most = Math.min(size, Math.max(largest, LEAST_GRANTED));
      if (rows !== null && rows < most) return true;
      const query = isKeyset
        ? { limit: size, page: 1, filters: afterSome(tail) }
        : across(end, Math.min(most, largest), tail);
      const answer = query === null || tail.length === 0 ? null : await request(query, 'brief').catch(onTooMuch);
      const { ids = [] } = answer ?? {};
      return ids.length > 0 && ids.length < (query?.limit ?? 0) && ids.every((id) => tail.includes(id));
    };
  }

  function learnSize(rows: number, total: number | null, readableSize: number | null, isWhole: boolean): void {
    // Where a page failed as a whole time after time, and its parts did not, it is the size that is too much.
    heavy = readableSize === null ? 0 : heavy + 1;
    if (readableSize !== null && heavy >= HEAVY_BLOCKS) {
      size = readableSize;
      bearableSize = readableSize;
      isSizeKnown = true;
    } else if (!isSizeKnown && isWhole && rows > 0 && rows <= size) {
      // All that there is, by the portal's count, says nothing of its pages, unless the count is that of the page.
      const hasMore = total !== null && total > rows;
      if (rows === size || hasMore || isPlausibleSize(rows)) size = rows;
      granted = rows === size && hasMore ? size : null;
    }
    // Parts show nothing of larger pages.
    isSizeKnown ||= isWhole && rows > 0;
  }

  function remember({ ids, gaps }: Block, offset: number, isWhole: boolean, isShort: boolean): void {
    const rows = ids.length + rowsIn(gaps);
    // Where fewer rows are granted than are asked for, a position is a number of pages.
    const start = isWhole ? (offset / size) * Math.min(size, largest) : offset;
    const tail = ids.slice(gaps.at(-1)?.after ?? 0);
    const endsInError = tail.length === 0 && gaps.length > 0 && gaps.at(-1)?.why !== SENDS_NONE;
    latest = { end: start + rows, rows: isWhole ? rows : endsInError ? 0 : null, tail, isShort };
  }

  function measure(block: Block, offset: number, anchor: string | null): ReadPage {
    const { items, ids, total, observedAt, ordered, gaps, readableSize, isOpen } = block;
    const isWhole = gaps.length === 0 && readableSize === null;
    const rows = ids.length + rowsIn(gaps);
    const counting = ids.length === 0 ? Math.min(rows, WHOLE_PAGE) : rows - ids.length;
    if (anchor !== null || !gapped.has(offset)) unreadRows += counting;
    if (gaps.some(({ why }) => why === ENDS_EARLY)) over = offset;
    if (unreadRows > MAX_UNREAD) throw new ListingError(`${model.name}: too many rows break their lists`);
    learnSize(rows, total, readableSize, isWhole);
    const isShort = rows < size;
    if (rows > 0) remember(block, offset, isWhole, isShort);
    if (isWhole && rows > 0 && anchor === null) goodPage = offset / size;
    beyond.note(ids);
    const ascending = ordered && ids.every((id, i) => i === 0 || compareIds(ids[i - 1] ?? '', id) < 0);
    const unread = unreadOf(ids, gaps);
    const page = { items, ids, unread, rows, total, observedAt, ascending, short: isShort, isOpen };
    if (gaps.length > 0 && anchor === null) gapped.set(offset, page);
    return page;
  }

  function isPlausibleSize(rows: number): boolean {
    return typeof known.pageSize === 'number' ? rows === known.pageSize : PLAUSIBLE_SIZES.has(rows);
  }

  return {
    after: (lastId, expected) => read(lastId, 0, expected),
    async afterIfAccepted(lastId) {
      try {
        const filter = { id: { type: 'more', value: lastId } } as const;
        const answer = await request({ limit: size, page: 1, filters: filter }, 'brief');
        return measure({ ...answer, ...WHOLE }, 0, lastId);
      } catch (error) {
        if (!mayBeRefused(error)) throw error;
        return null;
      }
    },
    at: (offset, expected) => read(null, offset, expected),
    atAgain: async (offset, expected) => gapped.get(offset) ?? read(null, offset, expected),
    size: () => size,
    isSorted: () => sort,
    requests: () => requests,
    counts: () => largestTotal !== null,
    measured: () => ({ pageSize: granted, bearableSize }),
  };
}

/** The rows after some of the last ones, of which at least the very last is left. */
function afterSome(tail: readonly string[]) {
  const value = tail[(tail.length - 2) >> 1] ?? String(BigInt(tail.at(-1) ?? 0) - 1n);
  return { id: { type: 'more', value } } as const;
}

/** A page of fewer rows than `below` that begins among the last rows before a position and has room after it. */
function across(position: number, below: number, tail: readonly string[]): { limit: number; page: number } | null {
  let [limit, best] = [0, 0];
  for (let rows = 2; rows < below; rows += 1) {
    const before = position % rows;
    const room = before > tail.length ? 0 : Math.min(before, rows - before);
    if (room > best) [limit, best] = [rows, room];
  }
  return best === 0 ? null : { limit, page: Math.floor(position / limit) + 1 };
}

/** True when the portal may not have accepted how it was asked, rather than whether. */
function mayBeRefused(error: unknown): boolean {
  if (!(error instanceof FlowluError)) return false;
  return error.kind === 'invalid_request' || error.kind === 'validation' || error.mayBeTooMuch;
}

const rowsIn = (gaps: readonly Gap[]): number => gaps.reduce((sum, { count }) => sum + count, 0);

function unreadOf(ids: readonly string[], gaps: readonly Gap[]): readonly UnreadRows[] {
  return gaps.map(({ after, count, why }) => ({
    count,
    previousId: ids[after - 1] ?? null,
    nextId: ids[after] ?? null,
    why,
  }));
}
