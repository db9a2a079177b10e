/**
 * The clock of the database goes back: what the mirror learnt before then lies ahead of it. Nothing of that may win over
 * what is observed now, nor be waited for.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/core/log.ts';
import { drainPending } from '../../src/merge/drain.ts';
import { verify } from '../../src/reconcile/verify.ts';
import { lastAgreement } from '../../src/store/watermarks.ts';
import { never, quietObserver } from '../support/mirror.ts';
import { openStage, type Stage } from './stage.ts';

const log = createLogger({ level: 'silent', version: 'test', secrets: [] });
let stage: Stage;

beforeAll(async () => {
  stage = await openStage('crm.account');
});
beforeEach(() => stage.renew());
afterAll(() => stage.close());

const AHEAD = ['2026-06-10T10:00:00Z', '2027-07-15T09:00:00Z'];
const BACK = '2026-06-10T09:05:00Z';

/** A dozen records, read while the clock was ahead. */
async function readAheadOf(back: string, ahead: string) {
  const beings = Array.from({ length: 12 }, (_, index) => stage.bear(index + 1));
  await stage.at(ahead);
  await stage.sweep();
  await stage.at(back);
  return beings as [(typeof beings)[number], ...typeof beings];
}

const rowOf = async (id: number) =>
  (
    await stage.database.sql`
      select vat as name, _deleted_at is not null as deleted, _observed_at <= pg_catalog.clock_timestamp() as past
        from flowlu.crm_account where id = ${id}`
  )[0];
const deleted = async () =>
  (await stage.database.sql`select id::int from flowlu.crm_account where _deleted_at is not null order by 1`).map(
    ({ id }) => id as number,
  );

async function verifyAll() {
  const { sql, context: writer } = stage.replica;
  const options = { models: [stage.model], concurrency: 1, holder: 'test', repair: false, sample: null, pauseMs: 0 };
  const deps = { sql, writer, client: stage.source().client([0]) };
  const { models } = await verify(deps, { ...options, observer: quietObserver, signal: never });
  return models[0];
}

describe.each(AHEAD)('what was learnt at %s, when it is five past nine', (ahead) => {
  it('does not keep a record alive that is gone, neither for `verify` nor for a sweep', async () => {
    const beings = await readAheadOf(BACK, ahead);
    for (const being of beings.slice(0, 3)) stage.bury(being);
    await stage.clock.advance(5);
    expect(await verifyAll()).toMatchObject({ extra: 3, in_flight: 0 });
    const { models } = await stage.sweep();
    expect(models[0]).toMatchObject({ outcome: 'complete', suspects: 3 });
    await stage.settle();
    expect(await deleted()).toEqual([1, 2, 3]);
    expect(await verifyAll()).toMatchObject({ extra: 0, in_flight: 0 });
  });

  it('gives way to a newer version, by webhook and by reading', async () => {
    const [first, second] = await readAheadOf(BACK, ahead);
    await stage.deliver(stage.rename(first, 'by webhook'));
    stage.rename(second as typeof first, 'by reading');
    await stage.clock.advance(5);
    expect(await verifyAll()).toMatchObject({ stale: 1, in_flight: 0 });
    await stage.catchUp();
    expect([await rowOf(1), await rowOf(2)]).toEqual([
      { name: 'by webhook', deleted: false, past: true },
      { name: 'by reading', deleted: false, past: true },
    ]);
  });

  it('does not keep a doubt waiting, nor make one that no reading clears', async () => {
    const [first] = await readAheadOf(BACK, BACK);
    await stage.at(ahead);
    const raise = `insert into sync.doubtful (model, entity_id, reason, next_attempt_at)
      values ('crm.account', 1, 'a test says so', pg_catalog.clock_timestamp() + interval '30 minutes')`;
    await stage.database.sql.unsafe(raise);
    await stage.at(BACK);
    stage.rename(first, 'settled');
    await stage.clock.advance(5);
    expect(await stage.settle()).toEqual({ settled: 1, open: 0 });
    expect(await stage.database.sql`select from sync.doubtful`).toHaveLength(0);
    expect(await rowOf(1)).toMatchObject({ name: 'settled' });
  });

  it('says nothing of how long ago the portal was read, until it is read again', async () => {
    await readAheadOf(BACK, ahead);
    expect(await lastAgreement(stage.database.sql)).toBeCloseTo(0, 1);
    await stage.sweep();
    await stage.clock.advance(300);
    expect(await lastAgreement(stage.database.sql)).toBeCloseTo(300, 0);
  });

  it('is applied late without a moment that is still to come', async () => {
    const [first] = await readAheadOf(BACK, BACK);
    await stage.clock.advance(5);
    await stage.database.sql`
      insert into sync.deliveries (status, received_at, body) values ('pending', ${ahead}, ${stage.rename(first, 'late')})`;
    const { sql, context } = stage.replica;
    await drainPending({ sql, context, log }, never);
    expect(await rowOf(1)).toEqual({ name: 'late', deleted: false, past: true });
  });
});

it('a webhook is not taken for older than the row when the clock is so far back that no version can be believed', async () => {
  const [first] = await readAheadOf('2026-06-07T09:00:00Z', '2026-06-10T09:30:00Z');
  const body = stage.rename(first, 'B').replaceAll('2026-06-07', '2026-06-10');
  await stage.deliver(body);
  expect(await rowOf(1)).toEqual({ name: 'B', deleted: false, past: true });
});
