/** How well webhooks cover what happens: what they announced, against what had to be found without them. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { models } from '../../src/catalog/index.ts';
import { loadConfig } from '../../src/config/index.ts';
import { sweepAll } from '../../src/reconcile/catch-up.ts';
import { openSession } from '../../src/service/session.ts';
import { foreignNames, readCoverage } from '../../src/status/coverage.ts';
import { modelStatuses } from '../../src/store/watermarks.ts';
import { type Mirror, never, quietObserver, startMirror } from '../support/mirror.ts';
import { sourceOf } from './source.ts';

let mirror: Mirror;

beforeAll(async () => {
  mirror = await startMirror({ rowsPerModel: { 'crm.account': 30, 'crm.lead': 30, 'st.projects': 30 } });
  await mirror.fill('crm.account', 'crm.lead', 'st.projects');
});
afterAll(() => mirror.close());

it('says which models are announced, which in part, and what to tick for those that are not', async () => {
  const { portal } = mirror.portal;
  const update = (model: string, id: number, name: string) => portal.update(model, id, { name });
  await mirror.deliver(update('crm.account', 1, 'a'), update('crm.account', 2, 'b'), update('crm.lead', 1, 'c'));
  const repeated = update('crm.account', 3, 'd');
  await mirror.deliver(repeated, repeated);
  update('crm.lead', 2, 'never announced');
  update('st.projects', 2, 'never announced');
  await mirror.sql`update sync.schedule set missed = 1 where model in ('crm.lead', 'st.projects')`;
  const coverage = new Map((await readCoverage(mirror.sql)).map((one) => [one.model, one]));
  expect(coverage.get('crm.account')).toMatchObject({
    deliveries: 4,
    repeats: 1,
    changes: 3,
    found: 0,
    told: 'complete',
  });
  expect(coverage.get('crm.lead')).toMatchObject({ changes: 1, found: 1, told: expect.stringContaining('50 %') });
  expect(coverage.get('st.projects')).toMatchObject({
    deliveries: 0,
    found: 1,
    told: 'changes come, nobody announces them: tick create, update and delete of st.projects in Flowlu',
  });
});

it('shows names that webhooks alone use, with what they may mean', async () => {
  await mirror.sql`
    insert into flowlu.uncatalogued (module, model, id, _record, _observed_at, _source, _hash)
    values ('finance', 'invoice', 1, '{"id":1}', clock_timestamp(), 'webhook', gen_random_uuid())`;
  // An extra model lies in the same table; the portal lists it, so it is none of them.
  await mirror.sql`
    insert into flowlu.uncatalogued (module, model, id, _record, _observed_at, _source, _hash)
    values ('asset', 'asset', 1, '{"id":1}', clock_timestamp(), 'api', gen_random_uuid())`;
  await mirror.sql`
    insert into sync.listings (model, kind, started_at, completed_at)
    values ('asset.asset', 'backfill', clock_timestamp(), clock_timestamp())`;
  expect(await foreignNames(mirror.sql)).toEqual([
    { name: 'finance.invoice', rows: 1, suggestions: expect.arrayContaining(['fin.invoice']) },
  ]);
});

it('tells no more names than people read, however many senders invent, and all of the catalogue', async () => {
  await mirror.sql`
    insert into flowlu.uncatalogued (module, model, id, _record, _observed_at, _source, _hash)
    select 'invented', 'name_' || n, 1, '{"id":1}', clock_timestamp(), 'webhook', gen_random_uuid()
      from generate_series(1, 3000) as n`;
  await mirror.sql`
    insert into sync.deliveries (received_at, body, module, model, entity_id, status)
    select clock_timestamp(), '{}', 'invented', 'name_' || n, 1, 'applied' from generate_series(1, 3000) as n`;
  const told = await modelStatuses(mirror.sql);
  expect(told.length).toBe(models.length + 100);
  expect(told.map(({ model }) => model)).toEqual(expect.arrayContaining(models.map(({ name }) => name)));
  const webhooks = await readCoverage(mirror.sql);
  expect(webhooks.filter(({ model }) => model.startsWith('invented.')).length).toBeLessThanOrEqual(100);
  expect(webhooks.map(({ model }) => model)).toEqual(expect.arrayContaining(['crm.lead', 'st.projects']));
  expect((await foreignNames(mirror.sql)).length).toBe(50);
});

const findingsOf = async (code: string) =>
  (await sourceOf(mirror.sql).health()).findings.filter((finding) => finding.code === code);

it('says which rows the guard keeps, how many, and how to confirm that they are gone, until that is done', async () => {
  const { portal } = mirror.portal;
  const gone = [...portal.rows('st.projects')].slice(0, 21).map(({ id }) => String(id));
  for (const id of gone) portal.remove('st.projects', id);
  const deps = { sql: mirror.sql, client: mirror.client, writer: mirror.context };
  const round = { models: [mirror.model('st.projects')], concurrency: 1, holder: 'test', observer: quietObserver };
  const sweep = (allowDeletes: number) => sweepAll(deps, { ...round, signal: never, allowDeletes });
  await sweep(0);
  expect(await findingsOf('rows_held')).toMatchObject([
    {
      severity: 'care',
      sentence: expect.stringMatching(/^21 rows of st\.projects that Flowlu lists no more are kept/),
      command: 'flowlu-mirror reconcile st.projects --full --allow-deletes 21',
    },
  ]);
  const coverage = async () =>
    (await mirror.sql`select coverage from flowlu_live.sync_status where model = 'st.projects'`)[0]?.coverage;
  expect(await coverage()).toMatch(/^complete but for some rows: 21 are listed no more/);
  await sweep(21);
  expect(await findingsOf('rows_held')).toEqual([]);
  expect(await coverage()).toBe('complete');
});

it('says that the zone is wrong where changes would have been made after they were read, until all is derived anew', async () => {
  const deps = { sql: mirror.sql, client: mirror.client, writer: mirror.context };
  const round = { models: [mirror.model('crm.lead')], concurrency: 1, holder: 'test', observer: quietObserver };
  const read = async (ahead_ms: number) => {
    const updated_date = new Date(Date.now() + ahead_ms).toISOString().slice(0, 19).replace('T', ' ');
    mirror.portal.portal.update('crm.lead', 7, { updated_date });
    await sweepAll(deps, { ...round, signal: never, allowDeletes: 0 });
  };
  await read(120_000);
  expect(await findingsOf('zone_contradicted')).toEqual([]);
  await read(6 * 3_600_000);
  const found = [
    {
      severity: 'care',
      sentence: expect.stringContaining('of crm.lead would have been made 6.0 h after it was read'),
      command: 'flowlu-mirror rebuild',
    },
  ];
  expect(await findingsOf('zone_contradicted')).toMatchObject(found);
  const config = loadConfig({ DATABASE_URL: mirror.database.url });
  const { close } = await openSession(config, {
    log: mirror.log,
    signal: never,
    command: 'test',
    onMirror: 'rederive',
  });
  await close();
  expect(await findingsOf('zone_contradicted')).toEqual([]);
});
