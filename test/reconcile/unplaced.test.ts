/** A portal that lists in no order, 25 rows a page, of which one row breaks every list: nothing lies around the gap. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { settleDue } from '../../src/merge/settle.ts';
import { backfill } from '../../src/reconcile/backfill.ts';
import { sweepAll } from '../../src/reconcile/catch-up.ts';
import { verify } from '../../src/reconcile/verify.ts';
import type { Faults } from '../simulator/index.ts';
import { type Mirror, never, quietObserver, startMirror } from '../support/mirror.ts';

vi.setConfig({ testTimeout: 120_000 });

let mirror: Mirror;
afterEach(() => mirror?.close());

const ACCOUNT = 'crm.account';

const ids = (): readonly number[] => [...mirror.portal.portal.rows(ACCOUNT)].map(({ id }) => Number(id));

/**
 * @param sickPlace where among the ids of so many accounts the one is that breaks its lists
 * @param keeps which of them the portal has when it is first read
 */
async function start(accounts: number, sickPlace: number, keeps: (place: number) => boolean = () => true) {
  mirror = await startMirror({ profile: 'as-seen', rowsPerModel: { [ACCOUNT]: accounts, 'crm.lead': 0 } });
  const { portal, sql, client, context } = mirror;
  const all = ids();
  for (const [place, id] of all.entries()) if (!keeps(place)) portal.portal.remove(ACCOUNT, id);
  const sick = all.at(sickPlace) as number;
  Object.assign(portal.faults, {
    ignoreLimit: { value: 25 },
    ignoreOrder: { value: 'shuffled' },
    http500: { ids: [sick], methods: ['list'], models: [ACCOUNT] },
  } satisfies Faults);
  const deps = { sql, client, writer: context };
  const models = [mirror.model(ACCOUNT)];
  const options = { models, concurrency: 1, holder: 'test', observer: quietObserver, signal: never };
  return {
    sick,
    backfill: async () => (await backfill(deps, options)).models[0],
    sweep: async () => (await sweepAll(deps, { ...options, allowDeletes: 0 })).models[0],
    verify: async () => (await verify(deps, { ...options, repair: false, sample: null, pauseMs: 0 })).models[0],
    settle: () => settleDue({ ...deps, tableOf: (name) => ({ name, model: mirror.model(name) }) }, 1_000, never),
  };
}

/** Ids that are live on one side alone. */
async function differences() {
  const rows = await mirror.sql`select id::int from flowlu.crm_account where _deleted_at is null`;
  const [mine, theirs] = [rows.map(({ id }) => id as number), ids()];
  return { lacks: theirs.filter((id) => !mine.includes(id)), has: mine.filter((id) => !theirs.includes(id)) };
}

/** Ids that were asked for singly since the requests were last forgotten. */
function asked(): readonly number[] {
  const gets = mirror.portal.requests.entries.map(({ path }) => /crm\/account\/get\/(\d+)/.exec(path)?.[1]);
  return gets.filter((id) => id !== undefined).map(Number);
}

const ALL = { lacks: [], has: [] };

describe('rows that no list brings', () => {
  it.each([0, 59, 76, -1])(
    'are all read singly, swept and verified where the one in place %i is sick',
    async (place) => {
      const { sick, backfill, sweep, verify, settle } = await start(120, place);
      expect(await backfill()).toMatchObject({ outcome: 'complete', reason: null, unreadable: [] });
      expect(await differences()).toEqual(ALL);

      mirror.portal.requests.clear();
      expect(await sweep()).toMatchObject({ outcome: 'complete', reason: null, suspects: 0, counts: { written: 0 } });
      // What the mirror holds is asked for first: no id is tried in vain.
      const again = asked();
      expect(again).toHaveLength(25);
      expect(again.filter((id) => !ids().includes(id))).toEqual([]);
      expect(await verify()).toMatchObject({ outcome: 'complete', reason: null, findings: [], rows: 120 });

      // That a row is gone is for the sweep to suspect and for settling to find out.
      const gone = again.find((id) => id !== sick) as number;
      mirror.portal.portal.remove(ACCOUNT, gone);
      expect(await sweep()).toMatchObject({ outcome: 'complete', suspects: 1 });
      expect((await differences()).has).toEqual([gone]);
      await settle();
      expect(await differences()).toEqual(ALL);
    },
  );

  it('are named where they fail singly, too, and it is said under which ids the others were looked for', async () => {
    const { sick, backfill, sweep, verify } = await start(120, 76);
    const { faults } = mirror.portal;
    // Where the portal tells of no id at all, none is called a record.
    faults.http502 = { methods: ['get'], models: [ACCOUNT] };
    expect((await backfill())?.unreadable).toEqual([expect.stringMatching(/^25 rows listed (after|before|between)/)]);
    const { lacks } = await differences();
    expect(lacks).toHaveLength(25);
    faults.http502 = { ids: [sick], methods: ['get'], models: [ACCOUNT] };
    const hidden = lacks.filter((id) => id !== sick).slice(0, 2);
    faults.errorCode = { ids: hidden, methods: ['get'], value: 20, models: [ACCOUNT] };
    const told = /^2 rows not found under any of \d+ ids from \d+ to \d+ that no list names$/;
    expect((await sweep())?.unreadable).toEqual([String(sick), expect.stringMatching(told)]);
    expect((await differences()).lacks).toEqual([...hidden, sick].sort((a, b) => a - b));
    expect((await verify())?.reason).toContain('2 rows not found under any of');
  });

  it('are looked for under other ids each time where there are many, and under two hundred at most', async () => {
    const { backfill, sweep } = await start(420, 42, (place) => place % 7 === 0);
    const tried: number[] = [];
    await backfill();
    while ((await differences()).lacks.length > 0) {
      const vain = asked().filter((id) => !ids().includes(id));
      expect(asked().length).toBeLessThanOrEqual(200);
      expect(tried.filter((id) => vain.includes(id))).toEqual([]);
      tried.push(...vain);
      mirror.portal.requests.clear();
      expect((await sweep())?.suspects).toBe(0);
    }
    expect(tried.length).toBeGreaterThan(0);
    expect(await sweep()).toMatchObject({ outcome: 'complete', reason: null });
  });

  it('are looked for where rows of other models link to, too', async () => {
    const { sick: far, backfill } = await start(1_000, -1, (place) => place < 40 || place === 999);
    mirror.portal.portal.create('crm.lead', { name: 'a deal', customer_id: far });
    await mirror.fill('crm.lead');
    expect(await backfill()).toMatchObject({ outcome: 'complete', reason: null });
    expect(await differences()).toEqual(ALL);
  });
});
