/** Readings that are cut off and resumed: what they had found out before the cut is told at their end. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FlowluError } from '../../src/flowlu/errors.ts';
import { settleDue } from '../../src/merge/settle.ts';
import { backfill } from '../../src/reconcile/backfill.ts';
import { catchUpAll } from '../../src/reconcile/catch-up.ts';
import type { ListingObserver } from '../../src/reconcile/listing.ts';
import { runRound } from '../../src/reconcile/round.ts';
import { sweepModel } from '../../src/reconcile/sweep.ts';
import type { Faults } from '../simulator/index.ts';
import { type Mirror, type MirrorOptions, never, quietObserver, startMirror } from '../support/mirror.ts';

vi.setConfig({ testTimeout: 120_000 });

let mirror: Mirror;
afterEach(() => mirror?.close());

const ACCOUNT = 'crm.account';
/** More than two cuts let pass, with what is under way at each. */
const ROWS = 2_200;
/** Where among the accounts, in the order in which they are listed, the sick ones are. */
const [PLACE, CUT] = [250, 400];

type Kind = 'backfill' | 'sweep' | 'catch-up';

async function start(options: MirrorOptions = {}) {
  mirror = await startMirror({ rowsPerModel: { [ACCOUNT]: ROWS, 'crm.lead': 0 }, ...options });
  const deps = { sql: mirror.sql, client: mirror.client, writer: mirror.context };
  const ascending = ids();
  const listed = options.profile === 'as-seen' ? ascending.toReversed() : ascending;
  const run = (
    kind: Kind,
    observer: ListingObserver = quietObserver,
    signal = never,
    names = [ACCOUNT],
    client = mirror.client,
  ) => {
    const deps = { sql: mirror.sql, client, writer: mirror.context };
    const round = { models: names.map(mirror.model), concurrency: 1, holder: 'test', observer, signal };
    if (kind === 'backfill') return backfill(deps, round);
    if (kind === 'catch-up') return catchUpAll(deps, round);
    return runRound(deps.sql, 'sweep', round, async (model, runId, stop) => {
      const how = { runId, allowDeletes: 0, resume: true };
      return { ...(await sweepModel(deps, model, how, observer, stop)), way: 'sweep' };
    });
  };
  return {
    listed,
    run,
    /** Runs it until so many rows were read, and cuts it off. */
    async cutOff(kind: Kind, rows = CUT, names = [ACCOUNT]) {
      const stop = new AbortController();
      let read = 0;
      const modelAdvanced: ListingObserver['modelAdvanced'] = (_, step) => {
        read += step.read;
        if (read >= rows) stop.abort(new Error('cut off'));
      };
      await expect(run(kind, { ...quietObserver, modelAdvanced }, stop.signal, names)).rejects.toThrow('cut off');
    },
    settle: () => settleDue({ ...deps, tableOf: (name) => ({ name, model: mirror.model(name) }) }, 1_000, never),
  };
}

const ids = (): readonly number[] =>
  [...mirror.portal.portal.rows(ACCOUNT)].map(({ id }) => Number(id)).sort((a, b) => a - b);

/** Ids that the mirror lacks. */
async function lacking(): Promise<readonly number[]> {
  const rows = await mirror.sql`select id::int from flowlu.crm_account where _deleted_at is null`;
  const held = new Set(rows.map(({ id }) => id as number));
  return ids().filter((id) => !held.has(id));
}

async function status() {
  const [row] = await mirror.sql`
    select coverage, read_share::float8 as read_share from flowlu_live.sync_status where model = ${ACCOUNT}`;
  return row as unknown as { coverage: string; read_share: number };
}

it.each(['backfill', 'sweep', 'catch-up'] as const)(
  'a %s goes on later where it was cut off in the middle of a request that fails for that',
  async (kind) => {
    const { run } = await start();
    if (kind === 'sweep') await run('backfill');
    const stop = new AbortController();
    let pages = 0;
    const list: Mirror['client']['list'] = (...asked) => {
      pages += 1;
      if (pages <= 8) return mirror.client.list(...asked);
      stop.abort(new Error('cut off'));
      return Promise.reject(new FlowluError('network', 'GET crm/account: the connection was closed'));
    };
    const client = { ...mirror.client, list };
    await expect(run(kind, quietObserver, stop.signal, [ACCOUNT], client)).rejects.toThrow('cut off');
    expect(await mirror.sql`select outcome from sync.listings where is_open and rows_read > 0`).toEqual([
      { outcome: null },
    ]);
  },
);

it('a catch-up tells when each model is done, once, whichever way it was read', async () => {
  const { run } = await start({ rowsPerModel: { [ACCOUNT]: 30, 'crm.lead': 20 } });
  await run('backfill');
  const done: string[] = [];
  const modelFinished: ListingObserver['modelFinished'] = ({ model }) => void done.push(model);
  await run('catch-up', { ...quietObserver, modelFinished }, never, [ACCOUNT, 'crm.lead']);
  expect(done.toSorted()).toEqual([ACCOUNT, 'crm.lead']);
});

describe.each(['documented', 'as-seen'] as const)('in a portal %s', (profile) => {
  it.each(['backfill', 'sweep', 'catch-up'] as const)(
    'a %s that is cut off behind a record that breaks its lists names it once it is resumed, and so does its status',
    async (kind) => {
      const { listed, run, cutOff } = await start({ profile });
      const sick = listed[PLACE] as number;
      if (kind === 'sweep') await run('backfill');
      mirror.portal.faults.http500 = { ids: [sick], models: [ACCOUNT] };
      await cutOff(kind);
      await cutOff(kind, 200);
      const [open] = await mirror.sql`select mode from sync.listings where is_open`;
      expect(open?.mode).toBe(profile === 'as-seen' ? 'pages' : 'keyset');
      const { models, status: outcome } = await run(kind);
      expect(models[0]).toMatchObject({ outcome: 'complete', unreadable: [String(sick)] });
      expect(outcome).toBe('differences');
      expect(await lacking()).toEqual(kind === 'sweep' ? [] : [sick]);
      expect(await status()).toEqual({
        coverage: `complete but for some rows: ${models[0]?.reason}`,
        read_share: 0.999,
      });
      expect(models[0]?.reason).toMatch(new RegExp(`\\b${sick}\\b`));
    },
  );

  it.each(['backfill', 'sweep'] as const)(
    'a %s says between which ids rows are that it did not find singly, once, and takes none of them for deleted',
    async (kind) => {
      const { listed, run, cutOff, settle } = await start({ profile });
      const [before, ...sick] = listed.slice(PLACE - 1, PLACE + 2) as [number, ...number[]];
      const after = listed[PLACE + 2];
      await run('backfill');
      mirror.portal.faults.http500 = { ids: sick, methods: ['list'], models: [ACCOUNT] };
      mirror.portal.faults.errorCode = { methods: ['get'], value: 30, models: [ACCOUNT] };
      for (const _ of [1, 2]) {
        await cutOff(kind);
        const { models } = await run(kind);
        const told = `2 rows listed between the ids ${before} and ${after}`;
        expect(models[0]).toMatchObject({ outcome: 'complete', unreadable: [told] });
        await settle();
        await mirror.sql`update sync.doubtful set since = since - interval '2 hours', next_attempt_at = now()`;
      }
      expect(await lacking()).toEqual([]);
      expect((await status()).read_share).toBe(Math.min(0.999, Math.round((1_000 * (ROWS - 2)) / ROWS) / 1_000));
    },
  );

  it('counts what was read singly before the cut among the rows that it has read, and what webhooks had missed', async () => {
    const { listed, run, cutOff } = await start({ profile });
    await run('backfill');
    const sick = listed.slice(PLACE, PLACE + 3) as number[];
    mirror.portal.faults.http500 = { ids: sick, methods: ['list'], models: [ACCOUNT] };
    await mirror.sql`
      update flowlu.crm_account set _record = _record || '{"name":"missed"}', _hash = gen_random_uuid()
       where id = any(${`{${[...sick, listed[20]].join()}}`}::bigint[])`;
    await cutOff('sweep');
    expect((await run('sweep')).models[0]).toMatchObject({ outcome: 'complete', reason: null });
    const [row] = await mirror.sql`
      select l.rows_read::int as read, l.rows_written::int as written, s.rows, s.missed::int as missed
        from sync.listings l join sync.schedule s using (model) where model = ${ACCOUNT} and kind = 'sweep'`;
    // By page numbers the page before the cut comes again, and counts once all the same.
    expect(row).toEqual({ read: ROWS, written: 4, rows: ROWS, missed: 4 });
  });

  it.each(['backfill', 'sweep'] as const)(
    'a %s that is cut off after its last row, which is then deleted, is complete, and counts each row once',
    async (kind) => {
      const { listed, run } = await start({ profile });
      if (kind === 'sweep') await run('backfill');
      const stop = new AbortController();
      const list: Mirror['client']['list'] = async (...asked) => {
        const answer = await mirror.client.list(...asked);
        if (answer.items.length > 0) return answer;
        stop.abort(new Error('cut off'));
        throw stop.signal.reason;
      };
      const client = { ...mirror.client, list };
      await expect(run(kind, quietObserver, stop.signal, [ACCOUNT], client)).rejects.toThrow('cut off');
      const [open] = await mirror.sql`select is_open, rows_read::int as read from sync.listings where kind = ${kind}`;
      expect(open).toEqual({ is_open: true, read: ROWS });
      mirror.portal.portal.remove(ACCOUNT, listed.at(-1) as number);
      expect((await run(kind)).models[0]).toMatchObject({ outcome: 'complete', reason: null });
      const [row] = await mirror.sql`
        select rows_read::int as read, s.rows from sync.listings l join sync.schedule s using (model)
         where model = ${ACCOUNT} and kind = ${kind}`;
      const rows = profile === 'as-seen' ? ROWS : ROWS - 1;
      expect(row).toEqual({ read: rows, rows });
    },
  );

  it('is resumed to its end where its counts are of the whole model, whatever breaks its lists', async () => {
    const { listed, run, cutOff } = await start({ profile, faults: { wholeTotals: true } });
    const sick = listed.slice(PLACE, PLACE + 3) as number[];
    mirror.portal.faults.http500 = { ids: sick, methods: ['list'], models: [ACCOUNT] };
    mirror.portal.faults.http502 = { ids: sick.slice(1), methods: ['get'], models: [ACCOUNT] };
    await cutOff('backfill');
    const unreadable = sick.slice(1).map(String).sort();
    const { models } = await run('backfill');
    expect(models[0]).toMatchObject({ outcome: 'complete' });
    expect(models[0]?.unreadable?.toSorted()).toEqual(unreadable);
  });

  it('a model that was read but for some rows is told as such by the run that goes on after it', async () => {
    const { listed, run, cutOff } = await start({ profile, rowsPerModel: { [ACCOUNT]: 60, 'crm.source': ROWS } });
    const sick = listed[20] as number;
    mirror.portal.faults.http500 = { ids: [sick], models: [ACCOUNT] };
    const names = [ACCOUNT, 'crm.source'];
    await cutOff('backfill', CUT, names);
    const round = await run('backfill', quietObserver, never, names);
    expect(round.models.find(({ model }) => model === ACCOUNT)).toMatchObject({
      way: 'none',
      outcome: 'complete',
      unreadable: [String(sick)],
      reason: expect.stringMatching(new RegExp(`\\b${sick}\\b`)),
    });
    expect(round.status).toBe('differences');
  });
});

it.each(['backfill', 'sweep'] as const)(
  'a %s of a portal without an order still looks for rows that were missing before the cut',
  async (kind) => {
    const { listed, run, cutOff, settle } = await start({
      profile: 'as-seen',
      rowsPerModel: { [ACCOUNT]: 600, 'crm.lead': 0 },
    });
    if (kind === 'sweep') await run('backfill');
    const sick = listed.at(-1) as number;
    Object.assign(mirror.portal.faults, {
      ignoreLimit: { value: 25 },
      ignoreOrder: { value: 'shuffled' },
      http500: { ids: [sick], models: [ACCOUNT], methods: ['list'] },
      http502: { ids: [sick], models: [ACCOUNT], methods: ['get'] },
    } satisfies Faults);
    await cutOff(kind, 350);
    const { models } = await run(kind);
    expect(models[0]).toMatchObject({ outcome: 'complete', unreadable: [String(sick)] });
    await settle();
    expect(await lacking()).toEqual(kind === 'sweep' ? [] : [sick]);
  },
);
