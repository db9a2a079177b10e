/** A listing that is cut off and resumed anywhere tells of the rows that break their lists as one that is not. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { FlowluClient } from '../../src/flowlu/client.ts';
import { FlowluError, ListingError, NotFoundError } from '../../src/flowlu/errors.ts';
import { type ListingCursor, listPages, type Unread } from '../../src/listing/listing.ts';
import { createUnreadReader } from '../../src/listing/unread.ts';
import { createSeenIds } from '../../src/record/seen-ids.ts';
import { ACCOUNT, never } from '../flowlu/portal.ts';
import { fakeModel } from './fake-model.ts';

const RUNS = Number(process.env.PROPERTY_RUNS ?? 400);

/** What a portal answers where a sick record is asked for singly. */
type Singly = 'the record' | 'an error' | 'no record' | 'a refusal';

function ailing(client: FlowluClient, sick: ReadonlySet<number>, singly: Singly): FlowluClient {
  return {
    list: async (...args) => {
      const answer = await client.list(...args);
      if (answer.items.some(({ id }) => sick.has(Number(id)))) throw new FlowluError('server', 'error 13');
      return answer;
    },
    get: async (_, id) => {
      if (singly === 'a refusal') throw new FlowluError('forbidden', 'access denied');
      if (!sick.has(Number(id)) || singly === 'no record') throw new NotFoundError('error 20', 1, {});
      if (singly === 'an error') throw new FlowluError('server', 'HTTP 502');
      return { record: { id: Number(id) }, observedAt: 1, requests: 1 };
    },
  };
}

/** What is kept of a listing between two runs. */
interface Kept {
  readonly cursor: ListingCursor | undefined;
  readonly read: number;
  readonly unread: Unread | null;
}

/** Reads so many pages, or to the end; what was found is added to `seen`. */
async function run(client: FlowluClient, kept: Kept, seen: Set<string>, pages: number, sick: ReadonlySet<number>) {
  const { cursor, read: readBefore, unread } = kept;
  const known = createSeenIds();
  for (const id of seen) known.add(id);
  const listing = listPages(client, ACCOUNT, {
    cursor,
    readBefore: cursor === undefined ? undefined : readBefore,
    unread,
    seen: cursor?.mode === 'pages' ? known : undefined,
    signal: never(),
    maxRequests: 600,
  });
  let now = kept;
  let read = kept.read;
  const singly = createUnreadReader(
    client,
    { ...ACCOUNT, gettable: true } as never,
    async ({ record }) => {
      read += 1;
      seen.add(String(record.id));
    },
    async () => [],
    unread,
  );
  for (let left = pages; left > 0; left -= 1) {
    const step = await listing.next();
    if (step.done) {
      // Where pages overlapped nothing tells between which others a row lies.
      if (singly.missing() > 0) await singly.readUnplaced([...sick].map(String), never());
      return { now, summary: step.value, unread: singly.unread() };
    }
    await singly.read(step.value, never());
    read += step.value.items.length;
    for (const { id } of step.value.items) seen.add(String(id));
    now = JSON.parse(JSON.stringify({ cursor: step.value.cursor, read, unread: singly.unread() }));
  }
  return { now, summary: null, unread: singly.unread() };
}

const oddities = fc.record({
  cap: fc.constantFrom(20, 25, 50, 100),
  order: fc.constantFrom('honoured' as const, 'ignored' as const),
  filter: fc.constantFrom('honoured' as const, 'ignored' as const),
});
const place = fc.integer({ min: 0, max: 999 }).map((thousandths) => thousandths / 1_000);
const sickRuns = fc.array(fc.tuple(place, fc.integer({ min: 1, max: 4 })), { minLength: 1, maxLength: 3 });
const singly = fc.constantFrom<Singly>('the record', 'an error', 'no record', 'a refusal');
const cuts = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 });

it('has read every row that can be where it claims so, and forgets none of the others', async () => {
  let failed = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 60, max: 400 }),
      oddities,
      singly,
      sickRuns,
      cuts,
      async (n, odd, alone, places, pages) => {
        const ids = Array.from({ length: n }, (_, index) => n - index);
        const sick = new Set(places.flatMap(([where, count]) => ids.slice(Math.floor(where * n)).slice(0, count)));
        const client = ailing(fakeModel(ids, odd).client, sick, alone);
        const seen = new Set<string>();
        let kept: Kept = { cursor: undefined, read: 0, unread: null };
        for (const count of [...pages, Number.POSITIVE_INFINITY]) {
          // Where errors are all that comes, the listing fails, and where rows slip, it is not complete: few claim nothing.
          const ran = await run(client, kept, seen, count, sick).catch((error: unknown) => {
            failed += 1;
            if (error instanceof FlowluError || error instanceof ListingError) return null;
            throw error;
          });
          if (ran === null) return;
          const { now, summary, unread } = ran;
          kept = now;
          if (summary === null) continue;
          if (!summary.complete) {
            failed += 1;
            return;
          }
          const lacking = ids.filter((id) => !seen.has(String(id)));
          expect(lacking).toEqual(alone === 'the record' ? [] : ids.filter((id) => sick.has(id)));
          expect(unread.rows).toBeGreaterThanOrEqual(lacking.length);
          if (alone === 'an error') expect(unread.ids.map(Number)).toEqual(expect.arrayContaining(lacking));
          break;
        }
      },
    ),
    { numRuns: RUNS },
  );
  expect(failed).toBeLessThan(RUNS / 20);
});
