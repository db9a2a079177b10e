import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RebuildObserver, rebuild } from '../../src/maintain/rebuild-all.ts';
import { createZone } from '../../src/record/zone.ts';
import { compareWithSource } from '../simulator/compare.ts';
import { type Mirror, never, startMirror } from '../support/mirror.ts';

const ROWS = 620;
let mirror: Mirror;

beforeAll(async () => {
  mirror = await startMirror({ rowsPerModel: { 'crm.account': ROWS, 'crm.source': 5 } });
  await mirror.fill('crm.account', 'crm.source');
});
afterAll(() => mirror.close());

const silent: RebuildObserver = { modelStarted: () => {}, modelAdvanced: () => {}, modelFinished: () => {} };

async function rebuilt(names: readonly string[], zone = 'UTC', onStep = () => {}) {
  const { sql, context } = mirror;
  const report = await rebuild(
    { sql, context: { ...context, zone: createZone(zone) }, holder: 'test' },
    {
      models: names.map(mirror.model),
      includeUnknown: true,
      observer: { ...silent, modelAdvanced: onStep },
      signal: never,
    },
  );
  return report.models;
}

const digest = async (table: string) =>
  (
    await mirror.sql.unsafe(
      `select md5(string_agg(t::text || t.xmin::text || t.xmax::text, '' order by id)) as d from ${table} t`,
    )
  )[0]?.d;

describe('rebuild', () => {
  it('writes and locks nothing where the columns are right', async () => {
    const before = await digest('flowlu.crm_account');
    expect(await rebuilt(['crm.account'])).toEqual([{ model: 'crm.account', rows: ROWS, rewritten: 0, moved: 0 }]);
    expect(await digest('flowlu.crm_account')).toBe(before);
  });

  it('re-derives typed columns, version and hash from the record, of deleted rows too, and leaves the rest', async () => {
    const { sql } = mirror;
    const content = `select md5(string_agg(t::text, '' order by id)) as d from flowlu.crm_account t`;
    const before = (await sql.unsafe(content))[0]?.d;
    await sql`update flowlu.crm_account set phone = null, type = 77, _version = null where id % 3 = 0`;
    await sql`update flowlu.crm_account set created_date = '2001-01-01' where id % 7 = 0`;
    await sql`update flowlu.crm_account set _hash = gen_random_uuid() where id % 11 = 0`;
    const [damaged] = await sql`
      select count(*)::int as rows from flowlu.crm_account where id % 3 = 0 or id % 7 = 0 or id % 11 = 0`;
    expect(await rebuilt(['crm.account'])).toMatchObject([{ rewritten: damaged?.rows, rows: ROWS }]);
    expect((await sql.unsafe(content))[0]?.d).toBe(before);
    expect(await rebuilt(['crm.account'])).toMatchObject([{ rewritten: 0 }]);
  });

  it('follows another time zone, there and back', async () => {
    const { sql } = mirror;
    const versions = () => sql`select _version as v, created_date as c from flowlu.crm_account order by id limit 3`;
    const before = await versions();
    await rebuilt(['crm.account'], 'Asia/Tokyo');
    const moved = await versions();
    const nineHours = 9 * 3_600_000;
    expect(moved.map(({ v, c }) => [v.getTime() + nineHours, c.getTime() + nineHours])).toEqual(
      before.map(({ v, c }) => [v.getTime(), c.getTime()]),
    );
    await rebuilt(['crm.account']);
    expect(await versions()).toEqual(before);
  });

  it('keeps up with webhooks that arrive meanwhile', async () => {
    const { sql } = mirror;
    const { portal } = mirror.portal;
    await sql`update flowlu.crm_account set phone = 'wrong'`;
    const ids = [...portal.rows('crm.account')].map(({ id }) => String(id));
    const deliveries: Promise<unknown>[] = [];
    const changes = ids.filter((_, index) => index % 4 === 0);
    const onStep = () =>
      deliveries.push(mirror.deliver(...changes.splice(0, 60).map((id) => portal.update('crm.account', id))));
    onStep();
    await rebuilt(['crm.account'], 'UTC', onStep);
    await Promise.all(deliveries);
    expect(await rebuilt(['crm.account'])).toMatchObject([{ rewritten: 0 }]);
    expect((await compareWithSource(mirror.database.url, portal, ['crm.account'])).differences).toEqual([]);
  });

  it('moves rows of models that the catalogue knows now into their tables; the newer of two wins', async () => {
    const { sql } = mirror;
    const put = (model: string, id: string, record: object, age: string) => sql`
      insert into flowlu.uncatalogued (module, model, id, _record, _observed_at, _source, _hash)
      values ('crm', ${model}, ${id}, ${JSON.stringify(record)}, clock_timestamp() - ${age}::interval, 'webhook', gen_random_uuid())`;
    const [held, kept] = await sql`select id::text as id, name from flowlu.crm_source order by id limit 2`;
    await put('source', '9001', { id: 9001, name: 'came before the catalogue' }, '1 hour');
    await put('source', held?.id, { id: Number(held?.id), name: 'learnt later' }, '0');
    await put('source', kept?.id, { id: Number(kept?.id), name: 'learnt earlier' }, '1 hour');
    await put('not_known', '1', { id: 1, updated_date: '2026-01-01 12:00:00' }, '1 hour');
    const models = await rebuilt(['crm.source'], 'Asia/Tokyo');
    expect(models).toMatchObject([
      { model: 'crm.source', rows: 6, moved: 3 },
      { model: 'crm.not_known', rows: 1, rewritten: 1, moved: 0 },
    ]);
    const rows =
      await sql`select id::text as id, name from flowlu.crm_source where id in (9001, ${held?.id}, ${kept?.id}) order by id`;
    expect(rows.map(({ name }) => name)).toEqual(['learnt later', kept?.name, 'came before the catalogue']);
    const left = await sql`select model, _version from flowlu.uncatalogued`;
    expect([...left]).toEqual([{ model: 'not_known', _version: new Date('2026-01-01T03:00:00Z') }]);
    const doubts =
      await sql`select entity_id::text as id from sync.doubtful where model = 'crm.source' order by entity_id`;
    expect(doubts.map(({ id }) => id)).toEqual([held?.id, kept?.id]);
  });
});
