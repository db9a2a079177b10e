/** The scheduler on a portal that exists only as counts, in virtual time: what it spends, and how late it shows what. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  intervalsOf,
  type Lane,
  type ModelState,
  nextWork,
  POLL_SHARE,
  paceOf,
  type ScheduleLimits,
} from '../../src/reconcile/schedule.ts';

interface Portal {
  /** Requests that reading each model takes. */
  readonly pages: readonly number[];
  /** Seconds between two lost changes of a model, on average; Infinity for none. */
  readonly lostEvery_s: readonly number[];
  /** The same of announced changes. */
  readonly announcedEvery_s?: readonly number[];
  /** Whether the model tells its changes to a catch-up. */
  readonly hasVersions?: readonly boolean[];
  readonly isEmpty?: readonly boolean[];
}

interface Outcome {
  readonly requests: number;
  readonly polls: number;
  /** Seconds until lost changes, and deletes, showed. */
  readonly changes: readonly number[];
  readonly deletes: readonly number[];
  readonly states: readonly ModelState[];
  /** Longest time without a sweep, by model. */
  readonly unswept_s: readonly number[];
}

/** A reproducible chance. */
function chanceOf(seed: number) {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const quantile = (values: readonly number[], q: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))] ?? 0;

/** Lets the scheduler work: one request every `1 / rate` seconds, for either lane in turn. */
function run(portal: Portal, limits: ScheduleLimits, seconds: number, seed: number, settle_s = 0): Outcome {
  const chance = chanceOf(seed);
  const count = portal.pages.length;
  const after = (mean_s: number) => -Math.log(1 - chance()) * mean_s;
  const states: Mutable[] = portal.pages.map((pages, index) => ({
    model: String(index),
    rank: index,
    isNewestFirst: false,
    isEmpty: portal.isEmpty?.[index] ?? false,
    sweptAt: 0,
    sweepCost: pages,
    polledAt: 0,
    pollCost: (portal.hasVersions?.[index] ?? true) ? 1 : null,
    missedAt: portal.isEmpty?.[index] === true ? null : -600,
    announced: 0,
    freeAt: 0,
  }));
  const lost = portal.lostEvery_s.map((mean) => after(mean));
  const told = (portal.announcedEvery_s ?? []).map((mean) => after(mean));
  const open: { model: number; at: number; place: number; isDelete: boolean; isSeen: boolean }[] = [];
  const changes: number[] = [];
  const deletes: number[] = [];
  const unswept = new Array<number>(count).fill(0);
  const under: Partial<Record<Lane, { state: Mutable; kind: string; page: number; began: number }>> = {};
  let [requests, polls] = [0, 0];

  function happen(now: number) {
    for (let model = 0; model < count; model += 1) {
      for (
        ;
        (lost[model] as number) <= now;
        lost[model] = (lost[model] as number) + after(portal.lostEvery_s[model] as number)
      ) {
        open.push({ model, at: lost[model] as number, place: chance(), isDelete: chance() < 0.2, isSeen: false });
      }
      for (
        ;
        told[model] !== undefined && (told[model] as number) <= now;
        told[model] = (told[model] as number) + after(portal.announcedEvery_s?.[model] as number)
      ) {
        (states[model] as Mutable).announced += 1;
      }
    }
  }
  function show(now: number, state: Mutable, which: (event: (typeof open)[number]) => boolean) {
    for (const event of open.filter((one) => one.model === Number(state.model) && which(one))) {
      open.splice(open.indexOf(event), 1);
      if (event.at > settle_s) (event.isDelete ? deletes : changes).push(now - event.at);
      if (!event.isDelete) [state.missedAt, state.announced] = [now, 0];
    }
  }
  /** One request of a lane; false where it has nothing to do. */
  function work(lane: Lane, now: number): boolean {
    const free = states.map((state) => ({
      ...state,
      freeAt: Object.values(under).some((one) => one?.state === state) ? Number.POSITIVE_INFINITY : 0,
    }));
    if (under[lane] === undefined) {
      const next = nextWork(free, limits, lane, now);
      if (!('kind' in next)) return false;
      under[lane] = { state: states[Number(next.model)] as Mutable, kind: next.kind, page: 0, began: now };
    }
    const task = under[lane] as NonNullable<(typeof under)[Lane]>;
    const { state, kind, began } = task;
    if (kind === 'catch-up') {
      polls += 1;
      show(now, state, ({ isDelete }) => !isDelete);
      state.polledAt = began;
      delete under[lane];
      return true;
    }
    const from = task.page / state.sweepCost;
    task.page += 1;
    const to = task.page / state.sweepCost;
    const isHere = ({ place }: (typeof open)[number]) => place >= from && place < to;
    show(now, state, (event) => !event.isDelete && isHere(event));
    for (const event of open) if (event.model === Number(state.model) && isHere(event)) event.isSeen = true;
    if (task.page < state.sweepCost) return true;
    show(now, state, (event) => event.isDelete && event.isSeen);
    unswept[Number(state.model)] = Math.max(unswept[Number(state.model)] as number, began - (state.sweptAt as number));
    state.sweptAt = began;
    delete under[lane];
    return true;
  }

  let turn = 0;
  for (let slot = 0; slot / limits.rate < seconds; slot += 1) {
    const now = slot / limits.rate;
    happen(now);
    const lanes: readonly Lane[] = turn % 2 === 0 ? ['quick', 'long'] : ['long', 'quick'];
    const worked = lanes.find((lane) => work(lane, now));
    if (worked === undefined) continue;
    requests += 1;
    turn = worked === 'quick' ? 1 : 0;
  }
  return { requests, polls, changes, deletes, states, unswept_s: unswept };
}

type Mutable = { -readonly [K in keyof ModelState]: ModelState[K] };

const DEFAULTS: ScheduleLimits = { rate: 0.5, poll_s: 300, sweep_s: 86_400 };
/** 10,000 rows in eleven models. */
const ELEVEN = [30, 20, 15, 10, 8, 7, 6, 5, 4, 3, 2];

describe('ten thousand rows in eleven models at a request every two seconds, with every webhook lost', () => {
  const portal = { pages: ELEVEN, lostEvery_s: ELEVEN.map(() => 60) };
  const { changes, deletes } = run(portal, DEFAULTS, 20_000, 1);

  it('shows a change after 30 seconds at the median and 90 at 95 %', () => {
    expect(quantile(changes, 0.5)).toBeLessThanOrEqual(30);
    expect(quantile(changes, 0.95)).toBeLessThanOrEqual(90);
  });
  it('shows a delete after 5 minutes at the median and 8 at 95 %', () => {
    expect(quantile(deletes, 0.5)).toBeLessThanOrEqual(300);
    expect(quantile(deletes, 0.95)).toBeLessThanOrEqual(480);
  });
  it.each([20, 120, 300])('and as soon where each model changes every %i seconds', (every_s) => {
    const other = run({ ...portal, lostEvery_s: ELEVEN.map(() => every_s) }, DEFAULTS, 10_000, every_s);
    expect(quantile(other.changes, 0.5)).toBeLessThanOrEqual(30);
    expect(quantile(other.changes, 0.95)).toBeLessThanOrEqual(90);
    expect(quantile(other.deletes, 0.95)).toBeLessThanOrEqual(480);
  });
  it('even where a hundred empty models stand beside them', () => {
    const pages = [...ELEVEN, ...ELEVEN.flatMap(() => new Array<number>(8).fill(1))];
    const all = { pages, isEmpty: pages.map((_, index) => index >= 11) };
    const many = run(
      { ...all, lostEvery_s: all.pages.map((_, i) => (i < 11 ? 60 : Number.POSITIVE_INFINITY)) },
      DEFAULTS,
      8_000,
      3,
    );
    expect(quantile(many.changes, 0.5)).toBeLessThanOrEqual(30);
    expect(quantile(many.changes, 0.95)).toBeLessThanOrEqual(90);
    expect(quantile(many.deletes, 0.95)).toBeLessThanOrEqual(480);
  });
});

it('a hundred thousand rows show a delete within 1.25 times the length of a sweep at the whole share', () => {
  const pages = ELEVEN.map((count) => count * 9);
  const { deletes } = run({ pages, lostEvery_s: pages.map(() => 300) }, DEFAULTS, 20_000, 5);
  expect(quantile(deletes, 0.95)).toBeLessThanOrEqual(1.25 * (pages.reduce((a, b) => a + b, 0) / 0.5));
});

it('models whose webhooks are complete take a tenth of the share at most', () => {
  const portal = {
    pages: ELEVEN,
    lostEvery_s: ELEVEN.map(() => Number.POSITIVE_INFINITY),
    announcedEvery_s: ELEVEN.map(() => 30),
  };
  const { polls, requests } = run(portal, DEFAULTS, 10_000, 2);
  expect(polls).toBeLessThanOrEqual(requests / 10);
});

describe('at any time, of any portal', () => {
  const anything = fc.record({
    pages: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 25 }),
    every: fc.constantFrom(5, 60, 600, 10_000, Number.POSITIVE_INFINITY),
    rate: fc.constantFrom(0.1, 0.5, 3),
    poll_s: fc.constantFrom(0, 1, 300, 3_600),
    sweep_s: fc.constantFrom(1, 3_600, 86_400),
    seed: fc.integer({ min: 1, max: 10_000 }),
  });

  it('no more is spent than there is, no model starves, and catching up leaves sweeps their part', () => {
    fc.assert(
      fc.property(anything, ({ pages, every, rate, poll_s, sweep_s, seed }) => {
        const limits = { rate, poll_s, sweep_s };
        const total = pages.reduce((a, b) => a + b, 0);
        const seconds = (4 * total) / rate + 200;
        const { requests, states, unswept_s, polls } = run(
          { pages, lostEvery_s: pages.map(() => every) },
          limits,
          seconds,
          seed,
          0,
        );
        expect(requests).toBeLessThanOrEqual(seconds * rate + 1);
        // A sweep of everything, at what catching up leaves.
        const bound_s = (1.1 * total) / (rate * (1 - POLL_SHARE.most)) + 60;
        for (const state of states) expect(seconds - (state.sweptAt as number)).toBeLessThan(2 * bound_s);
        for (const longest of unswept_s) expect(longest).toBeLessThan(2 * bound_s);
        if (poll_s === 0) expect(polls).toBe(0);
      }),
      { numRuns: 25 },
    );
  });

  it('all paces together keep within their share, and none is longer than the settings allow unless that takes more', () => {
    fc.assert(
      fc.property(anything, fc.array(fc.nat(100_000), { minLength: 25, maxLength: 25 }), (some, calm) => {
        const limits = { rate: some.rate, poll_s: Math.max(1, some.poll_s), sweep_s: some.sweep_s };
        const now = 1_000_000;
        const states = some.pages.map((cost, index) => ({
          ...{ model: String(index), rank: index, sweptAt: 1, polledAt: 1, pollCost: (cost % 3) + 1 },
          ...{ missedAt: now - (calm[index] as number), announced: cost, freeAt: 0 },
          ...{ isNewestFirst: false, isEmpty: false, sweepCost: cost },
        }));
        const intervals = intervalsOf(states, limits, now);
        const spent = states.reduce((sum, { model, pollCost }) => sum + pollCost / (intervals.get(model) as number), 0);
        expect(spent).toBeLessThanOrEqual(limits.rate * POLL_SHARE.most * 1.000_001);
        const isShort = spent < limits.rate * POLL_SHARE.least * 0.999;
        if (isShort)
          for (const interval_s of intervals.values())
            expect(interval_s).toBeLessThanOrEqual(12 * limits.poll_s * 1.000_001);
      }),
    );
  });

  it('first readings go by rank, before sweeps that are not overdue', () => {
    const base = {
      ...{ isNewestFirst: false, isEmpty: false, sweepCost: 1 },
      ...{ polledAt: null, pollCost: null, missedAt: null, announced: 0, freeAt: 0 },
    };
    const states = [
      { ...base, model: 'later', rank: 2, sweptAt: null },
      { ...base, model: 'first', rank: 1, sweptAt: null },
      { ...base, model: 'known', rank: 0, sweptAt: 900 },
    ];
    expect(nextWork(states, DEFAULTS, 'long', 1_000)).toEqual({ model: 'first', kind: 'read' });
    expect(nextWork(states, DEFAULTS, 'long', 900 + 86_400)).toEqual({ model: 'known', kind: 'sweep' });
    const newest = states.map((state) => ({ ...state, isNewestFirst: state.model === 'later' }));
    expect(nextWork(newest, DEFAULTS, 'long', 1_000)).toEqual({ model: 'later', kind: 'newest' });
  });
});

it('the pace is quick after a missed change, falls to the longest that the settings allow, and of a calm model to once an hour', () => {
  expect(paceOf({ missedAt: 100, announced: 0 }, DEFAULTS, 101)).toBe(5);
  expect(paceOf({ missedAt: 100, announced: 0 }, DEFAULTS, 700)).toBe(30);
  expect(paceOf({ missedAt: 100, announced: 3 }, DEFAULTS, 700)).toBe(120);
  expect(paceOf({ missedAt: 100, announced: 0 }, DEFAULTS, 10_000)).toBe(300);
  expect(paceOf({ missedAt: 100, announced: 9 }, DEFAULTS, 10_000)).toBe(3_600);
  expect(paceOf({ missedAt: null, announced: 0 }, DEFAULTS, 700)).toBe(3_600);
  expect(paceOf({ missedAt: null, announced: 0 }, { ...DEFAULTS, rate: Number.POSITIVE_INFINITY }, 700)).toBe(300);
});
