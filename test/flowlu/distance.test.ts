/** A database far away makes nobody late: the portal, a process of its own, counts what arrives and when. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { models } from '../../src/catalog/index.ts';
import { createClient } from '../../src/flowlu/client.ts';
import { createPace } from '../../src/flowlu/pace.ts';
import { connect } from '../../src/postgres/connection.ts';
import { sharedBudget } from '../../src/store/budget.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { never } from './portal.ts';

const RATE = 20;
const REQUESTS = 60;
const KEY = 'key-of-the-test';
const SIMULATOR = fileURLToPath(new URL('../simulator/main.ts', import.meta.url));

let database: TestDatabase;
let portal: { readonly baseUrl: string; readonly controlUrl: string; close(): Promise<void> };
beforeAll(async () => {
  database = await createTestDatabase();
  const child = spawn(process.execPath, ['--import', 'tsx', SIMULATOR, '--rows', '0', '--api-key', KEY], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const close = async () => {
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  };
  portal = { ...(JSON.parse(line.toString()) as { baseUrl: string; controlUrl: string }), close };
});
afterAll(async () => {
  await portal?.close();
  await database?.close();
});

/** A process of its own in all but name: connections, pace and client. */
async function startReader(distanceMs: number) {
  const proxy = await startTcpProxy(database.url, distanceMs / 2);
  const sql = connect(proxy.url(database.url), { applicationName: 'flowlu-mirror test', max: 5 });
  const client = createClient({
    baseUrl: portal.baseUrl,
    apiKey: KEY,
    pace: createPace(RATE, sharedBudget(sql)),
    retry: { attempts: 1 },
  });
  return {
    client,
    async close() {
      await sql.end({ timeout: 5 });
      await proxy.close();
    },
  };
}

it.each([[[20]], [[100]], [[0, 20, 100]]])(
  'a database %j ms away is asked for slots, all requests are sent, and no second has more than the rate',
  async (distances) => {
    const model = models.find(({ name }) => name === 'crm.account');
    if (model === undefined) throw new Error('the catalogue has no crm.account');
    const readers = await Promise.all(distances.map(startReader));
    await fetch(`${portal.controlUrl}/requests`, { method: 'DELETE' });
    let left = REQUESTS;
    const read = async ({ client }: (typeof readers)[number]) => {
      const moments: number[] = [];
      for (; left > 0; moments.push((await client.list(model, {}, never())).observedAt)) left -= 1;
      return moments;
    };
    const moments = await Promise.all(readers.flatMap((reader) => [1, 2, 3, 4].map(() => read(reader))));
    const report = await (await fetch(`${portal.controlUrl}/requests`)).json();
    const [clock] = await database.sql`select extract(epoch from clock_timestamp()) * 1000000 as now`;
    for (const reader of readers) await reader.close();
    expect(report).toMatchObject({ total: REQUESTS });
    // The machine of the tests may carry one request 50 ms later than another.
    expect((report as { maxPer950ms: number }).maxPer950ms).toBeLessThanOrEqual(RATE);
    expect(Math.max(...moments.flat())).toBeLessThan(Number(clock?.now));
    // Each of them has a share, however far away it is.
    for (let index = 0; index < readers.length; index += 1) {
      expect(moments.slice(4 * index, 4 * index + 4).flat().length).toBeGreaterThan(REQUESTS / 10);
    }
  },
  60_000,
);
