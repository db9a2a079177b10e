/** Portals as clients saw them, and portals of which a part is broken: everything that can be got is got. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { extraModel } from '../../src/catalog/index.ts';
import { settleDue } from '../../src/merge/settle.ts';
import { backfill } from '../../src/reconcile/backfill.ts';
import { sweepAll } from '../../src/reconcile/catch-up.ts';
import type { ListingObserver } from '../../src/reconcile/listing.ts';
import { runRound } from '../../src/reconcile/round.ts';
import { sweepModel } from '../../src/reconcile/sweep.ts';
import { verify } from '../../src/reconcile/verify.ts';
import type { Faults } from '../simulator/index.ts';
import { sourceOf } from '../status/source.ts';
import { type Mirror, type MirrorOptions, never, quietObserver, startMirror } from '../support/mirror.ts';

vi.setConfig({ testTimeout: 120_000 });

let mirror: Mirror;
afterEach(() => mirror?.close());

async function start(options: MirrorOptions): Promise<Mirror> {
  mirror = await startMirror(options);
  return mirror;
}

const NAMES = ['crm.account', 'crm.lead'];

function rounds(from: Mirror, names: readonly string[] = NAMES) {
  const deps = { sql: from.sql, client: from.client, writer: from.context };
  const options = (observer: ListingObserver = quietObserver, signal = never) => ({
    models: names.map(from.model),
    concurrency: 2,
    holder: 'test',
    observer,
    signal,
  });
  return {
    backfill: (observer?: ListingObserver, signal?: AbortSignal) => backfill(deps, options(observer, signal)),
    sweep: (observer?: ListingObserver, signal?: AbortSignal) =>
      runRound(deps.sql, 'sweep', options(observer, signal), async (model, runId, stop) => {
        const how = { runId, allowDeletes: 0, resume: true };
        return { ...(await sweepModel(deps, model, how, observer ?? quietObserver, stop)), way: 'sweep' };
      }),
    verify: (sample: number | null = null) => verify(deps, { ...options(), repair: false, sample, pauseMs: 0 }),
    settle: () =>
      settleDue(
        { ...deps, tableOf: (name) => ({ name, model: from.model(name) }) },
        10_000,
        AbortSignal.timeout(60_000),
      ),
  };
}

/** Ids that are live on one side alone. */
async function differences({ sql, portal }: Mirror, names: readonly string[] = NAMES): Promise<string[]> {
  const found: string[] = [];
  for (const name of names) {
    const table = name.replace('.', '_');
    const rows = await sql.unsafe(`select id::text from flowlu.${table} where _deleted_at is null`);
    const mine = new Set(rows.map(({ id }) => id as string));
    for (const { id } of portal.portal.rows(name)) if (!mine.delete(String(id))) found.push(`${name} lacks ${id}`);
    found.push(...[...mine].map((id) => `${name} has ${id}`));
  }
  return found;
}

describe('a portal that grants 25 rows in an order of its own and ignores filters', () => {
  it('is read, resumed and swept at one request per 25 rows, and a second sweep writes nothing', async () => {
    const from = await start({ profile: 'as-seen', rowsPerModel: { 'crm.account': 1_010, 'crm.lead': 130 } });
    const { backfill, sweep, settle } = rounds(from);
    for (const pages of [3, 20]) {
      const stop = new AbortController();
      let advanced = 0;
      const observer = {
        ...quietObserver,
        modelAdvanced: () => {
          advanced += 1;
          if (advanced === pages) stop.abort(new Error('cut off'));
        },
      };
      await expect(backfill(observer, stop.signal)).rejects.toThrow('cut off');
    }
    expect((await backfill()).status).toBe('done');
    expect(await differences(from)).toEqual([]);
    const needed = Math.ceil(1_010 / 25) + Math.ceil(130 / 25);
    // Each cut costs the pages under way and the one that a resumed listing begins with again.
    expect(from.portal.requests.total()).toBeLessThanOrEqual(needed + 2 * 2 * 6);

    for (const id of [1, 500, 1_000]) from.portal.portal.remove('crm.account', id);
    from.portal.portal.create('crm.account', { name: 'new' });
    from.portal.requests.clear();
    const swept = await sweep();
    expect(swept.status).toBe('done');
    expect(from.portal.requests.total()).toBeLessThanOrEqual(needed + 4);
    expect(swept.models.find(({ model }) => model === 'crm.account')).toMatchObject({ suspects: 3, guarded: null });
    await settle();
    expect(await differences(from)).toEqual([]);

    const again = await sweep();
    expect(again.models.map(({ counts }) => counts.written)).toEqual([0, 0]);
    const [left] = await from.sql`select count(*)::int as ids from sync.listed_ids`;
    expect(left?.ids).toBe(0);
  });

  it('resumes a sweep that was cut off, and still finds what was deleted', async () => {
    const from = await start({ profile: 'as-seen', rowsPerModel: { 'crm.account': 1_000, 'crm.lead': 0 } });
    const { backfill, sweep, settle } = rounds(from);
    await backfill();
    for (const id of [3, 990]) from.portal.portal.remove('crm.account', id);
    const stop = new AbortController();
    let advanced = 0;
    const observer = { ...quietObserver, modelAdvanced: () => ++advanced === 5 && stop.abort(new Error('cut off')) };
    await expect(sweep(observer as ListingObserver, stop.signal)).rejects.toThrow('cut off');
    from.portal.portal.remove('crm.account', 980);
    from.portal.requests.clear();
    expect((await sweep()).models.find(({ model }) => model === 'crm.account')).toMatchObject({
      outcome: 'complete',
      suspects: 2,
    });
    expect(from.portal.requests.perModel()['crm.account list']).toBeLessThan(40);
    await settle();
    // What went before the place where the sweep was cut off is left to the next one.
    expect(await differences(from)).toEqual(['crm.account has 980']);
    await sweep();
    await settle();
    expect(await differences(from)).toEqual([]);
  });
});

describe('a portal of which a part is broken', () => {
  it('fails on pages of more than 25 rows: they are read in smaller ones, which is then known', async () => {
    const from = await start({
      rowsPerModel: { 'crm.account': 730, 'crm.lead': 700 },
      faults: { http504: { over: 25 } },
    });
    const { backfill, sweep } = rounds(from);
    expect((await backfill()).status).toBe('done');
    expect(await differences(from)).toEqual([]);
    from.portal.requests.clear();
    expect((await sweep()).status).toBe('done');
    const failed = from.portal.requests.entries.filter(({ status }) => status === 504);
    expect(failed).toEqual([]);
    expect(from.portal.requests.total()).toBeLessThanOrEqual(30 + 28 + 4);
  });

  const sick: readonly (readonly [string, Faults])[] = [
    ['answers without rows', { emptyList: { ids: [150] } }],
    ['answers error 13', { errorCode: { ids: [150], methods: ['list'] } }],
    ['answers HTTP 500', { http500: { ids: [150], methods: ['list'] } }],
    ['sends a byte that is no UTF-8', { invalidUtf8: { ids: [150], methods: ['list'] } }],
  ];
  describe.each(['documented', 'as-seen'] as const)('in a portal %s', (profile) => {
    it.each(sick)('%s wherever one record is listed: the rest is read and swept, the one singly', async (_, faults) => {
      const from = await start({ profile, rowsPerModel: { 'crm.account': 330, 'crm.lead': 60 } });
      const { backfill, sweep, settle } = rounds(from);
      Object.assign(from.portal.faults, faults);
      expect((await backfill()).status).toBe('done');
      expect(await differences(from)).toEqual([]);
      expect(from.portal.requests.total()).toBeLessThan(120);

      // Not readable singly either: named, and everything else is searched for what was deleted.
      from.portal.faults.http502 = { ids: [150], methods: ['get'], models: ['crm.account'] };
      for (const id of [2, 149, 151, 300]) from.portal.portal.remove('crm.account', id);
      const swept = await sweep();
      expect(swept.status).toBe('differences');
      expect(swept.models.find(({ model }) => model === 'crm.account')).toMatchObject({
        outcome: 'complete',
        reason: expect.stringMatching(/\b150\b/),
        guarded: null,
      });
      await settle();
      expect(await differences(from)).toEqual([]);
    });
  });

  describe.each(['documented', 'as-seen'] as const)('in a portal %s, several neighbours', (profile) => {
    it.each([
      ['answer HTTP 500', 120, 'http500', [44, 45]],
      ['answer without rows', 120, 'emptyList', [44, 45, 46]],
      ['answer error 13 at the edge of pages', 130, 'errorCode', [25, 26, 50, 51, 75, 76, 100, 101]],
      ['answer HTTP 504 at both ends of a small model', 70, 'http504', [1, 2, 69, 70]],
    ] as const)('%s: all are read singly, or named once, and verified', async (_, n, fault, places) => {
      const from = await start({ profile, rowsPerModel: { 'crm.account': n, 'crm.lead': 0 } });
      const all = [...from.portal.portal.rows('crm.account')].map(({ id }) => Number(id)).sort((a, b) => a - b);
      const ids = places.map((place) => all[place - 1] as number);
      const { backfill, sweep, verify } = rounds(from, ['crm.account']);
      from.portal.faults[fault] = { ids, methods: ['list'], models: ['crm.account'] };
      expect((await backfill()).status).toBe('done');
      expect(await differences(from, ['crm.account'])).toEqual([]);
      expect((await verify()).models[0]).toMatchObject({ outcome: 'complete', reason: null, findings: [], rows: n });

      const [sick, ...others] = ids as [number, ...number[]];
      from.portal.faults.http502 = { ids: [sick], methods: ['get'], models: ['crm.account'] };
      for (const id of others) from.portal.portal.update('crm.account', id, { name: `changed ${id}` });
      const swept = await sweep();
      expect(swept.models[0]).toMatchObject({ outcome: 'complete', unreadable: [String(sick)] });
      const changed = await from.sql`select id::int from flowlu.crm_account where name like 'changed %' order by id`;
      expect(changed.map(({ id }) => id)).toEqual(others);
    });
  });

  it.each(['documented', 'as-seen'] as const)(
    '%s, breaks its very first and its last page: all others are right',
    async (profile) => {
      const from = await start({ profile, rowsPerModel: { 'crm.account': 330, 'crm.lead': 0 } });
      const all = [...from.portal.portal.rows('crm.account')].map(({ id }) => Number(id));
      const ids = [all[0], all[3], all.at(-1), all.at(-9)] as number[];
      from.portal.faults.errorCode = { ids, value: 13, models: ['crm.account'] };
      const { backfill, verify } = rounds(from, ['crm.account']);
      const round = await backfill();
      expect(round.status).toBe('differences');
      const lacking = (await differences(from, ['crm.account'])).map((line) => Number(line.split(' ').at(-1)));
      expect(lacking.sort((a, b) => a - b)).toEqual(ids.sort((a, b) => a - b));
      const reason = round.models[0]?.reason ?? '';
      const [told] = await from.sql`
        select distinct coverage from flowlu_live.data_dictionary where table_schema = 'flowlu_live' and table_name = 'crm_account'`;
      expect(told?.coverage).toBe(`complete but for some rows: ${reason}`);
      const status = await from.sql`
        select coverage, read_share < 1 as lacks, read_share > 0.9 as has from flowlu_live.sync_status where model = 'crm.account'`;
      expect(status[0]).toEqual({ coverage: told?.coverage, lacks: true, has: true });
      const compared = await verify();
      expect(compared.status).toBe('differences');
      expect(compared.models[0]).toMatchObject({ outcome: 'incomplete', rows: 326, findings: [] });
      for (const id of ids) {
        expect(reason).toMatch(new RegExp(`\\b${id}\\b`));
        expect(compared.models[0]?.reason).toMatch(new RegExp(`\\b${id}\\b`));
      }
    },
  );

  it.each([
    ['second', 90, 40],
    ['first', 90, 10],
    ['last', 90, 82],
    ['first of two', 35, 20],
  ])(
    'breaks the %s page of a portal that grants 25 rows whatever is asked: all are read singly',
    async (_, n, place) => {
      const from = await start({ profile: 'as-seen', rowsPerModel: { 'crm.account': n, 'crm.lead': 0 } });
      const { backfill, sweep, settle } = rounds(from, ['crm.account']);
      const ids = [...from.portal.portal.rows('crm.account')].map(({ id }) => Number(id));
      from.portal.faults.ignoreLimit = { value: 25 };
      from.portal.faults.http500 = { ids: [ids[place - 1] as number], methods: ['list'], models: ['crm.account'] };
      expect((await backfill()).models[0]).toMatchObject({ reason: null, outcome: 'complete' });
      expect(await differences(from, ['crm.account'])).toEqual([]);
      from.portal.portal.remove('crm.account', ids[place] as number);
      expect((await sweep()).models[0]).toMatchObject({ outcome: 'complete', suspects: 1, counts: { written: 0 } });
      await settle();
      expect(await differences(from, ['crm.account'])).toEqual([]);
    },
  );

  it('is named where the portal counts more rows than it has, too', async () => {
    const from = await start({ profile: 'as-seen', rowsPerModel: { 'crm.account': 130, 'crm.lead': 0 } });
    const [sick] = [...from.portal.portal.rows('crm.account')].slice(60).map(({ id }) => Number(id));
    from.portal.faults.http500 = { ids: [sick as number], models: ['crm.account'] };
    from.portal.faults.wrongTotal = { value: 200, models: ['crm.account'] };
    const { backfill, verify } = rounds(from, ['crm.account']);
    for (const [report] of [(await backfill()).models, (await verify()).models]) {
      expect(report).toMatchObject({ outcome: 'incomplete' });
      expect(report?.reason).toContain('the portal counts 200 rows');
      expect(report?.reason).toContain(`break every list that contains them and cannot be read: ${sick}`);
    }
    expect(await differences(from, ['crm.account'])).toEqual([`crm.account lacks ${sick}`]);
  });

  describe.each(['documented', 'as-seen'] as const)(
    '%s, that counts no rows, with a record that empties its lists',
    (profile) => {
      const names = ['crm.account'];
      /** Which account of so many, from the first that is listed to the last, breaks its lists. */
      async function ailing(n: number, place: number) {
        const uncounted = { omitTotal: true, omitTotalResult: true } as const;
        const from = await start({ profile, rowsPerModel: { 'crm.account': n, 'crm.lead': 0 } });
        const { backfill, sweep, settle } = rounds(from, names);
        expect((await backfill()).status).toBe('done');
        Object.assign(from.portal.faults, uncounted);
        const ids = [...from.portal.portal.rows('crm.account')].map(({ id }) => Number(id)).sort((a, b) => a - b);
        const listed = profile === 'as-seen' ? ids.toReversed() : ids;
        const sick = listed[place - 1] as number;
        from.portal.faults.emptyList = { ids: [sick] };
        return { from, sweep, settle, listed, sick };
      }

      it.each([
        ['in the middle of the last page', 330, 318],
        ['in the middle of the only page', 12, 5],
        ['first of the last page', 330, 326],
        ['in the middle', 330, 150],
      ])('%s: everything else is read and the one singly, and what was deleted is found', async (_, n, place) => {
        const { from, sweep, settle, listed, sick } = await ailing(n, place);
        const beyond = listed.at(-1) as number;
        from.portal.portal.update('crm.account', beyond, { name: 'changed' });
        from.portal.portal.update('crm.account', sick, { name: 'changed' });
        for (const id of [listed[0], listed[place]]) from.portal.portal.remove('crm.account', id as number);
        from.portal.requests.clear();
        expect((await sweep()).models[0]).toMatchObject({ outcome: 'complete', reason: null, suspects: 2 });
        expect(from.portal.requests.total()).toBeLessThan(160);
        await settle();
        expect(await differences(from, names)).toEqual([]);
        const changed = await from.sql`select id::int from flowlu.crm_account where name = 'changed' order by id`;
        expect(changed.map(({ id }) => id)).toEqual([beyond, sick].sort((a, b) => a - b));
        expect((await sweep()).models[0]).toMatchObject({ outcome: 'complete', counts: { written: 0 } });
      });

      it.each([130, 125, 1])(
        'the last of %i: that is said, nothing is buried, and once it lists again all is well',
        async (n) => {
          const { from, sweep, settle, listed, sick } = await ailing(n, n);
          // Not even where the portal does not read singly either, however many sweeps did not list it.
          from.portal.faults.errorCode = { methods: ['get'], value: 30 };
          for (const _ of [1, 2]) {
            from.portal.requests.clear();
            const swept = await sweep();
            expect(swept.status).toBe('differences');
            expect(swept.models[0]).toMatchObject({ outcome: 'incomplete', counts: { written: 0 } });
            const said = n === 1 ? 'lists no row any more' : `nothing shows that no row follows ${listed.at(-2)}`;
            expect(swept.models[0]?.reason).toContain(said);
            expect(from.portal.requests.total()).toBeLessThan(160);
            await settle();
            await from.sql`update sync.doubtful set since = since - interval '2 hours', next_attempt_at = clock_timestamp()`;
          }
          expect(await differences(from, names)).toEqual([]);
          expect(sick).toBe(listed.at(-1));
          delete from.portal.faults.emptyList;
          delete from.portal.faults.errorCode;
          from.portal.portal.remove('crm.account', listed[0] as number);
          if (n === 1) from.portal.portal.create('crm.account', { name: 'another' });
          expect((await sweep()).models[0]).toMatchObject({ outcome: 'complete', suspects: 1 });
          await settle();
          expect(await differences(from, names)).toEqual([]);
        },
      );
    },
  );

  describe.each(['documented', 'as-seen'] as const)('%s, that counts more rows than it has', (profile) => {
    const names = ['crm.account'];
    async function miscounting(hidden: number) {
      const from = await start({ profile, rowsPerModel: { 'crm.account': 130, 'crm.lead': 0 } });
      const { backfill, sweep, settle } = rounds(from, names);
      expect((await backfill()).status).toBe('done');
      const ids = [...from.portal.portal.rows('crm.account')].map(({ id }) => Number(id)).sort((a, b) => a - b);
      from.portal.faults.wrongTotal = { value: 200 };
      from.portal.faults.hideRows = { value: ids.slice(40, 40 + hidden) };
      for (const place of [3, 60, 128]) from.portal.portal.remove('crm.account', ids[place] as number);
      return { from, sweep, settle };
    }

    it('is searched for what was deleted all the same, though no sweep is complete', async () => {
      const { from, sweep, settle } = await miscounting(0);
      const swept = await sweep();
      expect(swept.status).toBe('differences');
      expect(swept.models[0]).toMatchObject({ outcome: 'incomplete', suspects: 3 });
      expect(swept.models[0]?.reason).toMatch(/more rows|counts 200 rows/);
      const { findings } = await sourceOf(from.sql).health();
      const { remedy } = findings.find(({ code }) => code === 'models_unreadable') ?? {};
      expect(remedy).toMatch(/nothing is to be done$/);
      await settle();
      expect(await differences(from, names)).toEqual([]);
      // The same once more is how this portal counts, and nobody has to do anything about it.
      const again = await sweep();
      expect(again.status).toBe('done');
      expect(again.models[0]).toMatchObject({ outcome: 'complete', suspects: 0, counts: { written: 0 } });
      expect(again.models[0]?.reason).toMatch(/^the portal counts \d+ rows more than it lists, as before$/);
      const told = (await sourceOf(from.sql).health()).findings.filter(({ code }) => code === 'models_unreadable');
      expect(told).toMatchObject([{ severity: 'note' }]);
      const [row] =
        await from.sql`select coverage, read_share < 1 as lacks from flowlu_live.sync_status where model = ${names[0] ?? ''}`;
      expect(row).toMatchObject({ coverage: expect.stringContaining('more than it lists'), lacks: true });
      // Another number is news.
      from.portal.portal.remove('crm.account', [...from.portal.portal.rows('crm.account')][5]?.id as number);
      expect((await sweep()).models[0]).toMatchObject({ outcome: 'incomplete', suspects: 1 });
      await settle();
      expect(await differences(from, names)).toEqual([]);
    });

    it('and hides rows from its lists: twenty are asked for with each sweep, in turn, and those that are there stay', async () => {
      const { from, sweep, settle } = await miscounting(45);
      // Three deleted rows, one of them among the hidden ones.
      for (let left = 47; left > 0; left -= 20) {
        from.portal.requests.clear();
        expect((await sweep()).models[0]).toMatchObject({ guarded: null });
        await settle();
        expect(from.portal.requests.perModel()['crm.account get']).toBe(20);
      }
      expect(await differences(from, names)).toEqual([]);
      const [row] = await from.sql`select count(*)::int as doubtful from sync.doubtful`;
      expect(row?.doubtful).toBe(0);
    });

    it('and refuses to read rows singly: nothing is decided, and nothing stays in doubt', async () => {
      const { from, sweep, settle } = await miscounting(45);
      from.portal.faults.errorCode = { methods: ['get'], value: 30 };
      for (const _ of [1, 2, 3]) {
        await sweep();
        await settle();
        await from.sql`update sync.doubtful set since = since - interval '2 hours'`;
      }
      expect((await differences(from, names)).length).toBe(3);
      const [row] = await from.sql`select count(*)::int as doubtful from sync.doubtful`;
      expect(row?.doubtful).toBe(0);
    });
  });

  it('refuses every filter, with that which a model needs for its archived rows: the model is read without', async () => {
    const faults = { http500: { parameter: 'filter' } };
    const from = await start({ rowsPerModel: { 'task.tasks': 130 }, faults });
    const { backfill, sweep } = rounds(from, ['task.tasks']);
    expect((await backfill()).status).toBe('done');
    expect(await differences(from, ['task.tasks'])).toEqual([]);
    expect((await sweep()).status).toBe('done');
  });

  it.each([
    ['an order with HTTP 500', { http500: { parameter: 'order_by' } }],
    ['a filter with error 13', { errorCode: { parameter: 'filter[id]' } }],
    ['both with error 12', { errorCode: { parameter: 'order_by', value: 12 }, errorString: { parameter: 'filter' } }],
  ] as const)('refuses %s: it is read page by page, and not asked for it again', async (_, faults) => {
    const from = await start({ rowsPerModel: { 'crm.account': 330, 'crm.lead': 60 }, faults });
    const { backfill, sweep, verify } = rounds(from);
    expect((await backfill()).status).toBe('done');
    expect(await differences(from)).toEqual([]);
    from.portal.requests.clear();
    expect((await sweep()).status).toBe('done');
    expect(from.portal.requests.total()).toBeLessThanOrEqual(4 + 1 + 2);
    for (const sample of [null, 20]) expect((await verify(sample)).status).toBe('done');
  });

  it('has a firewall in front that answers in its place for a while: nothing is lost and nothing is refused', async () => {
    const from = await start({ rowsPerModel: { 'crm.account': 1_200, 'crm.lead': 800 } });
    const { backfill, sweep, settle } = rounds(from);
    await backfill();
    from.portal.portal.remove('crm.account', 7);
    // One call is tried three times.
    from.portal.faults.firewall = { skip: 3, count: 2 };
    expect((await sweep()).status).toBe('done');
    await settle();
    expect(await differences(from)).toEqual([]);
    from.portal.faults.firewall = { value: 403 };
    const { models } = await sweep();
    expect(models.map(({ outcome }) => outcome)).toEqual(['failed', 'failed']);
    expect(models[0]?.reason).toContain('a firewall in front of the portal');
  });

  it.each([
    ['error 32', { errorCode: { models: ['crm.lead'], value: 32 } }],
    ['HTTP 404 in HTML', { http404: { models: ['crm.lead'] } }],
  ] as const)('tells a model that it lacks as %s: it is skipped, and the run is done', async (_, faults) => {
    const from = await start({ rowsPerModel: { 'crm.account': 30, 'crm.lead': 30 }, faults });
    const round = await rounds(from, ['crm.account', 'crm.lead']).backfill();
    expect(round.status).toBe('done');
    expect(round.models.find(({ model }) => model === 'crm.lead')?.outcome).toBe('skipped');
  });

  it('sends a byte that is no UTF-8 once: the answer is refused and asked for again', async () => {
    const from = await start({
      rowsPerModel: { 'crm.account': 30, 'crm.lead': 0 },
      faults: { invalidUtf8: { count: 1 } },
    });
    await rounds(from, ['crm.account']).backfill();
    const [row] =
      await from.sql`select count(*)::int as altered from flowlu.crm_account where name like '%' || chr(65533) || '%'`;
    expect(row?.altered).toBe(0);
  });
});

describe('a model that only the settings name', () => {
  it('is read, caught up and swept like others, into the common table, and its neighbours there are left alone', async () => {
    const from = await start({ rowsPerModel: { 'crm.account': 0, 'crm.lead': 330 } });
    // The simulator knows it, the mirror is told not to: as a model that is too new for the catalogue.
    const extra = { ...extraModel('crm.lead'), name: 'crm.lead' };
    await from.sql`
      insert into flowlu.uncatalogued (module, model, id, _record, _observed_at, _source, _hash)
      values ('asset', 'asset', 7, '{"id":7}', clock_timestamp(), 'webhook', gen_random_uuid())`;
    const deps = { sql: from.sql, client: from.client, writer: from.context };
    const options = { models: [extra], concurrency: 1, holder: 'test', observer: quietObserver, signal: never };
    const live = async () => {
      const rows = await from.sql`
        select id::text as id from flowlu.uncatalogued where module = 'crm' and model = 'lead' and _deleted_at is null`;
      return rows.length;
    };
    expect((await backfill(deps, options)).status).toBe('done');
    expect(await live()).toBe(330);
    for (const id of [5, 300]) from.portal.portal.remove('crm.lead', id);
    const sweep = () => sweepAll(deps, { ...options, allowDeletes: 0 });
    expect((await sweep()).models[0]).toMatchObject({ outcome: 'complete', suspects: 2 });
    await settleDue({ ...deps, tableOf: (name) => ({ name, model: null }) }, 100, never);
    expect(await live()).toBe(328);
    expect((await sweep()).models[0]?.counts.written).toBe(0);
    const [neighbour] = await from.sql`select _deleted_at from flowlu.uncatalogued where module = 'asset'`;
    expect(neighbour?._deleted_at).toBeNull();
  });
});
