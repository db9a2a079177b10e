import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { replay } from '../../src/maintain/replay.ts';
import { receive } from '../../src/merge/receive.ts';
import type { DeliveryFilter } from '../../src/store/deliveries/replay.ts';
import { compareWithSource } from '../simulator/compare.ts';
import { type Mirror, never, startMirror } from '../support/mirror.ts';

const MODELS = ['crm.account', 'crm.loss_reason'];
let mirror: Mirror;

beforeAll(async () => {
  mirror = await startMirror();
});
afterAll(() => mirror.close());

function replayed(filter: DeliveryFilter) {
  const { sql, context, log } = mirror;
  return replay({ sql, context, log, holder: 'test' }, filter, () => {}, never);
}

/** Everything that a replay might touch, as text. */
async function state(): Promise<string> {
  const rows = await mirror.sql`
    select 'a' as t, id::text, md5(a::text) as digest, xmin::text from flowlu.crm_account a
     union all select 'l', id::text, md5(l::text), xmin::text from flowlu.crm_loss_reason l
     union all select 'd', entity_id::text, model || reason, null from sync.doubtful
     union all select 'e', id::text, decision || attempts, xmin::text from sync.deliveries
     order by 1, 2`;
  return JSON.stringify(rows);
}

const differences = async () =>
  (await compareWithSource(mirror.database.url, mirror.portal.portal, MODELS)).differences;

describe('replay', () => {
  it('changes nothing, not even the ledger, where nothing is missing', async () => {
    const { portal } = mirror.portal;
    for (const name of MODELS) {
      for (let count = 0; count < 5; count += 1) {
        const created = portal.create(name);
        await mirror.deliver(created);
        for (const step of ['b', 'c', 'd', 'e']) {
          await mirror.deliver(portal.update(name, created.id, { name: `${count} ${step}` }));
        }
        if (count === 0) await mirror.deliver(portal.remove(name, created.id));
        if (count === 1) await mirror.deliver(...portal.toggle(name, created.id, 2));
      }
    }
    expect(await differences()).toEqual([]);
    // A repetition, and doubts that the API has settled since without a change of the row.
    await mirror.deliver(...portal.changes.slice(-1));
    await mirror.sql`delete from sync.doubtful`;
    const before = await state();
    const report = await replayed({ since: 0 });
    expect(report.outcomes).toEqual({ already_applied: report.deliveries });
    expect(report.deliveries).toBeGreaterThan(50);
    expect(await state()).toBe(before);
  });

  it('brings no old state back, whichever single delivery is replayed', async () => {
    const before = await state();
    const ids = (await mirror.sql`select id::text as id from sync.deliveries order by id`).map(
      ({ id }) => id as string,
    );
    for (const id of ids) await replayed({ ids: [id] });
    expect(await state()).toBe(before);
  });

  it('does not bring back what the API has overruled', async () => {
    const { portal } = mirror.portal;
    const created = portal.create('crm.account');
    const later = portal.update('crm.account', created.id, { name: 'taken back', updated_date: '2030-01-01 00:00:00' });
    await mirror.deliver(created, later);
    // A restored portal: an older state and version, read through the API.
    portal.update('crm.account', created.id, { name: 'as it was', updated_date: '2020-01-01 00:00:00' });
    await mirror.sql`
      update flowlu.crm_account
         set _record = _record || '{"name": "as it was", "updated_date": "2020-01-01 00:00:00"}',
             _observed_at = clock_timestamp(), _source = 'api'
       where id = ${created.id}`;
    await replayed({ since: 0 });
    const [row] = await mirror.sql`select _record->>'name' as name from flowlu.crm_account where id = ${created.id}`;
    expect(row?.name).toBe('as it was');
    portal.remove('crm.account', created.id);
    await mirror.sql`delete from flowlu.crm_account where id = ${created.id}`;
    await mirror.sql`delete from sync.deliveries where entity_id = ${created.id} and model = 'account'`;
  });

  it('rebuilds a mirror that was lost from the ledger alone; what it cannot order is doubtful', async () => {
    await mirror.sql`truncate flowlu.crm_account, flowlu.crm_loss_reason, sync.doubtful`;
    const report = await replayed({ since: 0 });
    expect(report.outcomes.inserted).toBe(10);
    const doubtful = await mirror.sql`select model, entity_id::text as id from sync.doubtful`;
    const excused = doubtful.map((row) => `${row.model} ${row.id}`);
    const wrong = (await differences()).filter((line) => !excused.some((subject) => line.startsWith(`${subject} `)));
    expect(wrong).toEqual([]);
    const [dead] = await mirror.sql`select count(*)::int as rows from flowlu.crm_account where _deleted_at is not null`;
    expect(dead?.rows).toBe(1);
  });

  it('walks a row that was set back through all that followed, a return to the old state included', async () => {
    const { portal } = mirror.portal;
    const created = portal.create('crm.loss_reason', { name: 'there' });
    const away = portal.update('crm.loss_reason', created.id, { name: 'away' });
    const back = portal.update('crm.loss_reason', created.id, { name: 'there' });
    const on = portal.update('crm.loss_reason', created.id, { name: 'on' });
    await mirror.deliver(created, away, back, on);
    await mirror.sql`
      update flowlu.crm_loss_reason r set _record = _record || '{"name": "there"}', name = 'there',
             _observed_at = (select received_at from sync.deliveries
                              where model = 'loss_reason' and entity_id = r.id order by deliveries.id limit 1)
       where id = ${created.id}`;
    await replayed({ since: 0 });
    const [row] = await mirror.sql`select name from flowlu.crm_loss_reason where id = ${created.id}`;
    expect(row?.name).toBe('on');
  });

  it('applies what had failed, and deliveries that were turned away but are understood now', async () => {
    const { sql, context, log } = mirror;
    const { portal, ...rest } = mirror.portal;
    const failed = portal.create('crm.account');
    const rejected = portal.create('crm.account');
    const [failedId = ''] = await mirror.deliver(failed);
    await sql`delete from flowlu.crm_account where id = ${failed.id}`;
    await sql`update sync.deliveries set status = 'failed', decision = null, reason = 'a bug' where id = ${failedId}`;
    const body = rest.webhooks.body(rejected);
    const [rejectedId = '', nonsense = ''] = await receive(
      [
        { body, announcement: null, rejection: 'an earlier version did not know better' },
        { body: '{"meta": 5}', announcement: null, rejection: 'meta: must be an object' },
      ],
      { sql, context, log },
    );
    const report = await replayed({ failed: true });
    expect(report).toMatchObject({ deliveries: 3, outcomes: { inserted: 2, rejected: 1 } });
    const rows = await sql`
      select id::text as id, status, model, action from sync.deliveries
       where id in (${failedId}, ${rejectedId}, ${nonsense}) order by deliveries.id`;
    expect([...rows]).toEqual([
      { id: failedId, status: 'applied', model: 'account', action: 'create' },
      { id: rejectedId, status: 'applied', model: 'account', action: 'create' },
      { id: nonsense, status: 'rejected', model: null, action: null },
    ]);
    expect(await differences()).toEqual([]);
    expect(await replayed({ failed: true })).toMatchObject({ deliveries: 1, outcomes: { rejected: 1 } });
  });

  it('takes only deliveries since a moment, in order, over several batches', async () => {
    const [row] = await mirror.sql`select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as now`;
    const changes = Array.from({ length: 230 }, () => mirror.portal.portal.create('crm.loss_reason'));
    await mirror.deliver(...changes);
    await mirror.sql`truncate flowlu.crm_loss_reason`;
    const steps: number[] = [];
    const { sql, context, log } = mirror;
    const report = await replay(
      { sql, context, log, holder: 'test' },
      { since: Number(row?.now) },
      (taken, total) => {
        expect(total).toBe(230);
        steps.push(taken);
      },
      never,
    );
    expect(report).toEqual({ deliveries: 230, outcomes: { inserted: 230 }, doubtful: 0 });
    expect(steps).toEqual([200, 230]);
  });
});
