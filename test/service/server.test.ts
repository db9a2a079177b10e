/** The listener as proxies and health checks meet it. */
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { createLogger } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import { createApp } from '../../src/service/app.ts';
import { listen } from '../../src/service/server.ts';
import type { Session } from '../../src/service/session.ts';
import { until } from '../support/eventually.ts';

/** A listener whose answers wait until they are let go. */
async function startSlow() {
  const waiting: (() => void)[] = [];
  const listener = await listen(
    { listener: (_request, response) => void waiting.push(() => response.end('done')) },
    { host: '127.0.0.1', port: 0 },
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

function closed(socket: Socket): Promise<boolean> {
  return socket.destroyed ? Promise.resolve(true) : once(socket, 'close').then(() => true);
}
