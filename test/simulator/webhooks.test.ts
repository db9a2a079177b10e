/** Webhooks are lost, repeated, shuffled and tried again as configured. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { onEnd, start } from './testing.ts';

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
  onEnd(() => server.close());
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
