/** The privacy settings, judged by everything that the database holds after a life with them. */
import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { FlowluClient } from '../../src/flowlu/client.ts';
import { drainPending } from '../../src/merge/drain.ts';
import { settleDue } from '../../src/merge/settle.ts';
import { backfill } from '../../src/reconcile/backfill.ts';
import { catchUpAll, sweepAll } from '../../src/reconcile/catch-up.ts';
import { verify } from '../../src/reconcile/verify.ts';
import { openClient, settleDepsOf } from '../../src/service/session.ts';
import { type Service, startService, webhook } from '../intake/service.ts';
import { type Simulator, startSimulator } from '../simulator/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { dumpDatabase, rowsWith } from '../support/dump.ts';
import { eventually } from '../support/eventually.ts';
import { never, quietObserver } from '../support/mirror.ts';

vi.setConfig({ testTimeout: 120_000 });

const KEY = 'a-key-of-thirty-two-characters-or-more';
/** Values that must stand nowhere; each begins with the word that is searched for. */
const WORD = 'Top5ecret';
const hashOf = (text: string) => `hmac:${createHmac('sha256', KEY).update(text).digest('hex')}`;

let portal: Simulator;
let database: TestDatabase;
let service: Service;
let client: FlowluClient;
/** Numbers of three custom fields of accounts: to be left out, to be hashed, to be kept. */
let fields: { omitted: string; hashed: string; kept: string };

const secretAccount = (n: number) => ({
  name: `Account ${n}`,
  phone: `${WORD} phone ${n % 7}`,
  vat: `${WORD} vat ${n}`,
  [`cf_${fields.omitted}`]: `${WORD} left out ${n}`,
  [`cf_${fields.omitted}_value`]: `${WORD} label ${n}`,
  [`cf_${fields.hashed}`]: `${WORD} hashed ${n % 7}`,
  [`cf_${fields.kept}`]: `open ${n}`,
});

beforeAll(async () => {
  portal = await startSimulator({ rowsPerModel: { 'crm.account': 30, 'customfields.fields': 44, 'crm.industry': 3 } });
  database = await createTestDatabase();
  const own = [...portal.portal.rows('customfields.fields')].filter(
    ({ module, model }) => `${module}.${model}` === 'crm.account',
  );
  const [omitted, hashed, kept] = own.map(({ id }) => String(id));
  fields = { omitted: omitted as string, hashed: hashed as string, kept: kept as string };
  // The API names them by alias, webhooks by number, but for one that does the reverse.
  for (const { id } of own) portal.portal.update('customfields.fields', String(id), { api_use_alias: 1 });
  portal.portal.update('customfields.fields', fields.hashed, { api_use_alias: 0, webhook_use_alias: 1 });
  for (const { id } of [...portal.portal.rows('crm.account')]) {
    portal.portal.update('crm.account', String(id), secretAccount(Number(id)));
  }
  service = await startService(database.url, {
    FLOWLU_BASE_URL: portal.baseUrl,
    FLOWLU_API_KEY: portal.apiKey,
    FLOWLU_REQUESTS_PER_SECOND: '0',
    FLOWLU_OMIT_FIELDS: `crm.account.vat,crm.account.cf_${fields.omitted}`,
    FLOWLU_HASH_FIELDS: `crm.account.phone,crm.account.cf_${fields.hashed}`,
    FLOWLU_HASH_SECRET: KEY,
    SETTLE_GRACE: '1ms',
  });
  client = await openClient(service.session);
});
afterAll(async () => {
  await service?.close();
  await portal?.close();
  await database?.close();
});

const round = () => ({
  models: service.session.models.filter(({ name }) =>
    ['crm.account', 'crm.industry', 'customfields.fields'].includes(name),
  ),
  concurrency: 2,
  holder: 'test',
  observer: quietObserver,
  signal: never,
});
const deps = () => ({ sql: database.sql, client, writer: service.session.context });
const rowOf = async (id: string | number | bigint) =>
  (
    await database.sql`select phone, vat, _record as record, _hash, _source from flowlu.crm_account where id = ${String(id)}`
  )[0];
const verified = async () => {
  const { status, models } = await verify(deps(), { ...round(), repair: false, sample: null, pauseMs: 0 });
  return { status, findings: models.flatMap(({ findings }) => findings) };
};

describe('with fields left out and hashed, the mirror', () => {
  it('reads everything through the API without them, named by alias or by number, from the very first page', async () => {
    await backfill(deps(), round());
    expect(await rowsWith(database.sql, [WORD])).toEqual([]);
    const row = await rowOf(1);
    expect(row).toMatchObject({ phone: hashOf(`${WORD} phone 1`), vat: null });
    expect(row?.record).toMatchObject({ name: 'Account 1', [`cf_${fields.hashed}`]: hashOf(`${WORD} hashed 1`) });
    // What nobody asked to protect is there, although the mirror had not read the definitions before.
    expect(JSON.stringify(row?.record)).toContain('"open 1"');
    // Equal values can still be joined.
    const [{ phones } = {}] = await database.sql`select count(distinct phone)::int as phones from flowlu.crm_account`;
    expect(phones).toBe(7);
  });

  it('stores webhooks of every spelling without them', async () => {
    await service.session.shapes.refresh(database.sql);
    const change = portal.portal.update('crm.account', 1, { ...secretAccount(1), name: 'Renamed' });
    const bodies = [
      portal.webhooks.body(change),
      portal.webhooks.body(portal.portal.update('crm.account', 2, secretAccount(100)), { aliasSpelling: true }),
      JSON.stringify(
        webhook('crm.account', 'update', { id: 3, VAT: `${WORD} upper`, PHONE: `${WORD} upper`, CF_99: 'x' }),
      ),
      JSON.stringify(webhook('crm.account', 'update', { id: 3, cf_never_heard_of: `${WORD} alias` })),
      `{"meta":{"module":"crm","model":"account","action":"update"},"current":{"id":4,"phone":"${WORD} first","phone":"${WORD} second"}}`,
      JSON.stringify({ ...webhook('crm.account', 'update', { id: 5 }), extra: { phone: `${WORD} beside` } }),
      JSON.stringify(webhook('crm.account', 'delete', null, { id: 6, ...secretAccount(6) })),
      // No record id: set aside as failed. A model that nobody knows: kept in the common table.
      JSON.stringify(webhook('crm.account', 'update', { phone: `${WORD} of nobody` })),
      JSON.stringify(
        webhook('crm.visitor', 'create', { id: 1, phone: `${WORD} contact`, vat: `${WORD} vat`, note: 'seen' }),
      ),
      JSON.stringify(webhook('crm.account', 'archive', { id: 7, phone: `${WORD} odd action` })),
    ];
    for (const body of bodies) expect((await service.post(body)).status, body).toBe(200);
    expect(await rowsWith(database.sql, [WORD])).toEqual([]);
    const [contact] = await database.sql`select _record as record from flowlu.uncatalogued where model = 'visitor'`;
    expect(contact?.record).toEqual({ id: 1, phone: hashOf(`${WORD} contact`), note: 'seen' });
    expect(await rowOf(1)).toMatchObject({ _source: 'webhook', phone: hashOf(`${WORD} phone 1`) });
  });

  it('keeps nothing of a body that nobody understands, and neither of one that is no JSON or has no right to be here', async () => {
    const rejected = await service.post({
      meta: { module: 'crm', model: 'account', action: 'update' },
      current: `${WORD} text`,
    });
    expect(rejected.status).toBe(422);
    expect(await rejected.text()).not.toContain(WORD);
    expect((await service.post([`${WORD} list`])).status).toBe(422);
    expect((await service.post({ [`${WORD} key`]: 1 })).status).toBe(422);
    expect((await service.post(`${WORD} text`)).status).toBe(400);
    const wrong = await fetch(`${service.url}/webhooks/flowlu/wrong`, { method: 'POST', body: `{"x":"${WORD}"}` });
    expect(wrong.status).toBe(401);
    const [row] = await database.sql`select body from sync.deliveries where status = 'rejected' order by id limit 1`;
    expect(JSON.parse(row?.body as string)).toMatchObject({
      withheld: expect.any(String),
      characters: expect.any(Number),
    });
    expect(await rowsWith(database.sql, [WORD])).toEqual([]);
  });

  it('goes the ways of pending deliveries, doubts and replays without them', async () => {
    // A batch that cannot be applied is stored as pending, and applied one by one afterwards.
    await database.sql`alter table flowlu.crm_account add constraint for_now check (name <> 'Not now')`;
    const later = { ...secretAccount(8), name: 'Not now', phone: `${WORD} pending` };
    const body = portal.webhooks.body(portal.portal.update('crm.account', 8, later));
    expect((await service.post(body)).status).toBe(200);
    await database.sql`alter table flowlu.crm_account drop constraint for_now`;
    // The service may have tried meanwhile and set it aside.
    const applyAgain = async () => {
      await database.sql`update sync.deliveries set status = 'pending' where status = 'failed' and entity_id is null`;
      await drainPending({ sql: database.sql, context: session.context, log: session.log }, never);
      return rowOf(8);
    };
    const { session } = service;
    await eventually(applyAgain, (row) => row?.phone === hashOf(`${WORD} pending`));
    await database.sql`
      insert into sync.doubtful (model, entity_id, reason)
      select 'crm.account', id, 'test' from flowlu.crm_account on conflict do nothing`;
    await settleDue(settleDepsOf(session, client), 1_000, never);
    expect(await rowsWith(database.sql, [WORD])).toEqual([]);
  });

  it('agrees with the portal, and by webhook and API tells the same content', async () => {
    await sweepAll(deps(), { ...round(), allowDeletes: 100 });
    await catchUpAll(deps(), round());
    expect(await verified()).toEqual({ status: 'done', findings: [] });
    const change = portal.portal.update('crm.account', 9, secretAccount(500));
    expect((await service.post(portal.webhooks.body(change))).status).toBe(200);
    const told = await rowOf(9);
    expect(told?._source).toBe('webhook');
    const { _hash } = (await rowOf(9)) ?? {};
    await sweepAll(deps(), { ...round(), allowDeletes: 0 });
    // The list says the same in other words: nothing to write.
    expect(await rowOf(9)).toMatchObject({ _hash, _source: 'webhook' });
    // Only a protected value changes: nothing of the record is known to have changed but its time.
    portal.portal.update('crm.account', 10, { vat: `${WORD} another` }, { keepVersion: true });
    expect(await verified()).toEqual({ status: 'done', findings: [] });
    const all = await dumpDatabase(database.sql);
    expect(all.length).toBeGreaterThan(80);
    // The search itself works: what may be stored is found.
    expect((await rowsWith(database.sql, ['open 1'])).length).toBeGreaterThan(1);
    expect(all.filter((row) => row.includes('hmac:')).length).toBeGreaterThan(30);
    expect(await rowsWith(database.sql, [WORD, KEY])).toEqual([]);
  });
});
