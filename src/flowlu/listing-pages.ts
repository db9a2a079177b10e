/**
 * Listing by page numbers, for portals without a keyset.
 *
 * Rows keep their order, but rows that are deleted pull those after them onto pages that were read already. The
 * portal's count gives a deletion away; then the listing goes back until a page begins with a row that it knows, so that
 * nothing can lie between. A resumed listing begins in the same way. Rows that are created push others back, which only
 * repeats them.
 */

import { ListingError } from './errors.ts';
import type { PageAlreadyRead } from './listing-keyset.ts';
import type { PageReader, ReadPage } from './listing-reader.ts';
import type { ListingPage } from './listing-types.ts';
import type { SeenIds } from './seen-ids.ts';

interface PagesOptions {
  /** Position to begin at. */
  readonly offset: number;
  /** The first pages, if they were read before. */
  readonly read?: readonly PageAlreadyRead[];
  /** What was seen before; of a resumed listing, everything up to `offset`. */
  readonly seen: SeenIds;
}

/** How often a listing goes back, beside once for every second page. */
const MIN_STEPS_BACK = 20;

/**
 * Lists from a position on. Every turn of the loop brings a new row, or is one of a bounded number of re-reads, or ends;
 * the reader's bound on requests stands above that.
 * @returns why rows may be missing, or null.
 * @throws ListingError when the portal repeats a page.
 */
export async function* listByPages(
  reader: PageReader,
  { offset: from, read = [], seen }: PagesOptions,
): AsyncGenerator<ListingPage, string | null> {
  const isResumed = from > 0;
  const totals = watchTotal(isResumed);
  const alreadyRead = [...read];
  let offset = Math.max(0, from - reader.size());
  /** Positions up to here have been read. */
  let furthest = from;
  let unread = 0;
  let goesBack = isResumed;
  let stepsBack = 0;
  /** Repeated rows that creations explain; how many there were before a resumed listing goes on is not known. */
  let mayRepeat = isResumed ? Number.POSITIVE_INFINITY : 0;
  let doubt: string | null = null;
  let end = offset;

  for (let turn = 1; ; turn += 1) {
    const given = alreadyRead.shift();
    const page = given ? given.page : await reader.at(offset, Math.max(0, (totals.latest() ?? 0) - offset));
    const isFirstKnown = page.ids[0] !== undefined && seen.has(page.ids[0]);
    const added = page.ids.filter((id) => seen.add(id)).length;
    const repeated = offset < furthest ? 0 : page.ids.length - added;
    if (offset >= furthest) unread += page.rows - page.ids.length;
    const counted = seen.size() + unread;
    // Beyond the end some portals repeat the last page: that is the end where the count says so, too.
    if (repeated > 0 && added === 0 && page.total === counted) break;
    const moved = totals.take(page, offset);
    mayRepeat = mayRepeat - repeated + Math.max(0, moved);
    if (added > 0 && offset >= from && mayRepeat === Number.POSITIVE_INFINITY) mayRepeat = 0;
    const agrees = page.total === counted || page.total === offset + page.rows;
    if (repeated > 0 && added === 0 && moved >= 0 && mayRepeat < 0) {
      throw new ListingError(`page ${offset / reader.size() + 1} brought no new row: the portal repeats its pages`);
    }
    if (mayRepeat < 0) doubt ??= 'rows were repeated';
    if (page.rows > 0) end = offset + page.rows;
    if (page.rows > 0 && !given?.handedOut) yield toListingPage(page, offset, reader.size());
    furthest = Math.max(furthest, offset + page.rows);
    if (moved < 0 && offset > 0) goesBack = true;
    if (goesBack && (offset === 0 || (isFirstKnown && moved >= 0))) goesBack = false;
    if (goesBack && stepsBack >= MIN_STEPS_BACK + turn / 2) {
      doubt ??= 'too many rows were deleted meanwhile';
      goesBack = false;
    }
    if (goesBack) {
      stepsBack += 1;
      offset = Math.max(0, (Math.ceil(offset / reader.size()) - 1) * reader.size());
      continue;
    }
    if (page.rows === 0 || (page.short && agrees)) break;
    if (page.short) totals.noteShort();
    offset += page.rows < reader.size() ? reader.size() : page.rows;
  }
  if (seen.isFull()) return 'too many rows to tell repeated ones';
  return totals.doubt() ?? doubt ?? totals.contradicts(seen.size() + unread, end);
}

/** Watches what the portal says about the number of rows: the proof needs it known, and its every move followed. */
function watchTotal(isResumed: boolean) {
  let first: number | null = null;
  let latest: number | null = null;
  let fell = 0;
  let hasMoved = isResumed;
  let shortPage = false;
  let doubt: string | null = null;
  return {
    /** Takes an answer in and returns by how much the total has changed since the one before. */
    take({ total, rows }: ReadPage, offset: number): number {
      // An empty page beyond the end may well say 0 or nothing.
      if (rows === 0 && !total) return 0;
      if (total === null || total < offset + rows) {
        doubt ??= 'the portal does not say how many rows there are';
        return 0;
      }
      const change = latest === null ? 0 : total - latest;
      hasMoved ||= change !== 0;
      fell += Math.max(0, -change);
      first ??= total;
      latest = total;
      return change;
    },
    latest: () => latest,
    /** A page in the middle lacked rows. */
    noteShort: () => {
      shortPage = true;
    },
    doubt: () => doubt,
    /** Why the rows counted, the last of them at position `end`, cannot be all. */
    contradicts(counted: number, end: number): string | null {
      const [before, now] = [first ?? 0, latest ?? 0];
      if (!hasMoved) return before === counted ? null : `the portal counts ${before} rows but sent ${counted}`;
      if (shortPage) return 'a page came short while rows came and went';
      if (end !== now) return `the portal counts ${now} rows but sent ${end}`;
      // What was created before a listing was resumed need not have been seen.
      return !isResumed && counted < before - fell
        ? `the portal counts ${before - fell} rows but sent ${counted}`
        : null;
    },
  };
}

function toListingPage({ items, unread, observedAt, total }: ReadPage, offset: number, size: number): ListingPage {
  const page = Math.floor(offset / size) + 2;
  return { items, unread, observedAt, cursor: { mode: 'pages', page, size }, total, mode: 'pages' };
}
