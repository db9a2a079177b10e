/** What keeps the mirror from being written or read, and is none of the usual: told with its cause, and without crying wolf. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLogger } from '../../src/core/log.ts';
import { createMetrics } from '../../src/core/metrics.ts';
import type { Check } from '../../src/doctor/check.ts';
import { checkDatabase } from '../../src/doctor/database.ts';
import { createRecordHealth, type RecordHealth, TROUBLE } from '../../src/intake/record-health.ts';
import { BLOCKED } from '../../src/merge/blocked.ts';
import { migrate } from '../../src/migrate/migrate.ts';
import { UNKNOWN } from '../../src/postgres/causes.ts';
import { connect, type Sql } from '../../src/postgres/connection.ts';
import { PATIENCE } from '../../src/status/health.ts';
import { readReport } from '../../src/status/report.ts';
import { statusRoutes } from '../../src/status/routes.ts';
import { type OwnServer, startOwnServer } from '../chaos/server.ts';
import { type Service, startService, webhook } from '../intake/service.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { until } from '../support/eventually.ts';
import { createLogin, type Login } from '../support/logins.ts';
import { sourceOf } from './source.ts';

let database: TestDatabase;
let writer: Login;
let service: Service;
const usual = { ...BLOCKED, ...TROUBLE };
beforeAll(async () => {
  TROUBLE.afterMs = 1_000;
  database = await createTestDatabase();
  const [{ name } = { name: '' }] = await database.sql<{ name: string }[]>`
    select rolname as name from pg_roles where rolname = 'flowlu_writer_' || current_database()`;
  writer = await createLogin(database, name === '' ? 'flowlu_writer' : name);
  service = await startService(writer.url);
});
afterAll(async () => {
  BLOCKED.leftAloneMs = usual.leftAloneMs;
  TROUBLE.afterMs = usual.afterMs;
  await service?.close();
  await writer?.drop();
  await database?.close();
});

const readyz = async (of = service) => {
  const response = await fetch(`${of.url}/readyz`);
  return { status: response.status, ...((await response.json()) as object) };
};
const post = (id: number, of = service) => of.post(webhook('crm.lead', 'update', { id, name: `n${id}` }));
const findings = async (sql: Sql = database.sql) => (await sourceOf(sql).health()).findings;

it('one look that takes too long, as on a busy machine, changes nothing; that lasts for a while only', async () => {
  const own = connect(database.url, { applicationName: 'flowlu-mirror test', max: 1 });
  const patience = { ...PATIENCE };
  let lateLooks = 0;
  const recording = createRecordHealth();
  const trouble = () => {
    lateLooks += 1;
    return recording.trouble();
  };
  const { health } = sourceOf(own, { recording: { ...recording, trouble } });
  try {
    const before = await health();
    lateLooks = 0;
    const held = own`select pg_sleep(60)`.catch(() => {});
    await until(async () => (await health()) && lateLooks > 0);
    expect((await health()).state).toBe(before.state);
    PATIENCE.ms = 0;
    await until(async () => (await health()).state === 'bad');
    await database.sql`select pg_cancel_backend(pid) from pg_stat_activity where query = 'select pg_sleep(60)'`;
    await held;
    await until(async () => (await health()).state === before.state);
  } finally {
    Object.assign(PATIENCE, patience);
    await own.end({ timeout: 1 });
  }
});

it('a catalogue that somebody locks: as long as webhooks are recorded the service is ready, and says who holds the lock', async () => {
  const { sql } = database;
  const proven = { ...createRecordHealth(), lastSuccessAt: () => new Date().toISOString() };
  const look = async (recording: RecordHealth) => {
    const routes = statusRoutes({
      ...sourceOf(sql, { recording }),
      metrics: createMetrics(),
      log: createLogger({ level: 'silent', version: 'test', secrets: [] }),
      token: null,
      isStopping: () => false,
    });
    const response = await routes.request('/readyz');
    return { status: response.status, ...((await response.json()) as object) };
  };
  // Nobody can connect while the lock is held.
  await Promise.all(Array.from({ length: 5 }, () => sql`select pg_sleep(0.2)`));
  await look(proven);
  const holder = await sql.reserve();
  try {
    await holder.unsafe(
      `begin; set local application_name = 'vacuuming'; lock table pg_class in access exclusive mode`,
    );
    const sentence = expect.stringMatching(/pg_class locked by process \d+ .*vacuuming/);
    expect(await look(proven)).toMatchObject({ status: 200, degraded: ['locked'], findings: [{ sentence }] });
    // One that cannot record is not ready.
    const unproven = {
      ...createRecordHealth(),
      trouble: () => ({
        ...UNKNOWN,
        since: '',
        last_failure_at: '',
        last_success_at: null,
        error: null,
        isFresh: false,
      }),
    };
    expect(await look(unproven)).toMatchObject({ status: 503 });
  } finally {
    await holder.unsafe('rollback').finally(() => holder.release());
  }
  expect(await look(proven)).toMatchObject({ status: 200 });
}, 60_000);

it('rows that cannot be written: deliveries wait, and every process says why', async () => {
  const { sql } = database;
  await sql`alter table flowlu.crm_lead enable row level security`;
  try {
    const answer = await post(901);
    expect([answer.status, await answer.text()]).toMatchObject([200, expect.any(String)]);
    expect(await readyz()).not.toHaveProperty('degraded');
    // As if the first of them had waited for half a minute.
    await sql`update sync.deliveries set received_at = received_at - interval '30 seconds' where status = 'pending'`;
    const waiting = expect.objectContaining({
      code: 'deliveries_waiting',
      sentence: '1 delivery stored but not applied: new row violates row-level security policy for table "crm_lead"',
    });
    expect(await findings()).toContainEqual(waiting);
    expect((await readReport(sourceOf(sql)))?.findings).toContainEqual(waiting);
    await expect.poll(readyz, { timeout: 15_000 }).toMatchObject({ status: 200, degraded: ['deliveries_waiting'] });
  } finally {
    await sql`alter table flowlu.crm_lead disable row level security`;
    // What is blocked is tried again soon, as after ten seconds.
    BLOCKED.leftAloneMs = 0;
  }
  await expect
    .poll(findings, { timeout: 40_000 })
    .not.toContainEqual(expect.objectContaining({ code: 'deliveries_waiting' }));
}, 90_000);

it('a synchronous standby that is not there: no webhook is taken, and the cause is named, by every process and by doctor', async () => {
  const server: OwnServer = await startOwnServer();
  const sql = connect(server.url, { applicationName: 'flowlu-mirror test', max: 3 });
  let own: Service | null = null;
  const set = async (names: string) => {
    await sql.unsafe(`alter system set synchronous_standby_names = '${names}'`);
    await sql`select pg_reload_conf()`;
    await expect
      .poll(async () => (await sql`show synchronous_standby_names`)[0])
      .toMatchObject({
        synchronous_standby_names: names,
      });
  };
  try {
    await migrate(server.url);
    await set('ghost');
    const checks: Check[] = [];
    await checkDatabase(sql, 'here', (check) => checks.push(check));
    expect(checks.at(-1)).toMatchObject({ name: 'writing', found: expect.stringContaining('synchronous standby') });
    await set('');
    own = await startService(server.url);
    expect((await post(1, own)).status).toBe(200);
    await set('ghost');
    const posted = post(2, own).catch(() => null);
    const told = {
      code: 'not_accepting',
      sentence: 'Webhooks cannot be recorded: commits wait for a synchronous standby that is not there',
      remedy: expect.stringContaining('synchronous_standby_names'),
      since: expect.any(String),
    };
    await expect.poll(() => findings(sql), { timeout: 30_000 }).toContainEqual(expect.objectContaining(told));
    await expect
      .poll(() => readyz(own as Service), { timeout: 15_000 })
      .toMatchObject({ status: 503, problem: told.sentence });
    await set('');
    await posted;
    await expect.poll(() => readyz(own as Service), { timeout: 30_000 }).toMatchObject({ status: 200 });
    expect((await post(3, own)).status).toBe(200);
  } finally {
    await own?.close();
    await sql.end({ timeout: 2 });
    await server.close();
  }
}, 120_000);
