import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ListingError } from '../../src/flowlu/errors.ts';
import { type ListingSummary, listPages } from '../../src/listing/listing.ts';
import { ACCOUNT, never } from '../flowlu/portal.ts';
import { fakeModel, type Oddities } from './fake-model.ts';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 800);

const idSet = fc.oneof(
  fc.uniqueArray(fc.integer({ min: 1, max: 5000 }), { maxLength: 320 }),
  fc.constantFrom(50, 100, 150, 200, 300).map((n) => Array.from({ length: n }, (_, index) => index + 1)),
);
const pageSize = fc.constantFrom(10, 33, 100);
const filter = fc.constantFrom('honoured' as const, 'ignored' as const, 'matches nothing' as const);
const order = fc.constantFrom('honoured' as const, 'ignored' as const);
const cap = fc.constantFrom(50, 100);
const beyond = fc.constantFrom('empty' as const, 'last page' as const);
/** What a portal may say of its rows while they change; each follows the truth in its own way. */
const movingTotal = fc.constantFrom('right' as const, 'missing' as const, 'whole' as const, 'page' as const);
const fixedTotal: fc.Arbitrary<NonNullable<Oddities['total']>> = fc.oneof(
  movingTotal,
  fc.constantFrom(-100, -30, -1, 1, 7).map((off) => ({ off })),
  fc.constantFrom(0, 1000).map((always) => ({ always })),
);

/** The filter's first use shows that it fails, and the answer cannot stand in for page 1 either. */
function secondAnswerIsUseless({ filter, cutAt }: Oddities): boolean {
  return filter === 'matches nothing' || (filter === 'ignored' && cutAt === 2);
}

interface Outcome {
  readonly seen: ReadonlySet<number>;
  /** Null when the listing failed as a whole, which claims nothing. */
  readonly summary: ListingSummary | null;
}

async function run(model: ReturnType<typeof fakeModel>, size: number): Promise<Outcome> {
  const seen = new Set<number>();
  const listing = listPages(model.client, ACCOUNT, { pageSize: size, signal: never(), maxRequests: 200 });
  try {
    for (;;) {
      const step = await listing.next();
      if (step.done) return { seen, summary: step.value };
      for (const { id } of step.value.items) seen.add(Number(id));
    }
  } catch (error) {
    if (error instanceof ListingError) return { seen, summary: null };
    throw error;
  }
}

/** What nothing counts is read twice, unless by keyset, and what looks like its end is looked into. */
function requestsAllowed(pages: number, filters: string, totals: string): number {
  if (totals !== 'missing') return pages + 2;
  return filters === 'honoured' && pages > 0 ? pages + 3 : 2 * (pages + 2) + 12;
}

describe('whatever a portal does, a listing', () => {
  it('that claims to be complete has seen every row', async () => {
    const oddities = fc.record({ filter, order, cap, beyond, total: fixedTotal });
    await fc.assert(
      fc.asyncProperty(idSet, pageSize, oddities, async (ids, size, odd) => {
        const model = fakeModel(ids, odd);
        const { seen, summary } = await run(model, size);
        if (summary?.complete) expect([...seen].sort()).toEqual([...ids].sort());
        expect(model.queries.length).toBeLessThanOrEqual(200);
      }),
      { numRuns: RUNS },
    );
  });

  it('that claims to be complete has seen every row that existed throughout, while others come and go', async () => {
    // A delete and a create between the same two pages cancel out in a count, the known blind spot of paging. So only
    // one thing changes between two answers, and nothing after an answer that brought no usable page.
    const change = fc.record({
      at: fc.integer({ min: 1, max: 8 }),
      deletes: fc.boolean(),
      where: fc.double({ min: 0, max: 0.999, noNaN: true }),
    });
    const changes = fc.uniqueArray(change, { selector: ({ at }) => at, maxLength: 4 });
    const oddities = fc.oneof(
      fc.record({ filter, order, cap, beyond, total: movingTotal }),
      // A first page cut short by a portal that gives its length as the total cannot be told from a whole model.
      fc.record({ filter, order, beyond, total: movingTotal, cutAt: fc.integer({ min: 2, max: 5 }) }),
    );
    await fc.assert(
      fc.asyncProperty(idSet, pageSize, oddities, changes, async (ids, size, odd, plan) => {
        const gone = new Set<number>();
        const model = fakeModel(ids, odd, (now, answers) => {
          const due = plan.find(({ at }) => at === answers && !(at === 2 && secondAnswerIsUseless(odd)));
          if (!due) return now;
          if (!due.deletes) return [...now, 10_000 + answers];
          const victim = now[Math.floor(due.where * now.length)];
          if (victim !== undefined) gone.add(victim);
          return now.filter((id) => id !== victim);
        });
        const { seen, summary } = await run(model, size);
        if (summary?.complete) expect(ids.filter((id) => !gone.has(id) && !seen.has(id))).toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });

  it('of a portal that works as documented is complete within rows/page + 2 requests, even if it ignores filters', async () => {
    const total = fc.constantFrom('right' as const, 'missing' as const, 'whole' as const);
    await fc.assert(
      fc.asyncProperty(idSet, pageSize, filter, total, async (ids, size, filters, totals) => {
        const model = fakeModel(ids, { filter: filters, total: totals });
        const { seen, summary } = await run(model, size);
        if (filters !== 'matches nothing' || totals !== 'missing') expect(seen.size).toBe(ids.length);
        if (totals === 'right') expect(summary).toMatchObject({ complete: true });
        if (filters === 'honoured') expect(summary).toMatchObject({ complete: true, mode: 'keyset' });
        expect(model.queries.length).toBeLessThanOrEqual(
          requestsAllowed(Math.ceil(ids.length / size), filters, totals),
        );
        const plain =
          filters === 'honoured' &&
          totals === 'right' &&
          ids.length % size !== 0 &&
          ids.length !== 25 &&
          ids.length !== 50;
        if (plain) expect(model.queries.length).toBe(Math.ceil(ids.length / size));
      }),
      { numRuns: RUNS },
    );
  });
});
