/** Erasing one entity: nothing of it stays in any table, and nothing but the API brings it back. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findModel } from '../../src/catalog/index.ts';
import { splitName } from '../../src/catalog/name.ts';
import { readAnnouncement } from '../../src/delivery/delivery.ts';
import { eraseEntity } from '../../src/maintain/erase.ts';
import { replay } from '../../src/maintain/replay.ts';
import { drainPending } from '../../src/merge/drain.ts';
import { receive } from '../../src/merge/receive.ts';
import { settleDue } from '../../src/merge/settle.ts';
import { catchUpAll, sweepAll } from '../../src/reconcile/catch-up.ts';
import { verify } from '../../src/reconcile/verify.ts';
import { rowsWith } from '../support/dump.ts';
import { eventually, until } from '../support/eventually.ts';
import { type Mirror, never, quietObserver, startMirror } from '../support/mirror.ts';

const WORD = 'J0hn-Smith';
const account = { name: 'crm.account', model: findModel('crm.account') ?? null };

let mirror: Mirror;

beforeAll(async () => {
  mirror = await startMirror({ rowsPerModel: { 'crm.account': 30 } });
  await mirror.fill('crm.account');
});
afterAll(() => mirror.close());

const person = (more: object = {}) => ({
  name: `${WORD} & Sons`,
  phone: `+1 ${WORD}`,
  description: `about ${WORD}`,
  ...more,
});
const post = async (body: unknown) => {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const { sql, context, log } = mirror;
  return (await receive([{ body: text, announcement: readAnnouncement(text) }], { sql, context, log }))[0] as string;
};
const hook = (action: string, current: object | null, previous: object | null = null) => ({
  meta: { module: 'crm', model: 'account', action },
  current,
  previous,
});
const erase = (id: string | number, table = account) => eraseEntity(mirror.sql, table, String(id), mirror.context);
const rowOf = async (id: string | number) =>
  (
    await mirror.sql`select _source as source, _deleted_at is not null as deleted, _record as record, name
                      from flowlu.crm_account where id = ${String(id)}`
  )[0];
const deliveryOf = async (id: string) =>
  (
    await mirror.sql`select status, decision, body, from_hash, to_hash, version, reason from sync.deliveries where id = ${id}`
  )[0];
const round = () => ({
  models: [mirror.model('crm.account')],
  concurrency: 1,
  holder: 'test',
  observer: quietObserver,
  signal: never,
});
const deps = () => ({ sql: mirror.sql, client: mirror.client, writer: mirror.context });

describe('an erased entity', () => {
  it('is found in deliveries by the id of either state', async () => {
    const id = await post(hook('update', { id: 991, name: 'other' }, { id: 992, ...person() }));
    await erase(992);
    expect(JSON.stringify(await deliveryOf(id))).not.toContain(WORD);
  });

  it('has left no value in any table, whatever ways they came', async () => {
    const { portal, sql, context } = mirror;
    await mirror.deliver(portal.portal.update('crm.account', 1, person()));
    await mirror.deliver(portal.portal.update('crm.account', 1, person({ name: `${WORD} renamed` })));
    await post({ ...hook('archive', { id: 1, ...person() }) });
    // Ways in which a delivery may be about it without the ledger knowing: pending, failed, not understood.
    const raw = JSON.stringify(hook('update', { id: '0001', ...person() }));
    await sql`insert into sync.deliveries (status, module, model, action, body, reason)
              values ('pending', 'crm', 'account', 'update', ${raw}, null),
                     ('failed', 'crm', 'account', 'update', ${raw}, ${`invalid input syntax: "${WORD}"`}),
                     ('failed', 'crm', 'account', 'update', ${JSON.stringify(hook('update', person()))}, 'no id'),
                     ('rejected', null, null, null, ${JSON.stringify({ strange: WORD })}, 'wrong shape')`;
    await sql`insert into sync.doubtful (model, entity_id, reason, last_error) values ('crm.account', 1, 'test', ${WORD})
              on conflict (model, entity_id) do update set last_error = excluded.last_error`;
    await sql`insert into sync.suspects (model, entity_id) values ('crm.account', 1)`;
    await sql`insert into flowlu.uncatalogued (module, model, id, _record, _observed_at, _source, _hash)
              values ('crm', 'account', 1, ${JSON.stringify(person())}::text::jsonb, now(), 'webhook', gen_random_uuid())`;
    // A table of the ledger that a later version may bring, partitioned as large ones are.
    await sql.unsafe(`create table sync.later (model text, entity_id bigint, "values" jsonb, at timestamptz not null) partition by range (at);
      create table sync.later_default partition of sync.later default;
      insert into sync.later values ('crm.account', 1, '{"name": "${WORD}"}', now()), ('crm.account', 2, '{"name": "other"}', now())`);
    portal.portal.remove('crm.account', 1);
    expect((await rowsWith(sql, [WORD])).length).toBeGreaterThan(10);
    const others = async () =>
      (await sql`select md5(string_agg(t::text, ',' order by id)) as all from flowlu.crm_account t where id <> 1`)[0]
        ?.all;
    const before = await others();

    expect(await erase(1)).toMatchObject({ had_row: true, deliveries: 7, lines: 5 });

    expect(await rowsWith(sql, [WORD])).toEqual([]);
    expect(await rowOf(1)).toEqual({ source: 'erased', deleted: true, record: { id: 1 }, name: null });
    expect(await sql`select from flowlu_live.crm_account where id = 1`).toHaveLength(0);
    expect(await others()).toBe(before);
    expect(await sql`select "values" from sync.later`).toHaveLength(1);
    await sql`drop table sync.later`;
    const left = await sql`select distinct from_hash, to_hash, version from sync.deliveries`;
    expect([...left]).toEqual([{ from_hash: null, to_hash: null, version: null }]);
    // Once more, and there is nothing left to do.
    expect(await erase(1)).toEqual({ had_row: true, deliveries: 0, lines: 0 });
    await drainPending({ sql, context, log: mirror.log }, never);
    expect(await rowOf(1)).toMatchObject({ source: 'erased', record: { id: 1 } });
  });

  it('is not brought back by a late webhook, of which nothing is stored either', async () => {
    const late = await post(
      hook('update', { id: 1, ...person({ updated_date: '2026-01-01 00:00:00' }) }, { id: 1, ...person() }),
    );
    const later = await post(hook('create', { id: 1, ...person() }));
    const odd = await post(hook('archive', { id: 1, ...person() }));
    const gone = await post(hook('delete', null, { id: 1, ...person() }));
    expect(await deliveryOf(late)).toEqual({
      status: 'applied',
      decision: 'erased',
      body: '{"meta":{"module":"crm","model":"account","action":"update"},"current":{"id":1},"previous":{"id":1}}',
      from_hash: null,
      to_hash: null,
      version: null,
      reason: null,
    });
    for (const id of [later, odd, gone])
      expect(await deliveryOf(id)).toMatchObject({ decision: 'erased', to_hash: null });
    // The same in one batch with others, and through the ledger as pending.
    const { sql, context, log } = mirror;
    const bodies = [hook('update', { id: 2, name: 'Still here' }), hook('update', { id: 1, ...person() })].map((body) =>
      JSON.stringify(body),
    );
    await receive(
      bodies.map((body) => ({ body, announcement: readAnnouncement(body) })),
      { sql, context, log },
    );
    await sql`insert into sync.deliveries (status, module, model, action, body)
              values ('pending', 'crm', 'account', 'update', ${JSON.stringify(hook('update', { id: 1, ...person() }))})`;
    await drainPending({ sql, context, log }, never);
    expect(await rowsWith(sql, [WORD])).toEqual([]);
    // A replay takes up what an older version may have left, too.
    await sql`insert into sync.deliveries (status, module, model, action, entity_id, body, to_hash)
              values ('skipped', 'crm', 'account', 'update', 1, ${JSON.stringify(hook('update', { id: 1, ...person() }))}, gen_random_uuid())`;
    await replay({ sql, context, log, holder: 'test' }, {}, () => {}, never);
    expect(await rowsWith(sql, [WORD])).toEqual([]);
    expect(await rowOf(1)).toMatchObject({ source: 'erased', deleted: true });
    expect(await sql`select from sync.doubtful where entity_id = 1`).toHaveLength(0);
  });

  it('is not brought back by a webhook that is only a hint, which stays one', async () => {
    const { sql, context, log } = mirror;
    const text = JSON.stringify(hook('update', { id: 1, ...person() }));
    const [id = ''] = await receive([{ body: text, announcement: readAnnouncement(text) }], {
      sql,
      context: { ...context, trust: 'verify' },
      log,
    });
    const told = await deliveryOf(id);
    expect(told).toMatchObject({ decision: 'erased', reason: expect.stringContaining('hints') });
    const [pending] = await sql`insert into sync.deliveries (status, module, model, action, body, reason)
      values ('failed', 'crm', 'account', 'delete', ${JSON.stringify(hook('delete', null, { id: 1, ...person() }))}, ${told?.reason})
      returning id::text as id`;
    await erase(1);
    expect(await deliveryOf(pending?.id)).toMatchObject({ reason: told?.reason });
    expect(await rowsWith(sql, [WORD])).toEqual([]);
  });

  it('stays away in every reading of a portal that does not have it, and causes no difference', async () => {
    await sweepAll(deps(), { ...round(), allowDeletes: 0 });
    await catchUpAll(deps(), round());
    await settleDue(
      { ...deps(), tableOf: (name) => mirror.context.tableOf(splitName(name).module, splitName(name).model) },
      100,
      never,
    );
    const { status, models } = await verify(deps(), { ...round(), repair: false, sample: null, pauseMs: 0 });
    expect({ status, findings: models[0]?.findings }).toEqual({ status: 'done', findings: [] });
    expect(await rowOf(1)).toMatchObject({ source: 'erased', deleted: true });
  });

  it('comes back with the API, where the portal has it, and then takes webhooks again', async () => {
    const { portal } = mirror.portal;
    portal.update('crm.account', 3, { name: 'Kept in Flowlu' });
    await erase(3);
    await mirror.deliver(portal.update('crm.account', 3, { name: 'By webhook' }));
    expect(await rowOf(3)).toMatchObject({ source: 'erased', name: null });
    await sweepAll(deps(), { ...round(), allowDeletes: 0 });
    expect(await rowOf(3)).toMatchObject({ source: 'api', deleted: false, name: 'By webhook' });
    await mirror.deliver(portal.update('crm.account', 3, { name: 'And again', updated_date: '2031-01-01 00:00:00' }));
    expect(await rowOf(3)).toMatchObject({ deleted: false, name: 'And again' });
  });

  it('is marked even where the mirror never had a row of it, and with an id of any size', async () => {
    const id = '9007199254740993';
    expect(await erase(id)).toEqual({ had_row: false, deliveries: 0, lines: 0 });
    await post(`{"meta":{"module":"crm","model":"account","action":"create"},"current":{"id":${id},"name":"${WORD}"}}`);
    expect(await rowsWith(mirror.sql, [WORD])).toEqual([]);
    const [row] = await mirror.sql`select _record::text as record from flowlu.crm_account where id = ${id}`;
    expect(row?.record).toBe(`{"id": ${id}}`);
  });

  it('may be of a model that the catalogue does not know', async () => {
    const contact = (own: object) => ({ meta: { module: 'crm', model: 'unheard_of', action: 'update' }, current: own });
    await post(contact({ id: 5, name: WORD }));
    await post(contact({ id: 6, name: 'somebody else' }));
    expect(await erase(5, { name: 'crm.unheard_of', model: null })).toMatchObject({ had_row: true, deliveries: 1 });
    await post(contact({ id: 5, name: WORD }));
    expect(await rowsWith(mirror.sql, [WORD])).toEqual([]);
    expect(await rowsWith(mirror.sql, ['somebody else'])).toHaveLength(2);
  });

  it('waits for a delivery about it that is just being committed, and takes that one as well', async () => {
    const { sql } = mirror;
    let erasing: Promise<unknown> | undefined;
    await sql.begin(async (tx) => {
      // What a batch of webhooks does, up to its commit.
      await tx`select from flowlu.crm_account where id = 7 for update`;
      await tx`insert into sync.deliveries (status, module, model, action, entity_id, body)
               values ('applied', 'crm', 'account', 'update', 7, ${JSON.stringify(hook('update', { id: 7, ...person() }))})`;
      erasing = erase(7);
      await eventually(
        () => sql`select from pg_locks l join pg_database d on d.oid = l.database where not l.granted and d.datname = current_database()
                   union all select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        (waiting) => waiting.length > 0,
      );
    });
    expect(await erasing).toMatchObject({ deliveries: 1 });
    expect(await rowsWith(sql, [WORD])).toEqual([]);
  });

  it('leaves nothing while webhooks about it keep coming in', async () => {
    let isOver = false;
    let sent = 0;
    const sending = (async () => {
      for (; !isOver && sent < 2_000; sent += 1)
        await post(hook('update', { id: 4, ...person({ description: `${WORD} ${sent}` }) }));
    })();
    const tenMore = async (from: number) => until(() => sent >= from + 10);
    await tenMore(0);
    await Promise.all([erase(4), erase(4)]);
    expect(await rowsWith(mirror.sql, [WORD])).toEqual([]);
    await tenMore(sent);
    isOver = true;
    await sending;
    expect(await rowsWith(mirror.sql, [WORD])).toEqual([]);
    expect(await rowOf(4)).toMatchObject({ source: 'erased', deleted: true });
  });
});

it('knows every table of the ledger that names entities', async () => {
  const rows = await mirror.sql<{ name: string; columns: string[] }[]>`
    select c.relname as name, array_agg(a.attname::text order by a.attname) as columns
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname in ('module', 'model', 'entity_id')
     where c.relnamespace = 'sync'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
     group by 1 having 'entity_id' = any(array_agg(a.attname::text)) order by 1`;
  for (const { name, columns } of rows)
    expect([name, columns]).toEqual([
      name,
      name === 'deliveries' ? ['entity_id', 'model', 'module'] : ['entity_id', 'model'],
    ]);
  expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining(['deliveries', 'doubtful', 'suspects']));
});
