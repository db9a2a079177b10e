/** A model in memory behind the client's interface, with the oddities of portals as switches. */
import type { FlowluClient, ListAnswer } from '../../src/flowlu/client.ts';
import type { ListQuery } from '../../src/flowlu/url.ts';

export interface Oddities {
  /** Most rows that the portal puts on a page, whatever is asked for. */
  readonly cap?: number;
  readonly filter?: 'honoured' | 'ignored' | 'matches nothing';
  readonly order?: 'honoured' | 'ignored';
  /** Right; missing; of the whole model; the length of the page; off by a constant; or always the same number. */
  readonly total?: 'right' | 'missing' | 'whole' | 'page' | { readonly off: number } | { readonly always: number };
  /** What a page number beyond the last one answers. */
  readonly beyond?: 'empty' | 'last page';
  /** The n-th answer is cut to half its rows. */
  readonly cutAt?: number;
}

interface FakeModel {
  readonly client: FlowluClient;
  readonly queries: readonly ListQuery[];
  /** Ids as they are now, in the portal's own order. */
  readonly ids: () => readonly number[];
}

/**
 * @param ids in the order that the portal uses when it does not sort.
 * @param between called before every answer but the first; returns the ids as they then are.
 */
export function fakeModel(
  ids: readonly number[],
  oddities: Oddities = {},
  between: (ids: readonly number[], answers: number) => readonly number[] = (same) => same,
): FakeModel {
  const queries: ListQuery[] = [];
  let now = ids;

  function list(query: ListQuery): ListAnswer {
    if (queries.length > 0) now = between(now, queries.length);
    queries.push(query);
    const after = query.filters?.id;
    const last = typeof after === 'object' && 'value' in after ? Number(after.value) : null;
    const sorted = oddities.order === 'ignored' ? now : [...now].sort((a, b) => a - b);
    const matching = last === null ? sorted : sorted.filter((id) => matches(id, last));
    const size = Math.min(query.limit ?? 50, oddities.cap ?? 100);
    const lastPage = Math.max(1, Math.ceil(matching.length / size));
    const page = oddities.beyond === 'last page' ? Math.min(query.page ?? 1, lastPage) : (query.page ?? 1);
    let rows = matching.slice((page - 1) * size, page * size);
    if (queries.length === oddities.cutAt) rows = rows.slice(0, Math.ceil(rows.length / 2));
    return {
      items: rows.map((id) => ({ id })),
      total: totalOf(matching.length, rows.length),
      ordered: true,
      observedAt: queries.length,
      requests: 1,
    };
  }

  function matches(id: number, last: number): boolean {
    if (oddities.filter === 'matches nothing') return false;
    return oddities.filter === 'ignored' || id > last;
  }

  function totalOf(matching: number, onPage: number): number | null {
    const total = oddities.total ?? 'right';
    if (total === 'missing') return null;
    if (total === 'page') return onPage;
    if (total === 'whole') return now.length;
    if (total === 'right') return matching;
    return 'off' in total ? Math.max(0, matching + total.off) : total.always;
  }

  return {
    client: {
      list: async (_model, query, signal) => {
        signal.throwIfAborted();
        return list(query);
      },
      get: () => Promise.reject(new Error('not part of a listing')),
    },
    queries,
    ids: () => now,
  };
}
