/** One request of a listing, its answer measured: ids, order, and whether the page can be the last. */

import type { Micros } from '../core/instant.ts';
import type { JsonObject } from '../core/json.ts';
import { compareIds, idOf } from '../record/id.ts';
import type { FlowluClient } from './client.ts';
import { FlowluError, ListingError } from './errors.ts';
import { DEFAULT_LIMIT, type Filter, type ListedModel, type ListQuery } from './url.ts';

export interface ReadPage {
  readonly items: readonly JsonObject[];
  readonly ids: readonly string[];
  readonly total: number | null;
  readonly observedAt: Micros;
  /** Ids strictly increase, in the order that the portal sent. */
  readonly ascending: boolean;
  /** Fewer rows than the portal puts on a page. Most likely the end, yet a page may also come short in the middle. */
  readonly short: boolean;
}

export interface PageReader {
  /** Reads the rows after an id (from the start when null) in order of their ids. */
  after(lastId: string | null): Promise<ReadPage>;
  /** Reads a page by number, in order of ids where the portal accepts to sort. */
  page(page: number): Promise<ReadPage>;
  /** Requests spent so far. */
  requests(): number;
}

const BY_ID = { field: 'id', direction: 'asc' } as const;

/** A reader that counts its requests. Its methods throw ListingError beyond the bound or for rows without an id. */
export function createPageReader(
  client: FlowluClient,
  model: ListedModel,
  options: {
    readonly pageSize: number;
    readonly maxRequests: number;
    readonly signal: AbortSignal;
    /** Conditions on every request. */
    readonly filters?: Readonly<Record<string, Filter>>;
  },
): PageReader {
  const { pageSize, maxRequests, signal, filters } = options;
  let requests = 0;
  let largest = 0;
  let sort = true;

  async function read(query: ListQuery): Promise<ReadPage> {
    if (requests >= maxRequests) throw new ListingError(`${model.name}: no end after ${requests} requests`);
    const order = sort ? { orderBy: BY_ID } : {};
    const conditions = filters === undefined ? {} : { filters: { ...filters, ...query.filters } };
    const answer = await client
      .list(model, { limit: pageSize, ...order, ...query, ...conditions }, signal)
      .catch((error) => {
        requests += 1;
        throw error;
      });
    requests += answer.requests;
    const { items, total, observedAt } = answer;
    const ids = items.map((item) => {
      const id = idOf(item);
      if (id === null) throw new ListingError(`${model.name}: a row without an id`);
      return id;
    });
    const ascending = answer.ordered && ids.every((id, i) => i === 0 || compareIds(ids[i - 1] ?? '', id) < 0);
    // On the first page the portal's real page size is not known: it may have fallen back to its default.
    const short = largest === 0 ? ids.length < pageSize && ids.length !== DEFAULT_LIMIT : ids.length < largest;
    largest = Math.max(largest, ids.length);
    return { items, ids, total, observedAt, ascending, short };
  }

  return {
    after: (lastId) =>
      read(lastId === null ? { page: 1 } : { page: 1, filters: { id: { type: 'more', value: lastId } } }),
    async page(page) {
      try {
        return await read({ page });
      } catch (error) {
        if (!sort || largest > 0 || !isRefusedQuery(error)) throw error;
        sort = false;
        return await read({ page });
      }
    },
    requests: () => requests,
  };
}

/** True when the portal did not accept how it was asked, rather than whether. */
export function isRefusedQuery(error: unknown): boolean {
  return error instanceof FlowluError && (error.kind === 'invalid_request' || error.kind === 'validation');
}
