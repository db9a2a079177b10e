/** Listing by page numbers, for portals without a keyset: drift is noticed, repeats and endlessness fail. */

import { compareIds } from '../record/id.ts';
import { ListingError } from './errors.ts';
import type { PageAlreadyRead } from './listing-keyset.ts';
import type { PageReader, ReadPage } from './listing-reader.ts';
import type { ListingPage } from './listing-types.ts';

interface PagesOptions {
  /** Page to begin with. */
  readonly page: number;
  /** The first pages, if they were read before. */
  readonly read?: readonly PageAlreadyRead[];
  readonly maxRememberedIds: number;
}

/** How often, and how far at a time, a listing goes back because rows were deleted under it. */
const MAX_STEPS_BACK = 20;
const MAX_PAGES_BACK = 3;

/**
 * Lists from a page on. Every turn of the loop brings a new row, or is one of a bounded number of re-reads, or ends;
 * the reader's bound on requests stands above that.
 * @returns why rows may be missing, or null.
 * @throws ListingError when the portal repeats a page.
 */
export async function* listByPages(
  reader: PageReader,
  { page: from, read = [], maxRememberedIds }: PagesOptions,
): AsyncGenerator<ListingPage, string | null> {
  const rows = countRows(maxRememberedIds);
  const totals = watchTotal();
  const alreadyRead = [...read];
  const walk = createWalk(from);

  for (;;) {
    const given = alreadyRead.shift();
    const page: ReadPage = given ? given.page : await reader.page(walk.page());
    const deleted = totals.take(page);
    const added = rows.add(page);
    const agreed = page.total === rows.seen();
    if (page.ids.length > 0 && added === 0 && deleted <= 0 && !walk.rereads()) {
      // Beyond the end some portals repeat the last page: that is the end where the count says so, too.
      if (agreed) break;
      throw new ListingError(`page ${walk.page()} brought no new row: the portal repeats its pages`);
    }
    if (page.ids.length > 0 && !given?.handedOut) yield toListingPage(page, walk.page());
    if (walk.back(deleted, rows.perPage())) continue;
    if (isEnd(page, agreed)) break;
    walk.on();
  }
  if (from > 1) return 'resumed in the middle of a listing by page numbers';
  return totals.doubt() ?? rows.doubt() ?? totals.differsFrom(rows.seen());
}

/** Where the listing stands. */
function createWalk(from: number) {
  let page = from;
  let stepsBack = 0;
  let rereadUpTo = 0;
  return {
    page: () => page,
    /** True on pages that were read before. */
    rereads: () => page <= rereadUpTo,
    /** Goes back after deletions, if it may: the rows that followed moved forward, some onto a page already read. */
    back(deleted: number, perPage: number): boolean {
      if (deleted <= 0 || page === 1 || stepsBack === MAX_STEPS_BACK) return false;
      stepsBack += 1;
      rereadUpTo = Math.max(rereadUpTo, page);
      page -= Math.min(page - 1, MAX_PAGES_BACK, Math.ceil(deleted / perPage));
      return true;
    },
    on() {
      page += 1;
    },
  };
}

/** An empty page is the end; a short one only where the count agrees, since it may come in the middle, too. */
function isEnd({ ids, short }: ReadPage, agreed: boolean): boolean {
  return ids.length === 0 || (short && agreed);
}

/** Watches what the portal says about the number of rows: a proof by counting needs it known and unmoved. */
function watchTotal() {
  let first: number | null = null;
  let latest: number | null = null;
  let doubt: string | null = null;
  return {
    /** Takes an answer in and returns by how much the total fell since the one before. */
    take({ total, ids }: ReadPage): number {
      // An empty page beyond the end may well say 0 or nothing.
      if (ids.length === 0 && !total) return 0;
      if (total === null) {
        doubt ??= 'the portal does not say how many rows there are';
        return 0;
      }
      if (first !== null && total !== first) doubt ??= `the total moved from ${first} to ${total}`;
      const fell = latest === null ? 0 : latest - total;
      first ??= total;
      latest = total;
      return fell;
    },
    doubt: () => doubt,
    differsFrom: (seen: number) =>
      (first ?? 0) === seen ? null : `the portal counts ${first ?? 0} rows but sent ${seen}`,
  };
}

/**
 * Counts distinct rows: while ids ascend over the pages, by comparison alone; else by remembering them,
 * up to a bound. An order that breaks later leaves nothing to compare with, so the count is doubtful from there.
 */
function countRows(maxRememberedIds: number) {
  let seen = 0;
  let last: string | null = null;
  let remembered: Set<string> | null = null;
  let perPage = 1;
  let before: ReadPage | null = null;
  let doubt: string | null = null;

  const remember = (id: string): boolean => {
    if (remembered?.has(id)) return false;
    if (remembered && remembered.size < maxRememberedIds) remembered.add(id);
    else doubt ??= 'too many unsorted rows to tell repeated ones';
    return true;
  };
  const pass = (id: string): boolean => {
    if (last !== null && compareIds(id, last) <= 0) return false;
    last = id;
    return true;
  };

  return {
    /** Takes a page in and returns how many of its rows are new, as far as that can be told. */
    add(page: ReadPage): number {
      const repeated = isSame(before, page);
      before = page;
      perPage = Math.max(perPage, page.ids.length);
      if (repeated) return 0;
      if (!page.ascending && remembered === null) {
        if (last !== null) doubt ??= 'the order by id broke';
        remembered = new Set();
      }
      const added = page.ids.filter(remembered ? remember : pass).length;
      if (added < page.ids.length) doubt ??= 'rows were repeated';
      seen += added;
      return added;
    },
    seen: () => seen,
    /** Rows that the portal really puts on a page. */
    perPage: () => perPage,
    doubt: () => doubt,
  };
}

function toListingPage({ items, observedAt, total }: ReadPage, number: number): ListingPage {
  return { items, observedAt, cursor: { mode: 'pages', page: number + 1 }, total, mode: 'pages' };
}

function isSame(a: ReadPage | null, b: ReadPage): boolean {
  return a !== null && a.ids.length === b.ids.length && a.ids.every((id, index) => id === b.ids[index]);
}
