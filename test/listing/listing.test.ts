import { describe, expect, it } from 'vitest';
import { FlowluError, ListingError } from '../../src/flowlu/errors.ts';
import { type ListingOptions, type ListingPage, type ListingSummary, listPages } from '../../src/listing/listing.ts';
import { createSeenIds } from '../../src/record/seen-ids.ts';
import { ACCOUNT, answer, never, startPortal } from '../flowlu/portal.ts';
import { fakeModel, type Oddities } from './fake-model.ts';

type Options = Partial<ListingOptions>;
type Client = Parameters<typeof listPages>[0];

async function run(client: Client, options: Options = {}) {
  const listing = listPages(client, ACCOUNT, { signal: never(), ...options });
  const pages: ListingPage[] = [];
  for (;;) {
    const step = await listing.next();
    if (step.done) return { pages, summary: step.value as ListingSummary, ids: idsOf(pages) };
    pages.push(step.value);
  }
}

function idsOf(pages: readonly ListingPage[]): number[] {
  return pages.flatMap(({ items }) => items.map(({ id }) => Number(id)));
}

function seenIds(ids: readonly number[]) {
  const seen = createSeenIds();
  for (const id of ids) seen.add(String(id));
  return seen;
}

const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1);
const newestFirst = (n: number) => upTo(n).reverse();

async function list(ids: readonly number[], oddities: Oddities = {}, options: Options = {}) {
  const model = fakeModel(ids, oddities);
  return { ...(await run(model.client, options)), queries: model.queries };
}

describe('listing by keyset', () => {
  it.each([
    [0, 1],
    [1, 1],
    [99, 1],
    // A full page is followed by more requests: a total alone is not believed.
    [100, 3],
    [101, 2],
    [250, 3],
    // Fifty rows may be all, or the portal's default page size.
    [50, 3],
    [200, 3],
  ])('reads %i rows with %i requests', async (n, requests) => {
    const { ids, summary } = await list(upTo(n));
    expect(ids).toEqual(upTo(n));
    expect(summary).toMatchObject({ complete: true, mode: 'keyset', requests });
  });

  it('asks for greater ids, always on page 1, and says where to resume', async () => {
    const { pages, queries } = await list(upTo(150));
    const orderBy = { field: 'id', direction: 'asc' };
    expect(queries).toEqual([
      { limit: 100, orderBy, page: 1 },
      { limit: 100, orderBy, page: 1, filters: { id: { type: 'more', value: '100' } } },
    ]);
    expect(pages.map(({ cursor, total, mode }) => ({ cursor, total, mode }))).toEqual([
      { cursor: { mode: 'keyset', lastId: '100' }, total: 150, mode: 'keyset' },
      { cursor: { mode: 'keyset', lastId: '150' }, total: 50, mode: 'keyset' },
    ]);
    expect(pages.map(({ observedAt }) => observedAt)).toEqual([1, 2]);
  });

  it('resumes after an id', async () => {
    const { ids, summary } = await list(upTo(250), {}, { cursor: { mode: 'keyset', lastId: '120' } });
    expect(ids).toEqual(upTo(250).slice(120));
    expect(summary).toMatchObject({ complete: true, mode: 'keyset', requests: 2 });
  });

  it('resumes at the end with one row to prove the filter by, and without that proof begins again', async () => {
    const cursor = { mode: 'keyset', lastId: '200' } as const;
    for (const total of ['right', 'whole', 'missing'] as const) {
      const { pages, summary } = await list(upTo(200), { total }, { cursor });
      expect(pages).toEqual([]);
      expect(summary).toMatchObject({ complete: true, mode: 'keyset' });
    }
    const gone = await list(upTo(199), {}, { cursor });
    expect(gone.ids).toEqual(upTo(199));
    expect(gone.summary).toMatchObject({ complete: true, mode: 'pages' });
    const broken = await list(upTo(300), { filter: 'matches nothing', total: 'missing' }, { cursor });
    expect(broken.ids).toEqual(upTo(300));
    expect(broken.summary).toMatchObject({ complete: true, mode: 'pages' });
    for (const { pages } of [gone, broken]) expect(pages.map(({ isFirst }) => isFirst).indexOf(true)).toBe(0);
  });

  it.each<[string, number, Oddities, number]>([
    ['totals are missing', 150, { total: 'missing' }, 3],
    ['totals ignore the filter', 150, { total: 'whole' }, 2],
    ['totals ignore the filter and the last page is full', 200, { total: 'whole' }, 3],
    ['totals are the lengths of the pages', 250, { total: 'page' }, 4],
    ['pages are capped at 50', 120, { cap: 50 }, 3],
    ['pages are capped at 50 and totals are the lengths of the pages', 120, { cap: 50, total: 'page' }, 4],
    ['a page comes short in the middle', 250, { cutAt: 2 }, 4],
    ['a page comes short in the middle without totals', 250, { cutAt: 2, total: 'missing' }, 5],
    ['a page comes short in the middle and totals are the lengths of the pages', 250, { cutAt: 2, total: 'page' }, 5],
    ['totals are missing and the last page is full', 200, { total: 'missing' }, 4],
    ['the first page comes short, and passes for the size of all', 250, { cutAt: 1 }, 6],
  ])('sees every row when %s', async (_what, n, oddities, requests) => {
    const { ids, summary } = await list(upTo(n), oddities);
    expect(ids).toEqual(upTo(n));
    expect(summary).toMatchObject({ complete: true, mode: 'keyset', requests });
  });

  it('is not complete when the portal announces rows that it does not send', async () => {
    const { summary } = await list(upTo(120), { total: { off: 3 } });
    expect(summary).toMatchObject({ complete: false, reason: expect.stringContaining('3 more rows') });
  });

  it('is not shifted by rows that come and go', async () => {
    const model = fakeModel(upTo(300), {}, (ids, answers) => [...ids.filter((id) => id !== answers), 1000 + answers]);
    const { ids, summary } = await run(model.client);
    expect(ids).toEqual(expect.arrayContaining(upTo(300)));
    expect(summary).toMatchObject({ complete: true, mode: 'keyset' });
  });

  it('keeps 64-bit ids apart, over HTTP', async () => {
    const big = ['9007199254740992', '9007199254740993', '9223372036854775807'];
    await using portal = await startPortal((request, response, url) => {
      const filter = url.searchParams.get('filter[id]');
      const left = big.filter((id) => !filter || BigInt(id) > BigInt(/value":(\d+)/.exec(filter)?.[1] ?? 0));
      const items = left.slice(0, 2).map((id) => `{"id":${id}}`);
      answer(200, `{"response":{"total_result":"${left.length}","items":[${items}]}}`)(request, response, url);
    });
    const { pages, summary } = await run(portal.client(), { pageSize: 2 });
    expect(pages.flatMap(({ items }) => items.map(({ id }) => String(id)))).toEqual(big);
    expect(summary).toMatchObject({ complete: true, requests: 2 });
  });
});

describe('listing by pages', () => {
  it('takes over where the filter is ignored, after one wasted request', async () => {
    const { ids, pages, queries, summary } = await list(upTo(250), { filter: 'ignored' });
    expect(ids).toEqual(upTo(250));
    expect(summary).toMatchObject({ complete: true, mode: 'pages', requests: 4 });
    expect(queries.map(({ page, filters }) => [page, filters !== undefined])).toEqual([
      [1, false],
      [1, true],
      [2, false],
      [3, false],
    ]);
    expect(pages.at(-1)?.cursor).toEqual({ mode: 'pages', page: 4, size: 100 });
  });

  it('makes use of the wasted request when page 1 has changed meanwhile', async () => {
    const model = fakeModel(upTo(250), { filter: 'ignored' }, (ids, answers) =>
      answers === 1 ? ids.filter((id) => id !== 7) : ids,
    );
    const { ids, summary } = await run(model.client);
    expect(new Set(ids)).toEqual(new Set(upTo(250)));
    expect(summary).toMatchObject({ complete: true, mode: 'pages', requests: 4 });
  });

  it('takes over where the order is ignored, wasting nothing', async () => {
    const { ids, summary } = await list(newestFirst(250), { order: 'ignored' });
    expect(ids).toEqual(newestFirst(250));
    expect(summary).toMatchObject({ complete: true, mode: 'pages', requests: 3 });
  });

  it('takes over where the filter matches nothing although rows are left', async () => {
    const { ids, summary } = await list(upTo(150), { filter: 'matches nothing' });
    expect(ids).toEqual(upTo(150));
    expect(summary).toMatchObject({ complete: true, mode: 'pages' });
  });

  it.each(['invalid_request', 'validation'] as const)('takes over where the filter is refused as %s', async (kind) => {
    const model = fakeModel(upTo(150));
    const refuse = (what: 'filters' | 'orderBy'): Client => ({
      ...model.client,
      list: (m, query, signal) =>
        query[what] ? Promise.reject(new FlowluError(kind, 'no')) : model.client.list(m, query, signal),
    });
    for (const what of ['filters', 'orderBy'] as const) {
      const { ids, summary } = await run(refuse(what));
      expect(ids).toEqual(upTo(150));
      expect(summary).toMatchObject({ complete: true, mode: 'pages' });
    }
  });

  it('starts over from page 1 when a keyset is resumed at a portal that ignores the filter', async () => {
    const cursor = { mode: 'keyset', lastId: '120' } as const;
    const { ids, summary } = await list(upTo(250), { filter: 'ignored' }, { cursor });
    expect(ids).toEqual(upTo(250));
    expect(summary).toMatchObject({ complete: true, mode: 'pages', requests: 4 });
  });

  it('resumes one page back, and is complete where it knows what was seen before', async () => {
    const cursor = { mode: 'pages', page: 4, size: 100 } as const;
    const unknown = await list(upTo(350), {}, { cursor });
    expect(unknown.summary).toMatchObject({ complete: false, mode: 'pages' });
    const known = await list(upTo(350), {}, { cursor, seen: seenIds(upTo(300)) });
    expect(known.ids).toEqual(upTo(350).slice(200));
    expect(known.summary).toMatchObject({ complete: true, mode: 'pages', requests: 2 });
  });

  it('resumes where it knows the rows, however many were deleted or created before them meanwhile', async () => {
    const cursor = { mode: 'pages', page: 4, size: 100 } as const;
    for (const [gone, born] of [
      [130, 0],
      [0, 260],
      [7, 9],
    ] as const) {
      const left = newestFirst(500 + born).filter((id) => id > 500 || id <= 500 - gone);
      const seen = newestFirst(500).slice(0, 300);
      const { ids, summary } = await list(left, { order: 'ignored' }, { cursor, seen: seenIds(seen) });
      expect(summary).toMatchObject({ complete: true, mode: 'pages' });
      expect(new Set([...ids, ...seen, ...upTo(500 + born).slice(500)])).toEqual(new Set(upTo(500 + born)));
    }
  });

  it('reads on after a page that comes short in the middle, and is not complete', async () => {
    const { ids, summary } = await list(upTo(350), { filter: 'ignored', cutAt: 3 });
    expect(ids).toEqual(upTo(350).filter((id) => id <= 150 || id > 200));
    expect(summary).toMatchObject({ complete: false, mode: 'pages' });
  });

  it('without a total to count against is complete once another pass brings nothing new', async () => {
    for (const order of ['honoured', 'ignored'] as const) {
      const oddities = { filter: 'ignored', order, total: 'missing' } as const;
      const { ids, summary } = await list(newestFirst(150), oddities);
      expect(new Set(ids)).toEqual(new Set(upTo(150)));
      expect(ids).toHaveLength(150);
      expect(summary).toMatchObject({ complete: true, mode: 'pages' });
      expect(summary.requests).toBeLessThan(18);
      // A delete before a page that was read moves a row past the pass that is under way.
      const model = fakeModel(newestFirst(350), oddities, (rows, answers) =>
        answers === 3 ? rows.filter((id) => id !== (order === 'honoured' ? 2 : 349)) : rows,
      );
      const shifted = await run(model.client);
      expect(new Set(shifted.ids)).toEqual(new Set(upTo(350)));
      expect(shifted.summary).toMatchObject({ complete: true });
    }
  });

  /** A portal in which one record makes every list that contains it come empty. */
  function emptiedBy(broken: number, client: Client): Client {
    return {
      ...client,
      list: async (...args) => {
        const page = await client.list(...args);
        return page.items.some(({ id }) => id === broken) ? { ...page, items: [] } : page;
      },
    };
  }

  it.each(['honoured', 'ignored'] as const)(
    'without a total does not take a page that comes empty because of a record for the end, the filter %s',
    async (filter) => {
      for (const broken of [1, 25, 60, 130, 141, 149]) {
        const { client, queries } = fakeModel(upTo(149), { filter, order: filter, total: 'missing', cap: 25 });
        const { ids, pages, summary } = await run(emptiedBy(broken, client));
        expect(new Set(ids)).toEqual(new Set(upTo(149).filter((id) => id !== broken)));
        expect(queries.length).toBeLessThan(160);
        // Of the last one, it shows only that an answer with the rows before it breaks as well.
        const isLast = broken === 149;
        expect([broken, summary.complete]).toEqual([broken, !isLast]);
        if (isLast) expect(summary.reason).toContain('nothing shows that no row follows 148');
        const unread = pages.flatMap((page) => page.unread).reduce((sum, { count }) => sum + count, 0);
        expect([broken, unread]).toEqual([broken, isLast ? 0 : 1]);
      }
    },
  );

  it.each(['honoured', 'ignored'] as const)(
    'without a total finds out at the cost of one request that a full page, or the only one, was the last, the filter %s',
    async (filter) => {
      for (const n of [1, 9, 12, 25, 50, 75, 100, 125, 300]) {
        const { client, queries } = fakeModel(upTo(n), { filter, order: filter, total: 'missing', cap: 25 });
        const { ids, summary } = await run(client);
        expect([n, new Set(ids).size, summary.complete]).toEqual([n, n, true]);
        const pages = Math.ceil(n / 25);
        expect(queries.length).toBeLessThanOrEqual(filter === 'honoured' ? pages + 3 : 2 * pages + 4);
      }
    },
  );

  it('goes back a page when a delete moved rows forward, so that no row is skipped', async () => {
    for (const [n, from] of [
      [350, 2],
      [301, 4],
    ] as const) {
      const model = fakeModel(upTo(n), { filter: 'ignored' }, (ids, answers) =>
        answers === from ? ids.filter((id) => id !== 7) : ids,
      );
      const { ids, summary } = await run(model.client);
      expect(new Set(ids)).toEqual(new Set(upTo(n)));
      expect(summary).toMatchObject({ complete: true, mode: 'pages' });
    }
  });

  it('takes a repeated last page for the end only where the count agrees', async () => {
    const oddities = { filter: 'ignored', beyond: 'last page' } as const;
    expect((await list(upTo(200), oddities)).summary).toMatchObject({ complete: true });
    await expect(list(upTo(200), { ...oddities, total: 'missing' })).rejects.toThrow(ListingError);
  });
});

describe('a listing that goes nowhere fails', () => {
  it('with the error of its own database, where that is away, and not with one of the portal', async () => {
    const away = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    let asked = 0;
    // Each request takes its slot from the database, which goes away after the first one. That one was refused, so
    // another form of it is tried.
    const list = async () => {
      asked += 1;
      throw asked === 1 ? new FlowluError('invalid_request', 'GET crm/account/list: HTTP 400') : away;
    };
    await expect(run({ ...fakeModel(upTo(100)).client, list })).rejects.toBe(away);
  });

  const portal = (page: (n: number) => readonly unknown[], total: number | null = null): Client => {
    let n = 0;
    return {
      list: async () => ({ items: page(++n) as never, total, ordered: true, observedAt: 0, requests: 1 }),
      get: () => Promise.reject(new Error('no')),
    };
  };
  const hundred = (from: number) => upTo(100).map((id) => ({ id: id + from }));

  it('when the page number is ignored', async () => {
    await expect(run(portal(() => hundred(0), 1000))).rejects.toThrow(ListingError);
    await expect(run(portal(() => hundred(0).reverse(), 1000))).rejects.toThrow(ListingError);
  });

  it('when pages come round again', async () => {
    await expect(run(portal((n) => hundred((n % 3) * 100).reverse()))).rejects.toThrow(ListingError);
  });

  it('when pages never end', async () => {
    await expect(
      run(
        portal((n) => hundred(n * 100)),
        { maxRequests: 30 },
      ),
    ).rejects.toThrow('no end after 30');
    await expect(
      run(
        portal((n) => hundred(n * 100).reverse()),
        { maxRequests: 30 },
      ),
    ).rejects.toThrow('no end');
  });

  it('when a row has no id', async () => {
    await expect(run(portal(() => [{ name: 'x' }]))).rejects.toThrow(ListingError);
  });

  it('when it is aborted', async () => {
    const reason = new Error('stop');
    await expect(run(fakeModel(upTo(5)).client, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});
