/** `WEBHOOK_TRUST=verify`: whoever knows the secret can make the mirror ask, and nothing more. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ensureBuilt, runCli, SECRET, type Service, type Settings, startServe } from '../chaos/processes.ts';
import { post, webhook } from '../intake/service.ts';
import { clearFaults, type Simulator, startSimulator } from '../simulator/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

const MARK = 'written by an attacker';
/** Slots lie further apart than requests are late on a busy machine: what arrives within a second tells the rate. */
const RATE = 20;

let portal: Simulator;
let db: TestDatabase;
let serve: Service;
let settings: Settings;

beforeAll(async () => {
  await ensureBuilt();
  [portal, db] = await Promise.all([startSimulator({ rowsPerModel: { 'crm.account': 30 } }), createTestDatabase()]);
  settings = {
    DATABASE_URL: db.url,
    FLOWLU_BASE_URL: portal.baseUrl,
    FLOWLU_API_KEY: portal.apiKey,
    FLOWLU_REQUESTS_PER_SECOND: String(RATE),
    RECONCILE_INTERVAL: '0',
    SWEEP_INTERVAL: '0',
  };
  expect((await runCli(['backfill', 'crm.account'], settings)).code).toBe(0);
  // Nothing that a webhook says may be in a row, not even for a moment.
  await db.sql.unsafe(`
    create table public.told (model text, record jsonb);
    create function public.tell() returns trigger language plpgsql as
      'begin if new._source = ''webhook'' then insert into public.told values (tg_table_name, new._record); end if; return new; end';
    create trigger tell before insert or update on flowlu.crm_account for each row execute function public.tell();
    create trigger tell before insert or update on flowlu.uncatalogued for each row execute function public.tell();`);
  serve = await startServe({ ...settings, WEBHOOK_TRUST: 'verify' });
  portal.webhooks.configure({ url: `${serve.url}/webhooks/flowlu/${SECRET}`, mode: 'manual' });
});
afterAll(async () => {
  await serve?.stop();
  await portal?.close();
  await db?.close();
});
beforeEach(async () => {
  clearFaults(portal.faults);
  await settled();
  portal.requests.clear();
});

const announce = (body: unknown) => post(`${serve.url}/webhooks/flowlu/${SECRET}`, body);
const settled = () =>
  eventually(
    async () => (await db.sql`select count(*)::int as n from sync.doubtful`)[0]?.n as number,
    (n) => n === 0,
    20_000,
  );
const rowOf = async (id: unknown) =>
  (
    await db.sql`select id::text as id, name, _deleted_at is null as live from flowlu.crm_account where id = ${String(id)}`
  )[0];
const someId = () => String([...portal.portal.rows('crm.account')][3]?.id);

async function expectNothingTold(): Promise<void> {
  expect(await db.sql`select * from public.told`).toEqual([]);
  expect(await db.sql`select id from flowlu.crm_account where _record::text like ${`%${MARK}%`}`).toEqual([]);
}

describe('what is honest', () => {
  it('arrives: creations, updates and deletions, each after the API was asked', async () => {
    const created = portal.portal.create('crm.account', { name: 'Honest Ltd' });
    expect(await portal.webhooks.send(created)).toBe(200);
    const id = String(created.id);
    await eventually(
      () => rowOf(id),
      (row) => row?.name === 'Honest Ltd',
      5_000,
    );
    await portal.webhooks.send(portal.portal.update('crm.account', id, { name: 'Honest Inc' }));
    await eventually(
      () => rowOf(id),
      (row) => row?.name === 'Honest Inc',
      5_000,
    );
    await portal.webhooks.send(portal.portal.remove('crm.account', id));
    await eventually(
      () => rowOf(id),
      (row) => row?.live === false,
      5_000,
    );
    await settled();
    await expectNothingTold();
    expect(portal.requests.violations()).toEqual([]);
  });

  it('is shown in the ledger as what it was: stored, not believed by itself', async () => {
    await portal.webhooks.send(portal.portal.update('crm.account', someId(), { name: 'Once more' }));
    const [last] = await db.sql`select status, decision, reason, to_hash from sync.deliveries order by id desc limit 1`;
    expect(last).toMatchObject({ status: 'applied', decision: 'kept', to_hash: null });
    expect(last?.reason).toContain('the API is asked');
  });
});

describe('what is forged', () => {
  const updated_date = '2026-11-25 00:00:00';

  it('never reaches the mirror: neither a new row, nor another content, nor a model that nobody knows', async () => {
    const id = someId();
    const before = await rowOf(id);
    for (const body of [
      webhook('crm.account', 'update', { id, name: MARK, updated_date }, { id }),
      webhook('crm.account', 'create', { id: 999_999, name: MARK, updated_date }),
      webhook('crm.account', 'archive', { id, name: MARK }),
      webhook('evil.model', 'create', { id: 5, name: MARK }),
      webhook('core.tag', 'create', { id: 6, name: MARK }),
    ]) {
      expect((await announce(body)).status).toBe(200);
    }
    await settled();
    expect(await rowOf(id)).toEqual(before);
    expect(await rowOf(999_999)).toBeUndefined();
    await expectNothingTold();
  });

  it('deletes nothing', async () => {
    const id = someId();
    for (const previous of [{ id, updated_date }, { id }])
      await announce(webhook('crm.account', 'delete', null, previous));
    await announce(webhook('crm.account', 'delete', { id }, null));
    await settled();
    expect((await rowOf(id))?.live).toBe(true);
    await expectNothingTold();
  });

  it('is not believed later either, when the settings believe bodies again and all is replayed', async () => {
    const id = someId();
    await announce(webhook('crm.account', 'update', { id, name: MARK, updated_date }, null));
    await settled();
    // Whatever else may have become of one at the time: it could not be applied, or not be understood.
    await announce(webhook('crm.account', 'delete', null, { id, updated_date }));
    await settled();
    await db.sql`update sync.deliveries set status = case when id % 2 = 0 then 'failed' else 'pending' end, decision = null`;
    await serve.stop();
    const replayed = await runCli(['replay', '--since', '1h'], settings);
    serve = await startServe({ ...settings, WEBHOOK_TRUST: 'verify' });
    portal.webhooks.configure({ url: `${serve.url}/webhooks/flowlu/${SECRET}`, mode: 'manual' });
    await settled();
    expect(replayed.code, replayed.output).toBe(0);
    await expectNothingTold();
    expect((await rowOf(id))?.live).toBe(true);
  });
});

describe('a flood of hints', () => {
  it('about one record costs a few requests', async () => {
    const id = someId();
    const body = webhook('crm.account', 'update', { id, name: MARK });
    await Promise.all(Array.from({ length: 400 }, () => announce(body)));
    await settled();
    expect(portal.requests.total()).toBeGreaterThan(0);
    expect(portal.requests.total()).toBeLessThan(100);
  });

  it('about many records keeps to the budget of requests, asks once for each, and an honest one still arrives', async () => {
    const forged = Array.from({ length: 200 }, (_, n) =>
      webhook('crm.account', 'create', { id: 700_000 + n, name: MARK }),
    );
    await Promise.all(forged.map(announce));
    const honest = portal.portal.update('crm.account', someId(), { name: 'In the flood' });
    await portal.webhooks.send(honest);
    await eventually(
      () => rowOf(someId()),
      (row) => row?.name === 'In the flood',
      40_000,
    );
    await settled();
    expect(portal.requests.maxPerSecond()).toBeLessThanOrEqual(RATE + 1);
    expect(portal.requests.total()).toBeLessThanOrEqual(210);
    await expectNothingTold();
  });

  it('is passed over once ten thousand wait, and stored all the same', async () => {
    const later = "clock_timestamp() + interval '1 hour'";
    await db.sql.unsafe(`insert into sync.doubtful (model, entity_id, reason, next_attempt_at)
      select 'crm.account', 800000 + n, 'a test says so', ${later} from generate_series(1, 10000) n`);
    try {
      expect((await announce(webhook('crm.account', 'update', { id: someId(), name: MARK }))).status).toBe(200);
      const [last] = await db.sql`select status, reason from sync.deliveries order by id desc limit 1`;
      expect(last).toMatchObject({ status: 'skipped', reason: expect.stringContaining('too many') });
      expect(await db.sql`select from sync.doubtful where entity_id < 800000`).toHaveLength(0);
    } finally {
      await db.sql`delete from sync.doubtful where entity_id > 800000`;
    }
  });

  it('leaves no doubt behind that the API refuses to settle, and takes no other doubt away', async () => {
    await db.sql`insert into sync.doubtful (model, entity_id, reason, next_attempt_at)
                 values ('crm.account', 7, 'a sweep missed it', clock_timestamp() + interval '1 hour')`;
    portal.faults.errorCode = { value: 22 };
    for (const id of [7, 900_001, 900_002]) await announce(webhook('crm.account', 'update', { id, name: MARK }));
    const left = await eventually(
      () => db.sql`select entity_id::text as id, reason, last_error from sync.doubtful`,
      (rows) => rows.length === 1 && rows[0]?.last_error !== null,
    );
    expect(left).toMatchObject([{ id: '7', reason: 'a sweep missed it' }]);
    await db.sql`delete from sync.doubtful`;
  });
});
