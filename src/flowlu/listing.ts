/**
 * Listing a whole model, page by page, with an honest word at the end on whether nothing was missed.
 *
 * Two ways. *Keyset*: rows in the order of their ids, each request asking for ids greater than the last seen;
 * nothing that others do meanwhile can shift it. *Pages*: plain page numbers, for portals that ignore the filter or
 * the order, which shows in their answers; there rows can slip between pages, and only counting can prove otherwise.
 */
import type { FlowluClient } from './client.ts';
import { listByKeyset } from './listing-keyset.ts';
import { listByPages } from './listing-pages.ts';
import { createPageReader } from './listing-reader.ts';
import type { ListingCursor, ListingPage, ListingSummary } from './listing-types.ts';
import type { Filter, ListedModel } from './url.ts';

export type { ListingCursor, ListingPage, ListingSummary } from './listing-types.ts';

export interface ListingOptions {
  readonly cursor?: ListingCursor | undefined;
  /** Rows seen up to the cursor: without it, a resumed listing cannot hold a total of the whole against its count. */
  readonly seenBefore?: number | undefined;
  /** Lists only what meets these conditions; whether the portal honours them is for the caller to check. */
  readonly filters?: Readonly<Record<string, Filter>>;
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
  const filters = options.filters === undefined ? {} : { filters: options.filters };
  const reader = createPageReader(client, model, { pageSize, maxRequests, signal, ...filters });
  const summary = (mode: ListingCursor['mode'], reason: string | null): ListingSummary =>
    reason === null
      ? { complete: true, mode, requests: reader.requests() }
      : { complete: false, reason, mode, requests: reader.requests() };

  if (cursor?.mode === 'pages') {
    // One page back: rows deleted since have moved the others forward.
    const page = Math.max(1, cursor.page - 1);
    return summary('pages', yield* listByPages(reader, { page, maxRememberedIds }));
  }
  const end = yield* listByKeyset(reader, cursor?.lastId ?? null, options.seenBefore);
  if (end.way === 'done') return summary('keyset', end.reason);
  return summary('pages', yield* listByPages(reader, { page: 1, read: end.read, maxRememberedIds }));
}
