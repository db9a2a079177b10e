/** Who may hand in a webhook, over HTTP: networks, wrong secrets, and which secret is still in use. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createSecretUse } from '../../src/intake/secret-use.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { until } from '../support/eventually.ts';
import { post, SECRET, type Service, startService, webhook } from './service.ts';

const OLD = 'the-old-secret-that-goes-away';

let db: TestDatabase;
let service: Service;

beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db?.close());
afterEach(async () => {
  await service?.close();
  await db.sql`truncate sync.deliveries`;
});

const start = async (env: Record<string, string>) => {
  service = await startService(db.url, env);
};
const body = webhook('crm.account', 'create', { id: 1, name: 'Ada' });
const from = (forwarded: string, secret = SECRET) =>
  post(`${service.url}/webhooks/flowlu/${secret}`, body, { headers: { 'X-Forwarded-For': forwarded } });
const stored = async () => (await db.sql`select count(*)::int as n from sync.deliveries`)[0]?.n;

describe('networks that webhooks may come from', () => {
  it('refuses others with 403, the right secret or not, and stores nothing', async () => {
    await start({ WEBHOOK_ALLOW_FROM: '203.0.113.0/24', TRUSTED_PROXIES: 'loopback' });
    expect((await from('203.0.113.9')).status).toBe(200);
    for (const forwarded of ['198.51.100.1', '203.0.113.9, 198.51.100.1', 'nonsense', '203.0.113.9, nonsense']) {
      expect((await from(forwarded)).status, forwarded).toBe(403);
    }
    expect((await from('198.51.100.1', 'wrong')).status).toBe(403);
    expect((await from('203.0.113.9', 'wrong')).status).toBe(401);
    expect((await service.post(body)).status).toBe(403);
    expect(await stored()).toBe(1);
  });

  it('are not taken from a header that anybody can write, unless its proxy is trusted', async () => {
    await start({ WEBHOOK_ALLOW_FROM: '203.0.113.0/24' });
    expect((await from('203.0.113.9')).status).toBe(403);
    await service.close();
    await start({ WEBHOOK_ALLOW_FROM: 'loopback' });
    expect((await from('198.51.100.1')).status).toBe(200);
  });
});

describe('wrong secrets', () => {
  it('get 429 when a source has tried too many, and the right one is taken all the same', async () => {
    await start({ TRUSTED_PROXIES: 'loopback' });
    const statuses = [];
    for (let n = 0; n < 30; n += 1) statuses.push((await from('198.51.100.1', `guess-${n}`)).status);
    expect(statuses).toEqual([...Array(20).fill(401), ...Array(10).fill(429)]);
    const refused = await from('198.51.100.1', 'guess');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refused.headers.get('connection')).toBe('close');
    expect((await from('198.51.100.2', 'guess')).status).toBe(401);
    expect((await from('198.51.100.1')).status).toBe(200);
    expect(await stored()).toBe(1);
  });

  it('do not shut out honest senders who share one address with a guesser', async () => {
    await start({});
    const guesses = Array.from({ length: 500 }, (_, n) => from('198.51.100.1', `guess-${n}`));
    const honest = Array.from({ length: 50 }, (_, n) =>
      post(`${service.url}/webhooks/flowlu/${SECRET}`, webhook('crm.account', 'create', { id: 100 + n, name: 'Bo' })),
    );
    expect(new Set((await Promise.all(honest)).map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set((await Promise.all(guesses)).map(({ status }) => status))).toEqual(new Set([401, 429]));
    const { values } = (await service.session.metrics.deliveriesReceived.get()) as {
      values: { labels: { status?: string }; value: number }[];
    };
    expect(values.find(({ labels }) => labels.status === 'guessing')?.value).toBe(480);
  });
});

describe('which secret is in use', () => {
  const use = async (secrets: readonly string[]) =>
    (await createSecretUse(secrets).read(db.sql)).map(({ last_used_at }) => last_used_at !== null);
  /** Two secrets that nobody has handed in yet. */
  const fresh = () => [`${SECRET}-${randomUUID()}`, `${OLD}-${randomUUID()}`] as const;

  it('is noted by position, for every process, and stays with a secret that changes its position', async () => {
    const [one, other] = fresh();
    await start({ WEBHOOK_SECRET: `${one},${other}` });
    expect(await use([one, other])).toEqual([false, false]);
    expect((await from('', other)).status).toBe(200);
    await service.noteSecretUse();
    expect(await use([one, other])).toEqual([false, true]);
    const report = (await (await fetch(`${service.url}/status.json`)).json()) as { webhook_secrets: unknown };
    expect(report.webhook_secrets).toEqual([
      { position: 1, last_used_at: null },
      { position: 2, last_used_at: expect.stringMatching(/^\d{4}-.*Z$/) },
    ]);
    await service.close();
    await start({ WEBHOOK_SECRET: `${other},${one}` });
    const moved = (await (await fetch(`${service.url}/status.json`)).json()) as {
      webhook_secrets: { last_used_at: unknown }[];
    };
    expect(moved.webhook_secrets.map(({ last_used_at }) => last_used_at !== null)).toEqual([true, false]);
  });

  it('is noted by itself as soon as it is used for the first time', async () => {
    const [one, other] = fresh();
    await start({ WEBHOOK_SECRET: `${one},${other}` });
    await from('', other);
    await until(async () => (await use([one, other]))[1] === true);
    expect(await use([one, other])).toEqual([false, true]);
  });

  it('shows in the process that took the webhook before it is noted', async () => {
    const use = createSecretUse([SECRET]);
    const usedAt = async () => Date.parse(String((await use.read(db.sql))[0]?.last_used_at));
    use.mark(0);
    await use.note(db.sql);
    const noted = await usedAt();
    await until(() => Date.now() > noted + 1);
    use.mark(0);
    expect(await usedAt()).toBeGreaterThan(noted);
    expect(Date.parse(String((await createSecretUse([SECRET]).read(db.sql))[0]?.last_used_at))).toBe(noted);
  });

  it('keeps the later of two notes, and neither secrets nor anything shaped like them', async () => {
    await start({ WEBHOOK_SECRET: `${SECRET},${OLD}` });
    await from('', SECRET);
    await service.noteSecretUse();
    const before = await createSecretUse([SECRET]).read(db.sql);
    // Notes are exact to the millisecond.
    const noted = Date.parse(String(before[0]?.last_used_at));
    await until(() => Date.now() > noted + 1);
    await from('', SECRET);
    await service.noteSecretUse();
    const [after] = await createSecretUse([SECRET]).read(db.sql);
    expect(String(after?.last_used_at) > String(before[0]?.last_used_at)).toBe(true);
    const [row] = await db.sql`select value::text as text from sync.settings where key = 'webhook_secrets_used'`;
    expect(row?.text).not.toContain(SECRET);
    expect(await createSecretUse(['never handed in']).read(db.sql)).toEqual([{ position: 1, last_used_at: null }]);
  });
});
