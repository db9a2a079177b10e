/**
 * Listing a whole model, page by page, with an honest word at the end on whether nothing was missed.
 *
 * Two ways. *Keyset*: rows in the order of their ids, each request asking for ids greater than the last seen;
 * nothing that others do meanwhile can shift it. *Pages*: plain page numbers, for portals that ignore the filter or
 * the order, which shows in their answers; there rows can slip between pages, and only counting can prove otherwise.
 */

import type { FlowluClient } from '../flowlu/client.ts';
import type { ListedModel } from '../flowlu/url.ts';
import { createSeenIds } from '../record/seen-ids.ts';
import { type Findings, listByKeyset } from './keyset.ts';
import { listByPages } from './pages.ts';
import { createPageReader } from './reader.ts';
import type { ListingCursor, ListingOptions, ListingPage, ListingSummary } from './types.ts';

export type * from './types.ts';

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
  const { cursor, known = {}, readBefore, unread } = options;
  const reader = createPageReader(client, model, options);
  const summary = (mode: ListingCursor['mode'], reason: string | null, found: Findings): ListingSummary => ({
    complete: reason === null,
    ...(reason !== null && { reason }),
    mode,
    requests: reader.requests(),
    isCounted: reader.counts(),
    measured: { ...reader.measured(), ...found },
  });

  if (cursor?.mode === 'pages') {
    const seen = options.seen ?? createSeenIds();
    const offset = (cursor.page - 1) * cursor.size;
    const reason = yield* listByPages(reader, { offset, seen, unread: unread?.rows });
    const unproven = options.seen === undefined ? 'resumed in the middle of a listing by page numbers' : null;
    return summary('pages', unproven ?? reason, { order: null, idFilter: null });
  }
  // That a filter has no effect shows at the cost of one request; where asking is an error, it costs several.
  if (known.order === 'refused' || known.idFilter === 'refused') {
    const reason = yield* listByPages(reader, { offset: 0, seen: createSeenIds() });
    return summary('pages', reason, { order: null, idFilter: null });
  }
  const seenBefore =
    readBefore === undefined ? undefined : readBefore + (unread?.rows ?? 0) - (unread?.again.rows ?? 0);
  const { reason, goOn, found } = yield* listByKeyset(reader, cursor?.lastId ?? null, seenBefore);
  if (goOn === null) return summary('keyset', reason, found);
  return summary('pages', yield* listByPages(reader, { offset: 0, read: goOn, seen: createSeenIds() }), found);
}
