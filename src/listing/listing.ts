/**
 * Lists a whole model, page by page, and says at the end whether anything may be missing.
 *
 * There are two ways. *Keyset*: rows in the order of their ids, each request asking for ids greater than the last;
 * changes made meanwhile cannot shift it. *Pages*: plain page numbers, for portals whose answers show that they ignore
 * the filter or the order. There rows can slip between pages, and only counting can prove that none did.
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
 * It needs one request per full page, and one more only if the end is uncertain: the last page is full, or the portal's
 * total is missing or wrong. A portal that ignores the filter costs one wasted request, and a first page that may
 * contain everything one more. So N rows take at most N/pageSize (rounded up) + 2 requests, if the portal grants the
 * page size.
 *
 * @throws ListingError if pages repeat, never end, or hold rows without an id; FlowluError; the signal's reason
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
  // An ignored filter costs one request to detect; a refused one costs several.
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
