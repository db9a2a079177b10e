/** Several processes on one database: one budget, one scheduler at a time, no deadlock, and the source's rows at the end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareWithSource } from '../simulator/compare.ts';
import { fromJson, type Portal, type SimRecord } from '../simulator/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { ledgerProblems, post } from './load.ts';
import { API_KEY, ensureBuilt, expectNoSecrets, runCli, type Service, type Settings, startServe } from './processes.ts';
import { type Chance, chanceFor, FACTOR } from './random.ts';

const MODELS = ['crm.account', 'crm.lead', 'crm.industry', 'task.tasks'];
const RATE = 20;
const ROUNDS = 60 * FACTOR;
/** Deliveries under way at once, about. */
const UNDER_WAY_MAX = 60;
const SIMULATOR = fileURLToPath(new URL('../simulator/main.ts', import.meta.url));

interface Remote {
  readonly baseUrl: string;
  ask(method: string, path: string, body?: unknown): Promise<string>;
  /** Current records, as the comparison wants them. */
  portal(): Promise<Portal>;
  close(): Promise<void>;
}

interface RequestReport {
  readonly maxPer950ms: number;
  readonly violations: readonly unknown[];
  readonly total: number;
}

let db: TestDatabase;
let source: Remote;
let chance: Chance;
let settings: Settings;
const services: Service[] = [];

/** The portal as a process of its own, whose clock for arriving requests nothing here can delay. */
async function startRemote(seed: number): Promise<Remote> {
  const args = ['--import', 'tsx', SIMULATOR, '--rows', '0', '--seed', String(seed), '--api-key', API_KEY];
  const sizes = [900, 500, 30, 500].map((count, index) => ['--rows-of', `${MODELS[index]}=${count}`]);
  const child = spawn(process.execPath, [...args, ...sizes.flat()], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const { baseUrl, controlUrl } = JSON.parse(line.toString()) as { baseUrl: string; controlUrl: string };
  const ask = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(`${controlUrl}/${path}`, {
      method,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${text}`);
    return text;
  };
  const linesOf = (text: string) => text.split('\n').filter((one) => one !== '');
  return {
    baseUrl,
    ask,
    async portal() {
      const rows = new Map<string, SimRecord[]>();
      for (const name of MODELS) {
        rows.set(
          name,
          linesOf(await ask('GET', `rows/${name.replace('.', '/')}`)).map((one) => fromJson(one) as SimRecord),
        );
      }
      return { rows: (name: string) => rows.get(name) ?? [] } as unknown as Portal;
    },
    async close() {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    },
  };
}

beforeAll(async () => {
  await ensureBuilt();
  chance = chanceFor('replicas');
  [db, source] = await Promise.all([createTestDatabase(), startRemote(chance.seed)]);
  settings = {
    DATABASE_URL: db.url,
    FLOWLU_BASE_URL: source.baseUrl,
    FLOWLU_API_KEY: API_KEY,
    FLOWLU_MODELS: MODELS.join(','),
    FLOWLU_REQUESTS_PER_SECOND: String(RATE),
    RECONCILE_INTERVAL: '500ms',
    SWEEP_INTERVAL: '2s',
    SETTLE_GRACE: '200ms',
    DATABASE_POOL: '6',
  };
}, 180_000);

afterAll(async () => {
  for (const service of services) if (service.isAlive()) await service.kill();
  await source?.close();
  await db?.close();
}, 60_000);

const differences = async () => (await compareWithSource(db.url, await source.portal(), MODELS)).differences;

async function deadlocks(): Promise<number> {
  const [row] =
    await db.sql`select deadlocks::int as deadlocks from pg_stat_database where datname = current_database()`;
  return row?.deadlocks as number;
}

/** Changes of a few rows over and over, told to the replicas in disorder, some twice, some to both. */
async function hammer(acknowledged: Map<string, string>): Promise<void> {
  let since = 0;
  const waiting: Promise<void>[] = [];
  const hot = ['3', '7', '11'];
  for (let round = 0; round < ROUNDS; round += 1) {
    await source.ask('POST', 'changes', { count: 12, models: MODELS });
    for (const model of ['crm.account', 'crm.lead']) {
      for (const id of hot) {
        // Somebody may have deleted it by now.
        await source.ask('POST', 'changes', { action: 'update', model, id }).catch(() => {});
        await source.ask('POST', 'changes', { action: 'toggle', model, id, times: 2 }).catch(() => {});
      }
    }
    const lines = (await source.ask('GET', `changes?since=${since}`)).split('\n').filter((line) => line !== '');
    for (const line of lines) {
      const { seq, body } = JSON.parse(line) as { seq: number; body: string };
      since = Math.max(since, seq);
      const copies = chance.next() < 0.1 ? [] : chance.next() < 0.25 ? [0, 1] : [chance.between(0, 1)];
      for (const replica of copies) {
        waiting.push(
          sleep(chance.between(0, 150)).then(async () => {
            const { delivery } = await post((services[replica] as Service).url, body);
            if (delivery !== null) acknowledged.set(delivery, body);
          }),
        );
      }
    }
    // Not more at once than senders would have under way.
    if (waiting.length > UNDER_WAY_MAX) await Promise.all(waiting.splice(0));
  }
  await Promise.all(waiting);
}

describe('two replicas and a backfill beside them', () => {
  it(
    'end in the source’s rows without deadlock, within one budget, each piece of scheduled work done by one at a time',
    async () => {
      services.push(...(await Promise.all([startServe(settings), startServe(settings)])));
      const acknowledged = new Map<string, string>();
      const [backfill] = await Promise.all([runCli(['backfill'], settings), hammer(acknowledged)]);
      expect(backfill).toMatchObject({ code: 0 });
      await eventually(
        () => ledgerProblems(db.sql, acknowledged),
        (problems) => problems.length === 0,
        20_000,
      );
      // Settling, catching up and sweeping go on by themselves.
      await eventually(differences, (left) => left.length === 0, 60_000);

      const { maxPer950ms, violations } = JSON.parse(await source.ask('GET', 'requests')) as RequestReport;
      expect(violations).toEqual([]);
      expect(maxPer950ms).toBeLessThanOrEqual(RATE);
      expect(await deadlocks()).toBe(0);
      for (const service of services) expect(service.output()).not.toMatch(/deadlock/i);

      const [{ holders } = { holders: 0 }] = await db.sql`
      select count(distinct holder)::int as holders from sync.runs where kind in ('reconcile', 'sweep')`;
      expect(holders).toBeGreaterThan(1);
      expectNoSecrets();
    },
    180_000 * FACTOR,
  );

  it('lose one to kill -9 in the middle of scheduled work: the other takes it over', async () => {
    const holder = await eventually(
      async () =>
        (await db.sql`select holder from sync.leases where name like 'model %' and expires_at > clock_timestamp()`)[0]
          ?.holder as string | undefined,
      (found) => found !== undefined,
      20_000,
    );
    const victim = services.find(({ pid }) => holder?.split(':')[1] === String(pid));
    expect(victim).toBeDefined();
    await victim?.kill();
    const survivor = services.find((service) => service !== victim);
    await source.ask('POST', 'changes', { count: 20, models: MODELS });
    const [before] = await db.sql`select max(swept_from) as at from sync.schedule`;
    await eventually(
      async () => (await db.sql`select min(swept_from) > ${before?.at} as is_swept from sync.schedule`)[0]?.is_swept,
      (isSwept) => isSwept === true,
      50_000,
    );
    expect(survivor?.isAlive()).toBe(true);
    await eventually(differences, (left) => left.length === 0, 30_000);
  }, 120_000);
});

describe('a lease whose holder ran elsewhere', () => {
  it('is waited for until it runs out, and not longer', async () => {
    for (const service of services) if (service.isAlive()) await service.stop();
    await db.sql`
      insert into sync.leases (name, holder, expires_at)
      values ('model crm.industry', 'another-machine:1:00000000', clock_timestamp() + interval '4 seconds')
          on conflict (name) do update set holder = excluded.holder, expires_at = excluded.expires_at`;
    const [before] =
      await db.sql`select clock_timestamp() as now, expires_at from sync.leases where name = 'model crm.industry'`;
    const { code } = await runCli(['reconcile', '--full', 'crm.industry'], settings);
    expect(code).toBe(0);
    const [run] = await db.sql`select finished_at from sync.runs where kind = 'sweep' order by id desc limit 1`;
    // By the database's clock it was done after the lease had run out.
    expect(run?.finished_at.getTime()).toBeGreaterThanOrEqual(before?.expires_at.getTime());
  }, 60_000);
});
