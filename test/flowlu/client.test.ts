import { afterEach, describe, expect, it, vi } from 'vitest';
import { createClient, type FlowluClient, type RequestEvent } from '../../src/flowlu/client.ts';
import { FlowluError, NotFoundError } from '../../src/flowlu/errors.ts';
import { createPace, localBudget } from '../../src/flowlu/pace.ts';
import { until } from '../support/eventually.ts';
import { ACCOUNT, answer, failure, KEY, never, rows, startPortal } from './portal.ts';

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const error = (error_code: number | string, error_msg: string) => ({ error: { error_code, error_msg } });
const CUT = answer(200, '{"response":{"items":[{"id":1');

async function listFailure(status: number, body: unknown): Promise<FlowluError & { requests: number }> {
  await using portal = await startPortal(answer(status, body));
  const thrown = await failure(portal.client({ retry: { attempts: 3, baseMs: 1 } }).list(ACCOUNT, {}, never()));
  return Object.assign(thrown as FlowluError, { requests: portal.urls.length });
}

describe('asking', () => {
  it('sends one GET with the query as Flowlu spells it, and the key in the query only', async () => {
    let headers = '';
    await using portal = await startPortal((request, response, url) => {
      headers = JSON.stringify(request.rawHeaders);
      expect(request.method).toBe('GET');
      rows(5)(request, response, url);
    });
    const answered = await portal.client().list(
      { ...ACCOUNT, listQuery: { 'filter[archive_status]': '0,10' } },
      {
        limit: 100,
        page: 2,
        orderBy: { field: 'id', direction: 'asc' },
        filters: {
          id: { type: 'more', value: '9223372036854775807' },
          updated_date: { start_date: '2026-10-01 00:00:00' },
          name: 'a,b',
        },
      },
      never(),
    );
    expect(answered).toMatchObject({ items: [{ id: 5 }], total: 1, requests: 1 });
    expect(portal.urls[0]?.pathname).toBe('/api/v1/module/crm/account/list');
    expect([...(portal.urls[0]?.searchParams ?? [])]).toEqual([
      ['filter[archive_status]', '0,10'],
      ['limit', '100'],
      ['page', '2'],
      ['order_by[asc][]', 'id'],
      ['filter[id]', '{"type":"more","value":9223372036854775807}'],
      ['filter[updated_date]', '{"start_date":"2026-10-01 00:00:00"}'],
      ['filter[name]', 'a,b'],
      ['api_key', KEY],
    ]);
    expect(headers).not.toContain('ret');
  });

  it('cannot be talked into any path but list and get', async () => {
    await using portal = await startPortal(rows());
    const client = portal.client();
    await expect(client.list({ ...ACCOUNT, model: 'account/delete' }, {}, never())).rejects.toThrow(RangeError);
    await expect(client.list({ ...ACCOUNT, module: '..' }, {}, never())).rejects.toThrow(RangeError);
    await expect(client.get(ACCOUNT, '5/../../delete/5', never())).rejects.toThrow(RangeError);
    await expect(client.get(ACCOUNT, '', never())).rejects.toThrow(RangeError);
    await expect(client.list(ACCOUNT, { limit: 0 }, never())).rejects.toThrow(RangeError);
    await expect(client.list(ACCOUNT, { filters: { 'id]&x[': '1' } }, never())).rejects.toThrow(RangeError);
    expect(portal.urls).toHaveLength(0);
  });

  it('refuses settings that would leak or lose the key', async () => {
    await using portal = await startPortal(rows());
    expect(() => portal.client({ baseUrl: 'https://user:pw@x.example/api' })).toThrow(TypeError);
    expect(() => portal.client({ baseUrl: 'https://x.example/api?y=1' })).toThrow(TypeError);
    expect(() => portal.client({ baseUrl: 'file:///etc' })).toThrow(TypeError);
    expect(() => portal.client({ apiKey: ' ' })).toThrow(TypeError);
  });
});

describe('envelopes', () => {
  const read = async (response: unknown, filters: Record<string, string> = {}) => {
    await using portal = await startPortal(answer(200, typeof response === 'string' ? response : { response }));
    return await portal.client({ retry: { attempts: 1 } }).list(ACCOUNT, { filters }, never());
  };
  const get = async (response: unknown, id = '1') => {
    await using portal = await startPortal(answer(200, { response }));
    return await portal.client({ retry: { attempts: 1 } }).get(ACCOUNT, id, never());
  };

  it('takes items as a list, as an object keyed by number, bare, or as nothing', async () => {
    expect((await read({ items: [{ id: 1 }] })).items).toEqual([{ id: 1 }]);
    expect(await read({ items: { 0: { id: 9 }, 1: { id: 3 } } })).toMatchObject({
      items: [{ id: 9 }, { id: 3 }],
      ordered: true,
    });
    expect(await read({ items: { 3: { id: 3 }, 9: { id: 9 } } })).toMatchObject({ ordered: false });
    expect((await read([{ id: 1 }])).items).toEqual([{ id: 1 }]);
    for (const empty of [
      [],
      { items: [] },
      { items: {} },
      { items: null },
      { items: null, count: 0 },
      { total: '0' },
    ]) {
      expect((await read(empty)).items, JSON.stringify(empty)).toEqual([]);
    }
  });

  it('never takes a broken list for an empty one', async () => {
    for (const broken of [
      {},
      { total: 5 },
      { items: null, total_result: 5 },
      { items: false },
      { items: '' },
      null,
      7,
    ]) {
      await expect(read(broken), JSON.stringify(broken)).rejects.toMatchObject({ kind: 'protocol' });
    }
    await expect(read({ items: [{ id: 1 }, 2] })).rejects.toMatchObject({ kind: 'protocol', retryable: false });
    await expect(read({ items: { a: { id: 1 } } })).rejects.toMatchObject({ kind: 'protocol' });
  });

  it('reads the total that honours filters, and trusts the other one only without filters', async () => {
    expect((await read({ items: [], total: 9, total_result: '4' })).total).toBe(4);
    expect((await read({ items: [], total: '9' })).total).toBe(9);
    expect((await read({ items: [], total: 9 }, { type: '1' })).total).toBeNull();
    expect((await read({ items: [], total_result: 'many', total: -1 })).total).toBeNull();
  });

  it('keeps 64-bit ids and decimals to the last digit', async () => {
    const { items } = await read('{"response":{"items":[{"id":9007199254740993,"price":12345678901234567.89}]}}');
    expect(String(items[0]?.id)).toBe('9007199254740993');
    expect(String(items[0]?.price)).toBe('12345678901234567.89');
  });

  it('gets a record plain, from a list of one, or from an array', async () => {
    expect((await get({ id: '1', name: 'Jane' })).record).toEqual({ id: '1', name: 'Jane' });
    expect((await get({ total: 1, page: 1, items: [{ id: 1 }] })).record).toEqual({ id: 1 });
    expect((await get([{ id: 1 }])).record).toEqual({ id: 1 });
  });

  it('refuses a get that answers with nothing or with somebody else, which proves no absence', async () => {
    for (const wrong of [{}, [], null, 1, { items: [] }, { id: 2 }, [{ id: 2 }], { name: 'x' }]) {
      const thrown = await failure(get(wrong));
      expect(thrown, JSON.stringify(wrong)).toMatchObject({ kind: 'protocol' });
      expect(thrown).not.toBeInstanceOf(NotFoundError);
    }
  });
});

describe('errors', () => {
  it('advise to look at what the portal is read by: the key, or the login', async () => {
    await using portal = await startPortal(answer(200, error(11, 'authorization failed')));
    const ask = (client: FlowluClient) => failure(client.list(ACCOUNT, { limit: 1, page: 1 }, never()));
    expect(String(await ask(portal.client()))).toContain('check the API key');
    const credentials = async () => ({ header: 'Bearer x', redact: (text: string) => text });
    const authorization = { credentials, accepted: () => {}, renew: async () => false };
    const pace = createPace(0, localBudget());
    const byLogin = String(await ask(createClient({ baseUrl: portal.baseUrl, authorization, pace })));
    expect(byLogin).toContain('log in again');
    expect(byLogin).not.toMatch(/\bkey\b/i);
  });

  it.each([
    [200, error(11, 'api key not found'), 'unauthorized', 1],
    [200, error('11', 'account not found'), 'unauthorized', 1],
    [401, { error: 'Access token has been revoked' }, 'unauthorized', 1],
    [200, { error: 'Access token has been revoked' }, 'unauthorized', 1],
    [401, 'no', 'unauthorized', 1],
    [401, error(20, 'not found'), 'unauthorized', 1],
    [403, '<html>no</html>', 'blocked', 3],
    [200, error(12, 'invalid request'), 'invalid_request', 1],
    [200, error(20, 'not found'), 'not_found', 1],
    [200, error(21, 'bad value'), 'validation', 1],
    [200, { error: 'validation', description: 'Form filling error', details: { name: 'x' } }, 'validation', 1],
    [200, error(22, 'access denied'), 'forbidden', 1],
    [200, error(22, 'no'), 'forbidden', 1],
    [200, error(22, 'validation of the token'), 'forbidden', 1],
    [200, error(30, 'access denied'), 'forbidden', 1],
    [200, error('30', 'unknown method'), 'unknown_method', 1],
    [200, error(31, 'unknown module'), 'unknown_module', 1],
    [200, error(77, 'something new'), 'protocol', 1],
    [404, '<html>nothing here</html>', 'protocol', 3],
    [404, { error: 'Not found' }, 'protocol', 1],
    [503, '<html><title>Just a moment...</title></html>', 'blocked', 3],
    [200, { hello: 'world' }, 'protocol', 1],
    [200, '[]', 'protocol', 1],
    [200, '<!doctype html><form>log in</form>', 'protocol', 3],
    [200, '{"response":{"items":[', 'protocol', 3],
    [200, '', 'protocol', 3],
    [200, error(10, 'unknown error'), 'server', 3],
    [200, error(13, 'server error'), 'server', 3],
    [500, error(20, 'not found'), 'server', 3],
    [503, 'down', 'server', 3],
    [429, 'Too Many Requests', 'rate_limited', 3],
    [200, 'Too Many Requests', 'rate_limited', 3],
    [200, error(12, 'Request rate per second exceeded'), 'rate_limited', 3],
    [200, { error: 'Request rate per second exceeded' }, 'rate_limited', 3],
    [408, '', 'timeout', 3],
  ])('HTTP %i with %j is %s, after %i requests', async (status, body, kind, requests) => {
    const thrown = await listFailure(status, body);
    expect(thrown).toBeInstanceOf(FlowluError);
    expect(thrown).toMatchObject({ kind, status, requests });
  });

  it('an empty error beside a response is none', async () => {
    await using portal = await startPortal(answer(200, { error: null, response: { items: [] } }));
    await expect(portal.client().list(ACCOUNT, {}, never())).resolves.toMatchObject({ items: [] });
  });

  it('says which request failed and gives a hint for a wrong host', async () => {
    const thrown = await listFailure(200, '<html>');
    expect(thrown.message).toMatch(/^GET http:\/\/127\.0\.0\.1:\d+\/api\/v1\/module\/crm\/account\/list: an HTML page/);
    expect(thrown.message).toContain('sub-domain');
  });

  it('only get turns error 20 into an absence, fenced by the moment before it was asked', async () => {
    await using portal = await startPortal(answer(200, error(20, 'not found')));
    const pace = { take: async () => 123, left: () => {} };
    const thrown = await failure(portal.client({ pace }).get(ACCOUNT, '7', never()));
    expect(thrown).toBeInstanceOf(NotFoundError);
    expect(thrown).toMatchObject({ kind: 'not_found', code: 20, observedAt: 123 });
    expect(await failure(portal.client({ pace }).list(ACCOUNT, {}, never()))).not.toBeInstanceOf(NotFoundError);
  });
});

describe('repeating', () => {
  it('tries again until it works, one slot per attempt, and reports the moment of the one that did', async () => {
    await using portal = await startPortal(
      answer(503, ''),
      answer(200, error(13, 'oops')),
      (request) => request.socket.destroy(),
      CUT,
      answer(429, 'Too Many Requests'),
      rows(1),
    );
    let slots = 0;
    const events: RequestEvent[] = [];
    const answered = await portal
      .client({ pace: { take: async () => ++slots, left: () => {} }, onRequest: (event) => events.push(event) })
      .list(ACCOUNT, {}, never());
    expect(answered).toMatchObject({ requests: 6, observedAt: 6 });
    expect(events.map(({ attempt, status, outcome }) => [attempt, status, outcome])).toEqual([
      [1, 503, 'server'],
      [2, 200, 'server'],
      [3, null, 'network'],
      [4, 200, 'protocol'],
      [5, 429, 'rate_limited'],
      [6, 200, 'ok'],
    ]);
    expect(JSON.stringify(events)).not.toContain('ret');
    expect(events[0]).toMatchObject({ model: 'crm.account', method: 'list' });
  });

  it('gives up after six requests', async () => {
    await using portal = await startPortal(answer(500, ''));
    await expect(portal.client().list(ACCOUNT, {}, never())).rejects.toMatchObject({ kind: 'server' });
    expect(portal.urls).toHaveLength(6);
  });

  it('gives up when the time is over', async () => {
    await using portal = await startPortal(answer(500, ''));
    const client = portal.client({ retry: { attempts: 100, baseMs: 40, maxWaitMs: 40, totalMs: 150 } });
    await expect(client.list(ACCOUNT, {}, never())).rejects.toMatchObject({ kind: 'server' });
    expect(portal.urls.length).toBeGreaterThan(1);
    expect(portal.urls.length).toBeLessThan(7);
  });

  it('waits twice as long each time, and up to twice that at random', async () => {
    await using portal = await startPortal(answer(500, ''));
    const timers = vi.spyOn(globalThis, 'setTimeout');
    const client = portal.client({ retry: { attempts: 4, baseMs: 37 } });
    await failure(client.list(ACCOUNT, {}, never()));
    const waits = timers.mock.calls.map(([, ms = 0]) => ms).filter((ms) => ms >= 37 && ms < 8 * 37);
    expect(waits).toHaveLength(3);
    for (const [index, wait] of waits.entries()) {
      expect(wait).toBeGreaterThanOrEqual(37 * 2 ** index);
      expect(wait).toBeLessThanOrEqual(2 * 37 * 2 ** index);
    }
  });

  it('takes Retry-After as a floor for every call of the client, and caps it', async () => {
    await using portal = await startPortal(answer(429, '', { 'retry-after': '1' }), rows(1));
    const client = portal.client({ retry: { baseMs: 1, maxRetryAfterMs: 200 } });
    // The clock stands still until it is moved; timers run, and whoever is woken too early waits again.
    vi.useFakeTimers({ toFake: ['performance'] });
    const timers = vi.spyOn(globalThis, 'setTimeout');
    const waits = () => timers.mock.calls.filter(([, ms]) => ms === 200).length;
    const first = client.list(ACCOUNT, {}, never());
    await until(() => waits() > 0);
    const second = client.list(ACCOUNT, {}, never());
    const before = waits();
    await until(() => waits() >= before + 3);
    expect(portal.urls).toHaveLength(1);
    vi.advanceTimersByTime(200);
    await Promise.all([first, second]);
    expect(portal.urls).toHaveLength(3);
  });
});

describe('bounds', () => {
  it('a portal that never answers times out', async () => {
    await using portal = await startPortal(() => {});
    const client = portal.client({ timeoutMs: 400, retry: { attempts: 2, baseMs: 1 } });
    await expect(client.list(ACCOUNT, {}, never())).rejects.toMatchObject({ kind: 'timeout' });
    expect(portal.urls).toHaveLength(2);
  });

  it('a body that never ends times out', async () => {
    await using portal = await startPortal((_request, response) => {
      response.writeHead(200).write('{"response":');
    });
    const client = portal.client({ timeoutMs: 50, retry: { attempts: 1 } });
    await expect(client.list(ACCOUNT, {}, never())).rejects.toMatchObject({ kind: 'timeout' });
  });

  it('a body that breaks off is a network failure', async () => {
    await using portal = await startPortal((_request, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('{"response":');
      response.flushHeaders();
      setImmediate(() => response.destroy());
    });
    const client = portal.client({ retry: { attempts: 1 } });
    await expect(client.list(ACCOUNT, {}, never())).rejects.toMatchObject({ kind: 'network', retryable: true });
  });

  it('a body beyond the bound is refused while it still comes', async () => {
    let sent = 0;
    await using portal = await startPortal((_request, response) => {
      const chunk = Buffer.alloc(64 * 1024, 32);
      const more = () => {
        while (!response.destroyed && response.write(chunk)) sent += chunk.length;
      };
      response.on('drain', more);
      more();
    });
    const client = portal.client({ maxBodyBytes: 100_000 });
    const thrown = await failure(client.list(ACCOUNT, {}, never()));
    expect(thrown).toMatchObject({ kind: 'protocol', retryable: false });
    expect(sent).toBeLessThan(50 * 2 ** 20);
  });

  it.each([
    ['while the portal is silent', () => {}, { timeoutMs: 600_000 }, 'asked'],
    ['while waiting to try again', answer(500, ''), { retry: { baseMs: 600_000 } }, 'answered'],
    ['while told to stay away', answer(429, '', { 'retry-after': '50' }), {}, 'answered'],
    ['while waiting for a slot', rows(1), { pace: { take: aborted, left: () => {} } }, 'begun'],
  ] as const)('an abort %s ends at once with its reason', async (what, handler, options, moment) => {
    await using portal = await startPortal(handler);
    const reason = 'stopped by a test';
    const controller = new AbortController();
    let answered = 0;
    const onRequest = () => {
      answered += 1;
    };
    const client = portal.client({ ...options, onRequest });
    const asked = client.list(ACCOUNT, {}, controller.signal).catch((error: unknown) => error);
    await until(() => ({ begun: true, asked: portal.urls.length > 0, answered: answered > 0 })[moment]);
    controller.abort(reason);
    // Each of the waits would outlast the test.
    expect(await asked, what).toBe(reason);
  });
});

function aborted(signal: AbortSignal): Promise<number> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
}
