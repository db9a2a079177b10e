/** Readiness is what was proven: the outcome of the intake, with its cause and what helps. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRecordHealth, TROUBLE } from '../../src/intake/record-health.ts';
import { transaction } from '../../src/postgres/connection.ts';
import { shared } from '../../src/status/shared.ts';
import { type Service, startService, webhook } from '../intake/service.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

describe('the record of the intake', () => {
  const fail = (code: string) => () => Promise.reject(Object.assign(new Error('x'), { code }));

  it('is in trouble after several failures in a row over ten seconds, until one goes well', async () => {
    let now = 1_000_000;
    const health = createRecordHealth(() => now);
    await health.watch(async () => 'ok');
    for (const after of [1_000, 5_000, 4_000, 2_000]) {
      expect(health.trouble()).toBeNull();
      now += after;
      await health.watch(fail('53300')).catch(() => {});
    }
    expect(health.trouble()).toMatchObject({ cause: expect.stringContaining('connections') });
    // Another cause has a beginning of its own.
    const first = health.trouble()?.since;
    now += 60_000;
    await health.watch(fail('42501')).catch(() => {});
    expect([first, health.trouble()?.since]).toEqual([1_001_000, now].map((at) => new Date(at).toISOString()));
    await health.watch(async () => 'ok');
    expect(health.trouble()).toBeNull();
  });

  it('is in trouble at once where the disk is full, for as long as larger rows find no room', async () => {
    let now = 1_000_000;
    const health = createRecordHealth(() => now);
    await health.watch(fail('53100')).catch(() => {});
    await health.watch(async () => 'a small one');
    expect(health.trouble()).toMatchObject({
      cause: expect.stringContaining('disk'),
      remedy: expect.stringContaining('free'),
    });
    now += TROUBLE.afterMs;
    await health.watch(async () => 'ok');
    expect(health.trouble()).toBeNull();
  });

  it('is stuck when a batch hangs beyond every limit', () => {
    let now = 0;
    const health = createRecordHealth(() => now);
    void health.watch(() => new Promise(() => {}));
    expect(health.isStuck()).toBe(false);
    now = 130_000;
    expect(health.isStuck()).toBe(true);
  });
});

it('a reading that hangs is asked for once, and the last one answers', async () => {
  let readings = 0;
  const read = shared(async () => {
    readings += 1;
    if (readings > 1) await new Promise(() => {});
    return readings;
  }, 50);
  expect(await read()).toBe(1);
  expect(await Promise.all([read(), read(), read()])).toEqual([1, 1, 1]);
  expect(readings).toBe(2);
});

describe('a service whose database takes no writes', () => {
  let database: TestDatabase;
  let service: Service;
  const { afterMs } = TROUBLE;
  beforeAll(async () => {
    TROUBLE.afterMs = 1_000;
    database = await createTestDatabase();
    service = await startService(database.url);
  });
  afterAll(async () => {
    TROUBLE.afterMs = afterMs;
    await service?.close();
    await database?.close();
  });
  const readyz = async () => {
    const response = await fetch(`${service.url}/readyz`);
    return { status: response.status, ...((await response.json()) as object) };
  };
  const deal = () => service.post(webhook('crm.lead', 'update', { id: 1, name: 'x' }));

  it('names the cause to the sender and at /readyz, and is ready again by itself', async () => {
    expect((await deal()).status).toBe(200);
    await database.sql.unsafe(`alter database ${database.name} set default_transaction_read_only = on`);
    // Connections that began before do not know it.
    await service.session.sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and application_name = 'flowlu-mirror test'`;
    await expect
      .poll(
        async () => {
          const response = await deal();
          return response.status === 503 ? ((await response.json()) as { error: string }).error : response.status;
        },
        { timeout: 15_000, interval: 200 },
      )
      .toMatch(/takes no writes: it is a standby, or set to read-only/);
    await expect
      .poll(
        async () => {
          await deal();
          return await readyz();
        },
        { timeout: 25_000, interval: 500 },
      )
      .toMatchObject({ status: 503, problem: expect.stringContaining('takes no writes'), since: expect.any(String) });
    const admin = database.sql;
    await transaction(admin, {}, (tx) =>
      tx.unsafe(`set transaction read write; alter database ${database.name} reset default_transaction_read_only`),
    );
    // No webhook comes, since a load balancer sends none here.
    await expect.poll(readyz, { timeout: 15_000, interval: 500 }).toMatchObject({ status: 200, ready: true });
    expect((await deal()).status).toBe(200);
  }, 90_000);

  it('with a table locked: /status says who holds it and how to end it', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const locked = transaction(database.sql, {}, async (tx) => {
      await tx`set local application_name = 'somebody'`;
      await tx`lock table flowlu.crm_account`;
      await held;
    });
    await expect
      .poll(async () => (await fetch(`${service.url}/status.json`)).text(), { timeout: 20_000, interval: 300 })
      .toMatch(/flowlu\.crm_account locked by process \d+ .*somebody.*select pg_terminate_backend/);
    release();
    await locked;
    await expect.poll(async () => (await fetch(`${service.url}/status.json`)).status, { timeout: 10_000 }).toBe(200);
  });
});
