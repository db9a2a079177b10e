/** Proves the simulator itself: a witness that errs is worse than none. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { models } from './simulator/catalog.ts';
import {
  clearFaults,
  ExactNumber,
  type Faults,
  fromJson,
  type SimRecord,
  type Simulator,
  type SimulatorOptions,
  startSimulator,
  toJson,
} from './simulator/index.ts';
import { zoneClock } from './simulator/zone.ts';

interface Page {
  total?: number;
  total_result?: number;
  page: number;
  count: number;
  items: Record<string, unknown>[];
}

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options?: SimulatorOptions): Promise<Simulator> {
  const sim = await startSimulator(options);
  cleanups.push(() => sim.close());
  return sim;
}

function ask(sim: Simulator, path: string, query: Record<string, string> = {}): Promise<Response> {
  const search = new URLSearchParams({ ...query, api_key: sim.apiKey });
  return fetch(`${sim.baseUrl}/${path}?${search}`, { redirect: 'manual', signal: AbortSignal.timeout(2000) });
}

async function list(sim: Simulator, model: string, query: Record<string, string> = {}): Promise<Page> {
  const answer = await (await ask(sim, `${model.replace('.', '/')}/list`, query)).json();
  return (answer as { response: Page }).response;
}

const idsOf = ({ items }: Page): unknown[] => items.map(({ id }) => id);
const more = (id: unknown): Record<string, string> => ({ 'filter[id]': JSON.stringify({ type: 'more', value: id }) });
const byId = { 'order_by[asc][]': 'id', limit: '100' };
const sourceIds = (sim: Simulator, model: string): unknown[] => [...sim.portal.rows(model)].map(({ id }) => id);

async function errorCode(sim: Simulator, path: string): Promise<unknown> {
  const answer = (await (await ask(sim, path)).json()) as { error?: { error_code: number } };
  return answer.error?.error_code;
}

async function keysetIds(sim: Simulator, model: string): Promise<unknown[]> {
  const ids: unknown[] = [];
  for (;;) {
    const page = idsOf(await list(sim, model, { ...byId, ...more(ids.at(-1) ?? 0) }));
    ids.push(...page);
    if (page.length < 100) return ids;
  }
}

test('the same seed makes the same portal, another seed another one', async () => {
  const dump = (sim: Simulator): string =>
    models.map((m) => [...sim.portal.rows(`${m.module}.${m.model}`)].map(toJson).join()).join();
  const [a, b, c] = [await start({ rows: 2000 }), await start({ rows: 2000 }), await start({ rows: 2000, seed: 2 })];
  expect(dump(a)).toBe(dump(b));
  expect(dump(a)).not.toBe(dump(c));
});

test('every model has rows, and the counts add up to what was asked', async () => {
  const sim = await start({ rows: 20_000 });
  const counts = sim.portal.models.map((name) => sim.portal.count(name));
  expect(counts).toHaveLength(103);
  expect(Math.min(...counts)).toBeGreaterThan(0);
  expect(counts.reduce((sum, count) => sum + count)).toBe(20_000);
  expect(sim.portal.count('task.tasks')).toBeGreaterThan(1000);
});

test('seeded links point at rows that exist', async () => {
  const sim = await start({ rows: 5000 });
  for (const { module, model, fields } of models) {
    const links = fields.filter(([, , kind, references]) => kind === 'ref' && references !== undefined);
    for (const row of sim.portal.rows(`${module}.${model}`)) {
      for (const [field, , , references] of links) {
        const target = Number(row[field]);
        if (target !== 0) expect(sim.portal.get(references ?? '', target), `${module}.${model}.${field}`).toBeDefined();
      }
    }
  }
});

test('list and get tell the same row as the source, but for the spelling of the tax id', async () => {
  const sim = await start({ rows: 3000 });
  for (const { module, model, methods } of models) {
    if (!methods.includes('list')) continue;
    const [item] = (await list(sim, `${module}.${model}`, { ...byId, limit: '1' })).items;
    const { VAT, ...rest } = item as Record<string, unknown>;
    const source = sim.portal.get(`${module}.${model}`, Number(rest.id)) as SimRecord;
    expect(VAT === undefined ? rest : { ...rest, vat: VAT }).toEqual(source);
    if (!methods.includes('get')) continue;
    expect(await (await ask(sim, `${module}/${model}/get/${rest.id}`)).json()).toEqual({ response: source });
  }
});

test('pages and keyset both list every row once after many changes', async () => {
  const sim = await start({ rowsPerModel: { 'crm.account': 450 }, uglyText: 0.2 });
  for (let n = 0; n < 400; n++) sim.portal.randomChange(undefined, ['crm.account']);
  sim.portal.create('crm.account', { id: 38 });
  sim.portal.hugeIds = true;
  sim.portal.create('crm.account');
  const wanted = sourceIds(sim, 'crm.account');
  expect(wanted).toHaveLength(sim.portal.count('crm.account'));
  const all: unknown[] = [];
  for (let page = 1; all.length < wanted.length; page++)
    all.push(...idsOf(await list(sim, 'crm.account', { ...byId, page: `${page}` })));
  expect(all.map(String)).toEqual(wanted.map((id) => String(Number(id))));
  const backwards = await list(sim, 'crm.account', { 'order_by[desc][]': 'id', limit: '100' });
  expect(idsOf(backwards).map(String)).toEqual(
    wanted
      .slice(-100)
      .reverse()
      .map((id) => String(Number(id))),
  );
});

test('keyset paging walks a model by id', async () => {
  const sim = await start({ rowsPerModel: { 'task.tasks': 733 } });
  for (let n = 0; n < 300; n++) sim.portal.randomChange(undefined, ['task.tasks']);
  expect(await keysetIds(sim, 'task.tasks')).toEqual(sourceIds(sim, 'task.tasks'));
});

test('filters select what the documentation says', async () => {
  const sim = await start({ rowsPerModel: { 'crm.lead': 300, 'core.user': 10 } });
  const rows = [...sim.portal.rows('crm.lead')];
  const matching = async (field: string, filter: unknown, wanted: (row: SimRecord) => boolean): Promise<void> => {
    const value = typeof filter === 'string' ? filter : JSON.stringify(filter);
    const page = await list(sim, 'crm.lead', { ...byId, [`filter[${field}]`]: value });
    const expected = rows.filter(wanted);
    expect(page.total_result).toBe(expected.length);
    expect(page.total).toBe(300);
    expect(idsOf(page)).toEqual(expected.slice(0, 100).map(({ id }) => id));
  };
  await matching('active', '2', ({ active }) => active === 2);
  await matching('active', '2,3', ({ active }) => active !== 1);
  await matching('active', '!1', ({ active }) => active !== 1);
  await matching('id', '5,7,39', ({ id }) => id === 5 || id === 7 || id === 39);
  await matching(
    'budget',
    { type: 'range', start_value: 1000, end_value: 9000 },
    ({ budget }) => Number(budget) >= 1000 && Number(budget) <= 9000,
  );
  await matching('id', { type: 'less', value: 50 }, ({ id }) => Number(id) < 50);
  await matching('id', { type: 'exact_value', value: 50 }, ({ id }) => id === 50);
  const day = String(rows[100]?.updated_date).slice(0, 10);
  await matching('updated_date', { start_date: day }, (row) => String(row.updated_date) >= day);
  await matching('updated_date', { start_date: day, end_date: day }, (row) => String(row.updated_date).startsWith(day));
  await matching(
    'updated_date',
    { end_date: `${day} 12:00:00` },
    (row) => String(row.updated_date) <= `${day} 12:00:00`,
  );
  const newest = await list(sim, 'crm.lead', {
    'order_by[desc][]': 'updated_date',
    fields: 'id,updated_date',
    limit: '3',
  });
  expect(newest.items.map((item) => item.updated_date)).toEqual(
    rows
      .map((row) => row.updated_date)
      .sort()
      .reverse()
      .slice(0, 3),
  );
  expect(Object.keys(newest.items[0] ?? {})).toEqual(['id', 'updated_date']);
});

test('errors come as HTTP 200 with the documented codes', async () => {
  const sim = await start({ rows: 1000, edition: 'flowlu' });
  expect(await errorCode(sim, 'crm/account/get/999999')).toBe(20);
  expect(await errorCode(sim, 'nothing/here/list')).toBe(31);
  expect(await errorCode(sim, 'loans/loan/list')).toBe(31);
  expect(await errorCode(sim, 'crm/account/explode')).toBe(30);
  expect(await (await fetch(`${sim.baseUrl}/crm/account/list?api_key=wrong`)).json()).toEqual({
    error: { error_code: 11, error_msg: 'api key not found' },
  });
  const me = (await (await ask(sim, 'core/user/get')).json()) as { response: SimRecord };
  expect(me.response.id).toBe(1);
});

test('more requests than the budget within any second get 429', async () => {
  const sim = await start({ rows: 100, requestsPerSecond: 3 });
  const statuses = await Promise.all(
    Array.from({ length: 5 }, async () => (await ask(sim, 'crm/account/list')).status),
  );
  expect(statuses.filter((status) => status === 429)).toHaveLength(2);
  expect(sim.requests.maxPerSecond()).toBe(5);
  await sleep(1010);
  expect((await ask(sim, 'crm/account/list')).status).toBe(200);
});

test('a request that changes something is answered and remembered as a violation', async () => {
  const sim = await start({ rows: 1000 });
  expect(await (await ask(sim, 'crm/account/delete/2')).json()).toEqual({ response: { id: '2' } });
  expect(sim.portal.get('crm.account', 2)).toBeUndefined();
  await fetch(`${sim.baseUrl}/crm/lead/create?api_key=${sim.apiKey}`, {
    method: 'POST',
    body: new URLSearchParams({ name: 'New' }),
  });
  expect(sim.portal.changes.map(({ action }) => action)).toEqual(['delete', 'create']);
  expect(sim.requests.violations()).toHaveLength(2);
  expect(JSON.stringify(sim.requests.entries)).not.toContain(sim.apiKey);
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

test('64-bit ids, exact decimals, NUL and lone surrogates survive the way out', async () => {
  const sim = await start();
  sim.portal.hugeIds = true;
  const { id } = sim.portal.create('crm.lead', {
    name: 'a\u0000b\ud83d',
    budget: new ExactNumber('123456789012345678.90'),
  });
  expect(id).toBe('9007199254740993');
  const text = await (await ask(sim, 'crm/lead/list', more('9007199254740992'))).text();
  expect(text).toContain('"id":9007199254740993,');
  expect(text).toContain('"budget":123456789012345678.90,');
  expect(text).toContain('"name":"a\\u0000b\\ud83d"');
  expect(toJson(fromJson(text))).toBe(text);
  sim.faults.idsAsStrings = true;
  expect(await (await ask(sim, `crm/lead/get/${id}`)).text()).toContain('"id":"9007199254740993",');
});

test('versions follow the clock in the portal’s zone, unless they are kept or frozen', async () => {
  let now = new Date('2026-03-29T00:59:59Z');
  const sim = await start({ rows: 1000, timeZone: 'Europe/Berlin', clock: () => now });
  const version = (): unknown => sim.portal.get('crm.lead', 1)?.updated_date;
  sim.portal.update('crm.lead', 1, { name: 'x' });
  expect(version()).toBe('2026-03-29 01:59:59');
  now = new Date('2026-03-29T01:00:00Z');
  sim.portal.update('crm.lead', 1, { name: 'y' }, { keepVersion: true });
  expect(version()).toBe('2026-03-29 01:59:59');
  sim.faults.frozenVersion = true;
  sim.portal.update('crm.lead', 1, { name: 'z' });
  expect(version()).toBe('2026-03-29 01:59:59');
  clearFaults(sim.faults);
  sim.portal.update('crm.lead', 1, { name: 'z' });
  expect(version()).toBe('2026-03-29 03:00:00');
  const autumn = zoneClock('America/New_York');
  expect(autumn.dateTime(Date.UTC(2025, 10, 2, 5, 30) / 1000)).toBe(
    autumn.dateTime(Date.UTC(2025, 10, 2, 6, 30) / 1000),
  );
});

test('the log tells every change with both sides, toggles and merges included', async () => {
  const sim = await start({ rows: 1000 });
  const [forth, back] = sim.portal.toggle('crm.account', 1);
  expect(back?.current).toEqual({ ...forth?.previous, updated_date: back?.current?.updated_date });
  sim.portal.merge(1, 2, { removeLoser: true });
  for (let n = 0; n < 500; n++) sim.portal.randomChange();
  const latest = new Map<string, SimRecord | null>();
  sim.portal.changes.forEach(({ seq, name, id, previous, current }, position) => {
    expect(seq).toBe(position + 1);
    const key = `${name} ${id}`;
    if (latest.has(key)) expect(previous).toEqual(latest.get(key));
    latest.set(key, current);
    expect(sim.portal.models).toContain(name);
  });
  for (const [key, record] of latest) {
    const [name = '', id = ''] = key.split(' ');
    expect(sim.portal.get(name, id) ?? null).toEqual(record);
  }
});

test('custom fields agree with their definitions and options, and take their aliases', async () => {
  const sim = await start({ rows: 3000 });
  const lead = [...sim.portal.rows('crm.lead')].find((row) => row.cf_2_value !== '') as SimRecord;
  expect(sim.portal.get('customfields.fields', 2)).toMatchObject({
    module: 'crm',
    model: 'lead',
    type: 'select.single',
  });
  expect(sim.portal.get('customfields.fieldoptions', String(lead.cf_2))).toMatchObject({
    field_id: 2,
    value: lead.cf_2_value,
  });
  const change = sim.portal.update('crm.lead', String(lead.id), { name: 'n' });
  const current = (options: object): SimRecord => JSON.parse(sim.webhooks.body(change, options)).current;
  expect(current({})).toHaveProperty('cf_2');
  expect(current({ aliasSpelling: true })).toHaveProperty('cf_select_single_2');
  expect(current({ scopeTrim: true })).not.toHaveProperty('cf_2');
  expect(current({ scopeTrim: ['name'] })).not.toHaveProperty('name');
  sim.portal.update('customfields.fields', 2, { api_use_alias: 1 });
  expect((await list(sim, 'crm.lead', byId)).items[0]).toHaveProperty('cf_select_single_2_value');
});

async function receiver(status = (_: number): number => 200): Promise<{ url: string; bodies: string[] }> {
  const bodies: string[] = [];
  const server = createServer(async (req, res) => {
    let body = '';
    for await (const chunk of req) body += chunk;
    bodies.push(body);
    res.writeHead(status(bodies.length)).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, bodies };
}

test('live webhooks are lost, repeated and out of order as often as configured', async () => {
  const sim = await start({ rows: 2000 });
  const { url, bodies } = await receiver();
  sim.webhooks.configure({
    mode: 'live',
    url,
    dropRate: 0.2,
    duplicateRate: 0.1,
    disorder: { maxDelayMs: 30, window: 10 },
    concurrency: 8,
  });
  for (let n = 0; n < 1000; n++) sim.portal.randomChange();
  await sim.webhooks.drain();
  const { sent, dropped, duplicated, failed } = sim.webhooks.stats;
  expect(failed).toBe(0);
  expect(sent).toBe(bodies.length);
  expect(sent).toBe(1000 - dropped + duplicated);
  expect(dropped).toBeGreaterThan(140);
  expect(dropped).toBeLessThan(260);
  expect(duplicated).toBeGreaterThan(45);
  expect(duplicated).toBeLessThan(120);
  const wanted = sim.portal.changes.map((change) => sim.webhooks.body(change));
  const order = bodies.map((body) => wanted.indexOf(body));
  expect(Math.min(...order)).toBeGreaterThanOrEqual(0);
  expect(order.filter((position, n) => n > 0 && position < (order[n - 1] ?? 0)).length).toBeGreaterThan(100);
});

test('a refused webhook is tried again, as often as configured', async () => {
  const sim = await start({ rows: 100 });
  const { url, bodies } = await receiver((n) => (n < 3 ? 503 : 200));
  sim.webhooks.configure({ url, retries: 2 });
  expect(await sim.webhooks.send(sim.portal.randomChange())).toBe(200);
  expect(bodies).toHaveLength(3);
  expect(sim.webhooks.stats).toMatchObject({ sent: 1, failed: 0, retried: 2 });
});

test('a million rows cost no memory, and its pages are read by keyset', async () => {
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  const sim = await start({ rowsPerModel: { 'crm.account': 1_000_000 } });
  let last: unknown = 980_000;
  for (let page = 0; page < 300; page++)
    last = idsOf(await list(sim, 'crm.account', { ...byId, fields: 'id', ...more(last) })).at(-1);
  expect(last).toBeGreaterThan(1_009_000);
  expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(300);
}, 30_000);

test('the command line prints one line when ready and obeys over HTTP', async () => {
  const main = new URL('./simulator/main.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--import', 'tsx', main, '--rows', '2000', '--rate', '5'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  cleanups.push(() => child.kill('SIGKILL'));
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const { controlUrl, baseUrl, apiKey } = JSON.parse(line) as { controlUrl: string; baseUrl: string; apiKey: string };
  const post = async (path: string, body: object): Promise<Record<string, unknown>> =>
    (await (await fetch(`${controlUrl}/${path}`, { method: 'POST', body: JSON.stringify(body) })).json()) as Record<
      string,
      unknown
    >;

  expect((await post('changes', { count: 10 })).changes).toHaveLength(10);
  const { changes } = await post('changes', { action: 'create', model: 'crm.lead', record: { name: 'Explicit' } });
  const [{ id }] = changes as [{ id: string }];
  const rows = await (await fetch(`${controlUrl}/rows/crm/lead`)).text();
  expect(JSON.parse(rows.trim().split('\n').at(-1) ?? '')).toMatchObject({ id: Number(id), name: 'Explicit' });
  expect(await post('faults', { http500: { count: 1 } })).toEqual({ http500: { count: 1 } });
  expect((await fetch(`${baseUrl}/crm/lead/list?api_key=${apiKey}`)).status).toBe(500);
  expect(await post('changes', { action: 'nonsense' })).toHaveProperty('error');
  expect(await (await fetch(`${controlUrl}/requests`)).json()).toMatchObject({
    total: 1,
    maxPerSecond: 1,
    violations: [],
  });
  expect(await (await fetch(`${controlUrl}/stats`)).json()).toMatchObject({ changes: 11 });
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
}, 30_000);
