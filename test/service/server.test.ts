/** The listener as proxies and health checks meet it. */
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { createLogger } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { createApp } from '../../src/service/app.ts';
import { type ListenOptions, listen, listenError } from '../../src/service/server.ts';
import type { Session } from '../../src/service/session.ts';
import { until } from '../support/eventually.ts';

/** A listener whose answers wait until they are let go. */
async function startSlow(limits: ListenOptions['limits'] = {}) {
  const waiting: (() => void)[] = [];
  const listener = await listen(
    { listener: (_request, response) => void waiting.push(() => response.end('done')) },
    { host: '127.0.0.1', port: 0, limits },
  );
  return { listener, waiting };
}

interface Answer {
  readonly connection: string | undefined;
}

function ask(url: string, agent: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request(url, { agent }, (response) => {
      response.resume().once('end', () => resolve({ connection: response.headers.connection }));
    })
      .once('error', reject)
      .end();
  });
}

test('stopping answers what is under way, says that the connection ends, and waits for nobody who is idle', async () => {
  const { listener, waiting } = await startSlow();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const idle = connect(Number(new URL(listener.url).port), '127.0.0.1');
  await once(idle.resume(), 'connect');
  const first = ask(listener.url, agent);
  await until(() => waiting.length === 1);
  waiting.pop()?.();
  expect((await first).connection).toBe('keep-alive');
  const served = connect(Number(new URL(listener.url).port), '127.0.0.1');
  served.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await until(() => waiting.length === 1);
  waiting.pop()?.();
  await once(served, 'data');
  const underWay = ask(listener.url, agent);
  await until(() => waiting.length === 1);
  const stopped = listener.stop(600_000);
  expect(await closed(served.resume())).toBe(true);
  waiting.pop()?.();
  expect((await underWay).connection).toBe('close');
  await stopped;
  expect(idle.destroyed || (await closed(idle))).toBe(true);
  agent.destroy();
});

test('a health check over HTTP/1.0 without a host is answered', async () => {
  const config = loadConfig({ WEBHOOK_SECRET: 'correct-horse-battery-staple-4711' });
  const log = createLogger({ level: 'silent', version: 'test', secrets: [] });
  const session = {
    config,
    log,
    metrics: createMetrics(),
    context: {},
    privacy: null,
    models: [],
    database: { displayUrl: 'none' },
  } as unknown as Session;
  const app = createApp(session, { onPending: () => {}, isStopping: () => false });
  const listener = await listen(app, { host: '127.0.0.1', port: 0 });
  const socket = connect(Number(new URL(listener.url).port), '127.0.0.1');
  socket.end('GET /livez HTTP/1.0\r\n\r\n');
  let text = '';
  for await (const part of socket.setEncoding('utf8')) text += part;
  expect(text).toMatch(/^HTTP\/1\.[01] 200/);
  await listener.stop(100);
});

test('who closes their side after the request still gets the answer', async () => {
  const { listener, waiting } = await startSlow();
  const socket = connect(Number(new URL(listener.url).port), '127.0.0.1');
  socket.end('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await until(() => waiting.length === 1);
  waiting.pop()?.();
  let text = '';
  for await (const part of socket.setEncoding('utf8')) text += part;
  expect(text).toContain('done');
  await listener.stop(100);
});

test('a burst beyond the limit resets no connection whose request has arrived with it', async () => {
  const burst = 30;
  const { listener, waiting } = await startSlow({ connections: 20 });
  const sent = new Int32Array(new SharedArrayBuffer(4));
  const crowd = new Worker(
    `const { workerData: { sent, port, burst }, parentPort } = require('node:worker_threads');
     const { connect } = require('node:net');
     const answers = Array(burst).fill('');
     let ended = 0;
     const join = (number) => {
       if (number === burst) { Atomics.store(sent, 0, 1); Atomics.notify(sent, 0); return; }
       const request = 'GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n';
       const socket = connect(port, '127.0.0.1', () => socket.write(request, () => join(number + 1)));
       socket.on('error', () => {}).setEncoding('latin1').on('data', (text) => { answers[number] += text; });
       socket.on('close', () => { ended += 1; if (ended === burst) parentPort.postMessage(answers); });
     };
     join(0);`,
    { eval: true, workerData: { sent, port: Number(new URL(listener.url).port), burst } },
  );
  const answered = once(crowd, 'message') as Promise<[string[]]>;
  await once(crowd, 'online');
  // All have come, with what they have sent, before the first is accepted; and none is answered before all are read.
  Atomics.wait(sent, 0, 0);
  await until(() => waiting.length === burst);
  for (const answer of waiting) answer();
  const [answers] = await answered;
  expect(answers.map((text) => text.slice(0, 12))).toEqual(Array(burst).fill('HTTP/1.1 200'));
  await crowd.terminate();
  await listener.stop(100);
});

function closed(socket: Socket): Promise<boolean> {
  return socket.destroyed ? Promise.resolve(true) : once(socket, 'close').then(() => true);
}

test.each([
  ['192.0.2.1', /no network interface here has the address 192\.0\.2\.1; set HOST to/],
  ['fe80::1', /cannot listen on \[fe80::1\]:\d+: no network interface .*; set HOST to/],
  ['no-such-name.invalid', /the name no-such-name\.invalid does not resolve; set HOST to/],
])('of HOST=%s the sentence names HOST and says what to set', async (host, sentence) => {
  await expect(listen({ listener: () => {} }, { host, port: 0 })).rejects.toThrow(sentence);
});

test('of a port that this user may not listen on the sentence names PORT', () => {
  const error = Object.assign(new Error('listen EACCES: permission denied 127.0.0.1:80'), { code: 'EACCES' });
  const address = { host: '127.0.0.1', port: 80, hostName: 'HOST', portName: 'PORT' };
  expect(listenError(error, address).message).toBe(
    'cannot listen on 127.0.0.1:80: this user may not listen on port 80; set PORT to one from 1024 on',
  );
});
