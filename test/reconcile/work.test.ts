/** The scheduler on a real portal and a real database, one piece of work at a time. */
import { afterEach, describe, expect, it } from 'vitest';
import { createNaps } from '../../src/core/naps.ts';
import { backfill } from '../../src/reconcile/backfill.ts';
import { catchUpAll, sweepAll } from '../../src/reconcile/catch-up.ts';
import type { Lane } from '../../src/reconcile/schedule.ts';
import { type Background, createLanes } from '../../src/reconcile/work.ts';
import { sourceOf } from '../status/source.ts';
import { type Mirror, never, quietObserver, startMirror } from '../support/mirror.ts';

let mirror: Mirror;
afterEach(() => mirror.close());

const NAMES = ['crm.industry', 'crm.account', 'crm.lead'];

async function start(rowsPerModel: Readonly<Record<string, number>>): Promise<void> {
  // A change counts as missed once its webhook is late: here all changes are a minute old.
  mirror = await startMirror({ rowsPerModel, clock: () => new Date(Date.now() - 60_000) });
}

const background = (holder: string): Background => ({
  deps: { sql: mirror.sql, client: mirror.client, writer: mirror.context },
  models: NAMES.map(mirror.model),
  limits: { rate: 10, poll_s: 300, sweep_s: 86_400 },
  holder,
  naps: createNaps({ lastsMs: 0, awakeMs: 0 }),
  observer: quietObserver,
});
const work = (lane: Lane, holder = 'one') => createLanes(background(holder)).workOnce(lane, '0', never);
const schedule = async (model: string) =>
  (await mirror.sql`select * from sync.schedule where model = ${model}`)[0] as Record<string, unknown> | undefined;
/** Lets time pass for the scheduler, as far as one model is concerned. */
const age = (model: string, seconds: number) => mirror.sql`
  update sync.schedule
     set polled_at = polled_at - ${seconds} * interval '1 second', swept_from = swept_from - ${seconds} * interval '1 second',
         missed_at = missed_at - ${seconds} * interval '1 second'
   where model = ${model}`;

async function readAll(): Promise<readonly string[]> {
  const read: string[] = [];
  for (;;) {
    const report = await work('long');
    if ('waitMs' in report) return read;
    read.push(`${report.model} ${report.way}`);
  }
}

describe('a new mirror', () => {
  it('is read in the order people need it, and then rests before it is swept', async () => {
    await start({ 'crm.industry': 5, 'crm.account': 120, 'crm.lead': 250 });
    expect(await readAll()).toEqual([
      'crm.lead newest',
      'crm.account newest',
      'crm.lead backfill',
      'crm.account backfill',
      'crm.industry backfill',
    ]);
    expect(await work('long')).toEqual({ waitMs: 10_000 });
    expect(await work('quick')).toEqual({ waitMs: expect.any(Number) });
    await age('crm.lead', 40);
    expect(await work('long')).toMatchObject({ model: 'crm.lead', way: 'sweep', outcome: 'complete' });
  });

  it('is read on by a backfill from where the service was stopped; the next backfill reads everything again', async () => {
    await start({ 'crm.industry': 5, 'crm.account': 120, 'crm.lead': 250 });
    for (let newestAndTheFirst = 3; newestAndTheFirst > 0; newestAndTheFirst -= 1) await work('long');
    const { deps, models } = background('one');
    const requests = async (chosen = models, skipsRead = true) => {
      const options = { models: chosen, concurrency: 1, holder: 'two', observer: quietObserver, signal: never };
      const { models: reports } = await backfill(deps, { ...options, skipsRead });
      return Object.fromEntries(reports.map(({ model, counts }) => [model, counts.requests]));
    };
    // Whoever names a model wants it read.
    expect(await requests([mirror.model('crm.lead'), mirror.model('crm.industry')], false)).toEqual({
      'crm.lead': 3,
      'crm.industry': 1,
    });
    expect(await requests()).toEqual({ 'crm.lead': 0, 'crm.account': 2, 'crm.industry': 0 });
    expect(await requests()).toEqual({ 'crm.lead': 3, 'crm.account': 2, 'crm.industry': 1 });
  });

  it('is compared anew when the clock goes back, which is said until it is done', async () => {
    await start({ 'crm.account': 120, 'crm.lead': 250 });
    await readAll();
    for (const model of NAMES) await age(model, -3_600);
    await mirror.sql`update sync.schedule set retry_at = clock_timestamp() + interval '1 year', failures = 1
                      where model = 'crm.lead'`;
    const finding = async () => {
      const { findings } = await sourceOf(mirror.sql, { models: NAMES }).health();
      return findings.find(({ code }) => code === 'clock_set_back');
    };
    expect(await finding()).toMatchObject({
      severity: 'care',
      sentence: expect.stringMatching(
        /gone back, by (1 h|60 min|59 min).* or more: 3 models not compared with Flowlu since/,
      ),
      models: NAMES.toSorted(),
    });
    const done = [];
    for (let left = NAMES.length; left > 0; left -= 1) done.push(await work('long'));
    expect(done.map((report) => 'model' in report && `${report.model} ${report.way}`).sort()).toEqual(
      NAMES.map((model) => `${model} sweep`).sort(),
    );
    expect(await finding()).toBeUndefined();
    expect(await work('long')).toEqual({ waitMs: 10_000 });
  });

  it('leaves a model alone that the portal refuses', async () => {
    await start({ 'crm.industry': 5, 'crm.account': 20, 'crm.lead': 20 });
    mirror.portal.faults.errorCode = { value: 31, models: ['crm.lead'] };
    expect(await readAll()).toEqual([
      'crm.lead newest',
      'crm.account newest',
      'crm.lead backfill',
      'crm.account backfill',
      'crm.industry backfill',
    ]);
    expect(await schedule('crm.lead')).toMatchObject({ swept_from: null, failures: 1 });
    const [row] =
      await mirror.sql`select retry_at > clock_timestamp() + interval '59 minutes' as rests from sync.schedule where model = 'crm.lead'`;
    expect(row?.rests).toBe(true);
  });
});

describe('catching up', () => {
  it('notes what no webhook had announced, and what one had', async () => {
    await start({ 'crm.industry': 5, 'crm.account': 120, 'crm.lead': 20 });
    await readAll();
    const { portal } = mirror.portal;
    const [first, second] = [...portal.rows('crm.account')].map(({ id }) => String(id)) as [string, string];
    portal.update('crm.account', first);
    await mirror.deliver(portal.update('crm.account', second));
    await age('crm.account', 4_000);
    expect(await work('quick')).toMatchObject({
      model: 'crm.account',
      way: 'newest',
      counts: { requests: 1, missed: 1 },
    });
    expect(await schedule('crm.account')).toMatchObject({ missed: '1', announced: '1', poll_requests: 1 });
    const [row] = await mirror.sql`
      select announced_share::float8 as share, found_by_polling::int as found, read_share::float8 as read,
             oldest_compared_seconds between 4000 and 4100 as is_compared
        from flowlu_live.sync_status where model = 'crm.account'`;
    expect(row).toEqual({ share: 0.5, found: 1, read: 1, is_compared: true });
  }, 60_000);

  it('reads a small model as a whole where there is no other way', async () => {
    await start({ 'crm.industry': 5, 'crm.account': 20, 'crm.lead': 20 });
    await readAll();
    await age('crm.industry', 4_000);
    expect(await work('quick')).toMatchObject({ model: 'crm.industry', way: 'sweep' });
  });
});

describe('several at once', () => {
  it('do not go on resting by a plan that the work of one of them has overtaken', async () => {
    await start({ 'crm.industry': 5, 'crm.account': 20, 'crm.lead': 250 });
    await readAll();
    await age('crm.lead', 40);
    const lanes = createLanes(background('one'));
    const take = () => lanes.workOnce('long', '0', never);
    const [done, rest] = await Promise.all([take(), take()]);
    expect([done, rest]).toMatchObject([{ model: 'crm.lead', way: 'sweep' }, { waitMs: 10_000 }]);
    await age('crm.lead', 40);
    expect(await take()).toMatchObject({ model: 'crm.lead', way: 'sweep' });
  });

  it('wait on one reading, so that many lanes ask no more than one; another process has its own', async () => {
    await start({ 'crm.industry': 5, 'crm.account': 20, 'crm.lead': 20 });
    await readAll();
    const lanes = createLanes(background('one'));
    expect(await lanes.workOnce('long', '0', never)).toEqual({ waitMs: 10_000 });
    // Due by now, which nobody has told this process.
    await age('crm.lead', 40);
    expect(await lanes.workOnce('long', '0', never)).toEqual({ waitMs: expect.any(Number) });
    expect(await lanes.workOnce('quick', '0', never)).toEqual({ waitMs: expect.any(Number) });
    expect(await work('long', 'two')).toMatchObject({ model: 'crm.lead', way: 'sweep' });
  }, 60_000);

  it('never take up one model together', async () => {
    await start({ 'crm.industry': 5, 'crm.account': 20, 'crm.lead': 20 });
    // Nobody is done with a model before all have chosen: then its next piece of work would be another one's by right.
    mirror.portal.limits.latencyMs = 1_000;
    const reports = await Promise.all(['one', 'two', 'three', 'four', 'five'].map((holder) => work('long', holder)));
    const models = reports.flatMap((report) => ('model' in report ? [report.model] : []));
    expect(new Set(models).size).toBe(models.length);
    await readAll();
    expect(mirror.portal.requests.total()).toBe(5);
  });

  it('give a model up to a person at once, and go on where they were', async () => {
    await start({ 'crm.industry': 5, 'crm.account': 20, 'crm.lead': 2_000 });
    mirror.portal.limits.latencyMs = 300;
    const reading = work('long');
    await expect.poll(() => mirror.portal.requests.total(), { timeout: 20_000 }).toBeGreaterThan(2);
    const { sql, client, context: writer } = mirror;
    const options = {
      models: [mirror.model('crm.lead')],
      concurrency: 1,
      holder: 'a person',
      observer: quietObserver,
      signal: never,
    };
    const round = catchUpAll({ sql, client, writer }, options);
    expect(await reading).toEqual({ waitMs: 0 });
    mirror.portal.limits.latencyMs = 0;
    expect((await round).models[0]).toMatchObject({ outcome: 'complete', way: 'backfill' });
    // Neither of them asked for a page that the other had written.
    expect(mirror.portal.requests.total()).toBeLessThanOrEqual(20 + 10 + 4);
    expect(await schedule('crm.lead')).toMatchObject({ failures: 0 });
    await sweepAll({ sql, client, writer }, { ...options, allowDeletes: 0 });
  }, 60_000);
});
