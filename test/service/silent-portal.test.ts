/** A portal that gives no answer, or none that can be read, is told everywhere, until it answers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import type { RequestEvent } from '../../src/flowlu/client.ts';
import type { Sql } from '../../src/postgres/connection.ts';
import { watchPortal } from '../../src/service/portal-watch.ts';
import { readReport } from '../../src/status/report.ts';
import { statusRoutes } from '../../src/status/routes.ts';
import { ACCOUNT, answer, type Handler, rows, startPortal } from '../flowlu/portal.ts';
import { sourceOf } from '../status/source.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { never } from '../support/mirror.ts';

const log = createLogger({ level: 'silent', version: 'test', secrets: [] });

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

/** A process of its own, which notes the silence at once. */
const watchOf = (sql: Sql) => watchPortal({ sql, log, requestsPerSecond: 1, byKey: true, silentMs: 0, repeatedMs: 0 });
const findingsOf = async () => (await sourceOf(database.sql).health()).findings;
const silenceOf = async () => (await findingsOf()).find(({ code }) => code === 'portal_silent');

const trickle: Handler = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const timer = setInterval(() => response.write(' '), 20);
  response.on('close', () => clearInterval(timer));
};

describe('is a finding of every process, with since when and how requests fail, until one succeeds', () => {
  const kinds: readonly [string, Handler, RegExp][] = [
    ['that takes the connection and says nothing', () => {}, /no complete answer within 0\.2 s/],
    ['that lets its answer trickle', trickle, /no complete answer within 0\.2 s/],
    ['that answers with nothing', answer(200, ''), /empty|JSON/],
    ['that drops the connection', (request) => request.socket.destroy(), /other side closed/],
  ];
  it.each(kinds)('a portal %s', async (_, fails, words) => {
    const { sql } = database;
    let handler = fails;
    await using portal = await startPortal((...of) => handler(...of));
    const watch = watchOf(sql);
    const client = portal.client({ onRequest: watch.onRequest, timeoutMs: 200, retry: { baseMs: 1, attempts: 2 } });
    const before = new Date(Date.now() - 1_000).toISOString();
    await client.list(ACCOUNT, {}, never).catch(() => null);
    await expect.poll(silenceOf).toMatchObject({ severity: 'care', since: expect.any(String) });
    const silence = await silenceOf();
    expect(silence?.sentence).toMatch(words);
    expect(new Date(silence?.since ?? '') > new Date(before)).toBe(true);

    const metrics = createMetrics();
    const routes = statusRoutes({ ...sourceOf(sql), metrics, log, token: null, isStopping: () => false });
    expect(await (await routes.request('/readyz')).json()).toMatchObject({ ready: true, degraded: ['portal_silent'] });
    expect(await (await routes.request('/status')).text()).toContain('No request to Flowlu succeeds');
    expect(await (await routes.request('/metrics')).text()).toContain('code="portal_silent"');
    expect(await readReport(sourceOf(sql))).toMatchObject({ state: 'care', headline: silence?.sentence });

    // Where the one that noted it has ended, the answer that another one gets is the end of it.
    const other = watchOf(sql);
    handler = rows(1);
    expect(await other.mayAsk()).toBe(true);
    await portal.client({ onRequest: other.onRequest }).list(ACCOUNT, {}, never);
    await expect.poll(silenceOf).toBeUndefined();
  });
});

it('costs a statement when it begins and one when it ends, and none for a request', async () => {
  let statements = 0;
  const counting = ((...words: Parameters<Sql>) => {
    statements += 1;
    return database.sql(...words);
  }) as unknown as Sql;
  const event = (outcome: RequestEvent['outcome'], duration_ms = 1): RequestEvent => ({
    model: 'crm.account',
    method: 'list',
    status: null,
    attempt: 1,
    problem: 'x',
    outcome,
    duration_ms,
  });
  const tell = (watch: ReturnType<typeof watchPortal>, outcome: RequestEvent['outcome']) => {
    for (let times = 0; times < 10; times += 1) watch.onRequest(event(outcome));
  };
  const patient = watchPortal({ sql: counting, log, requestsPerSecond: 1, byKey: true });
  // What an earlier process has left is taken back: the silence, and the refusal of a key.
  tell(patient, 'ok');
  await expect.poll(() => statements).toBe(2);
  tell(patient, 'timeout');
  tell(patient, 'ok');
  expect(await silenceOf()).toBeUndefined();
  expect(statements).toBe(2);

  const watch = watchOf(counting);
  tell(watch, 'timeout');
  await expect.poll(silenceOf).toMatchObject({ code: 'portal_silent' });
  tell(watch, 'protocol');
  // A refusal is an answer.
  tell(watch, 'forbidden');
  await expect.poll(silenceOf).toBeUndefined();
  tell(watch, 'not_found');
  expect(statements).toBe(4);
});

it('is not told of a portal that fails for one record alone, and is where no answer comes at all', async () => {
  await using portal = await startPortal(answer(200, { error: { error_code: 13, error_msg: 'server error' } }));
  const told: RequestEvent[] = [];
  const watch = watchOf(database.sql);
  const client = portal.client({
    onRequest: (event) => {
      told.push(event);
      watch.onRequest(event);
    },
    retry: { baseMs: 1, attempts: 3 },
  });
  await client.get(ACCOUNT, '7', never).catch(() => null);
  expect(told.map(({ outcome }) => outcome)).toEqual(['server', 'server', 'server']);
  // What was noted before it would have to stand by now.
  watch.onRequest({ ...told[0], method: 'get', status: null, outcome: 'network', problem: 'gone' } as RequestEvent);
  await expect.poll(silenceOf).toMatchObject({ sentence: expect.stringContaining('gone') });
});
