/** The past as analysts see it, on data whose every moment is known. */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findModel } from '../../src/catalog/index.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { Observation } from '../../src/merge/rule/observation.ts';
import { linkOf } from '../../src/merge/rule/tie.ts';
import type { WriterContext } from '../../src/merge/writer.ts';
import type { MirrorTable } from '../../src/mirror-rows/rows.ts';
import { transact } from '../../src/postgres/transact.ts';
import { UNKNOWN_SHAPE } from '../../src/record/record.ts';
import { credible, versionOf } from '../../src/record/version.ts';
import { createZone } from '../../src/record/zone.ts';
import { fillDealStates } from '../../src/store/deal-states.ts';
import { noteHistorySettings } from '../../src/store/settings.ts';
import { writeAlone } from '../merge/world.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const zone = createZone('Europe/Berlin');
const context: WriterContext = { zone, settleGrace: 60_000_000 };
const DEALS = 'crm.lead';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  await database.sql`truncate sync.history, sync.deal_states, flowlu.crm_lead, flowlu.crm_loss_reason, flowlu.crm_pipeline_stage, flowlu.crm_account,
                              flowlu.uncatalogued, flowlu.customfields_fields, sync.settings`;
  await noteHistorySettings(database.sql, { timezone: 'Europe/Berlin', keeps: true });
});
afterAll(() => database.close());

const micros = (moment: string) => Date.parse(moment) * 1_000;
const tableOf = (name: string): MirrorTable => ({ name, model: findModel(name) ?? null });

function versionIn(name: string, record: JsonObject, observedAt: number) {
  return credible(versionOf(tableOf(name).model, record, zone), observedAt);
}

/** Lets one observation of a record in; `at` is the moment of it. */
async function see(name: string, observation: Observation, id: string, withHistory = true) {
  const observed = { table: tableOf(name), entityId: id, observation };
  await transact(database.sql, (tx) => writeAlone(tx, [observed], { ...context, keepsHistory: withHistory }));
}

const webhook = (name: string, at: string, record: JsonObject, previous: JsonObject | null = null): Observation => ({
  says: 'announced',
  record,
  previous,
  version: versionIn(name, record, micros(at)),
  observedAt: micros(at),
  link: linkOf(tableOf(name).model ?? UNKNOWN_SHAPE, record, previous, previous === null),
});
const list = (name: string, at: string, record: JsonObject): Observation => ({
  says: 'present',
  record,
  version: versionIn(name, record, micros(at)),
  observedAt: micros(at),
  whole: false,
  settling: false,
});
const gone = (at: string, previous: JsonObject | null = null): Observation => ({
  says: 'deleted',
  previous,
  version: previous === null ? null : versionIn(DEALS, previous, micros(at)),
  observedAt: micros(at),
});

/** A deal; Berlin is an hour ahead of UTC in January. */
const deal = (updated: string, more: JsonObject = {}): JsonObject => ({
  id: 7,
  name: 'Roof',
  active: 1,
  pipeline_id: 1,
  pipeline_stage_id: '11',
  budget: '100.00',
  created_date: '2026-01-05 09:00:00',
  updated_date: updated,
  ...more,
});

const time = (moment: Date | null) => (moment === null ? null : moment.toISOString().replace('.000Z', 'Z'));
const states = async (columns: string, table = 'crm_lead', id = '7') => {
  const rows = await database.sql.unsafe(
    `select valid_from, valid_to, _change as change, ${columns} from flowlu_history.${table} where id = $1 order by _number nulls first`,
    [id],
  );
  return rows.map(({ valid_from, valid_to, ...rest }) => ({ from: time(valid_from), to: time(valid_to), ...rest }));
};

describe('the states of a record', () => {
  it('follow each other without a gap while it lives, each with all values of its time', async () => {
    const a = deal('2026-01-05 09:00:00');
    const b = deal('2026-01-10 12:00:00', { pipeline_stage_id: '12', budget: '150.50', deadline: '2026-03-01' });
    const c = deal('2026-01-12 08:00:00', { pipeline_stage_id: '12', budget: null, deadline: '0000-00-00' });
    await see(DEALS, webhook(DEALS, '2026-01-05T08:00:01Z', a), '7');
    await see(DEALS, webhook(DEALS, '2026-01-10T11:00:01Z', b, a), '7');
    await see(DEALS, list(DEALS, '2026-01-13T00:00:00Z', c), '7');
    await see(DEALS, gone('2026-01-20T10:00:00Z', c), '7');
    expect(await states('pipeline_stage_id as stage, budget, deadline, updated_date, _path as path')).toEqual([
      {
        from: '2026-01-05T08:00:00Z',
        to: '2026-01-10T11:00:00Z',
        change: 'created',
        stage: '11',
        budget: '100.00',
        deadline: null,
        updated_date: new Date('2026-01-05T08:00:00Z'),
        path: 'webhook',
      },
      {
        from: '2026-01-10T11:00:00Z',
        to: '2026-01-12T07:00:00Z',
        change: 'updated',
        stage: '12',
        budget: '150.50',
        deadline: '2026-03-01',
        updated_date: new Date('2026-01-10T11:00:00Z'),
        path: 'webhook',
      },
      {
        from: '2026-01-12T07:00:00Z',
        to: '2026-01-20T10:00:00Z',
        change: 'updated',
        stage: '12',
        budget: null,
        deadline: null,
        updated_date: new Date('2026-01-12T07:00:00Z'),
        path: 'list',
      },
    ]);
  });

  it('leave out the time in which it was deleted', async () => {
    const a = deal('2026-01-05 09:00:00');
    await see(DEALS, webhook(DEALS, '2026-01-05T08:00:01Z', a), '7');
    await see(DEALS, gone('2026-01-06T00:00:00Z'), '7');
    await see(DEALS, list(DEALS, '2026-01-08T00:00:00Z', a), '7');
    expect(await states('name')).toEqual([
      { from: '2026-01-05T08:00:00Z', to: '2026-01-06T00:00:00Z', change: 'created', name: 'Roof' },
      { from: '2026-01-08T00:00:00Z', to: null, change: 'revived', name: 'Roof' },
    ]);
  });

  it('are one where nothing ever changed, from the time of its version on', async () => {
    await see(DEALS, list(DEALS, '2026-02-01T00:00:00Z', deal('2026-01-10 12:00:00')), '7');
    expect(await states('name')).toEqual([{ from: '2026-01-10T11:00:00Z', to: null, change: null, name: 'Roof' }]);
    expect((await database.sql`select count(*)::int as count from sync.history`)[0]?.count).toBe(0);
  });

  it('of a record first read through the API begin with what was there, which is no change', async () => {
    const [a, b] = [deal('2026-01-10 12:00:00'), deal('2026-02-02 12:00:00', { name: 'Attic' })];
    await see(DEALS, list(DEALS, '2026-02-01T00:00:00Z', a), '7');
    await see(DEALS, webhook(DEALS, '2026-02-02T11:00:01Z', b, a), '7');
    expect(await states('name')).toEqual([
      { from: '2026-01-10T11:00:00Z', to: '2026-02-02T11:00:00Z', change: null, name: 'Roof' },
      { from: '2026-02-02T11:00:00Z', to: null, change: 'updated', name: 'Attic' },
    ]);
  });

  it('go by the moment of observation where the model has no version', async () => {
    const reason = 'crm.loss_reason';
    await see(reason, list(reason, '2026-02-01T00:00:00Z', { id: 3, name: 'Price' }), '3');
    await see(
      reason,
      webhook(reason, '2026-02-02T00:00:00.5Z', { id: 3, name: 'Cost' }, { id: 3, name: 'Price' }),
      '3',
    );
    expect(await states('name', 'crm_loss_reason', '3')).toEqual([
      { from: '2026-02-01T00:00:00Z', to: '2026-02-02T00:00:00.500Z', change: null, name: 'Price' },
      { from: '2026-02-02T00:00:00.500Z', to: null, change: 'updated', name: 'Cost' },
    ]);
  });

  it('never begin before the one before them, even when the API takes a version back', async () => {
    await see(DEALS, webhook(DEALS, '2026-01-10T11:00:00Z', deal('2026-01-10 12:00:00')), '7');
    await see(DEALS, webhook(DEALS, '2026-01-11T11:00:00Z', deal('2026-01-11 12:00:00', { name: 'B' })), '7');
    const settled: Observation = {
      ...(list(DEALS, '2026-01-12T00:00:00Z', deal('2026-01-09 12:00:00', { name: 'C' })) as Observation & {
        says: 'present';
      }),
      whole: true,
      settling: true,
    };
    await see(DEALS, settled, '7');
    expect(await states('name')).toEqual([
      { from: '2026-01-10T11:00:00Z', to: '2026-01-11T11:00:00Z', change: 'created', name: 'Roof' },
      { from: '2026-01-11T11:00:00Z', to: '2026-01-11T11:00:00Z', change: 'updated', name: 'B' },
      { from: '2026-01-11T11:00:00Z', to: null, change: 'updated', name: 'C' },
    ]);
  });

  it('have the whole record of their time, whatever the names of its fields were then and are now', async () => {
    const account = 'crm.account';
    const lower = { id: 5, name: 'A', vat: '1', cf_9: 'red', updated_date: '2026-01-01 10:00:00' };
    const upper = { id: 5, name: 'B', VAT: '2', cf_9: 'blue', updated_date: '2026-01-02 10:00:00' };
    const named = { id: 5, name: 'C', vat: '2', cf_colour: 'blue', updated_date: '2026-01-03 10:00:00' };
    const shape = { fields: findModel(account)?.fields ?? {}, aliases: new Map([['cf_colour', 'cf_9']]) };
    const known = { ...context, shapeOf: () => shape };
    await database.sql`
      insert into flowlu.customfields_fields (id, alias, module, model, _record, _observed_at, _source, _hash)
      values (9, 'colour', 'crm', 'account', '{}', now(), 'api', gen_random_uuid())`;
    for (const [index, record] of [lower, upper, named].entries()) {
      const observation = list(account, `2026-01-0${index + 4}T00:00:00Z`, record);
      await transact(database.sql, (tx) =>
        writeAlone(tx, [{ table: tableOf(account), entityId: '5', observation }], known),
      );
    }
    expect(await states('vat, _record as record', 'crm_account', '5')).toMatchObject([
      { vat: '1', record: { ...lower } },
      { vat: '2', record: { id: 5, name: 'B', vat: '2', cf_colour: 'blue' } },
      { vat: '2', record: named },
    ]);
    const [first] = await states('_record as record', 'crm_account', '5');
    expect(Object.keys((first as unknown as { record: JsonObject }).record).sort()).toEqual(Object.keys(lower).sort());
  });

  it('of a model that nobody knew have their record', async () => {
    const name = 'new.thing';
    await see(name, list(name, '2026-02-01T00:00:00Z', { id: 1, a: 1 }), '1');
    await see(name, webhook(name, '2026-02-02T00:00:00Z', { id: 1, a: 2 }, { id: 1, a: 1 }), '1');
    await see('new.other', list('new.other', '2026-02-03T00:00:00Z', { id: 1, b: 1 }), '1');
    const rows = await database.sql`
      select module, model, id, valid_from, _record from flowlu_history.uncatalogued where model = 'thing' order by valid_from`;
    expect(rows.map(({ _record, valid_from }) => [time(valid_from), _record])).toEqual([
      ['2026-02-01T00:00:00Z', { id: 1, a: 1 }],
      ['2026-02-02T00:00:00Z', { id: 1, a: 2 }],
    ]);
  });

  it('are right without the months that retention took away, back to the state that the oldest change ended', async () => {
    const [a, b, c] = ['01', '02', '03'].map((day) => deal(`2026-01-${day} 12:00:00`, { name: `Of ${day}` })) as [
      JsonObject,
      JsonObject,
      JsonObject,
    ];
    await see(DEALS, webhook(DEALS, '2026-01-01T11:00:00Z', a), '7');
    await see(DEALS, webhook(DEALS, '2026-01-02T11:00:00Z', b, a), '7');
    await see(DEALS, webhook(DEALS, '2026-01-03T11:00:00Z', c, b), '7');
    await database.sql`delete from sync.history where number < (select max(number) from sync.history)`;
    expect(await states('name')).toEqual([
      { from: '2026-01-02T11:00:00Z', to: '2026-01-03T11:00:00Z', change: null, name: 'Of 02' },
      { from: '2026-01-03T11:00:00Z', to: null, change: 'updated', name: 'Of 03' },
    ]);
    await database.sql`delete from sync.history`;
    expect(await states('name')).toEqual([{ from: '2026-01-03T11:00:00Z', to: null, change: null, name: 'Of 03' }]);
  });

  it('begin anew after a time in which changes were not kept', async () => {
    const [a, b, c, d] = ['01', '02', '03', '04'].map((day) =>
      deal(`2026-01-${day} 12:00:00`, { name: `Of ${day}` }),
    ) as [JsonObject, JsonObject, JsonObject, JsonObject];
    await see(DEALS, webhook(DEALS, '2026-01-01T11:00:00Z', a), '7');
    await see(DEALS, webhook(DEALS, '2026-01-02T11:00:00Z', b, a), '7');
    const settings = { timezone: 'Europe/Berlin', keeps: false };
    await noteHistorySettings(database.sql, settings);
    await see(DEALS, webhook(DEALS, '2026-01-03T11:00:00Z', c, b), '7', false);
    await noteHistorySettings(database.sql, settings);
    await noteHistorySettings(database.sql, { ...settings, keeps: true });
    await noteHistorySettings(database.sql, { ...settings, keeps: true });
    await see(DEALS, webhook(DEALS, '2026-01-04T11:00:00Z', d, c), '7');
    expect(await states('name')).toEqual([
      { from: '2026-01-03T11:00:00Z', to: '2026-01-04T11:00:00Z', change: null, name: 'Of 03' },
      { from: '2026-01-04T11:00:00Z', to: null, change: 'updated', name: 'Of 04' },
    ]);
    expect((await database.sql`select count(*)::int as count from flowlu_history.changes`)[0]?.count).toBe(3);
  });

  it('of one record are found by its id alone', async () => {
    await database.sql`
      insert into flowlu.crm_lead (id, _record, _observed_at, _source, _hash)
      select n, '{}', now(), 'api', gen_random_uuid() from generate_series(1, 20000) n`;
    await database.sql`
      insert into sync.history (recorded_at, model, entity_id, change, observed_at, path, before, prior_observed_at)
      select now(), 'crm.lead', n % 20000, 'updated', now(), 'webhook', '{"name":"x"}', now() from generate_series(1, 40000) n`;
    await database.sql`analyze sync.history, flowlu.crm_lead`;
    const plan = await database.sql`explain (verbose) select * from flowlu_history.crm_lead where id = 4711`;
    const lines = plan.map((row) => String(row['QUERY PLAN']));
    // Reading an empty month costs nothing.
    expect(
      lines.filter(
        (line) => /Seq Scan on (sync\.history|flowlu\.crm_lead)/.test(line) && !/cost=0\.00\.\.0\.00/.test(line),
      ),
    ).toEqual([]);
    // Calls that the planner could not put its own expressions in place of would be slow.
    expect(lines.join('\n')).not.toMatch(/flowlu_history\.(to_whole|to_decimal|to_flag|to_day|digits)/);
  });
});

describe('changes', () => {
  it('are listed with what went and what came, as a whole and by field', async () => {
    const [a, b] = [deal('2026-01-10 12:00:00'), deal('2026-02-02 12:00:00', { name: 'Attic', cf_1: [2] })];
    await see(DEALS, list(DEALS, '2026-02-01T00:00:00Z', a), '7');
    await see(DEALS, webhook(DEALS, '2026-02-02T11:00:01Z', b, a), '7');
    const [change] = await database.sql`select * from flowlu_history.changes where model = 'crm.lead' and id = 7`;
    expect(change).toMatchObject({
      change: 'updated',
      changed_at: new Date('2026-02-02T11:00:00Z'),
      observed_at: new Date('2026-02-02T11:00:01Z'),
      path: 'webhook',
      before: { name: 'Roof', cf_1: null, updated_date: '2026-01-10 12:00:00' },
      after: { name: 'Attic', cf_1: [2], updated_date: '2026-02-02 12:00:00' },
    });
    const fields = await database.sql`
      select field, old_value, new_value from flowlu_history.field_changes where id = 7 and field <> 'updated_date' order by field`;
    expect([...fields]).toEqual([
      { field: 'cf_1', old_value: null, new_value: '[2]' },
      { field: 'name', old_value: 'Roof', new_value: 'Attic' },
    ]);
  });
});

describe('the states of deals', () => {
  const kept = () =>
    database.sql`select entity_id, place, valid_from, valid_to, entered_at, enters_exactly, ends_stay, known_at, pipeline_stage_id, active, budget
                   from sync.deal_states order by entity_id, place`;

  it('kept change by change are those that the whole history gives', async () => {
    const [a, b, c, d] = [
      deal('2026-01-05 09:00:00'),
      deal('2026-01-06 09:00:00', { name: 'Attic' }),
      deal('2026-01-07 09:00:00', { name: 'Attic', pipeline_stage_id: '12' }),
      deal('2026-01-08 09:00:00', { name: 'Attic', pipeline_stage_id: '12', budget: '7.5', active: 3 }),
    ] as [JsonObject, JsonObject, JsonObject, JsonObject];
    await see(DEALS, list(DEALS, '2026-01-05T12:00:00Z', a), '7');
    await see(DEALS, webhook(DEALS, '2026-01-06T08:00:01Z', b, a), '7');
    await see(DEALS, webhook(DEALS, '2026-01-07T08:00:01Z', c, b), '7');
    await see(DEALS, webhook(DEALS, '2026-01-08T08:00:01Z', d, c), '7');
    const before = [...(await kept())];
    expect(before.map(({ pipeline_stage_id, budget, active }) => [pipeline_stage_id, budget, active])).toEqual([
      ['11', '100.00', 1],
      ['12', '100.00', 1],
      ['12', '7.5', 3],
    ]);
    await database.sql`truncate sync.deal_states`;
    await fillDealStates(database.sql);
    expect([...(await kept())]).toEqual(before);
  });

  it('count a deal that was merged into another no more from then on', async () => {
    const [a, b] = [deal('2026-01-05 09:00:00'), deal('2026-01-07 09:00:00', { merged_to_id: 8 })];
    await see(DEALS, webhook(DEALS, '2026-01-05T08:00:01Z', a), '7');
    await see(DEALS, webhook(DEALS, '2026-01-07T08:00:01Z', b, a), '7');
    const open = (at: string) =>
      database.sql`select deal_id from flowlu_history.deal_states
                    where valid_from <= ${at}::timestamptz and (valid_to > ${at}::timestamptz or valid_to is null)`;
    expect(await open('2026-01-06T00:00:00Z')).toHaveLength(1);
    expect(await open('2026-01-08T00:00:00Z')).toHaveLength(0);
  });

  it('of deals say since when they are complete: before the mirror knew any, an answer would be too low', async () => {
    const old = deal('2025-03-01 09:00:00');
    await see(DEALS, webhook(DEALS, '2026-01-05T08:00:01Z', old), '7');
    const [found] = await database.sql`
      select min(valid_from) < min(complete_since) as begins_earlier, min(complete_since)::text as since
        from flowlu_history.deal_states`;
    expect(found).toEqual({ begins_earlier: true, since: '2026-01-05 08:00:01+00' });
  });
});

describe('time in stage', () => {
  const stays = async () =>
    (
      await database.sql`
        select stage, status, entered_at, left_at, extract(epoch from duration)::float8 / 3600 as hours, entered_exactly as exactly
          from flowlu_history.time_in_stage where deal_id = 7 order by entered_at, left_at nulls last`
    ).map(({ entered_at, left_at, hours, stage, status, exactly }) => ({
      stage: stage as string,
      status: status as string,
      exactly: exactly as boolean,
      from: time(entered_at),
      to: time(left_at),
      ...(left_at === null ? {} : { hours }),
    }));

  beforeEach(async () => {
    for (const [id, name] of [
      [11, 'Lead'],
      [12, 'Offer'],
    ] as const) {
      await see('crm.pipeline_stage', list('crm.pipeline_stage', '2026-01-01T00:00:00Z', { id, name }), String(id));
    }
  });

  it('is exact to the second, over changes that are not of the stage, back again, and up to the end', async () => {
    const steps: readonly [updated: string, at: string, more: JsonObject][] = [
      ['2026-01-05 09:00:00', '2026-01-05T08:00:01Z', {}],
      ['2026-01-05 10:00:00', '2026-01-05T09:00:01Z', { budget: '5' }],
      ['2026-01-05 12:30:00', '2026-01-05T11:30:01Z', { pipeline_stage_id: '12' }],
      ['2026-01-06 12:30:00', '2026-01-06T11:30:01Z', { pipeline_stage_id: '11' }],
      ['2026-01-06 13:30:00', '2026-01-06T12:30:01Z', { pipeline_stage_id: '11', active: 3 }],
    ];
    for (const [updated, at, more] of steps) await see(DEALS, webhook(DEALS, at, deal(updated, more)), '7');
    const won = { stage: 'Lead', status: 'won', from: '2026-01-06T12:30:00Z', exactly: true };
    const before = [
      {
        stage: 'Lead',
        status: 'in progress',
        from: '2026-01-05T08:00:00Z',
        to: '2026-01-05T11:30:00Z',
        hours: 3.5,
        exactly: true,
      },
      {
        stage: 'Offer',
        status: 'in progress',
        from: '2026-01-05T11:30:00Z',
        to: '2026-01-06T11:30:00Z',
        hours: 24,
        exactly: true,
      },
      {
        stage: 'Lead',
        status: 'in progress',
        from: '2026-01-06T11:30:00Z',
        to: '2026-01-06T12:30:00Z',
        hours: 1,
        exactly: true,
      },
    ];
    expect(await stays()).toEqual([...before, { ...won, to: null }]);
    await see(DEALS, gone('2026-01-07T12:30:00Z'), '7');
    expect(await stays()).toEqual([...before, { ...won, to: '2026-01-07T12:30:00Z', hours: 24 }]);
  });

  it('says where a deal may have come into a stage earlier: before the mirror began, or unseen until a reading', async () => {
    await see(DEALS, list(DEALS, '2026-02-01T00:00:00Z', deal('2026-01-20 09:00:00')), '7');
    await see(DEALS, list(DEALS, '2026-02-03T00:00:00Z', deal('2026-02-02 09:00:00', { pipeline_stage_id: 12 })), '7');
    await see(
      DEALS,
      webhook(DEALS, '2026-02-04T00:00:00Z', deal('2026-02-03 09:00:00', { pipeline_stage_id: 11 })),
      '7',
    );
    expect((await stays()).map(({ stage, from, exactly }) => ({ stage, from, exactly }))).toEqual([
      { stage: 'Lead', from: '2026-01-20T08:00:00Z', exactly: false },
      { stage: 'Offer', from: '2026-02-02T08:00:00Z', exactly: false },
      { stage: 'Lead', from: '2026-02-03T08:00:00Z', exactly: true },
    ]);
  });

  it('is exact from the beginning where nothing happened to a deal since its creation', async () => {
    await see(DEALS, list(DEALS, '2026-02-01T00:00:00Z', deal('2026-01-05 09:00:00')), '7');
    expect(await stays()).toMatchObject([{ from: '2026-01-05T08:00:00Z', to: null, exactly: true }]);
  });
});

describe('the reader role', () => {
  it('reads the past, and nothing of the ledger that it stands on', async () => {
    await see(DEALS, webhook(DEALS, '2026-01-05T08:00:01Z', deal('2026-01-05 09:00:00')), '7');
    await see(
      DEALS,
      webhook(DEALS, '2026-01-06T08:00:01Z', deal('2026-01-06 09:00:00', { budget: 7, start_date: '2026-01-01' })),
      '7',
    );
    const outcome = await database.sql.begin(async (tx) => {
      await tx`set local role flowlu_reader`;
      const all = await tx`select * from flowlu_history.crm_lead where id = 7`;
      const others = await tx`
        select (select count(*) from flowlu_history.changes)::int as changes,
               (select count(*) from flowlu_history.time_in_stage)::int as stays,
               (select count(*) from flowlu_history.uncatalogued)::int as unknown`;
      const denied = await tx.savepoint((inner) => inner`select * from sync.history`).catch((error) => error.code);
      return { states: all.length, ...others[0], denied };
    });
    expect(outcome).toEqual({ states: 2, changes: 2, stays: 1, unknown: 0, denied: '42501' });
  });
});
