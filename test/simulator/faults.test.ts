/** Every fault and limit is in effect when switched on, and gone when switched off. */
import { expect, test } from 'vitest';
import { clearFaults, type Faults, type Simulator } from './index.ts';
import { ask, byId, idsOf, list, more, type Page, sourceIds, start } from './testing.ts';

test('more requests than the budget within any second get 429', async () => {
  const sim = await start({ rows: 100, requestsPerSecond: 3 });
  const statuses = await Promise.all(
    Array.from({ length: 5 }, async () => (await ask(sim, 'crm/account/list')).status),
  );
  expect(statuses.filter((status) => status === 429)).toHaveLength(2);
  expect(sim.requests.maxPerSecond()).toBe(5);
  await expect.poll(async () => (await ask(sim, 'crm/account/list')).status, { timeout: 20_000 }).toBe(200);
});

type Outcome = string | number;

/** What a client sees of one list request: a status with the shape of the body, or how it failed. */
async function outcome(sim: Simulator): Promise<Outcome> {
  try {
    const response = await ask(sim, 'crm/lead/list');
    const body = await response.text();
    if (response.status !== 200) return response.status;
    if (body.startsWith('<')) return 'html';
    const parsed = JSON.parse(body) as { error?: { error_code?: number; error_msg?: string } | string };
    if (typeof parsed.error === 'string') return parsed.error;
    return parsed.error === undefined ? 'rows' : `${parsed.error.error_code} ${parsed.error.error_msg}`;
  } catch (error) {
    return (error as Error).name;
  }
}

test.each<[keyof Faults, Faults, Outcome]>([
  ['http429', { http429: { count: 1, value: 7 } }, 429],
  ['http500', { http500: { count: 1 } }, 500],
  ['http502', { http502: { count: 1 } }, 502],
  ['http503', { http503: { count: 1 } }, 503],
  ['http401', { http401: { count: 1 } }, 401],
  ['errorCode', { errorCode: { count: 1 } }, '13 server error'],
  ['errorString', { errorString: { count: 1 } }, 'validation'],
  ['throttleMessage', { throttleMessage: { count: 1 } }, '10 Request rate per second exceeded'],
  ['htmlLogin', { htmlLogin: { count: 1 } }, 'html'],
  ['redirect', { redirect: { count: 1 } }, 302],
  ['resetMidBody', { resetMidBody: { count: 1 } }, 'TypeError'],
  ['hang', { hang: { count: 1 } }, 'TimeoutError'],
  ['truncatedJson', { truncatedJson: { count: 1 } }, 'SyntaxError'],
  ['emptyBody', { emptyBody: { count: 1 } }, 'SyntaxError'],
])('fault %s strikes once and is over', async (_, faults, seen) => {
  const sim = await start({ rows: 2000, faults });
  expect(await outcome(sim)).toBe(seen);
  expect(await outcome(sim)).toBe('rows');
});

test('a fault may wait, keep to some models and strike by chance', async () => {
  const sim = await start({ rows: 2000, faults: { http500: { skip: 2, models: ['crm.*'] } } });
  expect([await outcome(sim), await outcome(sim), await outcome(sim)]).toEqual(['rows', 'rows', 500]);
  expect((await ask(sim, 'task/tasks/list')).status).toBe(200);
  clearFaults(sim.faults);
  sim.faults.http502 = { probability: 0.5 };
  const outcomes = await Promise.all(Array.from({ length: 100 }, () => outcome(sim)));
  const struck = outcomes.filter((one) => one === 502).length;
  expect(struck).toBeGreaterThan(25);
  expect(struck).toBeLessThan(75);
});

test('the other host notices a key that follows a redirect', async () => {
  const sim = await start({ faults: { redirect: true } });
  await ask(sim, 'crm/lead/list');
  expect(sim.elsewhere).toEqual({ sawKey: false, requests: 0 });
  await fetch(`${sim.baseUrl}/crm/lead/list?api_key=${sim.apiKey}`);
  expect(sim.elsewhere).toEqual({ sawKey: true, requests: 1 });
});

test('faults of lists are in effect', async () => {
  const sim = await start({ rowsPerModel: { 'crm.account': 300, 'customfields.fields': 44 } });
  const seen = async (faults: Faults, query: Record<string, string> = {}): Promise<Page> => {
    clearFaults(sim.faults);
    Object.assign(sim.faults, faults);
    return list(sim, 'crm.account', { ...byId, ...query });
  };
  const first = idsOf(await seen({}));
  const newestFirst = [...sourceIds(sim, 'crm.account')].reverse().slice(0, 100);
  expect(idsOf(await seen({ ignoreFilters: true }, more(100)))).toEqual(first);
  expect(idsOf(await seen({ ignoreFilters: { value: 'date' } }, more(100)))).not.toEqual(first);
  expect(idsOf(await seen({ ignoreOrder: true }))).toEqual(newestFirst);
  expect(idsOf(await seen({ ignoreOrder: { value: 'non-id' } }))).toEqual(first);
  const shuffled = idsOf(await seen({ ignoreOrder: { value: 'shuffled' } }, { limit: '300' }));
  expect([shuffled, shuffled.toReversed()]).not.toContainEqual(first);
  expect(await seen({ omitTotal: true, omitTotalResult: true })).not.toHaveProperty('total');
  expect((await seen({ wrongTotal: { value: 3 } })).total).toBe(3);
  expect((await seen({ limitCap: true })).items).toHaveLength(50);
  expect((await seen({ limitCap: { value: 200 } }, { limit: '200' })).items).toHaveLength(200);
  expect(idsOf(await seen({ repeatFirstPage: true }, { page: '3' }))).toEqual(first);
  expect(idsOf(await seen({ cutListing: { value: 0.1 } }))).toEqual(first.slice(0, 30));
  expect((await seen({ shortPage: true })).items).toHaveLength(99);
  expect(idsOf(await seen({ hideRows: { value: [1, '2'] } })).slice(0, 2)).toEqual([3, 4]);
  expect(Object.keys((await seen({})).items[0] ?? {}).some((key) => key.startsWith('cf_'))).toBe(true);
  expect(
    Object.keys((await seen({ omitCustomFields: true })).items[0] ?? {}).some((key) => key.startsWith('cf_')),
  ).toBe(false);
  expect(Object.keys((await seen({ itemsAsObject: true })).items)).toHaveLength(100);
  await seen({ shiftPages: { count: 1 } });
  expect(idsOf(await seen({}, { page: '2' }))[0]).not.toBe(idsOf(await seen({}, more(first[99]))).at(0));
});

test('faults of values change the spelling, not the source', async () => {
  const sim = await start({ rows: 2000 });
  const row = async (faults: Faults, model = 'crm.account_category'): Promise<Record<string, unknown>> => {
    clearFaults(sim.faults);
    Object.assign(sim.faults, faults);
    return (await list(sim, model, byId)).items[0] ?? {};
  };
  expect(await row({ idsAsStrings: true })).toMatchObject({ id: '1', active: expect.any(Number), deleted_at: null });
  expect(await row({ numbersAsStrings: true })).toMatchObject({ id: '1', active: expect.any(String) });
  expect(await row({ flags: true })).toMatchObject({ active: expect.any(Boolean) });
  expect(await row({ flags: { value: 'string' } })).toMatchObject({ active: expect.any(String) });
  expect(await row({ emptyDates: true })).toMatchObject({ deleted_at: '0000-00-00 00:00:00' });
  expect(await row({ emptyDates: { value: '' } })).toMatchObject({ deleted_at: '' });
  clearFaults(sim.faults);
  sim.faults.getAsItems = true;
  const got = (await (await ask(sim, 'crm/account/get/1')).json()) as { response: Page };
  expect(got.response.items).toEqual([sim.portal.get('crm.account', 1)]);
});

test('a fault may be tied to an id, to a parameter or to the size of a page', async () => {
  const sim = await start({ rows: 0, rowsPerModel: { 'crm.lead': 120 } });
  const status = async (query: Record<string, string>) => (await ask(sim, 'crm/lead/list', query)).status;
  sim.faults.http500 = { parameter: 'order_by' };
  expect([await status(byId), await status({ limit: '100' })]).toEqual([500, 200]);
  clearFaults(sim.faults);
  sim.faults.http504 = { over: 25 };
  expect([await status({ limit: '26' }), await status({ limit: '25' })]).toEqual([504, 200]);
  clearFaults(sim.faults);
  sim.faults.emptyList = { ids: [5] };
  const page = (number: number) => list(sim, 'crm.lead', { ...byId, limit: '10', page: String(number) });
  expect([(await page(1)).items.length, (await page(2)).items.length]).toEqual([0, 10]);
});

test('the profile as-seen grants 25 rows in no order asked for, filters by exact values alone, and counts everything', async () => {
  const sim = await start({ rows: 0, rowsPerModel: { 'crm.account': 120 }, profile: 'as-seen' });
  const page = await list(sim, 'crm.account', { ...byId, ...more(50) });
  expect(page.items).toHaveLength(25);
  expect(idsOf(page)).toEqual([...idsOf(page)].sort((a, b) => Number(b) - Number(a)));
  expect(page.total_result).toBe(120);
  expect(idsOf(await list(sim, 'crm.account', { 'filter[id]': '7' }))).toEqual([7]);
  const change = sim.portal.update('crm.account', 7, { name: 'A & B', description: 'one\ntwo', type: 2 });
  const body = JSON.parse(sim.webhooks.body(change));
  expect([body.meta.model, body.current.name, body.current.description]).toEqual([
    'contact',
    'A &amp; B',
    'one\r\ntwo',
  ]);
  sim.faults.http500 = true;
  sim.restoreProfile();
  expect(idsOf(await list(sim, 'crm.account', {}))).toHaveLength(25);
});
