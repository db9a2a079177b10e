/** Rows that break every list that contains them, wherever they lie: everything else is read, and they are counted. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { FlowluClient } from '../../src/flowlu/client.ts';
import { FlowluError } from '../../src/flowlu/errors.ts';
import { listPages } from '../../src/flowlu/listing.ts';
import { fakeModel } from './fake-model.ts';
import { ACCOUNT, never } from './portal.ts';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 400);

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
const how = fc.constantFrom<Break>('error', 'no rows');
const runs = fc.array(fc.tuple(fc.double({ min: 0, max: 0.999, noNaN: true }), fc.integer({ min: 1, max: 3 })), {
  minLength: 1,
  maxLength: 2,
});

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
    { numRuns: RUNS },
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
