/** Single scenes of sweeps: what they may suspect, what buries a row, and what they leave untouched. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { lockRows } from '../../src/mirror-rows/rows.ts';
import { transaction } from '../../src/postgres/connection.ts';
import { clearDoubts, doubtFacts, doubtSuspects, raiseDoubts, UNLISTED } from '../../src/store/doubts.ts';
import { explain } from '../../src/story/explain.ts';
import { CUSTOM_FIELDS } from './species.ts';
import { openStage, type Stage } from './stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage('crm.account');
});
beforeEach(() => stage.renew());
afterAll(() => stage.close());

const bearMany = (count: number) => Array.from({ length: count }, (_, index) => stage.bear(index + 1));

async function counts(): Promise<{ live: number; deleted: number; doubtful: number }> {
  const [row] = await stage.database.sql`
    select count(*) filter (where _deleted_at is null)::int as live,
           count(*) filter (where _deleted_at is not null)::int as deleted,
           (select count(*)::int from sync.doubtful) as doubtful
      from flowlu.crm_account`;
  return row as unknown as { live: number; deleted: number; doubtful: number };
}

const places = () =>
  stage.database.sql`select id::text, ctid::text, xmin::text, xmax::text from flowlu.crm_account order by 1`;

describe('rows that a complete sweep does not come across', () => {
  it('are asked for one by one, and buried only where the portal says that they are gone', async () => {
    const beings = bearMany(12);
    await stage.sweep();
    for (const being of beings.slice(0, 3)) stage.bury(being);
    await stage.clock.advance(5);
    // Rows 3, 6, 9 and 12 are hidden from lists; of these, 3 is really gone.
    stage.source().fault = 'hidden';
    const { models } = await stage.sweep();
    expect(models[0]).toMatchObject({ outcome: 'complete', suspects: 6, guarded: null });
    expect(await counts()).toEqual({ live: 12, deleted: 0, doubtful: 6 });
    expect(await stage.settle()).toEqual({ settled: 6, open: 0 });
    expect(await counts()).toEqual({ live: 9, deleted: 3, doubtful: 0 });
  });

  it('stay live and doubtful while the portal refuses to tell', async () => {
    bearMany(6);
    await stage.sweep();
    await stage.clock.advance(5);
    stage.source().fault = 'hidden and denied';
    await stage.sweep();
    expect(await stage.settle()).toEqual({ settled: 0, open: 2 });
    expect(await counts()).toEqual({ live: 6, deleted: 0, doubtful: 2 });
    // The portal reads the others singly, so however long these are not listed, they are hidden and not gone; and named.
    await stage.clock.advance(4_000);
    await stage.sweep();
    expect(await counts()).toEqual({ live: 6, deleted: 0, doubtful: 2 });
    await stage.settle();
    const { hidden } = await doubtFacts(stage.database.sql);
    expect(hidden).toEqual([{ model: 'crm.account', ids: expect.stringMatching(/^\d+, \d+$/) }]);
  });

  it('are looked into a few at a time when they are more than the guard lets pass, until a person confirms their number', async () => {
    const beings = bearMany(100);
    await stage.sweep();
    for (const being of beings.slice(40, 61)) stage.bury(being);
    await stage.clock.advance(5);
    const guarded = await stage.sweep();
    expect(guarded.status).toBe('differences');
    expect(guarded.models[0]?.guarded).toContain('--allow-deletes 21');
    expect(await counts()).toEqual({ live: 100, deleted: 0, doubtful: 20 });

    expect((await stage.sweep({ allowDeletes: 20 })).models[0]?.guarded).not.toBeNull();
    const confirmed = await stage.sweep({ allowDeletes: 21 });
    expect(confirmed.status).toBe('done');
    await stage.settle();
    expect(await counts()).toEqual({ live: 79, deleted: 21, doubtful: 0 });
  });

  it('are asked for at once where webhooks alone have reported them, and hold up nothing that is really gone', async () => {
    const beings = bearMany(100);
    await stage.sweep();
    stage.bury(beings[0] as (typeof beings)[number]);
    for (let id = 5_001; id <= 5_030; id += 1) {
      const invented = stage.bear(id);
      await stage.deliver(stage.rename(invented, 'Nobody'));
      stage.bury(invented);
    }
    await stage.clock.advance(5);
    expect((await stage.sweep()).models[0]).toMatchObject({ suspects: 31, guarded: null });
    await stage.settle();
    expect(await counts()).toEqual({ live: 99, deleted: 31, doubtful: 0 });
  });

  it('go in the end without a person, those beyond the guard twenty with each sweep', async () => {
    const beings = bearMany(100);
    await stage.sweep();
    for (const being of beings.slice(0, 50)) stage.bury(being);
    const left: number[] = [];
    for (let sweep = 0; sweep < 3; sweep += 1) {
      await stage.clock.advance(5);
      await stage.sweep();
      await stage.settle();
      left.push((await counts()).live);
    }
    expect(left).toEqual([80, 60, 50]);
  });

  it('are asked for by nobody where they are more than half: the list is doubted, not its rows, until a person confirms it', async () => {
    const beings = bearMany(60);
    await stage.sweep();
    const held = async () =>
      (await stage.database.sql`select rows_held::int as held from sync.listings where kind = 'sweep'`)[0]?.held;
    for (const being of beings.slice(0, 31)) stage.bury(being);
    for (let sweep = 0; sweep < 2; sweep += 1) {
      await stage.clock.advance(5);
      const { models } = await stage.sweep();
      expect(models[0]).toMatchObject({
        suspects: 31,
        guarded: expect.stringContaining('31 of 60 rows were not listed, more than half'),
      });
      await stage.settle();
      expect([await counts(), await held()]).toEqual([{ live: 60, deleted: 0, doubtful: 0 }, 31]);
    }
    await stage.clock.advance(5);
    await stage.sweep({ allowDeletes: 31 });
    await stage.settle();
    expect([await counts(), await held()]).toEqual([{ live: 29, deleted: 31, doubtful: 0 }, 0]);
  });

  it('are looked into without a person when they are few, or few of many', async () => {
    const beings = bearMany(211);
    await stage.sweep();
    for (const being of beings.slice(0, 21)) stage.bury(being);
    await stage.clock.advance(5);
    expect((await stage.sweep()).models[0]).toMatchObject({ suspects: 21, guarded: null });
  });

  it('are beyond suspicion when the mirror learnt of them after the listing was asked for', async () => {
    bearMany(3);
    await stage.sweep();
    await stage.clock.advance(5);
    const late = stage.bear(9);
    stage.bury(late);
    // The webhook of a record arrives while the page that lacks it is on its way.
    const { models } = await stage.sweep({
      async onPage() {
        late.alive = true;
        await stage.deliver(stage.rename(late, 'new'));
      },
    });
    expect(models[0]).toMatchObject({ outcome: 'complete', suspects: 0 });
    expect(await counts()).toEqual({ live: 4, deleted: 0, doubtful: 0 });
  });

  it('become doubtful without a deadlock while a page raises one of their doubts and clears another', async () => {
    bearMany(5);
    await stage.sweep();
    const { sql } = stage.replica;
    await sql`insert into sync.suspects (model, entity_id) values ('crm.account', 1), ('crm.account', 5)`;
    const doubt = (entityId: string) => ({ model: 'crm.account', entityId, reason: 'test' });
    await transaction(sql, {}, (tx) => raiseDoubts(tx, [doubt('1')]));
    const table = { name: stage.model.name, model: stage.model };
    let suspecting: Promise<void> = Promise.resolve();
    await transaction(sql, {}, async (tx) => {
      await lockRows(tx, table, ['1', '5']);
      await raiseDoubts(tx, [doubt('5')]);
      suspecting = transaction(sql, {}, (other) => doubtSuspects(other, stage.model, UNLISTED));
      suspecting.catch(() => {});
      await expect
        .poll(async () => {
          const [row] = await stage.database.sql`select count(*)::int as waiting from pg_locks where not granted`;
          return row?.waiting;
        })
        .toBeGreaterThan(0);
      await clearDoubts(tx, [{ model: 'crm.account', entityId: '1', observedAt: Date.parse('2030-01-01') * 1_000 }]);
    });
    await suspecting;
    expect(await counts()).toEqual({ live: 5, deleted: 0, doubtful: 2 });
  });
});

describe('rows that agree with the list', () => {
  it('are neither written nor locked, although they hold more than it tells', async () => {
    const being = stage.bear(1);
    await stage.sweep();
    await stage.clock.advance(1);
    const told = JSON.parse(stage.rename(being, 'B')) as { current: object };
    await stage.deliver(JSON.stringify({ ...told, current: { ...told.current, told_by_webhooks_only: 'x' } }));
    await stage.clock.advance(5);
    await stage.sweep();
    const before = await places();
    const [row] = await stage.database.sql`select _record ? 'told_by_webhooks_only' as more from flowlu.crm_account`;
    expect(row?.more).toBe(true);
    await stage.clock.advance(5);
    expect((await stage.sweep()).models[0]?.counts).toMatchObject({ read: 1, written: 0, unchanged: 1 });
    expect(await places()).toEqual(before);
  });

  it('that were told under a name not known then are left with one name each once it is known', async () => {
    const being = stage.bear(1);
    await stage.deliver(stage.rename(being, 'B'));
    await stage.clock.advance(5);
    await stage.sweep();
    const record = async () => {
      const [row] = await stage.database
        .sql`select _record ? 'cf_region' as alias, _record ? 'cf_3' as id from flowlu.crm_account`;
      return row;
    };
    expect(await record()).toEqual({ alias: true, id: true });
    const meta = { module: 'customfields', model: 'fields', action: 'create' };
    await stage.deliver(JSON.stringify({ meta, current: CUSTOM_FIELDS[0], previous: null }));
    await stage.replica.shapes.refresh(stage.replica.sql);
    await stage.clock.advance(5);
    await stage.sweep();
    expect(await record()).toEqual({ alias: false, id: true });
    expect((await stage.sweep()).models[0]?.counts).toMatchObject({ read: 1, written: 0 });
  });
});

describe('rows that the portal does not read singly', () => {
  it('go when two complete sweeps, an hour apart, do not list them, and not before', async () => {
    const beings = bearMany(12);
    await stage.sweep();
    for (const being of beings.slice(0, 3)) stage.bury(being);
    stage.source().fault = 'listed only';
    for (const seconds of [5, 600]) {
      await stage.clock.advance(seconds);
      await stage.sweep();
      await stage.settle();
      expect(await counts()).toEqual({ live: 12, deleted: 0, doubtful: 3 });
    }
    // One of them is listed again: it was no deletion.
    (beings[0] as (typeof beings)[number]).alive = true;
    await stage.clock.advance(3_600);
    await stage.sweep();
    expect(await counts()).toEqual({ live: 10, deleted: 2, doubtful: 0 });
  });

  it('stay where the guard objects, however often they are not listed', async () => {
    const beings = bearMany(100);
    await stage.sweep();
    stage.source().fault = 'listed only';
    for (const being of beings.slice(0, 30)) stage.bury(being);
    for (let turn = 0; turn < 3; turn += 1) {
      await stage.clock.advance(4_000);
      expect((await stage.sweep()).status).toBe('differences');
      await stage.settle();
    }
    expect((await counts()).live).toBe(100);
  });
});

describe('rows of a model that the portal says it lacks', () => {
  /** Webhooks about records that the portal does not have. */
  const invent = async (...ids: readonly number[]) => {
    for (const id of ids) {
      const being = stage.bear(id);
      await stage.deliver(stage.rename(being, 'invented'));
      stage.bury(being);
    }
  };
  const look = async (after_s: number) => {
    await stage.clock.advance(after_s);
    const round = await stage.catchUp();
    await stage.settle();
    return round;
  };

  it.each(['absent', 'no path'] as const)(
    'go when list and record have said so twice, an hour apart, and no reading ever brought one: %s',
    async (fault) => {
      await invent(1, 2, 3);
      stage.source().fault = fault;
      expect((await look(5)).models[0]).toMatchObject({ outcome: 'skipped' });
      await look(1_800);
      expect(await counts()).toEqual({ live: 3, deleted: 0, doubtful: 3 });
      await invent(4);
      await look(1_801);
      expect(await counts()).toEqual({ live: 1, deleted: 3, doubtful: 1 });
      await look(3_700);
      expect(await counts()).toEqual({ live: 0, deleted: 4, doubtful: 0 });
      const { sql } = stage.replica;
      const [row] = await sql`select vat as name, _source from flowlu.crm_account where id = 1`;
      expect(row).toEqual({ name: 'invented', _source: 'api' });
      const table = { name: stage.model.name, model: stage.model };
      const { row: told } = await explain(sql, table, '1', stage.model);
      expect(told?.deleted_because).toContain('that it has no such model');
    },
  );

  it('come back with the model', async () => {
    await invent(1, 2);
    stage.source().fault = 'absent';
    for (const after_s of [5, 3_700]) await look(after_s);
    expect(await counts()).toEqual({ live: 0, deleted: 2, doubtful: 0 });
    stage.source().fault = 'none';
    for (const being of stage.source().beings.get('crm.account') ?? []) being.alive = being.id === 1;
    await look(3_700);
    expect(await counts()).toEqual({ live: 1, deleted: 1, doubtful: 0 });
  });

  it('are asked for singly: what the portal reads stays, is confirmed and not asked for again, the others go at once', async () => {
    const [real] = bearMany(1);
    await stage.deliver(stage.rename(real as NonNullable<typeof real>, 'real'));
    await invent(2, 3);
    stage.source().fault = 'unlisted';
    await look(65);
    expect(await counts()).toEqual({ live: 1, deleted: 2, doubtful: 0 });
    // Whatever the portal says later, one reading has brought this model.
    stage.source().fault = 'absent';
    await invent(4);
    for (const after_s of [5, 3_700, 3_700]) await look(after_s);
    expect(await counts()).toEqual({ live: 2, deleted: 2, doubtful: 1 });
  });

  it('stay where the model was listed once, and where a right is missing', async () => {
    const [real] = bearMany(1);
    stage.source().fault = 'denied';
    await stage.deliver(stage.rename(real as NonNullable<typeof real>, 'real'));
    for (const after_s of [5, 3_700, 3_700]) await look(after_s);
    expect(await counts()).toEqual({ live: 1, deleted: 0, doubtful: 0 });
    stage.source().fault = 'none';
    await look(5);
    stage.source().fault = 'absent';
    await invent(2);
    for (const after_s of [5, 3_700, 3_700]) {
      await look(after_s);
      await stage.sweep();
      await stage.settle();
    }
    expect(await counts()).toEqual({ live: 2, deleted: 0, doubtful: 0 });
  });

  it('are asked for some thousand at a time', async () => {
    await stage.database.sql`
      insert into flowlu.crm_account (id, _record, _observed_at, _source, _hash)
      select id, jsonb_build_object('id', id), pg_catalog.clock_timestamp() - interval '1 day', 'webhook', gen_random_uuid()
        from generate_series(1, 2100) as id`;
    stage.source().fault = 'absent';
    await stage.clock.advance(5);
    await stage.catchUp();
    expect(await counts()).toEqual({ live: 2_100, deleted: 0, doubtful: 2_000 });
  });
});
