/** Twelve thousand bodies that nobody should send, through the real route into a real database. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLogger } from '../../src/core/log.ts';
import { SECRET, type Service, startService, webhook } from '../intake/service.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { examples } from '../support/seed.ts';
import { anyBody } from './bodies.ts';
import { createSender, type Sender } from './sender.ts';

/** Bodies of one run of the property; they travel at the same time and share transactions. */
const BATCH = 60;
const RUNS = Math.ceil(Number(process.env.FUZZ_BODIES ?? examples(6_000)) / BATCH);
const LIMIT_BYTES = 65_536;

let db: TestDatabase;
let service: Service;
let sender: Sender;
let logged = '';

beforeAll(async () => {
  db = await createTestDatabase();
  const log = createLogger({
    level: 'debug',
    version: 'test',
    secrets: [SECRET],
    stream: {
      write(line) {
        logged += line;
      },
    },
  });
  service = await startService(
    db.url,
    { WEBHOOK_BODY_LIMIT: String(LIMIT_BYTES), FLOWLU_TIMEZONE: 'Europe/Berlin' },
    { log },
  );
  sender = await createSender(service.url, `/webhooks/flowlu/${SECRET}`);
});
afterAll(async () => {
  sender?.close();
  await service?.close();
  await db?.close();
});

const tables = () => db.sql`
  select table_schema, table_name, count(*)::int as columns from information_schema.columns
   where table_schema in ('flowlu', 'flowlu_live', 'sync') group by 1, 2 order by 1, 2`;

it('is answered with 200, 400, 413 or 422, and leaves service, database and process as they should be', async () => {
  const tablesBefore = await tables();
  const prototypes = [Object.prototype, Array.prototype, String.prototype].map((it) => Reflect.ownKeys(it).length);
  const counts = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(fc.array(anyBody, { minLength: BATCH, maxLength: BATCH }), async (bodies) => {
      const answers = await sender.post(bodies);
      for (const [index, { status, text }] of answers.entries()) {
        const shown = `${status} ${text}, to ${bodies[index]?.toString().slice(0, 300)}`;
        if (![200, 400, 413, 422].includes(status)) throw new Error(`answered ${shown}`);
        const parsed = JSON.parse(text) as { accepted?: unknown; error?: unknown };
        if (parsed.accepted !== (status === 200) || text.length > 1_000) throw new Error(`answered ${shown}`);
        if (text.includes(SECRET) || /\bat .*\.[jt]s/.test(text)) throw new Error(`told too much: ${shown}`);
        counts.set(status, (counts.get(status) ?? 0) + 1);
      }
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
  const of = (status: number) => counts.get(status) ?? 0;
  // All ways of ending were taken, often: the bodies are neither all nonsense nor all fine.
  for (const status of [200, 400, 422]) expect(of(status), `answers of ${status}`).toBeGreaterThan(RUNS);

  const stored = await db.sql`select status, count(*)::int as n from sync.deliveries group by status`;
  const total = stored.reduce((sum, { n }) => sum + n, 0);
  expect(total).toBe(of(200) + of(422));
  expect(stored.find(({ status }) => status === 'rejected')?.n).toBe(of(422));
  expect(stored.find(({ status }) => status === 'pending')).toBeUndefined();
  // Nothing that PostgreSQL refuses gets as far as PostgreSQL: a batch that cannot be applied would be an error in the log.
  const reasons = await db.sql`select distinct reason from sync.deliveries where status = 'failed'`;
  const known = ['neither current nor previous names a record id', 'the body has neither `current` nor `previous`'];
  expect(known).toEqual(expect.arrayContaining(reasons.map(({ reason }) => reason)));
  for (const line of logged.split('\n').filter(Boolean))
    expect(['debug', 'info']).toContain((JSON.parse(line) as { level: string }).level);
  expect(logged).not.toContain(SECRET);

  expect(await tables()).toEqual(tablesBefore);
  expect([Object.prototype, Array.prototype, String.prototype].map((it) => Reflect.ownKeys(it).length)).toEqual(
    prototypes,
  );
  expect((await service.post(webhook('crm.account', 'create', { id: 4_711, name: 'Ada' }))).status).toBe(200);
  expect(await db.sql`select name from flowlu.crm_account where id = 4711`).toEqual([{ name: 'Ada' }]);
}, 120_000);
