/** What is counted for a person: refused webhooks, Flowlu's own apart from strangers', and values that fit no column. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { findModel } from '../../src/catalog/index.ts';
import { rebuildTable } from '../../src/maintain/rebuild.ts';
import { addCounts, readCounts } from '../../src/store/measurements.ts';
import { post, SECRET, type Service, startService, webhook } from '../intake/service.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { never } from '../support/mirror.ts';
import { sourceOf } from './source.ts';

let db: TestDatabase;
let service: Service;
beforeAll(async () => {
  db = await createTestDatabase();
  service = await startService(db.url, { WEBHOOK_ALLOW_FROM: '203.0.113.0/24,loopback', TRUSTED_PROXIES: 'loopback' });
});
afterAll(async () => {
  await service?.close();
  await db?.close();
});
beforeEach(async () => {
  // What an earlier test left in memory goes first.
  await service.noteSecretUse();
  await db.sql`truncate sync.deliveries, sync.measurements`;
});

const refusals = async () => {
  await service.noteSecretUse();
  const { findings } = await sourceOf(db.sql).health();
  return findings.filter(({ code }) => code === 'webhooks_refused').map((one) => [one.severity, one.sentence]);
};
const at = (path: string, init: RequestInit = {}) => post(`${service.url}${path}`, '{}', init);
const told = (what: string) => expect.stringMatching(new RegExp(`^${what}`));

it('takes one secret that comes again for Flowlu’s, and guesses of all sorts for strangers’', async () => {
  for (let guess = 0; guess < 30; guess += 1) await at(`/webhooks/flowlu/a-guess-of-some-length-${guess}`);
  await at('/webhooks/flowlu/short');
  await at('/webhooks/flowlu/short');
  await at('/webhook/somewhere');
  await at('/webhooks/flowlu/x', { method: 'PUT' });
  expect(await refusals()).toEqual([['note', told('Requests .* may be of strangers: 34 refused, the last \\d s ago')]]);
  expect((await sourceOf(db.sql).health()).state).not.toBe('care');
  for (let again = 0; again < 3; again += 1) await at('/webhooks/flowlu/the-secret-of-last-year');
  expect(await refusals()).toEqual([
    ['care', told('Flowlu is posting with another secret than WEBHOOK_SECRET: 2 refused')],
    ['note', told('Requests .*: 35 refused')],
  ]);
  expect(await readCounts(db.sql, 'refused')).toHaveLength(2);
});

it('knows by the right secret what is Flowlu’s, wherever the secret stands', async () => {
  await at(`/webhook/flowlu/${SECRET}`);
  await at(`/webhooks/flowlu/${SECRET}`, { method: 'PUT' });
  await at(`/webhooks/flowlu/${SECRET}`, { headers: { 'X-Forwarded-For': '198.51.100.1' } });
  await service.post('no JSON');
  await service.post({ meta: {} });
  expect(await refusals()).toEqual(
    expect.arrayContaining([
      ['care', told('Webhooks with the right secret cannot be read: 2 refused')],
      ['care', told('Webhooks with the right secret come to a wrong address: 1 refused')],
      ['care', told('Webhooks with the right secret come from a network')],
      ['care', told('Requests with the right secret come by another method')],
    ]),
  );
});

it('says so no more once webhooks have arrived for an hour, or a day has gone by, and counts anew', async () => {
  const past = (hours: number) =>
    db.sql`update sync.measurements set measured_at = clock_timestamp() - ${hours} * interval '1 hour'`;
  await service.post('no JSON');
  expect(await refusals()).toHaveLength(1);
  await past(2);
  expect(await refusals()).toHaveLength(1);
  await service.post(webhook('crm.account', 'create', { id: 1, name: 'Ada' }));
  expect(await refusals()).toEqual([]);
  await past(25);
  await service.post('no JSON');
  expect(await refusals()).toEqual([['care', told('.*: 1 refused')]]);
});

it('counts values that fit no column by model and field, and says how to see them', async () => {
  const misfits = async () => (await sourceOf(db.sql).health()).findings.find(({ code }) => code === 'values_unfit');
  await service.post(webhook('crm.lead', 'create', { id: 5, name: 'Pilot', budget: '12 apples', customer_id: 'Ada' }));
  await service.post(webhook('crm.lead', 'create', { id: 6, name: 'Pilot', budget: 'a lot' }));
  await service.noteSecretUse();
  const found = await misfits();
  expect(found).toMatchObject({ severity: 'note', models: ['crm.lead'] });
  expect(found?.sentence).toMatch(/^3 values .*: crm\.lead\.budget \(2\), crm\.lead\.customer_id \(1\)$/);
  const sql = /select .*<> ''/.exec(found?.remedy ?? '')?.[0] ?? '';
  expect((await db.sql.unsafe(sql)).map((row) => Object.values(row))).toEqual([
    ['5', '12 apples'],
    ['6', 'a lot'],
  ]);

  // Counted anew from the rows as they are: neither twice nor longer than they are so.
  await db.sql`update flowlu.crm_lead set _record = _record || '{"budget": "12"}' where id = 6`;
  const model = findModel('crm.lead') ?? null;
  for await (const _ of rebuildTable(db.sql, { name: 'crm.lead', model }, service.session.context, never));
  await service.noteSecretUse();
  expect((await misfits())?.sentence).toMatch(/^2 values .*budget \(1\), crm\.lead\.customer_id \(1\)$/);
});

it('adds up what several processes count', async () => {
  const counts = new Map([['* refused:body', 2]]);
  await Promise.all(Array.from({ length: 8 }, () => addCounts(db.sql, counts)));
  expect(await readCounts(db.sql, 'refused')).toMatchObject([{ name: 'body', count: 16 }]);
});
