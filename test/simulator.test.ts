/** Proves the simulator itself: a witness that errs is worse than none. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { models } from './simulator/catalog.ts';
import { clearFaults, ExactNumber, fromJson, type SimRecord, type Simulator, toJson } from './simulator/index.ts';
import { ask, byId, errorCode, idsOf, keysetIds, list, more, onEnd, sourceIds, start } from './simulator/testing.ts';
import { zoneClock } from './simulator/zone.ts';

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
  expect(counts).toHaveLength(104);
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

test('seeded records make sense together', async () => {
  const sim = await start({ rows: 20_000, historyEnds: new Date('2026-03-14T22:00:00Z') });
  const rows = (model: string) => [...sim.portal.rows(model)];
  const codes = new Map<unknown, Set<unknown>>();
  for (const { currency_id, currency_code } of ['fin.invoice', 'fin.estimate'].flatMap(rows))
    codes.set(currency_id, (codes.get(currency_id) ?? new Set()).add(currency_code));
  expect([...codes].map(([id, found]) => [id, [...found]]).toSorted()).toEqual([
    [1, ['EUR']],
    [2, ['USD']],
  ]);

  const merged = rows('crm.account').filter(({ merged_to }) => merged_to !== 0);
  expect(merged.length).toBeGreaterThan(20);
  expect(merged.filter(({ id, merged_to }) => Number(merged_to) >= Number(id))).toEqual([]);
  expect(rows('crm.lead').filter(({ merged_to_id }) => merged_to_id !== 0).length).toBeGreaterThan(5);

  const money = rows('fin.transaction');
  const transfers = money.filter(({ type }) => type === 30);
  expect(transfers.length).toBeGreaterThan(20);
  const base = (keys: string) => transfers.reduce((sum, row) => sum + Math.round(Number(row[keys]) * 100), 0);
  expect(base('bcy_income')).toBe(base('bcy_outcome'));
  expect(money.filter(({ type, invoice_id }) => type === 20 && invoice_id !== 0).length).toBeGreaterThan(10);
  expect(money.filter(({ type, category_id }) => type !== 30 && category_id === 0)).toEqual([]);

  const deals = rows('crm.lead');
  const lastDay = (key: string) =>
    deals
      .map((deal) => String(deal[key]))
      .toSorted()
      .at(-1)
      ?.slice(0, 10);
  expect([lastDay('created_date'), lastDay('updated_date')]).toEqual(['2026-03-13', '2026-03-14']);
  for (const { active, created_date, closing_date } of deals)
    expect(active === 1 ? closing_date === null : String(closing_date) >= String(created_date).slice(0, 10)).toBe(true);
  expect(rows('timetracker.timesheets').some(({ module, model }) => module === 'task' && model === 'tasks')).toBe(true);
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
  onEnd(() => child.kill('SIGKILL'));
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
