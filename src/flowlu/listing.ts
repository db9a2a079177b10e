/**
 * Listing a whole model, page by page, with an honest word at the end on whether nothing was missed.
 *
 * Two ways. *Keyset*: rows in the order of their ids, each request asking for ids greater than the last seen;
 * nothing that others do meanwhile can shift it. *Pages*: plain page numbers, for portals that ignore the filter or
 * the order, which shows in their answers; there rows can slip between pages, and only counting can prove otherwise.
 */
import type { JsonObject } from '../json.ts';
import type { FlowluClient } from './client.ts';
import { listByKeyset } from './listing-keyset.ts';
import { listByPages } from './listing-pages.ts';
import { createPageReader } from './listing-reader.ts';
import type { Micros } from './pace.ts';
import type { ListedModel } from './url.ts';

/** Where to resume. `page` is the next one to read. */
export type ListingCursor =
  | { readonly mode: 'keyset'; readonly lastId: string }
  | { readonly mode: 'pages'; readonly page: number };

/** Rows of one answer. A row may come again in a later page; every record has an id of digits. */
export interface ListingPage {
  readonly items: readonly JsonObject[];
  /** Moment not later than the sending. */
  readonly observedAt: Micros;
  /** Resumes after this page. */
  readonly cursor: ListingCursor;
  /** What the portal claims to match this request, or null. In keyset mode that is what was left, this page included. */
  readonly total: number | null;
  readonly mode: ListingCursor['mode'];
}

/** What a listing amounts to. */
export interface ListingSummary {
  /**
   * True when every row that existed throughout the listing was seen; of a resumed keyset, every row after the cursor.
   * In pages mode the proof is a count, which has one blind spot: a row deleted and another one created between the
   * same two pages cancel out. So a row that a listing lacks is a suspect, never yet a deleted row.
   */
  readonly complete: boolean;
  /** Why not complete. */
  readonly reason?: string;
  /** The mode that the listing ended in. */
  readonly mode: ListingCursor['mode'];
  /** Requests spent, failed attempts included. */
  readonly requests: number;
}

export interface ListingOptions {
  readonly cursor?: ListingCursor | undefined;
  /** Rows to ask for per request, 1 to 100. */
  readonly pageSize?: number;
  readonly signal: AbortSignal;
  /** Bound on the requests of this listing, failed attempts included. */
  readonly maxRequests?: number;
  /** Bound on the ids remembered to tell repeated rows where the portal does not sort; beyond it nothing is proven. */
  readonly maxRememberedIds?: number;
}

/**
 * Lists a model. The generator's return value is the summary.
 *
 * Needs one request per full page, and one more only where the end is not plain: the last page is full, or the
 * portal's total is missing or disagrees. A portal that ignores the filter costs one wasted request, a first page
 * that may be all one more. So N rows take at most N/pageSize (rounded up) + 2, where the portal grants the page size.
 *
 * @throws ListingError when pages repeat, never end, or hold rows without an id; FlowluError; the signal's reason.
 */
export async function* listPages(
  client: FlowluClient,
  model: ListedModel,
  options: ListingOptions,
): AsyncGenerator<ListingPage, ListingSummary> {
  const { cursor, signal, pageSize = 100, maxRequests = 50_000, maxRememberedIds = 200_000 } = options;
  const reader = createPageReader(client, model, { pageSize, maxRequests, signal });
  const summary = (mode: ListingCursor['mode'], reason: string | null): ListingSummary =>
    reason === null
      ? { complete: true, mode, requests: reader.requests() }
      : { complete: false, reason, mode, requests: reader.requests() };

  if (cursor?.mode === 'pages') {
    // One page back: rows deleted since have moved the others forward.
    const page = Math.max(1, cursor.page - 1);
    return summary('pages', yield* listByPages(reader, { page, maxRememberedIds }));
  }
  const end = yield* listByKeyset(reader, cursor?.lastId ?? null);
  if (end.way === 'done') return summary('keyset', end.reason);
  return summary('pages', yield* listByPages(reader, { page: 1, read: end.read, maxRememberedIds }));
}
