/** The webhook's address: who may post, what is refused and how, and that what is accepted is stored as it came. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { post, SECRET, type Service, sendRaw, startService, webhook } from './service.ts';

const OLD_SECRET = 'old-secret.with~marks_1234567890';
/** As a careful client may write it: every character escaped. */
const ESCAPED = [...OLD_SECRET].map((char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`).join('');
const LIMIT = 4_096;

let db: TestDatabase;
let service: Service;

beforeAll(async () => {
  db = await createTestDatabase();
  service = await startService(db.url, {
    WEBHOOK_SECRET: `${SECRET},${OLD_SECRET}`,
    WEBHOOK_BODY_LIMIT: String(LIMIT),
    FLOWLU_MODELS: '!crm.emails',
  });
});
afterAll(async () => {
  await service?.close();
  await db?.close();
});
beforeEach(async () => {
  await db.sql`truncate sync.deliveries, sync.doubtful`;
});

const deliveries = () => db.sql`select * from sync.deliveries order by id`;
const account = (id: unknown, more: object = {}) => webhook('crm.account', 'create', { id, name: 'Ada', ...more });

describe('who may post', () => {
  it('accepts the secret in the path and in the header, and every secret of a rotation', async () => {
    const base = `${service.url}/webhooks/flowlu`;
    const statuses = await Promise.all([
      post(`${base}/${SECRET}`, account(1)),
      post(`${base}/${ESCAPED}`, account(2)),
      post(base, account(3), { headers: { 'X-Webhook-Secret': SECRET } }),
      post(`${base}?from=flowlu`, account(4), { headers: { 'X-Webhook-Secret': SECRET } }),
    ]);
    expect(statuses.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(await deliveries()).toHaveLength(4);
  });

  it('understands a target that repeats the origin', async () => {
    const body = JSON.stringify(account(5));
    const head = `Host: x\r\nConnection: close\r\nContent-Length: ${body.length}`;
    const answer = await sendRaw(
      service.url,
      `POST http://x/webhooks/flowlu/${SECRET} HTTP/1.1\r\n${head}\r\n\r\n${body}`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200/);
    expect(await sendRaw(service.url, 'GET HTTP://x/livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(
      / 200 /,
    );
  });

  it('keeps headers that name the sender, a delivery or a signature, bounded, and no secret under any name', async () => {
    const noise = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`X-Hook-${n}-Id`, 'v'.repeat(300)]));
    const headers = {
      'User-Agent': 'Flowlu-Webhooks/2',
      'X-Flowlu-Delivery': '6f1c',
      'X-Webhook-Signature': 'sha256=ab',
      'X-Webhook-Id': `for ${SECRET}`,
      'X-Webhook-Secret': SECRET,
      'X-Token-Id': 'token',
      'X-Session-Id': 'session',
      Authorization: 'Bearer abc',
      Cookie: 'id=1',
      'X-Forwarded-For': '192.0.2.1',
    };
    await service.post(account(7), { headers });
    await service.post(account(8), { headers: { 'User-Agent': 'x', ...noise } });
    const [kept, many] = await deliveries();
    expect(kept?.headers).toEqual({
      'content-type': expect.any(String),
      'user-agent': 'Flowlu-Webhooks/2',
      'x-flowlu-delivery': '6f1c',
      'x-webhook-signature': 'sha256=ab',
    });
    expect(Object.keys(many?.headers)).toHaveLength(12);
    expect(Math.max(...Object.values<string>(many?.headers).map(({ length }) => length))).toBe(200);
    const status = (await (await fetch(`${service.url}/status.json`)).json()) as { webhook_headers: unknown };
    expect(status.webhook_headers).toMatchObject({ 'user-agent': 'x', 'x-flowlu-delivery': '6f1c' });
  });

  it('answers 401 to a wrong, missing, empty or broken secret and stores nothing', async () => {
    const base = `${service.url}/webhooks/flowlu`;
    const answers = await Promise.all([
      post(base, account(1)),
      post(`${base}/wrong`, account(1)),
      post(`${base}/${SECRET}x`, account(1)),
      post(`${base}/${SECRET.slice(0, -1)}`, account(1)),
      post(`${base}/${SECRET.toUpperCase()}`, account(1)),
      post(`${base}/%E0%A4%A`, account(1)),
      post(base, account(1), { headers: { 'X-Webhook-Secret': '' } }),
      post(base, account(1), { headers: { 'X-Webhook-Secret': `${SECRET},${OLD_SECRET}` } }),
      post(`${base}?secret=${SECRET}`, account(1)),
      // The path is what counts where both are there.
      post(`${base}/wrong`, account(1), { headers: { 'X-Webhook-Secret': SECRET } }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 401));
    expect(await deliveries()).toHaveLength(0);
  });

  it('checks the secret before it looks at the body', async () => {
    const answers = await Promise.all([
      post(`${service.url}/webhooks/flowlu/wrong`, 'x'.repeat(10 * LIMIT)),
      post(`${service.url}/webhooks/flowlu/wrong`, 'not json'),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([401, 401]);
  });

  it.each(['GET', 'PUT', 'PATCH', 'DELETE'])('answers 405 with Allow to %s', async (method) => {
    for (const path of ['/webhooks/flowlu', `/webhooks/flowlu/${SECRET}`]) {
      const answer = await fetch(`${service.url}${path}`, { method });
      expect(answer.status).toBe(405);
      expect(answer.headers.get('allow')).toBe('POST');
    }
  });

  it.each(['HEAD', 'OPTIONS'])('answers %s as the secret deserves, and stores nothing', async (method) => {
    const right = await fetch(`${service.url}/webhooks/flowlu/${SECRET}`, { method });
    expect([right.status, right.headers.get('allow')]).toEqual([200, 'POST, HEAD, OPTIONS']);
    expect((await fetch(`${service.url}/webhooks/flowlu/wrong`, { method })).status).toBe(401);
    expect(await deliveries()).toHaveLength(0);
  });

  it('takes one slash at the end, and counts and names what is nearly right', async () => {
    expect((await post(`${service.url}/webhooks/flowlu/${SECRET}/x/y/z`, account(1))).status).toBe(404);
    const near = await post(`${service.url}/webhook/flowlu/${SECRET}`, account(1));
    expect([near.status, await near.text()]).toEqual([404, expect.stringContaining('/webhooks/flowlu/SECRET')]);
    expect(await deliveries()).toHaveLength(0);
    expect(await (await fetch(`${service.url}/metrics`)).text()).toMatch(/received_total\{status="misdirected"\} 2/);
    expect((await post(`${service.url}/webhooks/flowlu/${SECRET}/`, account(1))).status).toBe(200);
    expect(await deliveries()).toHaveLength(1);
  });

  it('answers 404 elsewhere, never with a stack', async () => {
    const answer = await post(`${service.url}/webhooks/other`, account(1));
    expect(answer.status).toBe(404);
    expect(await answer.text()).not.toMatch(/at .*\.ts/);
  });
});

describe('what is refused', () => {
  it.each([
    ['nothing', ''],
    ['a word', 'hello'],
    ['a form', 'meta=1&current=2'],
    ['cut JSON', '{"meta":{"module":"crm"'],
    ['JSON with a raw control character', '{"meta":"a\u0000b"}'],
    ['JSON with something after it', '{} {}'],
    ['bytes that are no UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])],
    ['a lone surrogate written as bytes', new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ])('answers 400 to %s and stores nothing', async (_, body) => {
    expect((await service.post(body)).status).toBe(400);
    expect(await deliveries()).toHaveLength(0);
  });

  const meta = { module: 'crm', model: 'account', action: 'update' };
  it.each([
    ['null', null, 'body'],
    ['a number', 5, 'body'],
    ['a list', [], 'body'],
    ['no meta', {}, 'meta'],
    ['a meta without a model', { meta: { module: 'crm', action: 'create' } }, 'meta.model'],
    ['a module that is no name', { meta: { ...meta, module: 'crm; drop table x' } }, 'meta.module'],
    ['a model that is too long', { meta: { ...meta, model: 'x'.repeat(65) } }, 'meta.model'],
    ['a current that is a list of things', { meta, current: [1] }, 'current'],
    ['a current that is text', { meta, current: 'x' }, 'current'],
    ['a previous that is a number', { meta, previous: 0 }, 'previous'],
  ])('answers 422 to %s, keeps it and says what is wrong', async (_, body, where) => {
    const answer = await service.post(body);
    expect(answer.status).toBe(422);
    const [kept, ...others] = await deliveries();
    expect(others).toEqual([]);
    expect(kept).toMatchObject({ status: 'rejected', body: JSON.stringify(body), module: null, applied_at: null });
    expect(kept?.reason).toMatch(new RegExp(`^${where}: `));
    expect(await answer.json()).toMatchObject({ accepted: false, delivery: kept?.id, error: kept?.reason });
  });

  it('keeps what nests deeper than any record, as a rejected delivery', async () => {
    const body = `{"meta":{"module":"crm","model":"account","action":"update"},"current":${'['.repeat(1_500)}${']'.repeat(1_500)}}`;
    expect((await service.post(body)).status).toBe(422);
    expect((await deliveries()).map(({ status }) => status)).toEqual(['rejected']);
  });

  it('answers 413 to one byte too many, with and without a length, and 200 to a body of just the limit', async () => {
    const sized = (bytes: number) => {
      const bare = JSON.stringify(account(1, { note: '' }));
      return bare.replace('"note":""', `"note":"${'x'.repeat(bytes - bare.length)}"`);
    };
    expect((await service.post(sized(LIMIT))).status).toBe(200);
    expect((await service.post(sized(LIMIT + 1))).status).toBe(413);
    const chunks = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(sized(LIMIT + 1)));
        controller.close();
      },
    });
    const chunked = await service.post('', { body: chunks, duplex: 'half' } as RequestInit);
    expect(chunked.status).toBe(413);
    expect(await deliveries()).toHaveLength(1);
  });

  it('cuts off a sender that never ends, and one that announces less than it sends', async () => {
    const path = `POST /webhooks/flowlu/${SECRET} HTTP/1.1\r\nHost: x\r\n`;
    const chunk = `1000\r\n${'x'.repeat(4_096)}\r\n`;
    const endless = await sendRaw(service.url, `${path}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(40)}`);
    expect(endless).toMatch(/^HTTP\/1\.1 413 /);
    const lying = await sendRaw(service.url, `${path}Content-Length: 2\r\nConnection: close\r\n\r\n{"meta":1}`);
    expect(lying).toMatch(/^HTTP\/1\.1 400 /);
    expect(await deliveries()).toHaveLength(0);
    expect((await service.post(account(1))).status).toBe(200);
  });

  it('stays healthy when senders go away in the middle of a body', async () => {
    const head = `POST /webhooks/flowlu/${SECRET} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"me`;
    await Promise.all(Array.from({ length: 10 }, () => sendRaw(service.url, head, 100)));
    expect((await service.post(account(1))).status).toBe(200);
    expect(await deliveries()).toHaveLength(1);
  });
});

describe('what is accepted', () => {
  it('answers 200 with the id of the delivery, which is committed by then', async () => {
    const answer = await service.post(account(70));
    const { delivery, accepted } = (await answer.json()) as { delivery: string; accepted: boolean };
    expect(accepted).toBe(true);
    expect(await deliveries()).toMatchObject([{ id: delivery, status: 'applied', decision: 'inserted' }]);
    expect(await db.sql`select name from flowlu.crm_account where id = 70`).toEqual([{ name: 'Ada' }]);
  });

  it('keeps the body byte for byte: white space, key order, escapes, repeated keys, a byte order mark', async () => {
    const bodies = [
      ' {\n"meta" : {"module":"crm","model":"account","action":"create"},\r\n\t"current":{"name":"é","id":71.0e0}} ',
      '{"current":{"z":1,"a":2,"id":72,"id":73},"meta":{"action":"create","model":"account","module":"crm"}}',
      '\uFEFF{"meta":{"module":"crm","model":"account","action":"create"},"current":{"id":74,"name":"\\u00e9\\u0000\\ud800"}}',
    ];
    for (const body of bodies) expect((await service.post(body)).status).toBe(200);
    expect((await deliveries()).map(({ body }) => body)).toEqual(bodies);
    const rows = await db.sql`select id::text, name from flowlu.crm_account where id between 71 and 79 order by id`;
    expect(rows).toEqual([
      { id: '71', name: 'é' },
      { id: '73', name: null },
      { id: '74', name: 'é\uFFFD\uFFFD' },
    ]);
  });

  it('stores text that jsonb cannot hold with U+FFFD in its place, in values and in keys', async () => {
    const body = webhook('crm.account', 'create', {
      id: 80,
      name: 'a\u0000b \ud83d\ude00 \ud83d',
      'k\u0000': '\udc00',
    });
    expect((await service.post(body)).status).toBe(200);
    const [row] = await db.sql`select name, _record from flowlu.crm_account where id = 80`;
    expect(row?.name).toBe('a\uFFFDb 😀 \uFFFD');
    expect(row?._record).toEqual({ id: 80, name: 'a\uFFFDb 😀 \uFFFD', 'k\uFFFD': '\uFFFD' });
  });

  it('reads 64-bit ids as number and as string, without rounding', async () => {
    const text = (id: string) =>
      `{"meta":{"module":"crm","model":"account","action":"update"},"current":{"id":${id},"owner_id":9007199254740993}}`;
    for (const id of ['9007199254740993', '"9007199254740995"', '9223372036854775807', '" 42 "']) {
      expect((await service.post(text(id))).status).toBe(200);
    }
    const rows = await db.sql`
      select id::text, owner_id::text from flowlu.crm_account where id = 42 or id > 9007199254740000 order by id`;
    expect(rows.map(({ id }) => id)).toEqual(['42', '9007199254740993', '9007199254740995', '9223372036854775807']);
    expect(new Set(rows.map(({ owner_id }) => owner_id))).toEqual(new Set(['9007199254740993']));
  });

  it.each([
    ['no number', 'abc'],
    ['more than 64 bits', '9223372036854775808'],
    ['a fraction', '1.5'],
    ['zero, which stands for no record', 0],
    ['an object', { a: 1 }],
    ['nothing', ''],
  ])('parks a delivery whose id is %s, with the reason', async (_, id) => {
    expect((await service.post(account(id))).status).toBe(200);
    expect(await deliveries()).toMatchObject([
      { status: 'failed', reason: 'neither current nor previous names a record id', module: 'crm', model: 'account' },
    ]);
  });

  it.each([
    ['null', null],
    ['{}', {}],
    ['[]', []],
  ])('takes %s for nothing, in current and in previous', async (_, nothing) => {
    expect((await service.post(webhook('crm.account', 'create', { id: 90, name: 'A' }, nothing))).status).toBe(200);
    expect((await service.post(webhook('crm.account', 'delete', nothing, { id: 90, name: 'A' }))).status).toBe(200);
    expect((await deliveries()).map(({ decision }) => decision)).toEqual(['inserted', 'tombstoned']);
    await db.sql`delete from flowlu.crm_account where id = 90`;
  });

  it('accepts the empty create of the documentation, keeps it with the reason, and asks nobody to mend it', async () => {
    const answer = await service.post({
      meta: { module: 'crm', model: 'account', action: 'create' },
      current: {},
      previous: {},
    });
    expect(answer.status).toBe(200);
    expect(await deliveries()).toMatchObject([
      { status: 'skipped', action: 'create', reason: 'current and previous are empty', entity_id: null },
    ]);
  });

  it('parks a delivery that has neither name, since its sender may call them otherwise', async () => {
    const meta = { module: 'crm', model: 'account', action: 'update' };
    expect((await service.post({ meta, data: { id: 7, name: 'Renamed' } })).status).toBe(200);
    expect(await deliveries()).toMatchObject([
      { status: 'failed', reason: 'the body has neither `current` nor `previous`', module: 'crm', model: 'account' },
    ]);
  });

  it('reads module, model and action in any case', async () => {
    expect((await service.post(webhook('CRM.Account', 'CREATE', { id: 91, name: 'B' }))).status).toBe(200);
    expect(await deliveries()).toMatchObject([
      { module: 'crm', model: 'account', action: 'create', status: 'applied' },
    ]);
    expect(await db.sql`select name from flowlu.crm_account where id = 91`).toHaveLength(1);
  });

  it('makes a row doubtful when its action is unknown, and leaves the row as it is', async () => {
    await service.post(account(92));
    expect((await service.post(webhook('crm.account', 'archive', { id: 92, name: 'C' }))).status).toBe(200);
    expect((await deliveries()).map(({ decision }) => decision)).toEqual(['inserted', 'kept']);
    expect(await db.sql`select name from flowlu.crm_account where id = 92`).toEqual([{ name: 'Ada' }]);
    expect(await db.sql`select model, entity_id::text as id from sync.doubtful`).toEqual([
      { model: 'crm.account', id: '92' },
    ]);
  });

  it('puts a model that the catalogue does not know into flowlu.uncatalogued, with its deletes', async () => {
    for (const model of ['warehouse.pallets', 'crm.sprocket']) {
      expect(
        (await service.post(webhook(model, 'create', { id: 5, updated_date: '2025-01-01 10:00:00', x: [1] }))).status,
      ).toBe(200);
    }
    await service.post(webhook('crm.sprocket', 'delete', null, { id: 5, updated_date: '2025-01-01 10:00:00' }));
    const rows = await db.sql`
      select module, model, id::text, _version, _deleted_at is null as live, _source, _record
        from flowlu.uncatalogued order by module`;
    const record = { id: 5, updated_date: '2025-01-01 10:00:00', x: [1] };
    const common = { id: '5', _version: new Date('2025-01-01T10:00:00Z'), _source: 'webhook', _record: record };
    expect(rows).toEqual([
      { module: 'crm', model: 'sprocket', live: false, ...common },
      { module: 'warehouse', model: 'pallets', live: true, ...common },
    ]);
  });

  it('skips a model that the settings leave out, and still has its delivery', async () => {
    expect((await service.post(webhook('crm.emails', 'create', { id: 1, email: 'a@example.com' }))).status).toBe(200);
    expect(await deliveries()).toMatchObject([{ status: 'skipped', reason: 'the settings leave this model out' }]);
    expect(await db.sql`select from flowlu.crm_emails`).toHaveLength(0);
  });

  it('accepts names that JavaScript objects have by themselves', async () => {
    const body = `{"meta":{"module":"crm","model":"account","action":"create"},"current":{"id":93,"NAME":"N","__proto__":{"id":7},"constructor":"","toString":null}}`;
    expect((await service.post(body)).status).toBe(200);
    const [row] = await db.sql`select name, _record::text as record from flowlu.crm_account where id = 93`;
    expect(row?.name).toBe('N');
    expect(JSON.parse(row?.record)).toEqual(JSON.parse(body).current);
    expect((await service.post(body)).status).toBe(200);
    expect((await deliveries()).map(({ decision }) => decision)).toEqual(['inserted', 'duplicate']);
    expect((await service.post(webhook('constructor.prototype', 'create', { id: 1 }))).status).toBe(200);
  });
});

describe('automation webhooks', () => {
  const address = (model: string) => `${service.url}/webhooks/flowlu/${SECRET}/${model}`;

  it('are taken as hints about the record that their address and body name', async () => {
    const bodies = ['{"current":{"id":5,"cf_60":"x"}}', '{"id":"6","name":"bare"}', 'title=A+%26+B&current%5Bid%5D=7'];
    for (const body of bodies) expect((await post(address('crm.deal'), body)).status).toBe(200);
    expect((await post(address('crm/lead'), '{"current":{"id":7},"previous":null}')).status).toBe(200);
    const named = 'meta[module]=crm&meta[model]=leads&meta[action]=update&current[id]=5';
    expect((await post(`${service.url}/webhooks/flowlu/${SECRET}`, named)).status).toBe(200);
    const rows = await db.sql`
      select module, model, action, entity_id::text as id, status, decision from sync.deliveries order by deliveries.id`;
    expect(rows.map((row) => ({ ...row }))).toEqual(
      ['5', '6', '7', '7', '5'].map((id) => ({
        module: 'crm',
        model: 'lead',
        action: 'automation',
        id,
        status: 'applied',
        decision: 'kept',
      })),
    );
    const doubts = await db.sql`select model, entity_id::text as id from sync.doubtful order by entity_id`;
    expect(doubts.map(({ model, id }) => `${model} ${id}`)).toEqual(['crm.lead 5', 'crm.lead 6', 'crm.lead 7']);
    const [mirrored] = await db.sql`select count(*)::int as rows from flowlu.crm_lead`;
    expect(mirrored?.rows).toBe(0);
  });

  it('that are of the usual kind mean what they say, whatever their address', async () => {
    const body = webhook('crm.account', 'delete', null, { id: 94, updated_date: '2025-01-01 10:00:00' });
    expect((await post(address('crm.lead'), JSON.stringify(body))).status).toBe(200);
    expect(await deliveries()).toMatchObject([{ model: 'account', action: 'delete', decision: 'tombstoned' }]);
  });

  it('without the model in the address are told what to configure; so is an address that names none', async () => {
    const missing = await post(`${service.url}/webhooks/flowlu/${SECRET}`, '{"current":{"id":5,"cf_60":"x"}}');
    expect([missing.status, await missing.text()]).toEqual([
      422,
      expect.stringContaining('/webhooks/flowlu/SECRET/MODULE.MODEL'),
    ]);
    const odd = await post(address('lead'), '{"current":{"id":5}}');
    expect([odd.status, await odd.text()]).toEqual([422, expect.stringContaining('module.model')]);
    for (const [where, body, status, cure] of [
      [address('crm.lead'), '{"current":{}}', 422, 'or at least its id'],
      [address('crm.leed'), '{"current":{"id":5}}', 422, 'WEBHOOK_MODEL_NAMES'],
      [address('crm.leed'), 'id=5&name=A', 422, 'crm.lead'],
      [address('crm.nonsense_lead'), '{"current":{"id":5}}', 422, 'crm.lead'],
      [address('crm/lead/5'), '{"id":5}', 404, 'SECRET/MODULE.MODEL'],
      [address('crm.lead'), 'name=x', 400, 'application/json'],
      [`${service.url}/webhooks/flowlu/${SECRET}`, 'id=5', 400, 'MODULE.MODEL'],
      [
        `${service.url}/webhooks/flowlu/${SECRET}`,
        '{"meta":{"model":"lead"},"current":{"id":5}}',
        422,
        'System Settings',
      ],
    ] as const) {
      const answer = await post(where, body);
      expect([answer.status, await answer.text()]).toEqual([status, expect.stringContaining(cure)]);
    }
    expect((await post(`${service.url}/webhooks/flowlu/wrong/crm.lead`, '{"current":{"id":5}}')).status).toBe(401);
    expect((await deliveries()).map(({ status }) => status)).toEqual(Array(7).fill('rejected'));
  });
});

describe('other names of models', () => {
  it('lead to the tables of the models that they mean', async () => {
    for (const [name, id] of [
      ['st.project', 1],
      ['task.task', 2],
      ['crm.leads', 3],
      ['crm.contact', 4],
    ] as const) {
      const [module, model] = name.split('.');
      const body = JSON.stringify({
        meta: { module, model, action: 'create' },
        current: { id, name: 'x' },
        previous: null,
      });
      expect((await post(`${service.url}/webhooks/flowlu/${SECRET}`, body)).status).toBe(200);
    }
    const [row] = await db.sql`
      select (select count(*)::int from flowlu.st_projects where id = 1) + (select count(*)::int from flowlu.task_tasks where id = 2)
             + (select count(*)::int from flowlu.crm_lead where id = 3) + (select count(*)::int from flowlu.crm_account where id = 4) as found,
             (select count(*)::int from flowlu.uncatalogued where model in ('project', 'task', 'leads', 'contact')) as lost`;
    expect({ ...row }).toEqual({ found: 4, lost: 0 });
  });
});
