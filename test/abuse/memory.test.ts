/** Accepted bodies of any size and kind, in any order, by whoever knows the secret: the process lives in a small heap. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ensureBuilt, runCli, SECRET, type Service, type Settings, startServe } from '../chaos/processes.ts';
import { post, webhook } from '../intake/service.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

const HEAP_MB = 128;
const LARGE = 1_000_000;
const DEALS = 60;
const UPDATES = 3;

let db: TestDatabase;
let serve: Service;
let settings: Settings;

beforeAll(async () => {
  await ensureBuilt();
  db = await createTestDatabase();
  settings = { DATABASE_URL: db.url, NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}` };
  serve = await startServe(settings);
});
afterAll(async () => {
  await serve?.stop();
  await db?.close();
});

const send = async (body: unknown) => {
  const text = JSON.stringify(body);
  // A sender that is told to come again later does so a little later.
  const sent = () => post(`${serve.url}/webhooks/flowlu/${SECRET}`, text);
  return (await eventually(sent, ({ status }) => status !== 503, 120_000)).status;
};

/** In waves, since a test has a heap of its own. */
async function sendAll(bodies: readonly (() => unknown)[], atATime: number): Promise<void> {
  for (let start = 0; start < bodies.length; start += atATime) {
    const wave = bodies.slice(start, start + atATime).map((body) => send(body()));
    for (const status of await Promise.all(wave)) expect([200, 422]).toContain(status);
  }
}

const [VERSION, LATER] = ['2026-03-01 10:00:00', '2026-03-01 10:00:01'];
const lead = (id: number, fields: object) => webhook('crm.lead', 'update', { id, updated_date: VERSION, ...fields });
const ids = Array.from({ length: DEALS }, (_, n) => n + 1);

it(`is enough with a heap of ${HEAP_MB} MB`, async () => {
  // Values that take many times their bytes once they are parsed, of which many more come at a time than fit.
  const dense = JSON.parse(`[${'{},'.repeat(19_000)}{}]`) as unknown;
  await sendAll(
    Array.from({ length: 24 }, (_, n) => () => lead(100 + n, { list: dense })),
    24,
  );
  // Each second half of a change before the first, of one second: the first, however small, has to look for the second.
  const change = (from: string, to: object) => (id: number) => () => {
    const stateOf = (fields: object) => ({ id, updated_date: VERSION, ...fields });
    return { ...webhook('crm.lead', 'update', stateOf(to)), previous: stateOf({ name: from }) };
  };
  const large = () => ({ name: 'c', description: 'é'.repeat(LARGE / 2 - 200) });
  await sendAll(
    ids.map((id) => () => webhook('crm.lead', 'create', { id, updated_date: VERSION, name: 'a' })),
    DEALS,
  );
  await sendAll(
    ids.map((id) => () => change('b', large())(id)()),
    8,
  );
  await sendAll(ids.map(change('a', { name: 'b' })), DEALS);
  // All of the rows at once, which are large by now.
  await sendAll(
    ids.map((id) => () => lead(id, { name: 'd', updated_date: LATER })),
    DEALS,
  );
  // States of one second, each of them large, which nothing puts in order.
  const states = Array.from({ length: UPDATES }, (_, turn) => turn).flatMap((turn) =>
    ids
      .slice(0, 6)
      .map((id) => () => lead(id, { updated_date: LATER, description: `${turn}${'é'.repeat(LARGE / 2 - 200)}` })),
  );
  await sendAll(states, 6);
  // Fields that are all kept, one large one after the other.
  await sendAll(
    Array.from({ length: 5 }, (_, n) => () => lead(50, { [`x${n}`]: 'y'.repeat(LARGE - 200) })),
    4,
  );
  expect(serve.isAlive()).toBe(true);
  await eventually(
    () => db.sql`select from sync.deliveries where status = 'pending'`,
    (waiting) => waiting.length === 0,
    30_000,
  );
  const [record] = await db.sql`select max(octet_length(_record::text))::int as bytes from flowlu.crm_lead`;
  expect(record?.bytes).toBeLessThan(5 * LARGE);
  expect(
    await db.sql`select distinct name, length(description)::int as chars from flowlu.crm_lead where id between 7 and ${DEALS}`,
  ).toEqual([{ name: 'd', chars: LARGE / 2 - 200 }]);

  for (const words of [
    ['replay', '--since', '1970-01-01'],
    ['explain', 'crm.lead', '1'],
    ['rebuild', 'crm.lead'],
    ['erase', 'crm.lead', '2', '--force'],
  ]) {
    const { code, output } = await runCli(words, settings);
    expect([0, 3], `${words.join(' ')}: ${output.slice(-2_000)}`).toContain(code);
  }
  expect(serve.isAlive()).toBe(true);
}, 240_000);
