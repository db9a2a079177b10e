/** An attacker on the wire: slow, ambiguous, compressed or malformed requests, and paths that try to get around the secret. */
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/core/log.ts';
import { post, SECRET, type Service, startService, webhook } from '../intake/service.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually, until } from '../support/eventually.ts';
import { open, send } from './wire.ts';

const CONNECTIONS = 60;

let db: TestDatabase;
let service: Service;
let logged = '';

beforeAll(async () => {
  db = await createTestDatabase();
  const log = createLogger({
    level: 'trace',
    version: 'test',
    secrets: [SECRET],
    stream: {
      write(line) {
        logged += line;
      },
    },
  });
  const limits = { headersMs: 2_000, requestMs: 2_500, checkMs: 100, keepAliveMs: 1_000, connections: CONNECTIONS };
  service = await startService(db.url, { STATUS_TOKEN: 'the-status-token' }, { log, limits });
});
afterAll(async () => {
  await service?.close();
  await db?.close();
});
beforeEach(async () => {
  await db.sql`truncate sync.deliveries`;
});

const body = JSON.stringify(webhook('crm.account', 'create', { id: 1, name: 'Ada' }));
const path = `/webhooks/flowlu/${SECRET}`;
const request = (head: string, content = '', target = path) =>
  `POST ${target} HTTP/1.1\r\nHost: x\r\n${head}\r\n${content}`;
const sized = (content: string) => `Content-Length: ${Buffer.byteLength(content)}\r\n`;
const chunked = (content: string) => `${content.length.toString(16)}\r\n${content}\r\n0\r\n\r\n`;
const stored = async () => (await db.sql`select count(*)::int as n from sync.deliveries`)[0]?.n;

async function expectHealthy(): Promise<void> {
  expect((await service.post(webhook('crm.account', 'create', { id: 2, name: 'Bo' }))).status).toBe(200);
  expect((await fetch(`${service.url}/livez`)).status).toBe(200);
  for (const line of logged.split('\n').filter(Boolean)) expect(() => JSON.parse(line)).not.toThrow();
  expect(logged).not.toContain(SECRET);
  expect(logged).not.toMatch(/"level":"(error|fatal)"/);
}

describe('a request that two parsers might read differently', () => {
  // What follows the first request would be a second one for whoever reads it the other way.
  const smuggled = request(sized(body), body);
  it.each([
    ['a length and chunks', request(`${sized(chunked(body))}Transfer-Encoding: chunked\r\n`, chunked(body))],
    ['chunks and a length', request(`Transfer-Encoding: chunked\r\nContent-Length: 4\r\n`, chunked(body))],
    ['two lengths', request(`Content-Length: 3\r\n${sized(body)}`, body)],
    ['two lengths in one line', request(`Content-Length: 3, ${body.length}\r\n`, body)],
    ['a length that is no number', request(`Content-Length: ${body.length}x\r\n`, body)],
    ['a length with a sign', request(`Content-Length: +${body.length}\r\n`, body)],
    ['a negative length', request('Content-Length: -1\r\n', body)],
    ['a length beyond all numbers', request('Content-Length: 99999999999999999999999\r\n', body)],
    ['a space before the colon', request(`Content-Length : ${body.length}\r\n`, body)],
    ['an encoding that is not the last', request('Transfer-Encoding: chunked, identity\r\n', chunked(body))],
    ['an encoding that nobody knows', request('Transfer-Encoding: xchunked\r\n', chunked(body))],
    ['an encoding behind a control character', request('Transfer-Encoding: \x0bchunked\r\n', chunked(body))],
    ['two encodings', request('Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n', chunked(body))],
    ['a chunk size that is no number', request('Transfer-Encoding: chunked\r\n', `zz\r\n${body}\r\n0\r\n\r\n`)],
    [
      'a chunk size beyond all numbers',
      request('Transfer-Encoding: chunked\r\n', `${'f'.repeat(40)}\r\n${body}\r\n0\r\n\r\n`),
    ],
    ['a chunk longer than it says', request('Transfer-Encoding: chunked\r\n', `3\r\n${body}\r\n0\r\n\r\n`)],
    ['a folded header', request(`X: a\r\n b\r\nContent-Length:\r\n ${body.length}x\r\n`, body)],
    ['a NUL in a header', request(`X: a\0b\r\n${sized(body)}`, body)],
    ['a bare carriage return in a header', request(`X: a\rContent-Length: 3\r\n${sized(body)}`, body)],
    ['another protocol', `POST ${path} HTTP/9.9\r\nHost: x\r\n${sized(body)}\r\n${body}`],
    ['no protocol that is one', `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03${'A'.repeat(100)}`],
    ['HTTP/2 without asking', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ])('is refused, and what stands behind it is not read: %s', async (_, bytes) => {
    const { statuses, isClosed, text } = await send(service.url, bytes + smuggled);
    expect(statuses.length, text).toBeLessThanOrEqual(1);
    expect(statuses.every((status) => status >= 400 && status < 500)).toBe(true);
    expect(isClosed).toBe(true);
    // What is not read cannot arrive late either: another delivery that is stored now would come after it.
    expect(await stored()).toBe(0);
    expect(text).not.toMatch(/at .*\.[jt]s|node:|Error:/);
    await expectHealthy();
  });

  it('is not made by hosts, which are no concern here: where one ends is plain', async () => {
    const none = await send(service.url, `POST ${path} HTTP/1.1\r\n${sized(body)}\r\n${body}`);
    expect(none.statuses).toEqual([400]);
    expect(await stored()).toBe(0);
    const two = await send(service.url, request(`Host: y\r\n${sized(body)}`, body) + smuggled);
    expect(two.statuses).toEqual([200, 200]);
  });

  it('is not made of pipelined requests, which are answered in order', async () => {
    const wrong = request(sized(body), body, '/webhooks/flowlu/wrong');
    const { statuses } = await send(service.url, smuggled + wrong + smuggled);
    expect(statuses).toEqual([200, 401, 200]);
  });
});

describe('a body that is compressed', () => {
  it('is refused as no JSON, whatever it would become, and never unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(256 * 1024 ** 2, 0x20), { level: 9 });
    expect(bomb.length).toBeLessThan(1024 ** 2);
    const before = process.memoryUsage();
    for (const encoding of ['gzip', 'deflate', 'br', 'zstd', 'gzip, gzip']) {
      const answer = await post(service.url + path, bomb, { headers: { 'Content-Encoding': encoding } });
      expect(answer.status).toBe(400);
    }
    const growth = process.memoryUsage().rss - before.rss;
    expect(growth).toBeLessThan(200 * 1024 ** 2);
    const small = await post(service.url + path, gzipSync(body), { headers: { 'Content-Encoding': 'gzip' } });
    expect(small.status).toBe(400);
    expect(await stored()).toBe(0);
    await expectHealthy();
  });
});

describe('headers and lines', () => {
  it.each([
    ['a header of 20 kB', request(`X: ${'x'.repeat(20_000)}\r\n${sized(body)}`, body), 431],
    ['20 kB of small headers', request('X-Header: value\r\n'.repeat(1_500) + sized(body), body), 431],
    ['a path of 20 kB', request(sized(body), body, `/webhooks/flowlu/${'x'.repeat(20_000)}`), 431],
    ['a body of 2 MB', request(sized('x'.repeat(2_000_000)), 'x'.repeat(2_000_000)), 413],
    ['an announced body of 2 TB', request('Content-Length: 2000000000000\r\n'), 413],
    ['an expectation that nobody can meet', request(`Expect: the moon\r\n${sized(body)}`, body), 417],
  ])('are bounded: %s', async (_, bytes, status) => {
    const { statuses } = await send(service.url, bytes);
    expect(statuses[0]).toBe(status);
    expect(await stored()).toBe(0);
    await expectHealthy();
  });
});

describe('connections', () => {
  it('are cut off when they send a body in chunks of a byte, which are many objects and no bytes', async () => {
    const name = 'x'.repeat(9_000);
    const inChunks = (text: string) =>
      request('Transfer-Encoding: chunked\r\n', `${[...text].map((one) => `1\r\n${one}\r\n`).join('')}0\r\n\r\n`);
    const short = JSON.stringify({
      meta: { module: 'crm', model: 'account', action: 'create' },
      current: { id: 1, name },
    });
    expect((await send(service.url, inChunks(short))).statuses).toEqual([200]);
    expect(await send(service.url, inChunks(short.padEnd(40_000)))).toMatchObject({ statuses: [], isClosed: true });
    expect(await stored()).toBe(1);
    await expectHealthy();
  });

  it('are cut off when they ask on and on before anything is answered', async () => {
    const { statuses, isClosed } = await send(service.url, request(sized(body), body).repeat(400));
    expect(statuses.length).toBeLessThan(400);
    expect(isClosed).toBe(true);
    await expectHealthy();
    const few = await send(service.url, request(sized(body), body).repeat(50));
    expect(few.statuses).toEqual(Array(50).fill(200));
  });
});

describe('slow senders', () => {
  it('are cut off in the middle of the headers and in the middle of the body', async () => {
    for (const [name, first] of [
      ['headers', `POST ${path} HTTP/1.1\r\nHost: x\r\nX-Slow: `],
      ['body', request('Content-Length: 1000\r\n', '{"me')],
    ] as const) {
      const socket = await open(service.url);
      let ended = false;
      socket
        .on('error', () => {})
        .on('close', () => {
          ended = true;
        });
      socket.resume();
      socket.write(first);
      // A byte now and then does not buy more time.
      const isCut = () => {
        if (!ended) socket.write('a');
        return ended;
      };
      await expect(until(isCut), name).resolves.toBeUndefined();
    }
    await expectHealthy();
  });

  it('give way to honest ones when they hold all connections', async () => {
    // No time-out makes room here.
    const limits = { headersMs: 600_000, requestMs: 600_000, connections: CONNECTIONS };
    const crowded = await startService(db.url, {}, { limits });
    const slow = await Promise.all(
      Array.from({ length: 2 * CONNECTIONS }, async (_, n) => {
        const socket = await open(crowded.url);
        socket.on('error', () => {}).resume();
        if (n % 3 === 1) socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\n`);
        if (n % 3 === 2) socket.write(request('Content-Length: 1000\r\n', '{'));
        return socket;
      }),
    );
    const statuses = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        send(crowded.url, request(`X-Number: ${n}\r\nConnection: close\r\n${sized(body)}`, body)),
      ),
    );
    expect(statuses.flatMap(({ statuses }) => statuses)).toEqual(Array(20).fill(200));
    for (const socket of slow) socket.destroy();
    await crowded.close();
  });

  it('who do not take their answers do not keep others from theirs', async () => {
    const socket = await open(service.url);
    socket.on('error', () => {}).pause();
    for (let n = 0; n < 200; n += 1) socket.write(`GET /livez HTTP/1.1\r\nHost: x\r\n\r\n`);
    await expectHealthy();
    socket.destroy();
  });
});

describe('paths', () => {
  const wrong = [
    '/webhooks/flowlu/',
    '/webhooks/flowlu//',
    `/webhooks/flowlu//${SECRET}`,
    `/webhooks/flowlu/${SECRET}/crm/lead/x`,
    `/webhooks/flowlu/x%2f..%2f${SECRET}`,
    `/webhooks/flowlu/${SECRET}%00`,
    `/webhooks/flowlu/${SECRET}%2f`,
    `/webhooks/flowlu/${SECRET}%20`,
    `/webhooks/flowlu/${encodeURIComponent(encodeURIComponent(`%${SECRET}`))}`,
    `/webhooks/flowlu/${[...SECRET].map((char) => `%25${char.charCodeAt(0).toString(16)}`).join('')}`,
    `/webhooks/flowlu/${SECRET};x=1`,
    `/webhooks%2fflowlu%2f${SECRET}`,
    `/WEBHOOKS/FLOWLU/${SECRET}`,
    '/webhooks/flowlu/%',
    '/webhooks/flowlu/%zz',
    '/webhooks/flowlu/%c0%af',
    '/webhooks/flowlu/%ff%fe',
    `/webhooks/flowlu/${'%41'.repeat(4_000)}`,
    `/webhooks/flowlu/:secret`,
    '/webhooks/flowlu/*',
    `//x/webhooks/flowlu/${SECRET}`,
    `\\webhooks\\flowlu\\${SECRET}`,
    `/webhooks/flowlu?secret=${SECRET}`,
    '*',
    '',
  ];
  it.each(wrong)('do not get around the secret: %s', async (target) => {
    const { statuses, text } = await send(service.url, request(sized(body), body, target), 150);
    expect(
      statuses.every((status) => status >= 400 && status < 500),
      text,
    ).toBe(true);
    expect(text).not.toContain(SECRET);
    expect(text).not.toMatch(/at .*\.[jt]s|node:/);
    expect(await stored()).toBe(0);
  });

  it.each(['x/../', './', '%2e/', 'x/%2e%2e/'])(
    'with %s in front of the right secret are it or are refused',
    async (dots) => {
      const right = await send(service.url, request(sized(body), body, `/webhooks/flowlu/${dots}${SECRET}`), 150);
      expect([200, 401, 404, 429]).toContain(right.statuses[0]);
      const wrong = await send(service.url, request(sized(body), body, `/webhooks/flowlu/${dots}wrong`), 150);
      expect([401, 404, 429]).toContain(wrong.statuses[0]);
    },
  );

  it('that are absolute addresses, and lines that ask for a tunnel, bring nothing', async () => {
    const connect = await send(service.url, 'CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(connect.statuses.every((status) => status >= 400)).toBe(true);
    const upgrade = await send(
      service.url,
      `GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    );
    expect(upgrade.statuses).toEqual([200]);
    await expectHealthy();
  });
});

describe('pages and answers', () => {
  it('cost a bounded amount, however many are asked for: connections beyond it close, and webhooks are taken', async () => {
    const one = 'GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n';
    const floods = Array.from({ length: 10 }, () => send(service.url, one.repeat(1_000)));
    expect((await service.post(webhook('crm.account', 'create', { id: 77, name: 'meanwhile' }))).status).toBe(200);
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
    const answers = (await Promise.all(floods)).flatMap(({ statuses }) => statuses);
    expect(answers.length).toBeLessThan(10_000);
    expect(answers.filter((status) => status === 503).length).toBeLessThanOrEqual(10);
    // The next second has room again.
    await eventually(
      () => fetch(`${service.url}/nowhere`),
      ({ status }) => status === 404,
    );
  });

  it.each(['/status', '/status.json', '/metrics'])('%s tells nothing without the token', async (page) => {
    for (const authorization of [
      '',
      'Bearer',
      'Bearer x',
      'Basic eDp4',
      `Basic ${'A'.repeat(8_000)}`,
      'Bearer the-status-token2',
    ]) {
      const answer = await fetch(service.url + page, { headers: { authorization } });
      expect(answer.status).toBe(401);
      expect(await answer.text()).toBe('{"error":"a token is required"}');
    }
    const right = await fetch(service.url + page, { headers: { authorization: 'Bearer the-status-token' } });
    expect(right.status).toBe(200);
    expect(await right.text()).not.toContain(SECRET);
  });

  it.each(['/status', '/status.json', '/metrics', '/livez', '/readyz', '/nowhere'])(
    '%s carries headers that keep browsers from guessing, storing and framing',
    async (page) => {
      const answer = await fetch(service.url + page, { headers: { authorization: 'Bearer the-status-token' } });
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      expect(answer.headers.get('cache-control')).toBe('no-store');
      expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
      expect(answer.headers.get('content-security-policy')).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
      expect(answer.headers.get('server')).toBeNull();
      expect(answer.headers.get('x-powered-by')).toBeNull();
    },
  );

  it('count wrong tokens, and take the right one all the same', async () => {
    const ask = (token: string) => fetch(`${service.url}/metrics`, { headers: { authorization: `Bearer ${token}` } });
    const answers: number[] = [];
    for (let n = 0; n < 21; n += 1) answers.push((await ask(`wrong-${n}`)).status);
    expect(answers.at(-1)).toBe(429);
    expect((await ask('the-status-token')).status).toBe(200);
  });
});
