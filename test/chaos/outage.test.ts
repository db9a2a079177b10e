/** The database, behind TLS and a pooler, killed, cut off or hanging under load: honest answers in time, and recovery without a hand. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connect, type Sql } from '../../src/postgres/connection.ts';
import { compareWithSource } from '../simulator/compare.ts';
import { type Simulator, startSimulator } from '../simulator/index.ts';
import { writeCertificate } from '../support/certificates.ts';
import { eventually, until } from '../support/eventually.ts';
import { startWireProxy, type WireProxy } from '../support/wire-proxy.ts';
import { type Answer, type Load, ledgerProblems, letAMinutePass, post, startLoad } from './load.ts';
import { API_KEY, ensureBuilt, expectNoSecrets, type Service, type Settings, startServe } from './processes.ts';
import { type Chance, chanceFor } from './random.ts';
import { type OwnServer, startOwnServer } from './server.ts';

const MODELS = ['crm.account', 'crm.lead', 'task.tasks'];
const RECOVERY_MAX_MS = 30_000;
const MEMORY_MAX_MB = 600;
const GRACE_MS = 2_000;

let server: OwnServer;
let source: Simulator;
let proxy: WireProxy;
let directory: string;
let sql: Sql;
let service: Service;
let chance: Chance;
let settings: Settings;

beforeAll(async () => {
  chance = chanceFor('outage');
  const [own, sim] = await Promise.all([
    startOwnServer(),
    startSimulator({
      seed: chance.seed,
      apiKey: API_KEY,
      rowsPerModel: { 'crm.account': 150, 'crm.lead': 80, 'task.tasks': 80 },
    }),
    ensureBuilt(),
  ]);
  server = own;
  source = sim;
  directory = mkdtempSync(join(tmpdir(), 'outage-'));
  // As a database far away behind a pooler: TLS, messages that are late, and prepared statements that are forgotten.
  proxy = await startWireProxy(server.url, {
    certificate: writeCertificate(directory, 'db.test'),
    forgetsStatements: true,
    fateOf: () => (chance.next() < 0.002 ? chance.between(1, 50) : 'pass'),
  });
  sql = connect(server.url, { applicationName: 'flowlu-mirror test', max: 2 });
  settings = {
    DATABASE_URL: proxy.url(server.url),
    FLOWLU_BASE_URL: source.baseUrl,
    FLOWLU_API_KEY: API_KEY,
    FLOWLU_MODELS: MODELS.join(','),
    FLOWLU_REQUESTS_PER_SECOND: '0',
    RECONCILE_INTERVAL: '500ms',
    SWEEP_INTERVAL: '2s',
    SETTLE_GRACE: '100ms',
    SHUTDOWN_GRACE: `${GRACE_MS}ms`,
  };
  service = await startServe(settings);
}, 180_000);

afterAll(async () => {
  await service?.kill();
  await sql?.end();
  await proxy?.close();
  rmSync(directory, { recursive: true, force: true });
  await source?.close();
  await server?.close();
}, 60_000);

afterEach(() => proxy.heal());

const nextBody = () => source.webhooks.body(source.portal.randomChange(chance.next, MODELS));
const readyz = () =>
  fetch(`${service.url}/readyz`).then(
    ({ status }) => status,
    () => 0,
  );
/** The answer is kept for some seconds, however many ask. */
const unready = () => eventually(readyz, (status) => status === 503, RECOVERY_MAX_MS);
const memory_mb = () =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${service.pid}/status`, 'utf8'))?.[1] ?? 0) / 1_024;

/** Sends under load while `outage` happens; then everything must come right by itself. */
async function endure(outage: (load: Load) => Promise<void>): Promise<readonly Answer[]> {
  const load = startLoad({ target: () => service.url, next: nextBody, connections: 12, pauseMs: 50 });
  await until(() => load.acknowledged.size >= 20);
  await outage(load);
  const duringOutage = load.answers.length;
  await eventually(readyz, (status) => status === 200, RECOVERY_MAX_MS);
  await eventually(
    async () => load.answers.slice(duringOutage).filter(({ status }) => status === 200).length,
    (count) => count > 20,
    RECOVERY_MAX_MS,
  );
  await load.stop();
  expect(service.isAlive()).toBe(true);
  const refused = load.answers.filter(({ status }) => status !== 200);
  expect(refused.filter(({ status, retryAfter }) => status !== 503 || !((retryAfter ?? 0) > 0))).toEqual([]);
  // No sender gave up waiting for its answer.
  expect(load.answers.filter(({ status }) => status === 0)).toEqual([]);
  await eventually(
    () => ledgerProblems(sql, load.acknowledged),
    (problems) => problems.length === 0,
    RECOVERY_MAX_MS,
  );
  return load.answers;
}

/** Catching up, sweeping and settling go on by themselves: a change and a deletion without webhooks arrive. */
async function expectConvergence(): Promise<void> {
  for (let n = 0; n < 10; n += 1) source.portal.randomChange(chance.next, MODELS);
  await eventually(
    async () => {
      await letAMinutePass(sql);
      return (await compareWithSource(server.url, source.portal, MODELS)).differences;
    },
    (differences) => differences.length === 0,
    RECOVERY_MAX_MS * 2,
  );
}

describe('a database that is killed', () => {
  it('under load, makes serve answer 503 with Retry-After, lose nothing and recover with all its loops', async () => {
    await endure(async (load) => {
      await server.crash();
      const before = load.answers.length;
      await unready();
      await until(() => load.answers.length >= before + 20);
      await server.start();
    });
    await expectConvergence();
  }, 180_000);

  it('and whose connections are cut again and again, makes no answer a lie', async () => {
    await endure(async (load) => {
      for (let cut = 0; cut < 8; cut += 1) {
        const [before, refusals] = [load.answers.length, chance.between(0, 20)];
        proxy.cut();
        await until(() => load.answers.length >= before + refusals);
        proxy.heal();
        const [healed, answers] = [load.answers.length, chance.between(1, 60)];
        await until(() => load.answers.length >= healed + answers);
      }
    });
  }, 120_000);
});

describe('a database that hangs', () => {
  it('makes serve say so in time and within bounded memory, and go on when it answers again', async () => {
    const answers = await endure(async () => {
      proxy.stall();
      // More than may wait.
      const padding = 'x'.repeat(8_000);
      const flood = Array.from({ length: 1_200 }, (_, n) =>
        post(
          service.url,
          JSON.stringify({
            meta: { module: 'crm', model: 'account', action: 'noted' },
            current: { id: 9_000_000 + n, padding },
          }),
        ),
      );
      await unready();
      const flooded = await Promise.all(flood);
      expect(flooded.filter(({ status }) => status === 200)).toEqual([]);
      expect(memory_mb()).toBeLessThan(MEMORY_MAX_MB);
      proxy.heal();
    });
    expect(answers.some(({ status }) => status === 503)).toBe(true);
  }, 120_000);

  it('does not keep a stopping serve beyond its grace', async () => {
    proxy.stall();
    const waiting = post(service.url, nextBody());
    await service.stop();
    expect((await waiting).status).not.toBe(200);
    proxy.heal();
    // It could not give its leases back: the next test would wait 45 s for them, and then for what the guard holds back.
    await sql`delete from sync.leases`;
    service = await startServe(settings);
  }, 60_000);
});

describe('SIGTERM', () => {
  it('under load drains within the grace: every delivery that got 200 is kept, exit code 0', async () => {
    let open = true;
    const load = startLoad({ target: () => (open ? service.url : null), next: nextBody, connections: 12 });
    await until(() => load.acknowledged.size >= 50);
    const { code } = await service.stop();
    open = false;
    await load.stop();
    expect(code).toBe(0);
    service = await startServe(settings);
    await eventually(
      () => ledgerProblems(sql, load.acknowledged),
      (problems) => problems.length === 0,
      10_000,
    );
    await expectConvergence();
    expectNoSecrets();
    expect(source.requests.violations()).toEqual([]);
  }, 120_000);
});
