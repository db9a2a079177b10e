/** kill -9 at random moments under load: what was acknowledged is kept, nothing is half done, and the mirror comes right. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareWithSource } from '../simulator/compare.ts';
import { type Simulator, startSimulator } from '../simulator/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { ledgerProblems, startLoad } from './load.ts';
import {
  API_KEY,
  ensureBuilt,
  expectNoSecrets,
  killWhen,
  runCli,
  type Service,
  type Settings,
  startServe,
} from './processes.ts';
import { type Chance, chanceFor, FACTOR } from './random.ts';

const MODELS = ['crm.account', 'crm.lead', 'task.tasks', 'crm.industry', 'crm.lead_accounts'];
const SERVE_KILLS = 8 * FACTOR;
const BACKFILL_KILLS = 5 * FACTOR;
const SWEEP_KILLS = 5 * FACTOR;
/** Ten pages of each large model for every kill: the backfill must not be through before the last one. */
const ROWS_PER_MODEL = 1_200 * FACTOR;
/** A backfill asks a dozen questions about its models before the first rows are in the mirror. */
const ANSWERS_WITH_ROWS = 20;

let db: TestDatabase;
let source: Simulator;
let chance: Chance;
let settings: Settings;

beforeAll(async () => {
  await ensureBuilt();
  chance = chanceFor('crash');
  [db, source] = await Promise.all([
    createTestDatabase(),
    startSimulator({
      seed: chance.seed,
      apiKey: API_KEY,
      rowsPerModel: Object.fromEntries(MODELS.map((name) => [name, name === 'crm.industry' ? 30 : ROWS_PER_MODEL])),
    }),
  ]);
  settings = {
    DATABASE_URL: db.url,
    FLOWLU_BASE_URL: source.baseUrl,
    FLOWLU_API_KEY: API_KEY,
    FLOWLU_MODELS: MODELS.join(','),
    FLOWLU_REQUESTS_PER_SECOND: '0',
    RECONCILE_INTERVAL: '300ms',
    SWEEP_INTERVAL: '1h',
    SETTLE_GRACE: '100ms',
    LOG_LEVEL: 'info',
  };
}, 180_000);

afterAll(async () => {
  await source?.close();
  await db?.close();
});

const nextBody = () => source.webhooks.body(source.portal.randomChange(chance.next, MODELS));

/** Applied deliveries whose entity has no row, neither live nor deleted: half of a batch would look like that. */
async function effectsMissing(): Promise<number> {
  let missing = 0;
  for (const name of MODELS) {
    const [module, model] = name.split('.') as [string, string];
    const [row] = await db.sql.unsafe(
      `select count(*)::int as missing from sync.deliveries d
        where d.module = $1 and d.model = $2 and d.status = 'applied' and d.decision <> 'kept'
          and not exists (select from flowlu.${module}_${model} t where t.id = d.entity_id)`,
      [module, model],
    );
    missing += row?.missing as number;
  }
  return missing;
}

/** Kills a command in the middle of its work: the portal gives so many answers, and then none, so that it cannot end before. */
async function killAfterAnswers(words: readonly string[], answers: number): Promise<void> {
  const before = source.requests.total();
  source.faults.hang = { skip: answers };
  await killWhen(words, settings, () => source.requests.total() > before + answers);
  delete source.faults.hang;
}

describe('kill -9', () => {
  it(
    `of serve, ${SERVE_KILLS} times under a stream of webhooks, loses no acknowledged delivery and halves no batch`,
    async () => {
      let service: Service | null = null;
      const load = startLoad({
        target: () => service?.url ?? null,
        next: nextBody,
        connections: 16,
        repeats: () => (chance.next() < 0.5 ? 0 : 3),
      });
      for (let kill = 0; kill < SERVE_KILLS; kill += 1) {
        service = await startServe(settings);
        // Sometimes at once, mostly while it is at work; on a busy machine the first answer may take its time.
        const points = [chance.between(26, 80), 0, 25, 1, 10];
        const answered = load.acknowledged.size + (points[kill % points.length] as number);
        await eventually(
          async () => load.acknowledged.size,
          (size) => size >= answered,
          20_000,
        );
        const dying: Service = service;
        await dying.kill();
        service = null;
        expect(await effectsMissing()).toBe(0);
      }
      await load.stop();
      expect(load.acknowledged.size).toBeGreaterThan(SERVE_KILLS * 5);

      // What was recorded without being applied is applied by the next process.
      const last = await startServe(settings);
      await eventually(
        () => ledgerProblems(db.sql, load.acknowledged),
        (problems) => problems.length === 0,
        10_000,
      );
      expect(await last.stop()).toMatchObject({ code: 0 });
      expect(await effectsMissing()).toBe(0);
    },
    120_000 * FACTOR,
  );

  it(
    `of backfill, ${BACKFILL_KILLS} times, loses no page: the next one goes on and ends complete`,
    async () => {
      await db.sql.unsafe(
        `truncate sync.listings, sync.watermarks, ${MODELS.map((m) => `flowlu.${m.replace('.', '_')}`).join(', ')}`,
      );
      let furthest = 0;
      for (let kill = 0; kill < BACKFILL_KILLS; kill += 1) {
        await killAfterAnswers(['backfill'], kill === 0 ? ANSWERS_WITH_ROWS : chance.between(1, 3));
        const [row] =
          await db.sql`select coalesce(sum(rows_read), 0)::int as read from sync.listings where kind = 'backfill'`;
        expect(row?.read).toBeGreaterThanOrEqual(furthest);
        furthest = row?.read as number;
      }
      expect(furthest).toBeGreaterThan(0);
      const { code, output } = await runCli(['backfill'], settings);
      expect(output).toMatch(/models: /);
      expect(code).toBe(0);
      const { differences } = await compareWithSource(db.url, source.portal, MODELS);
      expect(differences).toEqual([]);
    },
    180_000 * FACTOR,
  );

  it(
    `of reconcile --full, ${SWEEP_KILLS} times while rows change unannounced, leaves no false tombstone; the next one is right`,
    async () => {
      const change = () => {
        for (let n = 0; n < 60; n += 1) source.portal.randomChange(chance.next, MODELS);
      };
      for (let kill = 0; kill < SWEEP_KILLS; kill += 1) {
        change();
        // Before the last pages: a sweep of so many rows takes 52 answers, and settles few doubts behind them.
        await killAfterAnswers(['reconcile', '--full'], chance.between(2, 45));
        expect(await falseTombstones()).toEqual([]);
      }
      const { code, output } = await runCli(['reconcile', '--full'], settings);
      const { differences } = await compareWithSource(db.url, source.portal, MODELS);
      expect(differences).toEqual([]);
      expect({ code, output }).toMatchObject({ code: 0 });
      expectNoSecrets();
      expect(source.requests.violations()).toEqual([]);
    },
    120_000 * FACTOR,
  );
});

/** Rows that the mirror calls deleted and the source has. */
async function falseTombstones(): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of MODELS) {
    const rows = await db.sql.unsafe(
      `select id::text as id from flowlu.${name.replace('.', '_')} where _deleted_at is not null`,
    );
    for (const { id } of rows) if (source.portal.get(name, id as string) !== undefined) found.push(`${name} ${id}`);
  }
  return found;
}
