/** Rows that break every list that contains them, wherever they lie: everything else is read, and they are counted. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { FlowluClient } from '../../src/flowlu/client.ts';
import { FlowluError } from '../../src/flowlu/errors.ts';
import { listPages } from '../../src/listing/listing.ts';
import { ACCOUNT, never } from '../flowlu/portal.ts';
import { examples } from '../support/seed.ts';
import { fakeModel } from './fake-model.ts';

const RUNS = Number(process.env.PROPERTY_RUNS ?? examples(400));

type Break = 'error' | 'no rows';

function ailing(client: FlowluClient, sick: ReadonlySet<number>, how: Break) {
  return {
    ...client,
    list: async (...args: Parameters<FlowluClient['list']>) => {
      const answer = await client.list(...args);
      const isBroken = answer.items.some(({ id }) => sick.has(Number(id)));
      if (isBroken && how === 'error') throw new FlowluError('server', 'error 13');
      return isBroken ? { ...answer, items: [] } : answer;
    },
  };
}

async function readAll(client: FlowluClient, pageSize: number | null = null) {
  const seen = new Set<number>();
  const known = { pageSize };
  const listing = listPages(client, ACCOUNT, { signal: never(), known, maxRequests: 600 });
  for (;;) {
    const step = await listing.next();
    if (step.done) return { seen, summary: step.value };
    for (const { id } of step.value.items) seen.add(Number(id));
  }
}

const total = fc.oneof(
  fc.constantFrom(51, 60, 70, 75),
  fc.tuple(fc.constantFrom(25, 50, 75, 100, 125, 150, 200), fc.integer({ min: -1, max: 1 })).map(([n, d]) => n + d),
  fc.integer({ min: 12, max: 230 }),
);
const oddities = fc.record({
  cap: fc.constantFrom(20, 25, 50, 100),
  order: fc.constantFrom('honoured' as const, 'ignored' as const),
  filter: fc.constantFrom('honoured' as const, 'ignored' as const),
  beyond: fc.constantFrom('empty' as const, 'last page' as const),
});
const many = fc.integer({ min: 150, max: 400 });
const miscounted = fc.constantFrom('page' as const, 'missing' as const, 'half' as const);
const how = fc.constantFrom<Break>('error', 'no rows');
/** Where they begin, in shares of the model (as whole numbers first: nearly all doubles lie next to 0), and how many. */
const place = fc.integer({ min: 0, max: 999 }).map((thousandths) => thousandths / 1_000);
const runs = fc.array(fc.tuple(place, fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength: 2 });

/** Where rows break their lists in portals that were once read wrongly. */
const FIRST_FOUR: [number, number][] = [
  [0, 1],
  [0.039, 3],
];
const FIVE_BEFORE_THE_LAST: [number, number][] = [
  [0.007, 2],
  [0.02, 3],
];
const BEFORE_THE_LAST = { cap: 20, order: 'ignored', filter: 'honoured', beyond: 'empty' } as const;

it('reads every row but those that break their lists, one to six, in every size and total', async () => {
  await fc.assert(
    fc.asyncProperty(total, oddities, how, runs, fc.boolean(), async (n, odd, kind, places, isKnown) => {
      const ids = Array.from({ length: n }, (_, index) => n - index);
      const sick = new Set(places.flatMap(([where, count]) => ids.slice(Math.floor(where * n)).slice(0, count)));
      // Where every answer from a row on breaks, that is no different from a portal that is down, or counts wrongly.
      const isTold = kind === 'error' && odd.beyond === 'empty';
      if (!isTold) for (const end of [1, n]) sick.delete(end);
      const { client } = fakeModel(ids, odd);
      const { seen, summary } = await readAll(ailing(client, sick, kind), isKnown ? odd.cap : null);
      expect([...seen].sort((a, b) => b - a)).toEqual(ids.filter((id) => !sick.has(id)));
      expect(summary).toEqual(expect.objectContaining({ complete: true }));
    }),
    { numRuns: RUNS, examples: [[24, BEFORE_THE_LAST, 'no rows', [[0.834, 3]], false]] },
  );
});

it('reads every row but those that break their lists where the portal counts the rows of the page, half of them, or none', async () => {
  await fc.assert(
    fc.asyncProperty(many, oddities, how, runs, miscounted, async (n, odd, kind, places, count) => {
      const ids = Array.from({ length: n }, (_, index) => n - index);
      const sick = new Set(places.flatMap(([where, rows]) => ids.slice(Math.floor(where * n)).slice(0, rows)));
      const cap = Math.max(25, odd.cap);
      const half = Math.floor(n / 2);
      // A broken page where the rows seem to end is no different from the end: after the first, the last, or half of them.
      const ends = [ids.slice(0, 2 * cap), ids.slice(-cap), ids.slice(half - cap, half + cap)];
      for (const end of ends.flat()) sick.delete(end);
      const total = count === 'half' ? { always: half } : count;
      const { client } = fakeModel(ids, { ...odd, cap, order: 'ignored', beyond: 'empty', total });
      const { seen } = await readAll(ailing(client, sick, kind));
      expect(ids.filter((id) => !sick.has(id) && !seen.has(id))).toEqual([]);
    }),
    { numRuns: RUNS },
  );
});

it('claims to have read everything of a portal that counts nothing only where it has, wherever rows break their lists', async () => {
  await fc.assert(
    fc.asyncProperty(total, oddities, how, runs, async (n, odd, kind, places) => {
      const ids = Array.from({ length: n }, (_, index) => n - index);
      const sick = new Set(places.flatMap(([where, rows]) => ids.slice(Math.floor(where * n)).slice(0, rows)));
      const cap = Math.max(25, odd.cap);
      const { client } = fakeModel(ids, { ...odd, cap, beyond: 'empty', total: 'missing' });
      // Where errors are all that comes, the listing fails, which claims nothing.
      const read = await readAll(ailing(client, sick, kind)).catch(() => null);
      if (read?.summary.complete !== true) return;
      const { seen } = read;
      expect(ids.filter((id) => !sick.has(id) && !seen.has(id))).toEqual([]);
    }),
    {
      numRuns: RUNS,
      examples: [
        [26, BEFORE_THE_LAST, 'no rows', FIRST_FOUR],
        [151, { ...BEFORE_THE_LAST, order: 'honoured' }, 'no rows', FIVE_BEFORE_THE_LAST],
      ],
    },
  );
});

it('reads every row of a portal that fails on larger pages for a while, whatever it grants', async () => {
  const troubles = fc.array(fc.boolean(), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(total, oddities, troubles, async (n, odd, failing) => {
      const ids = Array.from({ length: n }, (_, index) => n - index);
      const { client } = fakeModel(ids, odd);
      const left = [...failing];
      const list: FlowluClient['list'] = async (model, query, ...rest) => {
        if ((query.limit ?? 0) > 25 && left.shift()) throw new FlowluError('server', 'HTTP 504');
        return client.list(model, query, ...rest);
      };
      const { seen, summary } = await readAll({ ...client, list });
      expect(seen.size).toBe(n);
      expect(summary).toEqual(expect.objectContaining({ complete: true }));
    }),
    { numRuns: RUNS },
  );
});
