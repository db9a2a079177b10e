/** The backfill of a whole portal: what each column reads, what it costs, and what it does when it is cut off or refused. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { models } from '../../src/catalog/index.ts';
import { createClient } from '../../src/flowlu/client.ts';
import { createPace } from '../../src/flowlu/pace.ts';
import type { Sql } from '../../src/postgres/connection.ts';
import { backfill } from '../../src/reconcile/backfill.ts';
import type { ListingObserver } from '../../src/reconcile/listing.ts';
import { sharedBudget } from '../../src/store/budget.ts';
import { clearFaults, ExactNumber } from '../simulator/index.ts';
import { type ColumnTypes, canonical, expectedColumn } from '../support/expected-columns.ts';
import { type Mirror, type MirrorOptions, quietObserver, startMirror } from '../support/mirror.ts';

/** The machine may have other work. */
vi.setConfig({ testTimeout: 120_000 });

let mirror: Mirror;
afterEach(() => mirror?.close());

async function start(options: MirrorOptions): Promise<Mirror> {
  mirror = await startMirror(options);
  return mirror;
}

const run = (
  from: Mirror,
  options: { observer?: ListingObserver; signal?: AbortSignal; names?: readonly string[] } = {},
) =>
  backfill(
    { sql: from.sql, client: from.client, writer: from.context },
    {
      models: options.names?.map(from.model) ?? models,
      concurrency: 4,
      holder: 'test',
      observer: options.observer ?? quietObserver,
      signal: options.signal ?? AbortSignal.timeout(60_000),
    },
  );

async function columnTypes(sql: Sql, table: string): Promise<ColumnTypes> {
  const rows = await sql`
    select column_name, data_type from information_schema.columns where table_schema = 'flowlu' and table_name = ${table}`;
  return new Map(
    rows
      .filter((row) => !row.column_name.startsWith('_'))
      .map((row): [string, string] => [row.column_name, row.data_type]),
  );
}

/** Columns that do not read as the source means them, each with its first row; empty when all do. */
async function wrongColumns(
  { sql, portal }: Mirror,
  zone: string,
  names: readonly string[],
): Promise<Record<string, string>> {
  const wrong = new Map<string, string>();
  for (const name of names) {
    const table = name.replace('.', '_');
    const types = await columnTypes(sql, table);
    const rows = new Map((await sql.unsafe(`select * from flowlu.${table}`)).map((row) => [String(row.id), row]));
    for (const record of portal.portal.rows(name)) {
      const row = rows.get(String(record.id));
      rows.delete(String(record.id));
      if (row === undefined || row._deleted_at !== null) {
        wrong.set(name, `${record.id} is not in the mirror`);
        continue;
      }
      for (const [column, type] of types) {
        const expected = expectedColumn(name, column, type, record, zone);
        const found = canonical(type, row[column]);
        if (found === expected || wrong.has(`${name}.${column}`)) continue;
        wrong.set(`${name}.${column}`, `${record.id} reads ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
      }
    }
    for (const id of rows.keys()) wrong.set(name, `${id} is only in the mirror`);
  }
  return Object.fromEntries(wrong);
}

const sum = (
  counts: readonly { counts: Record<'read' | 'written' | 'unchanged' | 'requests', number> }[],
  key: 'read' | 'written' | 'requests',
) => counts.reduce((total, { counts: one }) => total + one[key], 0);
const listable = models.filter((model) => model.listable).map(({ name }) => name);

describe('a portal with every model', () => {
  it.each([
    ['UTC', { emptyDates: true } as const],
    [
      'America/Sao_Paulo',
      {
        numbersAsStrings: { probability: 0.5 },
        idsAsStrings: { probability: 0.5 },
        flags: { probability: 0.5, value: 'string' },
        emptyDates: { probability: 0.5, value: '' },
        itemsAsObject: { probability: 0.3 },
        omitTotal: { probability: 0.3 },
        omitTotalResult: { probability: 0.3 },
      } as const,
    ],
    [
      'Australia/Lord_Howe',
      {
        flags: true,
        emptyDates: { value: '0000-00-00' },
        omitTotal: true,
        omitTotalResult: true,
        limitCap: true,
        idsAsStrings: true,
        http503: { probability: 0.01, value: 0 },
        truncatedJson: { probability: 0.01 },
      } as const,
    ],
  ])(
    'in %s reads in every column as the source means it, and a second backfill writes nothing',
    async (timeZone, faults) => {
      const from = await start({ rows: 1_200, timeZone, uglyText: 0.2, faults });
      addUglyRows(from);
      const first = await run(from);
      expect(first.models.filter(({ outcome }) => outcome !== 'complete').map(({ model }) => model)).toEqual(
        models.filter((model) => !model.listable).map(({ name }) => name),
      );
      expect(await wrongColumns(from, timeZone, listable)).toEqual({});
      const source = listable.reduce((total, name) => total + from.portal.portal.count(name), 0);
      expect([sum(first.models, 'read'), sum(first.models, 'written')]).toEqual([source, source]);

      // Spelt plainly or not, it is the same.
      clearFaults(from.portal.faults);
      const second = await run(from);
      expect([sum(second.models, 'read'), sum(second.models, 'written')]).toEqual([source, 0]);
    },
  );

  it('costs one request per 100 rows and at most two more, and never asks for anything but lists', async () => {
    const from = await start({
      rows: 2_000,
      rowsPerModel: { 'crm.account': 700, 'crm.lead': 1_001, 'task.tasks': 100 },
    });
    const round = await run(from);
    const asked = from.portal.requests.perModel();
    const tooMany = listable.filter(
      (name) => (asked[`${name} list`] ?? 0) > Math.ceil(from.portal.portal.count(name) / 100) + 2,
    );
    expect(tooMany).toEqual([]);
    expect(from.portal.requests.violations()).toEqual([]);
    expect(Object.keys(asked).filter((key) => !key.endsWith(' list'))).toEqual([]);
    expect(sum(round.models, 'requests')).toBe(from.portal.requests.total());
  });
});

describe('a backfill that is cut off', () => {
  it('goes on where it stopped, page by page, however often, and asks for nearly nothing twice', async () => {
    const from = await start({
      rowsPerModel: { 'crm.account': 2_300, 'crm.lead': 1_900, 'task.tasks': 1_500, 'crm.source': 30 },
    });
    const names = ['crm.account', 'crm.lead', 'task.tasks', 'crm.source'];
    let aborts = 0;
    for (const pagesBefore of [1, 5, 2, 7, 2]) {
      const stop = new AbortController();
      let pages = 0;
      const observer: ListingObserver = {
        ...quietObserver,
        modelAdvanced: () => {
          pages += 1;
          if (pages === pagesBefore) stop.abort(new Error('cut off'));
        },
      };
      await run(from, { names, observer, signal: stop.signal }).then(
        () => {},
        (error: Error) => {
          expect(error.message).toBe('cut off');
          aborts += 1;
        },
      );
    }
    expect(aborts).toBeGreaterThanOrEqual(4);
    expect((await run(from, { names })).status).toBe('done');
    expect(await wrongColumns(from, 'UTC', names)).toEqual({});
    const needed = 23 + 19 + 15 + 1 + 2 * names.length;
    // A page that was under way when it was cut off, and one in advance of it, per model.
    expect(from.portal.requests.total()).toBeLessThanOrEqual(needed + aborts * 8);
    const statuses = (await from.sql`select status from sync.runs order by runs.id`).map(({ status }) => status);
    expect(statuses.filter((status) => status === 'interrupted')).toHaveLength(aborts);
  });

  it('finds what was created meanwhile, and takes what was deleted meanwhile for what it is: not yet known', async () => {
    const from = await start({ rowsPerModel: { 'crm.account': 800 } });
    const stop = new AbortController();
    const observer = { ...quietObserver, modelAdvanced: () => stop.abort(new Error('cut off')) };
    await expect(run(from, { names: ['crm.account'], observer, signal: stop.signal })).rejects.toThrow('cut off');
    from.portal.portal.create('crm.account', { name: 'new' });
    from.portal.portal.remove('crm.account', 1);
    await run(from, { names: ['crm.account'] });
    const [row] = await from.sql`
      select count(*)::int as rows, count(*) filter (where name = 'new')::int as new, count(_deleted_at)::int as deleted
        from flowlu.crm_account`;
    expect(row).toEqual({ rows: 801, new: 1, deleted: 0 });
  });
});

describe('a portal that refuses', () => {
  it('lacks the modules of the other edition: their models are skipped with the reason, the rest is read', async () => {
    const from = await start({ rows: 1_500, edition: 'flowlu' });
    const round = await run(from);
    expect(round.status).toBe('done');
    const skipped = round.models.filter(({ outcome }) => outcome === 'skipped');
    expect(skipped.length).toBeGreaterThan(models.filter((model) => !model.listable).length);
    for (const { model, reason } of skipped) {
      const declared = from.model(model);
      expect(/aspro|possible/.test(declared.edition) || !declared.listable, model).toBe(true);
      expect(reason).toBeTruthy();
    }
    const read = listable.filter((name) => !skipped.some(({ model }) => model === name));
    expect(await wrongColumns(from, 'UTC', read)).toEqual({});
  });

  it.each([
    [22, 'access denied'],
    [30, 'access denied'],
    [31, 'unknown module'],
  ])('with error %i for one model skips that model alone', async (code, words) => {
    const from = await start({
      rowsPerModel: { 'crm.account': 50, 'crm.lead': 50 },
      faults: { errorCode: { models: ['crm.lead'], value: code } },
    });
    const round = await run(from, { names: ['crm.account', 'crm.lead'] });
    expect(round.status).toBe('done');
    expect(round.models.find(({ model }) => model === 'crm.lead')).toMatchObject({
      outcome: 'skipped',
      reason: expect.stringContaining(words),
    });
    expect(await wrongColumns(from, 'UTC', ['crm.account'])).toEqual({});
    expect(from.portal.requests.perModel()['crm.lead list']).toBe(1);
    const [listing] = await from.sql`select requests::int as requests from sync.listings where model = 'crm.lead'`;
    const report = round.models.find(({ model }) => model === 'crm.lead');
    expect([report?.counts.requests, listing?.requests]).toEqual([1, 1]);
  });

  it('is counted with every attempt that it has refused', async () => {
    const from = await start({
      rowsPerModel: { 'crm.account': 5, 'crm.lead': 5 },
      faults: { http500: { models: ['crm.lead'] } },
    });
    const round = await run(from, { names: ['crm.lead'] });
    const [report] = round.models;
    expect(report?.outcome).toBe('failed');
    expect(report?.counts.requests).toBe(from.portal.requests.perModel()['crm.lead list']);
  });

  it('with error 11 in the middle fails, tombstones nothing, and can be gone on with under a good key', async () => {
    const from = await start({ rowsPerModel: { 'crm.account': 1_200, 'crm.lead': 800 } });
    const names = ['crm.account', 'crm.lead'];
    await run(from, { names });
    from.portal.faults.errorCode = { value: 11, skip: 6 };
    const refused = run(from, { names });
    await expect(refused).rejects.toThrow(/authorization failed/);
    await expect(refused).rejects.not.toThrow(new RegExp(from.portal.apiKey));
    const [row] = await from.sql`
      select (select count(*)::int from flowlu.crm_account where _deleted_at is null) as accounts,
             (select count(*)::int from flowlu.crm_lead where _deleted_at is null) as leads`;
    expect(row).toEqual({ accounts: 1_200, leads: 800 });
    const [last] = await from.sql`select status from sync.runs order by runs.id desc limit 1`;
    expect(last?.status).toBe('failed');
    clearFaults(from.portal.faults);
    expect((await run(from, { names })).status).toBe('done');
  });

  it.each([
    [
      'repeats its first page for ever',
      { repeatFirstPage: true, ignoreFilters: true, ignoreOrder: true } as const,
      'failed',
    ],
    ['cuts its lists', { cutListing: true, wrongTotal: { value: 300 } } as const, 'differences'],
  ])('%s never makes the run look done, and tombstones nothing', async (_, faults, status) => {
    const from = await start({ rowsPerModel: { 'crm.account': 300 } });
    await run(from, { names: ['crm.account'] });
    Object.assign(from.portal.faults, faults);
    expect((await run(from, { names: ['crm.account'] })).status).toBe(status);
    const [row] = await from.sql`select count(*)::int as live from flowlu.crm_account where _deleted_at is null`;
    expect(row?.live).toBe(300);
  });
});

describe('the request budget', () => {
  it('holds in every second, for two clients on one database together, as the portal measures it', async () => {
    const rate = 12;
    const from = await start({ rows: 0, rowsPerModel: { 'crm.account': 1_500, 'crm.lead': 1_500, 'task.tasks': 900 } });
    const client = () =>
      createClient({
        baseUrl: from.portal.baseUrl,
        apiKey: from.portal.apiKey,
        pace: createPace(rate, sharedBudget(from.sql)),
        retry: { baseMs: 10 },
      });
    const fill = (names: readonly string[]) => run({ ...from, client: client() }, { names });
    const rounds = await Promise.all([
      fill(['crm.account', 'crm.source']),
      fill(['crm.lead', 'task.tasks', 'crm.industry']),
    ]);
    expect(rounds.map(({ status }) => status)).toEqual(['done', 'done']);
    // Portal and clients share this process, so an arrival may be seen some milliseconds after it was sent.
    expect(from.portal.requests.maxPerSecond(950)).toBeLessThanOrEqual(rate);
  });
});

/** What a seed does not make up: huge ids, both spellings of the tax number, digits beyond a double, odd types. */
function addUglyRows({ portal: { portal } }: Mirror): void {
  portal.create('crm.account', { id: 9_007_199_254_740_993n, name: '𝔘𝔤𝔩𝔶 😀\u0000\ud800', vat: 'DE 1' });
  portal.create('crm.account', {
    id: 9_223_372_036_854_775_000n,
    owner_id: 9_007_199_254_740_993n,
    ref_id: 'ext-00017',
  });
  portal.create('crm.account', {
    vat: '',
    type: '2',
    active: '',
    owner_id: '',
    organization_revenue: new ExactNumber('12345678901234567.89'),
  });
  portal.create('crm.account', {
    owner_id: null,
    organization_revenue: '00012.50',
    organization_registration_date: '0000-00-00',
    created_date: '',
  });
  portal.create('fin.transaction', { income: new ExactNumber('99999999999999999999.99'), outcome: '-0.00', name: '' });
  portal.create('core.user', { last_active: '1700000000', birth_date: '0000-00-00 00:00:00', role_external: '0' });
  portal.create('core.user', { last_active: '0', birth_date: '1969-12-31' });
  portal.create('task.tasks', {
    created_date: '9998-12-31 23:59:59',
    model_id: '0',
    description: { blocks: [1, 'two'] },
    name: 17,
  });
}

it('the position of a listing is stored with its rows or not at all', async () => {
  const { sql } = await start({ rowsPerModel: { 'crm.account': 180 } });
  await sql.unsafe(`
    create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'not at commit'; end $$;
    create constraint trigger refuse after insert on flowlu.crm_account deferrable initially deferred
      for each row execute function public.refuse()`);
  await run(mirror, { names: ['crm.account'] }).catch(() => {});
  expect(await sql`select from flowlu.crm_account`).toHaveLength(0);
  expect(
    await sql`select last_id, page, rows_read from sync.listings where last_id > 0 or page > 1 or rows_read > 0`,
  ).toEqual([]);
  await sql.unsafe('drop trigger refuse on flowlu.crm_account');
  await run(mirror, { names: ['crm.account'] });
  expect(await sql`select from flowlu.crm_account`).toHaveLength(180);
});
