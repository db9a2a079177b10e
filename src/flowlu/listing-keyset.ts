/** Listing by id keyset, each answer checked, since a portal may silently ignore the order or the filter. */
import { compareIds } from '../record/id.ts';
import type { PageReader, ReadPage } from './listing-reader.ts';
import type { ListingMeasures, ListingPage } from './listing-types.ts';

export type KeysetEnd =
  /** Came to the end; `reason` says why rows may be missing, null when none can. */
  | { readonly way: 'done'; readonly reason: string | null; readonly found: Findings }
  /** The portal does not honour it. `read` are the pages from page 1 on that were read and are still good. */
  | { readonly way: 'pages'; readonly read: readonly PageAlreadyRead[]; readonly found: Findings };

/** What it shows of the portal. */
export type Findings = Pick<ListingMeasures, 'order' | 'idFilter'>;

export interface PageAlreadyRead {
  readonly page: ReadPage;
  /** Whether its rows were handed out. */
  readonly handedOut: boolean;
}

/** What the answers so far amount to. */
interface Progress {
  readonly fresh: boolean;
  readonly answers: number;
  /** The latest answer, and the one before it. */
  readonly page: ReadPage | null;
  readonly before: ReadPage | null;
  /** Some answer held greater ids only, because it was asked to. */
  readonly filterWorks: boolean;
  /** Rows since the start of this run. */
  readonly seen: number;
  /** Rows of the runs that a resumed listing goes on from, where the caller knows. */
  readonly seenBefore: number | undefined;
  /** The total where it does not shrink as rows are passed: then it counts the whole model, not what is left. */
  readonly wholeTotal: number | null;
}

const START: Progress = {
  fresh: true,
  answers: 0,
  page: null,
  before: null,
  filterWorks: false,
  seen: 0,
  seenBefore: undefined,
  wholeTotal: null,
};

/** Lists the rows after `resumeAfter`, or all of them. Every turn of the loop moves on to greater ids, or ends. */
export async function* listByKeyset(
  reader: PageReader,
  resumeAfter: string | null,
  seenBefore?: number,
): AsyncGenerator<ListingPage, KeysetEnd> {
  // A resumed listing asks for the row before once more: if it comes, the filter works, even if nothing follows.
  let last = resumeAfter === null ? null : oneLess(resumeAfter);
  let progress: Progress = { ...START, fresh: resumeAfter === null, seenBefore };
  const found = (idFilter: Findings['idFilter']): Findings => ({ order: orderOf(reader, progress), idFilter });

  for (;;) {
    const page = await nextPage(reader, last, progress);
    const read = pagesRead(progress, page);
    const objection = objectionTo(page, last, reader, progress);
    if (page === null || objection !== null) return { way: 'pages', read, found: objection ?? found('refused') };
    progress = advance(progress, page, last !== null);
    const highest = page.ids.at(-1);
    if (highest === undefined) {
      const unproven = last !== null && !progress.filterWorks;
      if (unproven) return { ...(await corroborate(reader, read, progress)), found: found(null) };
      return { way: 'done', reason: missing(progress), found: found(filterOf(progress)) };
    }
    last = highest;
    const fresh = page.ids[0] === resumeAfter ? page.items.slice(1) : page.items;
    const { observedAt, total, unread } = page;
    if (fresh.length > 0 || unread.length > 0) {
      yield { items: fresh, unread, observedAt, cursor: { mode: 'keyset', lastId: last }, total, mode: 'keyset' };
    }
    if (isEvidentlyLast(progress)) return { way: 'done', reason: null, found: found(filterOf(progress)) };
  }
}

/** What an answer shows of a portal without a keyset, or null where it shows none of that. */
function objectionTo(
  page: ReadPage | null,
  last: string | null,
  reader: PageReader,
  progress: Progress,
): Findings | null {
  const order = orderOf(reader, progress);
  if (page === null) return { order, idFilter: 'refused' };
  if (!reader.isSorted()) return { order, idFilter: filterOf(progress) };
  if (!page.ascending) return { order: 'ignored', idFilter: null };
  const [lowest] = page.ids;
  const isBefore = lowest !== undefined && last !== null && compareIds(lowest, last) <= 0;
  return isBefore ? { order, idFilter: 'ignored' } : null;
}

const filterOf = ({ filterWorks }: Progress) => (filterWorks ? 'honoured' : null);

/** The next answer, or null where the portal refuses the filter. */
async function nextPage(reader: PageReader, last: string | null, progress: Progress): Promise<ReadPage | null> {
  if (last !== null && !progress.filterWorks) {
    const page = await reader.afterIfAccepted(last);
    if (page !== null) return page;
    // The filter is refused, or a record after it breaks the answer: then the plain page that follows comes.
    const plain = await reader.at(reader.size(), 0).catch(() => null);
    if (plain !== null && (plain.rows > 0 || progress.answers === 0)) return null;
  }
  return reader.after(last, expectedAfter(progress));
}

/** The filter's first use matched nothing: the end, or a filter that never matches. Plain page 2 can tell. */
async function corroborate(
  reader: PageReader,
  read: readonly PageAlreadyRead[],
  progress: Progress,
): Promise<Omit<KeysetEnd & { way: 'done' }, 'found'> | Omit<KeysetEnd & { way: 'pages' }, 'found'>> {
  const [first] = read;
  if (!first) return { way: 'done', reason: 'nothing shows that the portal honours the filter' };
  const page = await reader.at(reader.size(), 0);
  const last = first.page.ids.at(-1) ?? '0';
  // Some portals repeat the last page when asked for one beyond it.
  const isEnd = page.ids.every((id) => compareIds(id, last) <= 0);
  if (isEnd) return { way: 'done', reason: missing(progress) };
  return { way: 'pages', read: [first, { page, handedOut: false }] };
}

function orderOf(reader: PageReader, { seen }: Progress): Findings['order'] {
  if (!reader.isSorted()) return 'refused';
  return seen > 1 ? 'honoured' : null;
}

/** Rows that the portal has announced to lie after those seen. */
function expectedAfter({ page, before, seen, seenBefore = 0, wholeTotal, fresh }: Progress): number {
  if (wholeTotal !== null) return fresh || seenBefore > 0 ? Math.max(0, wholeTotal - seen - seenBefore) : 0;
  // A portal that gives each page's length as its total announces nothing.
  if (page === null || page.total === null || page.total === page.rows) return 0;
  return before !== null && before.total === before.rows ? 0 : Math.max(0, page.total - page.rows);
}

/**
 * Page 1, while nothing else was read: plain paging can carry on from there. An ignored filter brings page 1 again,
 * which is then the better one, since less time lies between it and page 2.
 */
function pagesRead({ fresh, answers, page: first }: Progress, page: ReadPage | null): readonly PageAlreadyRead[] {
  if (fresh && answers === 0 && page) return [{ page, handedOut: false }];
  if (!fresh || answers !== 1 || !first) return [];
  const known = new Set(first.ids);
  const shared = page?.ids.filter((id) => known.has(id)).length ?? 0;
  if (!page || page.ids.length < first.ids.length || shared <= first.ids.length / 2)
    return [{ page: first, handedOut: true }];
  return [{ page, handedOut: shared === page.ids.length }];
}

function advance(progress: Progress, page: ReadPage, filtered: boolean): Progress {
  const { page: before, wholeTotal } = progress;
  const stays = before !== null && before.ids.length > 0 && page.total === before.total;
  return {
    fresh: progress.fresh,
    answers: progress.answers + 1,
    page,
    before,
    filterWorks: progress.filterWorks || (filtered && page.ids.length > 0),
    seen: progress.seen + page.rows,
    seenBefore: progress.seenBefore,
    wholeTotal: stays || wholeTotal !== null ? (page.total ?? wholeTotal) : null,
  };
}

function oneLess(id: string): string {
  return id === '0' ? id : String(BigInt(id) - 1n);
}

/**
 * Whether the request for an empty tail can be saved: only when two signs agree, a short page and the total.
 * A total alone is never believed, since it may be wrong, or count something else than what was asked for.
 */
function isEvidentlyLast({ fresh, page, before, seen, wholeTotal }: Progress): boolean {
  if (!page?.short || page.total === null) return false;
  if (wholeTotal !== null) return fresh && seen === wholeTotal;
  // A portal that gives each page's length as its total gave itself away by the page before.
  return page.total === page.rows && (before === null || before.total !== before.rows);
}

/** After an empty answer: why rows may be missing all the same, or null. The keyset itself leaves no gap. */
function missing({ fresh, page, before, seen, seenBefore, wholeTotal }: Progress): string | null {
  if (wholeTotal !== null) {
    // The row that a resumed listing begins with again is counted once too often, or is gone by now.
    const all = fresh ? seen : seenBefore === undefined ? wholeTotal : seen + seenBefore;
    return all < wholeTotal ? `the portal counts ${wholeTotal} rows but sent ${all}` : null;
  }
  const left = before === null || before.total === null ? 0 : before.total - before.rows;
  const announced = page?.total || left;
  return announced > 0 ? `the portal announced ${announced} more rows but sent none` : null;
}
