/**
 * Listing by page numbers, for portals without a keyset.
 *
 * Rows keep their order, but a deleted row pulls those after it onto pages already read. The portal's count reveals a
 * deletion; the listing then goes back until a page begins with a known row, so that nothing can lie in between. A
 * resumed listing begins in the same way. New rows push others back, which only repeats them.
 */

import { ListingError } from '../flowlu/errors.ts';
import type { SeenIds } from '../record/seen-ids.ts';
import { openEnd, type PageAlreadyRead } from './keyset.ts';
import type { PageReader, ReadPage } from './reader.ts';
import { UNCOUNTED } from './sick-pages.ts';
import type { ListingPage } from './types.ts';

interface PagesOptions {
  /** Position to begin at. */
  readonly offset: number;
  /** The first pages, if already read. */
  readonly read?: readonly PageAlreadyRead[];
  /** Ids seen before; for a resumed listing, all up to `offset`. */
  readonly seen: SeenIds;
  /** Rows up to `offset` that could not be read. */
  readonly unread?: number | undefined;
}

/** How often a listing may go back, in addition to once per two pages. */
const MIN_STEPS_BACK = 20;

/**
 * Lists from a position on. Every iteration yields a new row, is one of a limited number of re-reads, or ends; the
 * reader's limit on requests also applies.
 * @returns why rows may be missing, or null
 * @throws ListingError if the portal repeats a page
 */
export async function* listByPages(
  reader: PageReader,
  options: PagesOptions,
): AsyncGenerator<ListingPage, string | null> {
  const { reason, end } = yield* inOnePass(reader, options);
  const isProven = reason === NOT_COUNTED && (yield* readAgain(reader, options.seen, end));
  return isProven ? null : reason;
}

/** The reason that reading again can remove. */
const NOT_COUNTED = 'the portal does not say how many rows there are';

/** @returns why rows may be missing, and where they end */
async function* inOnePass(
  reader: PageReader,
  { offset: from, read = [], seen, unread = 0 }: PagesOptions,
): AsyncGenerator<ListingPage, { reason: string | null; end: number }> {
  const alreadyRead = [...read];
  const totals = watchTotal(from > 0);
  const rows = countRows(from, seen, unread);
  const route = createRoute(from, reader);

  for (;;) {
    const offset = route.offset();
    const asked = async () => ({ page: await reader.at(offset, totals.left(offset)), handedOut: 0 });
    const { page, handedOut } = alreadyRead.shift() ?? (await asked());
    const isFirst = rows.furthest() + handedOut === 0;
    const isFirstKnown = seen.has(page.ids[0] ?? '');
    const added = rows.add(page, offset);
    const counted = rows.counted();
    const isStale = page.ids.length > 0 && added === 0 && offset >= rows.furthest();
    // Some portals repeat the last page beyond the end; it is the end if the count agrees.
    if (isStale && page.total === counted) break;
    const change = totals.take(page, offset);
    if (rows.excuse(page, offset, added, change) && isStale && change >= 0) {
      throw new ListingError(`page ${offset / reader.size() + 1} brought no new row: the portal repeats its pages`);
    }
    const goesBack = route.goBack(change < 0, isFirstKnown && change >= 0);
    // When the listing goes back, the page's gaps are reported later, after the rows before them.
    const told = { withoutGaps: goesBack, fresh: added - handedOut, isFirst };
    if (page.rows > handedOut) yield toListingPage(page, offset, reader.size(), told);
    if (goesBack) continue;
    totals.passed(page, offset);
    if (isEnd(page, offset, counted)) break;
    route.goOn(page);
  }
  const doubt = rows.obstacle() ?? totals.doubt() ?? rows.doubt() ?? route.doubt();
  return { reason: doubt ?? totals.contradicts(rows.counted()), end: rows.furthest() };
}

/** Further passes over a model that the portal does not count. */
const MAX_PASSES = 3;

/** Without a count, the proof is a pass that finds nothing new and no fewer rows than the one before. */
async function* readAgain(reader: PageReader, seen: SeenIds, end: number): AsyncGenerator<ListingPage, boolean> {
  for (let pass = 0, before = seen.size(), rows = 0; pass < MAX_PASSES; pass += 1, before = rows) {
    const known = seen.size();
    rows = 0;
    for (let offset = 0, isEnd = false; !isEnd; offset += reader.size()) {
      const page = await reader.atAgain(offset, offset < end ? UNCOUNTED : 0);
      const fresh = page.ids.filter((id) => seen.add(id)).length;
      const told = { withoutGaps: offset < end, fresh, isFirst: false };
      if (fresh > 0) yield toListingPage(page, offset, reader.size(), told);
      rows += page.ids.length;
      isEnd = page.rows === 0 || (fresh === 0 && offset + page.rows >= end);
    }
    if (seen.size() === known && rows >= before) return true;
  }
  return false;
}

/** An empty page is the end. A short one is the end only if the count agrees, since it may come in the middle too. */
function isEnd({ rows, total, short }: ReadPage, offset: number, counted: number): boolean {
  return rows === 0 || (short && (total === counted || total === offset + rows));
}

/** The position of the listing. */
function createRoute(from: number, reader: PageReader) {
  let offset = Math.max(0, from - reader.size());
  /** Looking for a page that begins with a known row. */
  let seeks = from > 0;
  let stepsBack = 0;
  let turns = 0;
  let doubt: string | null = null;
  return {
    offset: () => offset,
    /** After deletions, goes back one page until nothing can lie between the page and what was read; false to go on. */
    goBack(fell: boolean, isKnown: boolean): boolean {
      turns += 1;
      if (fell) seeks = true;
      if (isKnown || offset === 0) seeks = false;
      if (!seeks) return false;
      if (stepsBack >= MIN_STEPS_BACK + turns / 2) {
        doubt ??= 'too many rows were deleted meanwhile';
        return false;
      }
      stepsBack += 1;
      offset = Math.max(0, (Math.ceil(offset / reader.size()) - 1) * reader.size());
      return true;
    },
    /** A short page still takes up a whole place. If the page size has changed, some rows come again. */
    goOn({ rows }: ReadPage): void {
      offset = Math.floor((offset + Math.max(rows, reader.size())) / reader.size()) * reader.size();
    },
    doubt: () => doubt,
  };
}

/** Counts rows and repeated ones. Only rows created before them explain a repetition. */
function countRows(from: number, seen: SeenIds, unreadBefore: number) {
  let furthest = from;
  let lastId: string | undefined;
  let isOpen = false;
  let unread = unreadBefore;
  let repeated = 0;
  /** After resuming, the number of rows created in between is unknown until a new row comes. */
  let excused = from > 0 ? Number.POSITIVE_INFINITY : 0;
  return {
    /** Adds a page and returns how many of its rows are new. */
    add(page: ReadPage, offset: number): number {
      lastId = page.ids.at(-1) ?? lastId;
      isOpen = page.isOpen;
      if (offset >= furthest) unread += page.rows - page.ids.length;
      return page.ids.filter((id) => seen.add(id)).length;
    },
    /** Positions up to here have been read. */
    furthest: () => furthest,
    /** A doubt that further reading will not remove. */
    obstacle: () => (seen.isFull() ? 'too many rows to tell repeated ones' : isOpen ? openEnd(lastId) : null),
    counted: () => seen.size() + unread,
    /** True if more rows are repeated than were created. */
    excuse({ ids, rows }: ReadPage, offset: number, added: number, created: number): boolean {
      if (offset >= furthest) repeated += ids.length - added;
      excused += Math.max(0, created);
      if (added > 0 && offset >= from && excused === Number.POSITIVE_INFINITY) excused = repeated;
      furthest = Math.max(furthest, offset + rows);
      return repeated > excused;
    },
    doubt: () => (repeated > excused ? 'rows were repeated' : null),
  };
}

/** Watches the portal's count of rows: the proof needs to know it and every change of it. */
function watchTotal(isResumed: boolean) {
  let first: number | null = null;
  let latest: number | null = null;
  let fell = 0;
  let hasMoved = isResumed;
  let end = 0;
  let isShort = false;
  /** A page in the middle lacked rows. */
  let hasGap = false;
  let doubt: string | null = null;
  return {
    /** Adds an answer and returns how much the total has changed since the last one. */
    take({ total, rows }: ReadPage, offset: number): number {
      // An empty page beyond the end may well give 0 or no total.
      if (rows === 0 && !total) return 0;
      if (total === null || total < offset + rows) {
        doubt ??= NOT_COUNTED;
        return 0;
      }
      const change = latest === null ? 0 : total - latest;
      hasMoved ||= change !== 0;
      fell += Math.max(0, -change);
      first ??= total;
      latest = total;
      return change;
    },
    /** Rows that lie after a position, by the count. */
    left: (offset: number) => (doubt === null ? Math.max(0, (latest ?? UNCOUNTED) - offset) : UNCOUNTED),
    /** Notes that the listing passed a page. */
    passed({ rows, short }: ReadPage, offset: number): void {
      if (rows === 0) return;
      hasGap ||= isShort;
      isShort = short;
      end = offset + rows;
    },
    doubt: () => doubt,
    /** Why the counted rows cannot be all. */
    contradicts(counted: number): string | null {
      const [before, now] = [first ?? 0, latest ?? 0];
      if (!hasMoved) return before === counted ? null : `the portal counts ${before} rows but sent ${counted}`;
      if (hasGap) return 'a page came short while rows came and went';
      if (end !== now) return `the portal counts ${now} rows but sent ${end}`;
      // Rows created before a listing was resumed need not have been seen.
      return !isResumed && counted < before - fell
        ? `the portal counts ${before - fell} rows but sent ${counted}`
        : null;
    },
  };
}

function toListingPage(
  { items, observedAt, total, unread }: ReadPage,
  offset: number,
  size: number,
  { withoutGaps, ...told }: Pick<ListingPage, 'fresh' | 'isFirst'> & { readonly withoutGaps: boolean },
): ListingPage {
  const cursor = { mode: 'pages', page: Math.floor(offset / size) + 2, size } as const;
  return { items, unread: withoutGaps ? [] : unread, observedAt, cursor, total, mode: 'pages', ...told };
}
