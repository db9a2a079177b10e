/** A second PostgreSQL follows the mirror while webhooks flow. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findModel, models } from '../../src/catalog/index.ts';
import { type EmbeddedDatabase, openEmbedded } from '../../src/embedded/server.ts';
import { eraseEntity } from '../../src/maintain/erase.ts';
import { migrate } from '../../src/migrate/migrate.ts';
import { connect, type Sql } from '../../src/postgres/connection.ts';
import { compareWithSource } from '../simulator/compare.ts';
import { rowsWith } from '../support/dump.ts';
import { until } from '../support/eventually.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { serverDirectory } from '../support/server-directory.ts';

const MODELS = ['crm.account', 'crm.lead', 'task.tasks', 'fin.invoice'];
const CARELESS = { fsync: 'off', full_page_writes: 'off' };

interface Server {
  readonly directory: string;
  readonly embedded: EmbeddedDatabase;
  readonly sql: Sql;
}

async function startServer(settings: Readonly<Record<string, string>>): Promise<Server> {
  const directory = await serverDirectory('follow');
  const embedded = await openEmbedded({ directory, settings: { ...CARELESS, ...settings } });
  return { directory, embedded, sql: connect(embedded.url, { applicationName: 'flowlu-mirror test', max: 3 }) };
}

async function stopServer({ directory, embedded, sql }: Server): Promise<void> {
  await sql.end();
  await embedded.close();
  await rm(directory, { recursive: true, force: true });
}

let source: Server;
let follower: Server;
let mirror: Mirror;

beforeAll(async () => {
  source = await startServer({ wal_level: 'logical' });
  follower = await startServer({ wal_retrieve_retry_interval: '200ms' });
  await migrate(source.sql, { publication: true });
  await migrate(follower.sql);
  mirror = await startMirror({
    rowsPerModel: Object.fromEntries(MODELS.map((name) => [name, 150])),
    database: { url: source.embedded.url, name: 'flowlu', sql: source.sql, close: async () => {} },
  });
  await mirror.fill(...MODELS);
}, 180_000);
afterAll(async () => {
  await mirror?.close();
  await follower?.sql.unsafe('drop subscription if exists flowlu_mirror');
  for (const server of [follower, source]) if (server !== undefined) await stopServer(server);
});

/** Waits until the follower has applied everything that the source has written so far. */
async function caughtUp(): Promise<void> {
  const [now] = await source.sql<{ at: string }[]>`select pg_current_wal_insert_lsn()::text as at`;
  await until(async () => {
    const [row] = await source.sql<{ done: boolean | null }[]>`
      select bool_and(replay_lsn >= ${now?.at ?? ''}::pg_lsn) as done from pg_stat_replication`;
    const [copying] = await follower.sql`select count(*)::int as left from pg_subscription_rel where srsubstate <> 'r'`;
    return row?.done === true && copying?.left === 0;
  });
}

const contentOf = async (sql: Sql, table: string) => {
  const [row] = await sql.unsafe(
    `select count(*)::int as rows, md5(string_agg(t::text, '|' order by id)) as hash from flowlu.${table} t`,
  );
  return row;
};

const randomChanges = (count: number) =>
  Array.from({ length: count }, () => mirror.portal.portal.randomChange(undefined, MODELS));

describe('the publication', () => {
  it('is made once, on request, and holds every table of the mirror', async () => {
    const { publication } = await migrate(source.sql, { publication: true });
    expect(publication).toEqual({ name: 'flowlu_mirror', added: [], wal_level: 'logical' });
    const rows = await source.sql<{ name: string }[]>`
      select schemaname || '.' || tablename as name from pg_publication_tables where pubname = 'flowlu_mirror'`;
    expect(rows.map(({ name }) => name).toSorted()).toEqual(
      [
        ...models.map(({ table }) => `flowlu.${table}`),
        'flowlu.uncatalogued',
        'sync.doubtful',
        'sync.listings',
        'sync.schedule',
        'sync.watermarks',
      ].toSorted(),
    );
    expect((await migrate(follower.sql)).publication).toBeNull();
  });
});

describe('a second server', () => {
  it('follows the first while webhooks flow, with the rights of a role of its own', async () => {
    await source.sql.unsafe(`
      create role follower login replication password 'only-here';
      grant flowlu_reader to follower;
      grant usage on schema sync to follower;
      grant select on sync.watermarks, sync.doubtful, sync.schedule, sync.listings to follower`);
    const { port } = new URL(source.embedded.url);
    let stopped = false;
    let rounds = 0;
    const traffic = (async () => {
      for (; !stopped; rounds += 1) await mirror.deliver(...randomChanges(5));
    })();
    await follower.sql.unsafe(`
      create subscription flowlu_mirror
      connection 'host=127.0.0.1 port=${port} dbname=flowlu user=follower password=only-here'
      publication flowlu_mirror`);
    const begun = rounds;
    await until(() => rounds >= begun + 20);
    stopped = true;
    await traffic;
    await caughtUp();
    for (const name of MODELS) {
      const table = name.replace('.', '_');
      expect(await contentOf(follower.sql, table), name).toEqual(await contentOf(source.sql, table));
    }
    const { differences, rows, deleted } = await compareWithSource(follower.embedded.url, mirror.portal.portal, MODELS);
    expect(differences).toEqual([]);
    expect(rows).toBeGreaterThan(500);
    expect(deleted).toBeGreaterThan(0);
  });

  it('forgets with the first one what is erased there', async () => {
    const word = 'to-be-f0rgotten';
    await mirror.deliver(mirror.portal.portal.update('crm.account', 1, { name: word }));
    await caughtUp();
    expect(await rowsWith(follower.sql, [word])).not.toEqual([]);
    await eraseEntity(
      mirror.sql,
      { name: 'crm.account', model: findModel('crm.account') ?? null },
      '1',
      mirror.context,
    );
    await caughtUp();
    expect(await rowsWith(follower.sql, [word])).toEqual([]);
  });

  it('shows analysts its live views, and how fresh the first one is', async () => {
    await caughtUp();
    const status = (sql: Sql) => sql`
      select model, rows, deleted_rows, last_change_at, last_reconciled_at, doubtful_rows
      from flowlu_live.sync_status where model = any(${MODELS}::text[]) order by 1`;
    const told = await status(follower.sql);
    expect(told[0]?.last_reconciled_at).toBeInstanceOf(Date);
    expect([...told]).toEqual([...(await status(source.sql))]);
    const [row] =
      await follower.sql`select has_table_privilege('flowlu_reader', 'flowlu_live.crm_lead', 'select') as may`;
    expect(row).toEqual({ may: true });
  });
});

describe('a migration', () => {
  const addColumn = (sql: Sql, name: string) => sql.unsafe(`alter table flowlu.crm_lead add column ${name} text`);
  const change = () => mirror.deliver(...Array.from({ length: 3 }, () => mirror.portal.portal.create('crm.lead')));
  const isEqual = async () =>
    (await contentOf(source.sql, 'crm_lead'))?.rows === (await contentOf(follower.sql, 'crm_lead'))?.rows;

  it('that adds a column goes unnoticed where the follower has it first', async () => {
    await addColumn(follower.sql, 'early');
    await change();
    await addColumn(source.sql, 'early');
    await change();
    await source.sql`update flowlu.crm_lead set early = 'set' where id = (select max(id) from flowlu.crm_lead)`;
    await caughtUp();
    expect(await contentOf(follower.sql, 'crm_lead')).toEqual(await contentOf(source.sql, 'crm_lead'));
  });

  it('in the wrong order stops the follower, loses nothing, and goes on once the column is there', async () => {
    await addColumn(source.sql, 'late');
    await change();
    await until(
      async () => (await follower.sql`select 1 from pg_stat_subscription_stats where apply_error_count > 0`).length > 0,
    );
    expect(await isEqual()).toBe(false);
    await addColumn(follower.sql, 'late');
    await caughtUp();
    expect(await contentOf(follower.sql, 'crm_lead')).toEqual(await contentOf(source.sql, 'crm_lead'));
  });

  it('that adds a table completes the publication; the follower takes it in when it is told to', async () => {
    for (const { sql } of [follower, source])
      await sql`create table flowlu.crm_novelty (id bigint primary key, name text)`;
    await source.sql`insert into flowlu.crm_novelty values (1, 'before')`;
    expect((await migrate(source.sql)).publication?.added).toEqual(['flowlu.crm_novelty']);
    await follower.sql.unsafe('alter subscription flowlu_mirror refresh publication');
    await source.sql`insert into flowlu.crm_novelty values (2, 'after')`;
    await caughtUp();
    expect([...(await follower.sql`select * from flowlu.crm_novelty order by id`)]).toEqual([
      { id: '1', name: 'before' },
      { id: '2', name: 'after' },
    ]);
  });
});
