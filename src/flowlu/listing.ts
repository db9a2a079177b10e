/**
 * Listing a whole model, page by page, with an honest word at the end on whether nothing was missed.
 *
 * Two ways. *Keyset*: rows in the order of their ids, each request asking for ids greater than the last seen;
 * nothing that others do meanwhile can shift it. *Pages*: plain page numbers, for portals that ignore the filter or
 * the order, which shows in their answers; there rows can slip between pages, and only counting can prove otherwise.
 */
import type { FlowluClient } from './client.ts';
import { type Findings, listByKeyset } from './listing-keyset.ts';
import { listByPages } from './listing-pages.ts';
import { createPageReader } from './listing-reader.ts';
import type { ListingCursor, ListingMeasures, ListingPage, ListingSummary } from './listing-types.ts';
import { createSeenIds, type SeenIds } from './seen-ids.ts';
import type { Filter, ListedModel } from './url.ts';

export type { ListingCursor, ListingMeasures, ListingPage, ListingSummary, UnreadRows } from './listing-types.ts';

export interface ListingOptions {
  readonly cursor?: ListingCursor | undefined;
  /** Rows seen up to the cursor: without it, a resumed listing cannot hold a total of the whole against its count. */
  readonly seenBefore?: number | undefined;
  /** Ids seen up to a cursor of pages; without them nothing is proven. */
  readonly seen?: SeenIds | undefined;
  /** Lists only what meets these conditions; whether the portal honours them is for the caller to check. */
  readonly filters?: Readonly<Record<string, Filter>>;
  /** What earlier listings have shown, so that it need not be found out again. */
  readonly known?: Partial<ListingMeasures> | undefined;
  /** Rows to ask for per request, 1 to 100. */
  readonly pageSize?: number;
  /** False where the conditions may be what is refused: then a page that fails is not read around. Defaults to true. */
  readonly heals?: boolean;
  readonly signal: AbortSignal;
  /** Bound on the requests of this listing, failed attempts included; else one that follows from the portal's count. */
  readonly maxRequests?: number;
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
  const { cursor, signal, filters, known = {}, maxRequests = null } = options;
  const size = cursor?.mode === 'pages' ? cursor.size : (known.bearableSize ?? options.pageSize ?? 100);
  const reader = createPageReader(client, model, {
    size,
    isSizeKnown: cursor?.mode === 'pages' || typeof known.bearableSize === 'number',
    grantedBefore: known.pageSize ?? null,
    sort: known.order !== 'refused',
    heals: options.heals ?? true,
    maxRequests,
    filters,
    signal,
  });
  const summary = (mode: ListingCursor['mode'], reason: string | null, found: Findings): ListingSummary => ({
    complete: reason === null,
    ...(reason !== null && { reason }),
    mode,
    requests: reader.requests(),
    measured: { ...reader.measured(), ...found },
  });

  if (cursor?.mode === 'pages') {
    const seen = options.seen ?? createSeenIds();
    const reason = yield* listByPages(reader, { offset: (cursor.page - 1) * cursor.size, seen });
    const unproven = options.seen === undefined ? 'resumed in the middle of a listing by page numbers' : null;
    return summary('pages', unproven ?? reason, { order: null, idFilter: null });
  }
  // That a filter has no effect shows at the cost of one request; where asking is an error, it costs several.
  if (known.order === 'refused' || known.idFilter === 'refused') {
    const reason = yield* listByPages(reader, { offset: 0, seen: createSeenIds() });
    return summary('pages', reason, { order: null, idFilter: null });
  }
  const end = yield* listByKeyset(reader, cursor?.lastId ?? null, options.seenBefore);
  if (end.way === 'done') return summary('keyset', end.reason, end.found);
  return summary('pages', yield* listByPages(reader, { offset: 0, read: end.read, seen: createSeenIds() }), end.found);
}
