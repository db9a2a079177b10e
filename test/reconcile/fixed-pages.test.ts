/** Portals, above all one that sends 25 rows whatever is asked for, whose lists are empty, broken or miscounted somewhere. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { settleDue } from '../../src/merge/settle.ts';
import { backfill } from '../../src/reconcile/backfill.ts';
import { sweepAll } from '../../src/reconcile/catch-up.ts';
import type { Faults } from '../simulator/index.ts';
import { type Mirror, never, quietObserver, startMirror } from '../support/mirror.ts';

vi.setConfig({ testTimeout: 120_000 });

let mirror: Mirror;
afterEach(() => mirror?.close());

const ACCOUNT = 'crm.account';
const FIXED: Faults = { ignoreLimit: { value: 25 }, ignoreFilters: true };
const UNCOUNTED: Faults = { omitTotal: true, omitTotalResult: true };
/** Rows come in the order of their ids, newest first, or in none. */
const ORDERS = {
  'in the order of ids': {},
  'newest first': { ignoreOrder: true },
  'in no order': { ignoreOrder: { value: 'shuffled' } },
} as const satisfies Record<string, Faults>;

/** @param every how many ids there are for each row */
async function start(accounts: number, faults: Faults, every = 1) {
  mirror = await startMirror({ rowsPerModel: { [ACCOUNT]: accounts * every, 'crm.lead': 0 } });
  const { portal, sql, client, context } = mirror;
  const made = [...portal.portal.rows(ACCOUNT)].map(({ id }) => Number(id));
  for (const [place, id] of made.entries()) if (place % every > 0) portal.portal.remove(ACCOUNT, id);
  Object.assign(portal.faults, faults);
  const ids = [...portal.portal.rows(ACCOUNT)].map(({ id }) => Number(id)).sort((a, b) => a - b);
  const deps = { sql, client, writer: context };
  const models = [mirror.model(ACCOUNT)];
  const options = { models, concurrency: 1, holder: 'test', observer: quietObserver, signal: never };
  /** How it ended, and after how many requests. */
  const counted = async <T>(run: () => Promise<T>) => {
    portal.requests.clear();
    const report = await run();
    return { ...report, requests: portal.requests.total() };
  };
  return {
    portal,
    ids,
    backfill: () => counted(async () => (await backfill(deps, options)).models[0]),
    sweep: () => counted(async () => (await sweepAll(deps, { ...options, allowDeletes: 0 })).models[0]),
    settle: () => settleDue({ ...deps, tableOf: (name) => ({ name, model: mirror.model(name) }) }, 1_000, never),
  };
}

/** Ids that are live on one side alone. */
async function differences() {
  const rows = await mirror.sql`select id::int from flowlu.crm_account where _deleted_at is null`;
  const mine = rows.map(({ id }) => id as number);
  const theirs = [...mirror.portal.portal.rows(ACCOUNT)].map(({ id }) => Number(id));
  return { lacks: theirs.filter((id) => !mine.includes(id)), has: mine.filter((id) => !theirs.includes(id)) };
}
const ALL = { lacks: [], has: [] };

describe.each(Object.entries(ORDERS))('a portal that sends 25 rows whatever is asked for, %s', (_, order) => {
  it.each([
    [200, UNCOUNTED],
    [25, UNCOUNTED],
    [200, { wrongTotal: { value: 0 } }],
    [200, { wrongTotal: { value: 25 } }],
    [200, { wrongTotal: { value: 159 } }],
  ])('%i rows and a total of %o: an empty page after a full one is the end', async (n, total) => {
    const { portal, ids, backfill, sweep, settle } = await start(n, { ...FIXED, ...order, ...total });
    const pages = n / 25;
    expect(await backfill()).toMatchObject({ outcome: 'complete', reason: null });
    expect(await differences()).toEqual(ALL);
    // A page too many, and as many rows again as there were.
    for (const id of ids.slice(5, 8)) portal.portal.remove(ACCOUNT, id);
    for (const name of ['one', 'two', 'three']) portal.portal.create(ACCOUNT, { name });
    const swept = await sweep();
    expect(swept).toMatchObject({ outcome: 'complete', reason: null, suspects: 3 });
    expect(swept.requests).toBeLessThan(2 * pages + 20);
    await settle();
    expect(await differences()).toEqual(ALL);
  });

  it('counts more rows than there are, always: their number is told, and nothing is looked for', async () => {
    for (const n of [330, 325]) {
      const { portal, ids, backfill, sweep, settle } = await start(n, { ...FIXED, ...order, surplusTotal: true });
      const told = `the portal counts ${n + 37} rows but sent ${n}`;
      expect(await backfill()).toMatchObject({ outcome: 'incomplete', reason: told });
      portal.portal.remove(ACCOUNT, ids[40] as number);
      portal.portal.create(ACCOUNT, { name: 'another' });
      const swept = await sweep();
      const again = 'the portal counts 37 rows more than it lists, as before';
      expect(swept).toMatchObject({ outcome: 'complete', reason: again, suspects: 1 });
      expect(swept.requests).toBeLessThan(14 + 20);
      await settle();
      expect(await differences()).toEqual(ALL);
      if (n > 325) await mirror.close();
    }
  });

  it.each([
    ['the first and the last page', [0, 329]],
    ['the first two pages', [24, 25]],
    ['the first, the last and three others', [0, 24, 25, 101, 329]],
  ])('breaks %s: all other rows are read', async (_name, places) => {
    const { portal, ids, backfill, sweep } = await start(330, { ...FIXED, ...order });
    const sick = places.map((place) => ids[place] as number);
    portal.faults.http500 = { ids: sick, methods: ['list'], models: [ACCOUNT] };
    expect(await backfill()).toMatchObject({ outcome: 'complete', reason: null, unreadable: [] });
    expect(await differences()).toEqual(ALL);
    expect(await sweep()).toMatchObject({ outcome: 'complete', reason: null, suspects: 0 });
    portal.faults.http502 = { ids: sick, methods: ['get'], models: [ACCOUNT] };
    const swept = await sweep();
    expect(swept.unreadable?.toSorted()).toEqual(sick.map(String).toSorted());
  });

  it('breaks twelve pages of twenty: the model does not fail, and each sweep reads more of it', async () => {
    const { portal, ids, backfill, sweep } = await start(490, { ...FIXED, ...order });
    const sick = ids.filter((_id, place) => place % 25 === 7 && place > 100 && place < 400);
    portal.faults.http500 = { ids: sick, methods: ['list'], models: [ACCOUNT] };
    for (let runs = 0, run = backfill; runs < 4; runs += 1, run = sweep) {
      expect(await run()).toMatchObject({ outcome: 'complete' });
    }
    expect(await differences()).toEqual(ALL);
  });

  it('empties five pages and counts nothing: each reading comes closer, until all rows are there', async () => {
    const { portal, ids, backfill, sweep } = await start(330, { ...FIXED, ...UNCOUNTED, ...order });
    const sick = [0, 24, 25, 101, 329].map((place) => ids[place] as number);
    portal.faults.emptyList = { ids: sick, models: [ACCOUNT] };
    await backfill();
    for (let runs = 0, before = 330; runs < 4; runs += 1) {
      const { lacks, has } = await differences();
      expect(has).toEqual([]);
      if (lacks.length === 0) break;
      expect(lacks.length).toBeLessThan(before);
      before = lacks.length;
      await sweep();
    }
    expect(await differences()).toEqual(ALL);
  });
});

describe.each(['in the order of ids', 'newest first'] as const)('rows that no list brings, %s', (order) => {
  it.each([
    [24, 25],
    [180, 181],
    [180, 205],
  ])('rows %i and %i: a sweep asks for those that the mirror holds, and for no other id', async (...places) => {
    const { portal, ids, backfill, sweep } = await start(330, { ...FIXED, ...ORDERS[order] }, 3);
    await backfill();
    portal.faults.http500 = { ids: places.map((place) => ids[place] as number), methods: ['list'], models: [ACCOUNT] };
    const swept = await sweep();
    expect(swept).toMatchObject({ outcome: 'complete', reason: null, suspects: 0 });
    expect(portal.requests.perModel()['crm.account get']).toBeLessThanOrEqual(50);
    expect(swept.requests).toBeLessThan(14 + 50 + 25);
  });

  it('rows of the page after a broken one are not taken for its own, where some of these are new to the mirror', async () => {
    const { portal, ids, backfill, sweep } = await start(330, { ...FIXED, ...ORDERS[order] }, 3);
    const hidden = ids.slice(130, 140);
    portal.faults.hideRows = { value: hidden };
    await backfill();
    expect((await differences()).lacks.toSorted((a, b) => a - b)).toEqual(hidden);
    delete portal.faults.hideRows;
    portal.faults.http500 = { ids: [ids[136] as number], methods: ['list'], models: [ACCOUNT] };
    expect(await sweep()).toMatchObject({ outcome: 'complete', reason: null });
    expect(await differences()).toEqual(ALL);
  });
});

describe.each([
  ['as documented', {}],
  ['that ignores filters', { ignoreFilters: true }],
  ['that sends 25 rows whatever is asked for', FIXED],
] as const)('a portal %s, lists with some row of which come empty and count nothing', (_, faults) => {
  it.each([
    ['in the middle', 330, [150, 151]],
    ['the first', 330, [0]],
    ['in the only page that is asked for', 60, [10]],
  ])('%s: what was counted, or comes elsewhere, is looked for', async (_place, n, places) => {
    const { portal, ids, backfill, sweep } = await start(n, faults);
    portal.faults.emptyList = { ids: places.map((place) => ids[place] as number), value: 0, models: [ACCOUNT] };
    expect(await backfill()).toMatchObject({ outcome: 'complete', reason: null });
    expect(await differences()).toEqual(ALL);
    expect(await sweep()).toMatchObject({ outcome: 'complete', reason: null, suspects: 0 });
  });

  it('all of them, as if there were no row: that costs two requests more while the mirror has rows', async () => {
    const { portal, ids, backfill, sweep, settle } = await start(30, faults);
    await backfill();
    for (const id of ids.slice(1)) portal.portal.remove(ACCOUNT, id);
    portal.faults.hideRows = { value: ids.slice(0, 1) };
    expect(await sweep()).toMatchObject({ suspects: 30, requests: 3 });
    await settle();
    expect((await differences()).lacks).toEqual([]);
  });
});
