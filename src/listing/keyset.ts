/** Listing by id keyset. Each answer is checked, since a portal may silently ignore the order or the filter. */
import { unanswered } from '../flowlu/errors.ts';
import { compareIds } from '../record/id.ts';
import type { PageReader, ReadPage } from './reader.ts';
import { UNCOUNTED } from './sick-pages.ts';
import type { ListingMeasures, ListingPage } from './types.ts';

/** What the listing shows about the portal. */
export type Findings = Pick<ListingMeasures, 'order' | 'idFilter'>;

export interface KeysetEnd {
  /** Why rows may be missing; null if none can be. */
  readonly reason: string | null;
  /** If the portal does not support a keyset: the pages already read, from page 1 on, that are still valid. */
  readonly goOn: readonly PageAlreadyRead[] | null;
  readonly found: Findings;
}

export interface PageAlreadyRead {
  readonly page: ReadPage;
  /** How many of its rows were yielded. */
  readonly handedOut: number;
}

interface Progress {
  /** Listed from the beginning, not resumed. */
  readonly fresh: boolean;
  readonly answers: number;
  /** The latest answer, and the one before it. */
  readonly page: ReadPage | null;
  readonly before: ReadPage | null;
  /** An answer held only greater ids because the request asked for them. */
  readonly filterWorks: boolean;
  /** Rows since the start of this run. */
  readonly seen: number;
  /** Rows of earlier runs that a resumed listing continues, if the caller knows. */
  readonly seenBefore: number | undefined;
  /** The total if it does not shrink as rows are passed: it then counts the whole model, not what is left. */
  readonly wholeTotal: number | null;
}

const START = { answers: 0, page: null, before: null, filterWorks: false, seen: 0, wholeTotal: null } as const;

/** Lists the rows after `resumeAfter`, or all. Every iteration advances to greater ids, or ends. */
export async function* listByKeyset(
  reader: PageReader,
  resumeAfter: string | null,
  seenBefore?: number,
): AsyncGenerator<ListingPage, KeysetEnd> {
  // A resumed listing starts one id earlier: if the row comes again, the filter works, even if nothing follows.
  let last = resumeAfter === null || resumeAfter === '0' ? resumeAfter : String(BigInt(resumeAfter) - 1n);
  let progress: Progress = { ...START, fresh: resumeAfter === null, seenBefore };
  for (;;) {
    const page = await nextPage(reader, last, progress);
    const first = firstPage(progress, page);
    const objection = objectionTo(page, last, reader, progress);
    if (page === null || objection !== null) return { reason: null, goOn: first, found: objection as Findings };
    progress = advance(progress, page, last !== null);
    const order = orderOf(reader, progress);
    const found = { order, idFilter: progress.filterWorks ? 'honoured' : null } as const;
    const highest = page.ids.at(-1);
    if (highest === undefined && last !== null && !progress.filterWorks) {
      return { ...(await corroborate(reader, first, progress)), found };
    }
    last = highest ?? last;
    const items = page.ids[0] === resumeAfter ? page.items.slice(1) : page.items;
    const { observedAt, total, unread } = page;
    if (last !== null && items.length + unread.length > 0) {
      const cursor = { mode: 'keyset', lastId: last } as const;
      const told = { fresh: items.length, isFirst: isFirst(progress) };
      yield { items, unread, observedAt, cursor, total, mode: 'keyset', ...told };
    }
    if (highest === undefined || isEvidentlyLast(progress)) return { reason: missing(progress), goOn: null, found };
  }
}

const isFirst = ({ fresh, answers }: Progress) => fresh && answers === 1;

/** What an answer shows about a portal without a keyset; null if it does not show that. */
function objectionTo(
  page: ReadPage | null,
  last: string | null,
  reader: PageReader,
  progress: Progress,
): Findings | null {
  const order = orderOf(reader, progress);
  if (page === null) return { order, idFilter: 'refused' };
  if (!reader.isSorted()) return { order, idFilter: progress.filterWorks ? 'honoured' : null };
  if (!page.ascending) return { order: 'ignored', idFilter: null };
  // Without any id on the first page, the listing cannot continue after one.
  if (last === null && page.ids.length === 0 && page.rows > 0) return { order, idFilter: null };
  const [lowest] = page.ids;
  const isBefore = lowest !== undefined && last !== null && compareIds(lowest, last) <= 0;
  return isBefore ? { order, idFilter: 'ignored' } : null;
}

/** The next answer; null if the portal refuses the filter. */
async function nextPage(reader: PageReader, last: string | null, progress: Progress): Promise<ReadPage | null> {
  if (last !== null && !progress.filterWorks) {
    const page = await reader.afterIfAccepted(last);
    if (page !== null) return page;
    // Either the filter is refused, or a record after it breaks the answer; then the next plain page has rows.
    const plain = await reader.at(reader.size(), 0).catch(unanswered);
    if (plain !== null && (plain.rows > 0 || progress.answers === 0)) return null;
  }
  if (last === null) return reader.after(null, UNCOUNTED);
  const [left, sick] = [rowsLeft(progress), atItsEnd(progress.page)];
  return reader.after(last, left === null && sick === 0 ? UNCOUNTED : Math.max(0, (left ?? 0) + sick));
}

/** Why rows may be missing after the last one. */
export function openEnd(lastId = 'the last one'): string {
  return `nothing shows that no row follows ${lastId}: the portal counts none, and one that breaks its lists may`;
}

/** The first use of the filter matched nothing: the end, or a filter that never matches. Plain page 2 can tell. */
async function corroborate(reader: PageReader, [first]: readonly PageAlreadyRead[], progress: Progress) {
  // Of a resumed listing: the row with which it begins is gone, perhaps. By page numbers, from the beginning, it shows.
  if (!first) return { reason: null, goOn: [] };
  // Announced rows that do not come may also hide behind a record that breaks its lists, without a count.
  const { total, rows } = first.page;
  const left = progress.page?.total === 0 ? (total ?? 0) - rows : (rowsLeft(progress) ?? 0);
  const page = await reader.at(reader.size(), total === null ? UNCOUNTED : Math.max(0, left));
  // Some portals repeat the last page when asked for one beyond it. Lower ids that are new are not a repetition: the
  // portal then ignores the order, which a page with a single row does not show.
  const isEnd = !page.isOpen && page.unread.length === 0 && page.ids.every((id) => first.page.ids.includes(id));
  if (isEnd) return { reason: missing(progress), goOn: null };
  return { reason: null, goOn: [first, { page, handedOut: 0 }] };
}

function orderOf(reader: PageReader, { seen }: Progress): Findings['order'] {
  if (!reader.isSorted()) return 'refused';
  return seen > 1 ? 'honoured' : null;
}

/**
 * Page 1, if nothing else was read: plain paging can continue from there. An ignored filter returns page 1 again, and
 * the second one is better, since changes between the two would go unnoticed.
 */
function firstPage({ fresh, answers, page: first }: Progress, page: ReadPage | null): readonly PageAlreadyRead[] {
  if (fresh && answers === 0 && page) return [{ page, handedOut: 0 }];
  if (!fresh || answers !== 1 || !first) return [];
  const known = new Set(first.ids);
  const shared = page?.ids.filter((id) => known.has(id)).length ?? 0;
  const isPageAgain = page !== null && page.ids.length >= first.ids.length && shared > first.ids.length / 2;
  if (!isPageAgain) return [{ page: first, handedOut: first.rows }];
  return [{ page, handedOut: shared === page.ids.length ? page.rows : shared }];
}

function advance(progress: Progress, page: ReadPage, filtered: boolean): Progress {
  const { page: before, wholeTotal } = progress;
  const stays = before !== null && before.ids.length > 0 && page.total === before.total;
  return {
    ...progress,
    answers: progress.answers + 1,
    page,
    before,
    filterWorks: progress.filterWorks || (filtered && page.ids.length > 0),
    seen: progress.seen + (page.rows === 0 ? 0 : page.rows - atItsEnd(before)),
    wholeTotal: stays || wholeTotal !== null ? (page.total ?? wholeTotal) : null,
  };
}

/** Unlistable rows after the last id of a page. The next page begins after that id, so it includes them again. */
function atItsEnd(page: ReadPage | null): number {
  const last = page?.unread.at(-1);
  return last?.nextId === null ? last.count : 0;
}

/** Rows that, by the portal's count, follow those seen; null if it gives no count. */
function rowsLeft({ page, before, seen, seenBefore, wholeTotal, fresh }: Progress): number | null {
  if (wholeTotal !== null && fresh) return wholeTotal - seen;
  // The row with which a resumed listing begins is counted once too often, or is gone by now.
  if (wholeTotal !== null) return seenBefore === undefined ? null : wholeTotal - seen - seenBefore;
  // Some portals give each page's length as its total.
  if (page === null || page.total === null || (before !== null && before.total === before.rows)) return null;
  return page.total - page.rows;
}

/**
 * Whether the request for an empty page at the end can be saved: only if both a short page and the total say so. A
 * total alone is never trusted, since it may be wrong or count something else.
 */
function isEvidentlyLast(progress: Progress): boolean {
  const isCounted = progress.fresh || progress.wholeTotal === null;
  return progress.page?.short === true && isCounted && rowsLeft(progress) === 0;
}

/** After an empty answer: why rows may still be missing, or null. The keyset itself leaves no gap. */
function missing(progress: Progress): string | null {
  const { page, before, wholeTotal } = progress;
  const bringsNone = page?.total === null && page.ids.length === 0;
  // More rows may follow the rows that break their lists.
  const isHidden = bringsNone && ((page.rows > 0 && !page.short) || atItsEnd(before) > 0);
  if (page?.isOpen || isHidden) return openEnd(before?.ids.at(-1));
  const left = rowsLeft(progress) ?? 0;
  if (wholeTotal !== null) {
    return left > 0 ? `the portal counts ${wholeTotal} rows but sent ${wholeTotal - left}` : null;
  }
  const announced = page?.total
    ? page.total - (page.rows || atItsEnd(before))
    : (before?.total ?? 0) - (before?.rows ?? 0);
  return announced > 0 ? `the portal announced ${announced} more rows but sent none` : null;
}
