/** `serve --workers`: several processes on one port, which count as one, are replaced, and end together. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureBuilt, runCli, SECRET, type Service, startServe } from '../chaos/processes.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

const DELIVERIES = 60;

let db: TestDatabase;
let service: Service;
beforeAll(async () => {
  await ensureBuilt();
  db = await createTestDatabase();
  service = await startServe({ DATABASE_URL: db.url }, '--workers', '2');
});
afterAll(async () => {
  await service?.kill();
  await db?.close();
});

let id = 0;
/** The status answered; each on a connection of its own, so that they are spread. */
async function deliver(): Promise<number> {
  id += 1;
  const body = JSON.stringify({ meta: { module: 'crm', model: 'account', action: 'add' }, current: { id, name: 'A' } });
  const { status } = await fetch(`${service.url}/webhooks/flowlu/${SECRET}`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', connection: 'close' },
  });
  return status;
}

const workers = ({ pid } = service) =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).map(Number);

/** The second one begins once the first one listens. */
const listening = ({ output } = service, times = 2) =>
  eventually(
    async () => output().match(/"msg":"listening"/g)?.length,
    (listening) => listening === times,
  );

/** The one value of a metric. */
async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${service.url}/metrics`, { headers: { connection: 'close' } })).text();
  const values = text.match(new RegExp(`^flowlu_mirror_${name}[{ ].*`, 'gm')) ?? [];
  expect(values).toHaveLength(1);
  return Number(values[0]?.split(' ').at(-1));
}

describe('two workers', () => {
  it('share the port and the ledger, and whoever is asked for metrics tells what both have counted', async () => {
    await listening();
    expect(workers()).toHaveLength(2);
    for (let n = 0; n < DELIVERIES; n += 1) expect(await deliver()).toBe(200);
    const [row] = await db.sql`select count(*)::int as kept from sync.deliveries where status = 'applied'`;
    expect(row?.kept).toBe(DELIVERIES);
    for (let asked = 0; asked < 4; asked += 1) expect(await metric('deliveries_received_total')).toBe(DELIVERIES);
    expect(await metric('database_up')).toBe(1);
  });

  it('go on while one of them is killed, and another one takes its place', async () => {
    const [killed] = workers() as [number];
    process.kill(killed, 'SIGKILL');
    await eventually(
      async () => workers(),
      (pids) => pids.length === 2 && !pids.includes(killed),
    );
    expect(service.output()).toContain('a worker has ended; another one takes its place');
    for (let n = 0; n < 10; n += 1) expect(await deliver()).toBe(200);
  });

  it('end together, with what was received, on one signal', async () => {
    const answers = Promise.allSettled(Array.from({ length: 20 }, deliver));
    const { code } = await service.stop();
    expect(code).toBe(0);
    const kept = (await answers).filter((answer) => answer.status === 'fulfilled' && answer.value === 200).length;
    const [row] = await db.sql`select count(*)::int as kept from sync.deliveries`;
    expect(row?.kept).toBeGreaterThanOrEqual(DELIVERIES + 10 + kept);
  });

  it('take a place that becomes free while the database is away, and wait for it there, which they say', async () => {
    const proxy = await startTcpProxy(db.url);
    const own = await startServe({ DATABASE_URL: proxy.url(db.url) }, '--workers', '2');
    try {
      await listening(own);
      proxy.cut();
      process.kill(workers(own)[0] as number, 'SIGKILL');
      await eventually(
        async () => own.output(),
        (output) => output.includes('a worker waits for the database'),
      );
      const get = (path: string) => fetch(`${own.url}${path}`, { headers: { connection: 'close' } });
      expect((await get('/readyz')).status).toBe(503);
      const metrics = await get('/metrics');
      expect(metrics.status).toBe(200);
      expect(await metrics.text()).toMatch(/^flowlu_mirror_intake_queue_length /m);
      proxy.heal();
      await listening(own, 3);
      expect(own.output().match(/a worker has ended/g)).toHaveLength(1);
      expect((await own.stop()).code).toBe(0);
    } finally {
      await own.kill();
      await proxy.close();
    }
  }, 90_000);

  it('do not begin where the first one cannot: its sentence and its code are those of the command', async () => {
    const { code, output } = await runCli(['serve', '--workers', '3'], { DATABASE_URL: `${db.url}x` });
    expect(code).not.toBe(0);
    expect(output.match(/.*does not exist.*/g)).toHaveLength(1);
    expect((await runCli(['serve', '--workers', '0'], {})).output).toContain('a whole number from 1 to 64');
  });
});
