/** The pages of a listing with what they show: ids, order, gaps, and the page size that the portal grants. */

import type { JsonObject } from '../core/json.ts';
import type { Micros } from '../core/time.ts';
import type { FlowluClient, ListAnswer, Patience } from '../flowlu/client.ts';
import { FlowluError, ListingError, unanswered } from '../flowlu/errors.ts';
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
  rowsIn,
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
  /** Fewer rows than the portal puts on a page. Most likely the end, but a page in the middle may be short too. */
  readonly short: boolean;
  /** No row came, there is no count, and nothing shows that no row follows the latest one. */
  readonly isOpen: boolean;
}

export type PageReader = ReturnType<typeof createPageReader>;

const BY_ID = { field: 'id', direction: 'asc' } as const;
/** Page sizes that portals are known to grant, or might. */
const PLAUSIBLE_SIZES: ReadonlySet<number> = new Set([25, 50]);
/** After this many blocks had to be read in parts, smaller ones are requested from the start. */
const HEAVY_BLOCKS = 2;
/** Rows that may break their lists before the listing gives up. */
const MAX_UNREAD = 200;
/** A page that fails as a whole counts as this many of them, since reading around it costs no lists. */
const WHOLE_PAGE = 5;
/** Requests allowed in addition to those that the portal's count explains, and without a count. */
const SPARE_REQUESTS = 500;
const UNCOUNTED_REQUESTS = 1_000_000;
/** No portal grants fewer rows per page. */
const LEAST_GRANTED = 10;

/** The latest page with rows. */
interface Latest {
  /** Position after it. */
  readonly end: number;
  /** Its rows, if it came whole and may have had room for more; 0 if an error took the place of its last rows. */
  readonly rows: number | null;
  /** Its ids after the last gap. */
  readonly tail: readonly string[];
  readonly isShort: boolean;
}

/** @throws ListingError beyond the limits or for rows without an id */
export function createPageReader(client: FlowluClient, model: ListedModel, options: ListingOptions) {
  const { signal, filters, cursor, known = {}, heals = true } = options;
  const asked = options.pageSize ?? 100;
  let size = cursor?.mode === 'pages' ? cursor.size : (known.bearableSize ?? asked);
  /** Whether that is the portal's size already, which a resumed listing may not have found out yet. */
  let isSizeKnown = (cursor?.mode === 'pages' && size !== asked) || typeof known.bearableSize === 'number';
  let sort = known.order !== 'refused';
  let requests = 0;
  let heavy = 0;
  let granted: number | null = null;
  let bearableSize: number | null = null;
  let unreadRows = options.unread?.rows ?? 0;
  /** Pages with gaps, by position. */
  const gapped = new Map<number, ReadPage>();
  let goodPage: number | null = null;
  const beyond = createBeyond(client, model, signal, () => {
    requests += 1;
  });
  /** Lists return nothing from this position on. */
  let over = Number.POSITIVE_INFINITY;
  /** Positions of rows, until the portal's page size is known. */
  const positions = new Map<string, number>();
  let largestTotal: number | null = null;
  /** The largest number of rows in one answer so far. */
  let largest = 0;
  let latest: Latest | null = null;
  let hasAnswered = false;
  /** Without the model's own parameters if the portal refuses these; lists may then omit archived rows. */
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

  /** A last attempt without the model's own parameters; null if it fails. */
  async function listBare(query: ListQuery): Promise<ListAnswer | null> {
    if (model.listQuery === undefined) return null;
    listed = { ...model, listQuery: {} };
    const answer = await list(query, false, 'once').catch(unanswered);
    if (answer === null) listed = model;
    return answer;
  }

  /** One request; before the first answer, one more without the order, in case that is what the portal refuses. */
  async function request(query: ListQuery, patience: Patience): Promise<Answer> {
    let answer: ListAnswer;
    try {
      answer = await list(query, sort, patience);
    } catch (error) {
      if ((!sort && model.listQuery === undefined) || hasAnswered || !mayBeRefused(error)) throw error;
      const plain = (await list(query, false, 'once').catch(unanswered)) ?? (await listBare(query));
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
    const isPlain = anchor === null;
    return {
      expected: due,
      provesEnd: proofOfEnd(!isPlain, offset, due),
      held,
      positions: isSizeKnown ? null : isPlain ? positions : new Map(),
      doubtsNone: isPlain && options.held !== undefined && latest === null,
      goodPage: isPlain ? goodPage : null,
      isAfterShort: latest?.isShort === true && offset >= latest.end,
      rowsAfter: () => beyond.rows(size),
    };
  }

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
   * Checks that no row follows the latest page: it had room for more, or an answer that begins with its last rows has.
   * A row that breaks its lists would have broken that answer too.
   */
  function proofOfEnd(isKeyset: boolean, offset: number, expected: number | null): (() => Promise<boolean>) | null {
    if (latest === null || expected !== UNCOUNTED) return null;
    const { end, rows, tail } = latest;
    return async () => {
      // On a second reading it does not follow the latest page.
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
    // If a page repeatedly fails as a whole but its parts do not, the size is too large.
    heavy = readableSize === null ? 0 : heavy + 1;
    if (readableSize !== null && heavy >= HEAVY_BLOCKS) {
      size = readableSize;
      bearableSize = readableSize;
      isSizeKnown = true;
    } else if (!isSizeKnown && isWhole && rows > 0 && rows <= size) {
      // An answer with all counted rows does not show the page size, unless the count is that of the page.
      const hasMore = total !== null && total > rows;
      if (rows === size || hasMore || isPlausibleSize(rows)) size = rows;
      granted = rows === size && hasMore ? size : null;
    }
    // Parts show nothing about larger pages.
    isSizeKnown ||= isWhole && rows > 0;
  }

  function remember({ ids, gaps }: Block, offset: number, isWhole: boolean, isShort: boolean): void {
    const rows = ids.length + rowsIn(gaps);
    // If fewer rows are granted than requested, the position counts pages.
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
    /** Reads the rows after an id (null: from the start) in order of their ids. */
    after: (lastId: string | null, expected: number) => read(lastId, 0, expected),
    /** Like `after`, but gives up early, while it is unknown whether the portal accepts the filter. */
    async afterIfAccepted(lastId: string): Promise<ReadPage | null> {
      try {
        const filter = { id: { type: 'more', value: lastId } } as const;
        const answer = await request({ limit: size, page: 1, filters: filter }, 'brief');
        return measure({ ...answer, ...WHOLE }, 0, lastId);
      } catch (error) {
        if (!mayBeRefused(error)) throw error;
        return null;
      }
    },
    /** Reads the page that begins with the row at a position, in order of ids if the portal accepts to sort. */
    at: (offset: number, expected: number) => read(null, offset, expected),
    /** Like `at`, to see whether anything has changed. Pages with known gaps are not read again. */
    atAgain: async (offset: number, expected: number) => gapped.get(offset) ?? read(null, offset, expected),
    /** Rows per page. Positions of pages are multiples of it. */
    size: () => size,
    /** Whether an order was requested and not refused. */
    isSorted: () => sort,
    requests: () => requests,
    /** Whether some answer contained a total. */
    counts: () => largestTotal !== null,
    measured: (): Pick<ListingMeasures, 'pageSize' | 'bearableSize'> => ({ pageSize: granted, bearableSize }),
  };
}

/** The rows after some of the last ones, leaving at least the very last. */
function afterSome(tail: readonly string[]) {
  const value = tail[(tail.length - 2) >> 1] ?? String(BigInt(tail.at(-1) ?? 0) - 1n);
  return { id: { type: 'more', value } } as const;
}

/** A page of fewer than `below` rows that begins among the last rows before a position and has room after it. */
function across(position: number, below: number, tail: readonly string[]): { limit: number; page: number } | null {
  let [limit, best] = [0, 0];
  for (let rows = 2; rows < below; rows += 1) {
    const before = position % rows;
    const room = before > tail.length ? 0 : Math.min(before, rows - before);
    if (room > best) [limit, best] = [rows, room];
  }
  return best === 0 ? null : { limit, page: Math.floor(position / limit) + 1 };
}

/** Whether the portal may have refused the form of the request rather than the request itself. */
function mayBeRefused(error: unknown): boolean {
  if (!(error instanceof FlowluError)) return false;
  return error.kind === 'invalid_request' || error.kind === 'validation' || error.mayBeTooMuch;
}

function unreadOf(ids: readonly string[], gaps: readonly Gap[]): readonly UnreadRows[] {
  return gaps.map(({ after, count, why }) => ({
    count,
    previousId: ids[after - 1] ?? null,
    nextId: ids[after] ?? null,
    why,
  }));
}
