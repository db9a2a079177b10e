/** Both switches of the portal's zone, through webhooks, sweep and incremental catch-up; and another zone in the settings. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { rebuildTable } from '../../src/maintain/rebuild.ts';
import { never } from '../support/mirror.ts';
import { openStage, type Stage } from './stage.ts';
import { createReplica } from './world.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage('crm.lead');
});
beforeEach(() => stage.empty());
afterAll(() => stage.close());

async function held(id: number): Promise<{ name: string; wall: string; doubtful: boolean }> {
  const [row] = await stage.database.sql`
    select name, _record->>'updated_date' as wall,
           exists (select from sync.doubtful where model = 'crm.lead' and entity_id = id) as doubtful
      from flowlu.crm_lead where id = ${id}`;
  return row as unknown as { name: string; wall: string; doubtful: boolean };
}

describe('when the clock is set back and an hour comes twice', () => {
  it('a webhook of the second course follows one of the first, although it is dated earlier', async () => {
    await stage.at('2026-10-25T00:20:00Z');
    const being = stage.bear(1);
    await stage.sweep();
    await stage.at('2026-10-25T00:50:00Z');
    const first = stage.rename(being, 'at 02:50, before');
    await stage.deliver(first);
    await stage.at('2026-10-25T01:10:00Z');
    const second = stage.rename(being, 'at 02:10, after');
    await stage.deliver(second);
    expect(await held(1)).toEqual({ name: 'at 02:10, after', wall: '2026-10-25 02:10:00', doubtful: false });
  });

  it('a sweep brings a change of the second course whose webhook was lost', async () => {
    await stage.at('2026-10-25T00:50:00Z');
    const being = stage.bear(1);
    await stage.sweep();
    await stage.at('2026-10-25T01:10:00Z');
    stage.rename(being, 'at 02:10, after');
    await stage.clock.advance(5);
    await stage.sweep();
    expect((await held(1)).name).toBe('at 02:10, after');
  });

  it('a webhook of the first course that comes late and fits nowhere is not believed unseen', async () => {
    await stage.at('2026-10-25T00:20:00Z');
    const being = stage.bear(1);
    await stage.at('2026-10-25T00:50:00Z');
    const late = stage.rename(being, 'at 02:50, before');
    await stage.at('2026-10-25T01:10:00Z');
    stage.rename(being, 'on the way');
    stage.rename(being, 'at 02:10, after');
    await stage.sweep();
    await stage.deliver(late);
    expect(await held(1)).toEqual({ name: 'at 02:10, after', wall: '2026-10-25 02:10:00', doubtful: true });
  });

  it('incremental catch-up finds the second course behind a full page of the first', async () => {
    await stage.at('2026-10-01T12:00:00Z');
    stage.bear(31);
    await stage.at('2026-10-25T00:50:00Z');
    const being = stage.bear(1);
    for (let id = 2; id <= 30; id += 1) stage.bear(id);
    await stage.catchUp();
    await stage.at('2026-10-25T01:05:00Z');
    stage.rename(being, 'at 02:05, after');
    // A portal that ignores date filters, which the old row gives away; so newest first is the way.
    stage.source().ignoresIntervals = true;
    await stage.clock.advance(5);
    const { models } = await stage.catchUp();
    expect(models.map(({ way }) => way)).toEqual(['newest']);
    expect((await held(1)).name).toBe('at 02:05, after');
  });

  it('what comes after the repeated hour is newer than all of it, and nothing of it overrules that', async () => {
    await stage.at('2026-10-25T00:50:00Z');
    const being = stage.bear(1);
    await stage.sweep();
    await stage.at('2026-10-25T01:30:00Z');
    const within = stage.rename(being, 'at 02:30, after');
    await stage.at('2026-10-25T02:00:00Z');
    const beyond = stage.rename(being, 'at 03:00');
    await stage.deliver(beyond, within);
    expect(await held(1)).toEqual({ name: 'at 03:00', wall: '2026-10-25 03:00:00', doubtful: false });
  });
});

describe('when the clock is set ahead and an hour is missing', () => {
  it('changes of both sides are ordered, whatever order their webhooks come in', async () => {
    await stage.at('2026-03-29T00:59:59Z');
    const being = stage.bear(1);
    const before = stage.rename(being, 'at 01:59:59');
    await stage.at('2026-03-29T01:00:00Z');
    const after = stage.rename(being, 'at 03:00:00');
    await stage.deliver(after, before);
    expect(await held(1)).toEqual({ name: 'at 03:00:00', wall: '2026-03-29 03:00:00', doubtful: false });
    const [row] = await stage.database.sql`select _version = '2026-03-29T01:00:00Z' as exact from flowlu.crm_lead`;
    expect(row?.exact).toBe(true);
  });

  it('incremental catch-up goes on across the switch', async () => {
    await stage.at('2026-03-29T00:58:00Z');
    const being = stage.bear(1);
    await stage.catchUp();
    await stage.at('2026-03-29T01:01:00Z');
    stage.rename(being, 'at 03:01');
    await stage.clock.advance(5);
    await stage.catchUp();
    expect((await held(1)).name).toBe('at 03:01');
  });
});

describe('when the settings name another zone', () => {
  it('moments move with it, order stays, and the next sweep has nothing to write', async () => {
    await stage.at('2026-06-10T09:00:00Z');
    const being = stage.bear(1);
    const mistaken = createReplica(stage.replica.sql, 'America/New_York');
    await stage.sweep({ by: mistaken });
    const moment = async () => {
      const [row] = await stage.database.sql`
        select extract(epoch from updated_date)::float8 as column, extract(epoch from _version)::float8 as version
          from flowlu.crm_lead`;
      return row;
    };
    expect(await moment()).toEqual({
      column: stage.clock.seconds() + 6 * 3_600,
      version: stage.clock.seconds() + 6 * 3_600,
    });
    const table = { name: stage.model.name, model: stage.model };
    for await (const _ of rebuildTable(stage.replica.sql, table, stage.replica.context, never));
    expect(await moment()).toEqual({ column: stage.clock.seconds(), version: stage.clock.seconds() });

    await stage.clock.advance(60);
    const { models } = await stage.sweep();
    expect(models[0]?.counts).toMatchObject({ read: 1, written: 0 });
    await stage.deliver(stage.rename(being, 'B'));
    expect(await held(1)).toMatchObject({ name: 'B', doubtful: false });
  });

  it('rows that were not rebuilt yet are ordered by the new zone all the same', async () => {
    await stage.at('2026-06-10T09:00:00Z');
    const being = stage.bear(1);
    // East of the portal's zone: every moment came out hours too early.
    await stage.sweep({ by: createReplica(stage.replica.sql, 'Asia/Tokyo') });
    const stale = stage.rename(being, 'B');
    await stage.clock.advance(60);
    await stage.deliver(stage.rename(being, 'C'), stale);
    expect(await held(1)).toEqual({ name: 'C', wall: '2026-06-10 11:01:00', doubtful: false });
  });
});
