/** The intake while its database is away, slow, or refuses a delivery: bounded answers, nothing lost, healthy afterwards. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/core/log.ts';
import type { Accepted } from '../../src/delivery/delivery.ts';
import { type BatcherOptions, createBatcher } from '../../src/intake/batcher.ts';
import { createIntake } from '../../src/intake/listener.ts';
import { BURST } from '../../src/intake/refusals.ts';
import { BLOCKED } from '../../src/merge/blocked.ts';
import { receive } from '../../src/merge/receive.ts';
import type { ServiceApp } from '../../src/service/app.ts';
import { listen } from '../../src/service/server.ts';
import type { Session } from '../../src/service/session.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventually, until } from '../support/eventually.ts';
import { createLogin, type Login } from '../support/logins.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { post, SECRET, type Service, startService, webhook } from './service.ts';

let db: TestDatabase;
let proxy: TcpProxy;
let service: Service;
const lines: Record<string, unknown>[] = [];
/** What the log has said of refused deliveries. */
const said = () => lines.filter(({ msg }) => String(msg).startsWith('deliveries are'));

beforeAll(async () => {
  db = await createTestDatabase();
  proxy = await startTcpProxy(db.url);
  const log = createLogger({ level: 'warn', stream: { write: (line) => void lines.push(JSON.parse(line)) } });
  service = await startService(proxy.url(db.url), { DATABASE_POOL: '4' }, { log });
});
afterAll(async () => {
  proxy?.heal();
  await service?.close();
  await proxy?.close();
  await db?.close();
});
beforeEach(async () => {
  await db.sql`truncate sync.deliveries, sync.doubtful, flowlu.crm_account, flowlu.crm_lead, flowlu.crm_industry`;
});
const { leftAloneMs } = BLOCKED;
afterEach(() => {
  proxy.heal();
  BLOCKED.leftAloneMs = leftAloneMs;
});

const update = (id: number, name: string, model = 'crm.account') => webhook(model, 'update', { id, name });
const isReady = async () => (await fetch(`${service.url}/readyz`)).status;
const stored = async () =>
  (await db.sql`select id::text, status, body from sync.deliveries order by deliveries.id`).map((row) => row);

/** Every 200 has a committed delivery with that id; everything else said when to come again. */
async function checkAnswers(answers: readonly Response[]): Promise<void> {
  const accepted = await Promise.all(
    answers
      .filter(({ status }) => status === 200)
      .map(async (answer) => ((await answer.json()) as { delivery: string }).delivery),
  );
  const ids = new Set((await stored()).map(({ id }) => id));
  expect(accepted.filter((id) => !ids.has(id))).toEqual([]);
  const refused = answers.filter(({ status }) => status !== 200);
  expect(new Set(refused.map(({ status }) => status))).toEqual(new Set(refused.length > 0 ? [503] : []));
  for (const answer of refused) expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
}

describe('a database that is away', () => {
  it('makes the intake answer 503 with Retry-After in bounded time, and accept again once it is back', async () => {
    expect((await service.post(update(1, 'before'))).status).toBe(200);
    proxy.cut();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => service.post(update(n + 2, 'while away'))));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 503));
    await checkAnswers(answers);
    expect(await isReady()).toBe(503);
    expect((await fetch(`${service.url}/livez`)).status).toBe(200);
    expect((await fetch(`${service.url}/status.json`)).status).toBe(503);
    // What needs no database is told apart even now.
    expect((await service.post('no json')).status).toBe(400);

    proxy.heal();
    await eventually(isReady, (status) => status === 200);
    expect((await service.post(update(1, 'after'))).status).toBe(200);
    expect(await db.sql`select name from flowlu.crm_account where id = 1`).toEqual([{ name: 'after' }]);
  });

  it.each([
    ['that is away', () => proxy.cut(), () => proxy.heal(), /^the database is away$/],
    [
      'that refuses to write',
      () => db.sql.unsafe('alter table sync.deliveries rename to hidden'),
      () => db.sql.unsafe('alter table sync.hidden rename to deliveries'),
      /lacks a table/,
    ],
  ])(
    '%s: the log has one line for all refusals, others only from time to time, and one when it is over',
    async (_, begin, end, cause) => {
      const { saidEveryMs, quietMs } = BURST;
      const burst = () => Promise.all(Array.from({ length: 20 }, (_, n) => service.post(update(n + 1, 'while away'))));
      // Ends what an earlier outage has begun.
      BURST.quietMs = 0;
      expect((await service.post(update(1, 'before'))).status).toBe(200);
      lines.length = 0;
      await begin();
      try {
        for (const answer of [...(await burst()), ...(await burst())]) expect(answer.status).toBe(503);
        expect(said()).toMatchObject([{ cause: expect.stringMatching(cause), remedy: expect.any(String) }]);
        // What waits from before is another matter, and tried again from time to time.
        expect(lines.filter(({ msg }) => /^a batch could not/.test(String(msg)))).toEqual([]);
        BURST.saidEveryMs = 0;
        expect((await service.post(update(1, 'while away'))).status).toBe(503);
        expect(said()).toMatchObject([{}, { refused: 41, seconds: expect.any(Number) }]);
      } finally {
        await end();
        BURST.saidEveryMs = saidEveryMs;
      }
      await eventually(
        async () => (await service.post(update(1, 'after'))).status,
        (status) => status === 200,
      );
      const [, , last, ...more] = said();
      expect(last).toMatchObject({ msg: 'deliveries are stored again', level: 'warn' });
      expect(Number(last?.refused)).toBeGreaterThanOrEqual(41);
      expect(more).toEqual([]);
      BURST.quietMs = quietMs;
    },
  );

  it('loses nothing that was acknowledged when connections break under load, again and again', async () => {
    const answers: Response[] = [];
    let stopped = false;
    const senders = Array.from({ length: 8 }, async (_, sender) => {
      for (let n = 0; !stopped; n += 1) answers.push(await service.post(update(sender * 10_000 + n + 1, `load ${n}`)));
    });
    for (let round = 0; round < 6; round += 1) {
      const before = answers.length;
      await until(() => answers.length >= before + 20);
      proxy.cut();
      if (round % 2 === 1) await until(() => answers.length >= before + 28);
      proxy.heal();
    }
    stopped = true;
    await Promise.all(senders);
    expect(answers.some(({ status }) => status === 200)).toBe(true);
    await checkAnswers(answers);
    await eventually(stored, (rows) => rows.every(({ status }) => status === 'applied'));
    const bodies = (await stored()).map(({ body }) => String(JSON.parse(body).current.id));
    const rows = await db.sql`select id::text from flowlu.crm_account`;
    expect(new Set(rows.map(({ id }) => id))).toEqual(new Set(bodies));
  });
});

describe('connections that pass nothing any more while new ones work', () => {
  it('cost senders 503 at most, and are replaced in time', async () => {
    const batch = (name: string) => Promise.all(Array.from({ length: 8 }, (_, n) => service.post(update(n + 1, name))));
    let answers: readonly Response[] = [];
    // The pool may just be replacing itself after the outages above; then there is nothing to forget yet.
    for (let round = 0; round < 5 && !answers.some(({ status }) => status === 503); round += 1) {
      await batch('before');
      proxy.forget();
      answers = await batch('lost');
      await checkAnswers(answers);
    }
    expect(answers.map(({ status }) => status)).toContain(503);
    await eventually(
      async () => (await service.post(update(1, 'after'))).status,
      (status) => status === 200,
      15_000,
    );
    expect(await db.sql`select name from flowlu.crm_account where id = 1`).toEqual([{ name: 'after' }]);
    await eventually(isReady, (status) => status === 200, 15_000);
  }, 40_000);
});

describe('a database that is slow', () => {
  it('bounds what waits: beyond the bound deliveries get 503 at once, and all of the others are stored', async () => {
    const small = await listen(smallIntake(service.session), { host: '127.0.0.1', port: 0 });
    const release = await holdTable(db, 'crm_account');
    try {
      let refused = 0;
      const many = Array.from({ length: 120 }, async (_, n) => {
        const answer = await post(`${small.url}/webhooks/flowlu/${SECRET}`, update(n + 1, 'queued'));
        if (answer.status === 503) refused += 1;
        return answer;
      });
      await eventually(
        async () => refused,
        (count) => count >= 120 - QUEUE_BOUND - 2 * BATCH_BOUND,
        6_000,
      );
      await release();
      const answers = await Promise.all(many);
      expect(refused).toBeLessThanOrEqual(120 - QUEUE_BOUND);
      await checkAnswers(answers);
      await eventually(stored, (rows) => rows.every(({ status }) => status === 'applied'));
      const [row] = await db.sql`select count(*)::int as rows from flowlu.crm_account`;
      expect(row?.rows).toBe(120 - refused);
      expect((await post(`${small.url}/webhooks/flowlu/${SECRET}`, update(1, 'healthy'))).status).toBe(200);
    } finally {
      await small.stop(500);
    }
  });
});

describe('a delivery that cannot be applied', () => {
  it('is acknowledged, parked with its reason and shown in the status, and holds up no other delivery', async () => {
    await db.sql`alter table flowlu.crm_lead add constraint poison check (name <> 'poison')`;
    try {
      const bodies = Array.from({ length: 40 }, (_, n) => update(n + 1, n === 17 ? 'poison' : 'fine', 'crm.lead'));
      const answers = await Promise.all(bodies.map((body) => service.post(body)));
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      const rows = await eventually(stored, (all) => all.every(({ status }) => status !== 'pending'));
      const failed = rows.filter(({ status }) => status !== 'applied');
      expect(failed).toMatchObject([{ status: 'failed', body: JSON.stringify(bodies[17]) }]);
      const [row] = await db.sql`select count(*)::int as leads from flowlu.crm_lead`;
      expect(row?.leads).toBe(39);

      const status = (await (await fetch(`${service.url}/status.json`)).json()) as {
        deliveries: { failed: number };
        failed_deliveries: { id: string; reason: string; model: string }[];
      };
      expect(status.deliveries.failed).toBe(1);
      expect(status.failed_deliveries).toMatchObject([{ id: failed[0]?.id, model: 'crm.lead' }]);
      expect(status.failed_deliveries[0]?.reason).toMatch(/violates check constraint "poison"/);
      // The parked one does not come up again by itself, nor in the way of later ones.
      expect((await service.post(update(18, 'mended', 'crm.lead'))).status).toBe(200);
      expect(await db.sql`select name from flowlu.crm_lead where id = 18`).toEqual([{ name: 'mended' }]);
    } finally {
      await db.sql`alter table flowlu.crm_lead drop constraint poison`;
    }
  });

  it('is acknowledged and waits while its table is locked, and is not parked for that: it lies with the moment', async () => {
    const release = await holdTable(db, 'crm_industry');
    expect((await service.post(update(1, 'patient', 'crm.industry'))).status).toBe(200);
    expect(await stored()).toMatchObject([{ status: 'pending' }]);
    await release();
    await eventually(stored, (rows) => rows.every(({ status }) => status === 'applied'), 25_000);
    expect(await db.sql`select name from flowlu.crm_industry`).toEqual([{ name: 'patient' }]);
  }, 60_000);
});

describe('trouble of the moment is not the delivery’s fault', () => {
  let writer: Login;
  let own: Service;
  const allApplied = () => eventually(stored, (rows) => rows.every(({ status }) => status === 'applied'), 25_000);
  beforeAll(async () => {
    writer = await createLogin(db, 'flowlu_writer');
    own = await startService(writer.url);
  });
  afterAll(async () => {
    await own?.close();
    await writer?.drop();
  });

  it('a right that is missing: all are acknowledged, wait, and are applied once it is there again', async () => {
    // For every login: the other service of this file has all rights, and would apply what waits.
    await db.sql.unsafe(`
      create function public.refuse() returns trigger language plpgsql as
        $$ begin raise exception 'permission denied for table crm_account' using errcode = '42501'; end $$;
      create trigger refuse before insert or update on flowlu.crm_account execute function public.refuse()`);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, id) => own.post(update(id + 1, 'patient'))));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set((await stored()).map(({ status }) => status))).toEqual(new Set(['pending']));
    await db.sql`drop function public.refuse() cascade`;
    await allApplied();
    expect(await db.sql`select from flowlu.crm_account where name = 'patient'`).toHaveLength(20);
  }, 60_000);

  it('statements that somebody cancels again and again: each is refused, or applied in the end', async () => {
    let isOver = false;
    const cancelling = (async () => {
      while (!isOver)
        await db.sql`select pg_cancel_backend(pid) from pg_stat_activity where usename = ${writer.user} and state = 'active'`;
    })();
    const answers: Response[] = [];
    for (let id = 1; id <= 60; id += 1) answers.push(await own.post(update(id, 'cancelled')));
    isOver = true;
    await cancelling;
    await checkAnswers(answers);
    await allApplied();
  }, 60_000);
});

describe('a table that is locked', () => {
  it('costs the deliveries of other models nothing: they are applied, and its own wait', async () => {
    const models = ['crm.account', 'crm.lead', 'crm.industry', 'task.tasks', 'st.projects', 'fin.invoice'];
    const release = await holdTable(db, 'crm_account');
    try {
      for (let round = 1; round <= 3; round += 1) {
        const answers = await Promise.all(models.map((model) => service.post(update(round, 'meanwhile', model))));
        expect(answers.map(({ status }) => status)).toEqual(models.map(() => 200));
      }
      const waiting = await eventually(
        () => db.sql`select module || '.' || model as model, status from sync.deliveries where status <> 'applied'`,
        (rows) => rows.length === 3,
        15_000,
      );
      expect([...waiting]).toEqual(Array(3).fill({ model: 'crm.account', status: 'pending' }));
    } finally {
      await release();
    }
    await eventually(stored, (rows) => rows.every(({ status }) => status === 'applied'), 25_000);
    expect(await db.sql`select from flowlu.crm_account`).toHaveLength(3);
  }, 60_000);

  const held = (relation: string) =>
    expect.stringMatching(
      `^${relation} locked by process \\d+ .*somebody.* since .*; end it with: select pg_terminate_backend\\(\\d+\\)$`,
    );

  it('that all models share: all are acknowledged and wait, the log says who holds it, and all are applied', async () => {
    const models = ['crm.account', 'crm.lead', 'crm.industry'];
    lines.length = 0;
    const release = await holdTable(db, 'flowlu.task_tasks', 'sync.history');
    try {
      for (let round = 1; round <= 3; round += 1) {
        const answers = await Promise.all(models.map((model) => service.post(update(round, 'meanwhile', model))));
        expect(answers.map(({ status }) => status)).toEqual(models.map(() => 200));
      }
      expect(new Set((await stored()).map(({ status }) => status))).toEqual(new Set(['pending']));
      const [first, ...more] = lines;
      expect(first).toMatchObject({
        level: 'warn',
        msg: expect.stringContaining('what all models share is blocked'),
        holders: [held('sync\\.history')],
      });
      for (const line of more) expect(line).toMatchObject({ level: 'warn', msg: first?.msg });
    } finally {
      await release();
    }
    await eventually(stored, (rows) => rows.every(({ status }) => status === 'applied'), 25_000);
    for (const model of ['crm_account', 'crm_lead', 'crm_industry'])
      expect(await db.sql`select from flowlu.${db.sql(model)} where name = 'meanwhile'`).toHaveLength(3);
  }, 60_000);

  it('is the one that the log names, whatever else its holder has locked', async () => {
    lines.length = 0;
    const release = await holdTable(db, 'crm_account', 'task_tasks');
    try {
      expect((await service.post(update(1, 'patient', 'task.tasks'))).status).toBe(200);
      expect(lines).toMatchObject([
        { err: { message: expect.stringContaining('task.tasks') }, holders: [held('flowlu\\.task_tasks')] },
      ]);
    } finally {
      await release();
    }
    await eventually(stored, (rows) => rows.every(({ status }) => status === 'applied'), 25_000);
  }, 60_000);
});

const QUEUE_BOUND = 30;
const BATCH_BOUND = 10;

/** The intake with bounds that a test reaches without thousands of connections. */
function smallIntake({ sql, context, log }: Session): Pick<ServiceApp, 'listener'> {
  const limits = {
    maxQueued: QUEUE_BOUND,
    maxQueuedOfSource: QUEUE_BOUND,
    maxBatch: BATCH_BOUND,
    maxQueuedWeight: 1_000_000,
    maxBatchWeight: 1_000_000,
    smallWeight: 0,
    lanes: 2,
  };
  const work: BatcherOptions<Accepted> = {
    sourceOf: () => '',
    weightOf: ({ body }) => body.length,
    keyOf: ({ announcement }) => String(announcement?.entityId),
    flush: (batch) => receive(batch, { sql, context, log }),
  };
  const batcher = createBatcher(work, limits);
  const intake = createIntake({
    gate: { secrets: [SECRET] },
    bodyLimitBytes: 10_000,
    timeoutMs: 9_000,
    record: (accepted) => batcher.add(accepted),
    log,
  });
  return { listener: (request, response) => void intake(request, response) };
}

/** Locks tables as a long migration would, until they are released. */
async function holdTable({ sql }: TestDatabase, ...tables: readonly string[]): Promise<() => Promise<void>> {
  const connection = await sql.reserve();
  const names = tables.map((table) => (table.includes('.') ? table : `flowlu.${table}`)).join(', ');
  await connection.unsafe(`begin; set local application_name = 'somebody'; lock table ${names}`);
  return async () => {
    await connection.unsafe('commit');
    connection.release();
    // What is blocked is tried again soon, as after ten seconds.
    BLOCKED.leftAloneMs = 0;
  };
}
