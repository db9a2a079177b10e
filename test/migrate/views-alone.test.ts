/** What one view or one definition breaks, the others do not notice. */
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { refreshViews } from '../../src/migrate/refresh.ts';
import { applyViews } from '../../src/migrate/views.ts';
import { transaction } from '../../src/postgres/connection.ts';
import { allViews } from '../../src/reports/all.ts';
import { settleLiveFacts } from '../../src/views/live-facts.ts';
import { runHere } from '../e2e/command.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

it('a view that cannot be made fails alone, is reported, and is tried again', async () => {
  const apply = (broken: boolean) =>
    transaction(database.sql, {}, async (tx) => {
      const views = allViews(await settleLiveFacts(tx, 'UTC')).map((view) => {
        if (view.name === 'crm_source')
          return { ...view, from: broken ? `${view.from} and no_such_column` : view.from };
        return view.name === 'crm_industry' && view.schema === 'flowlu_live'
          ? { ...view, from: `${view.from} and ${broken}` }
          : view;
      });
      return applyViews(tx, views);
    });
  const failed = await apply(true);
  expect(failed.map(({ view }) => view)).toEqual(['crm_source', 'flowlu_history.crm_source']);
  expect(failed[0]?.reason).toContain('no_such_column');
  const [row] = await database.sql`select pg_get_viewdef('flowlu_live.crm_industry'::regclass) as sql`;
  expect(row?.sql).toContain('true');
  expect(await database.sql`select * from flowlu_live.crm_source`).toEqual([]);
  expect(await apply(false)).toEqual([]);
});

it('two thousand definitions of custom fields stop neither migrate nor the views', async () => {
  await database.sql`
    insert into flowlu.customfields_fields (id, module, model, name, alias, type, _record, _observed_at, _source, _hash)
    select n, 'crm', 'account', repeat('long title ', 20) || n, 'alias_' || n, 'price', '{}', clock_timestamp(), 'webhook', gen_random_uuid()
      from generate_series(1, 2000) n`;
  await database.sql`
    insert into flowlu.crm_account (id, name, _record, _observed_at, _source, _hash)
    values (1, 'Acme', '{"cf_1": "5", "cf_2000": "x"}', clock_timestamp(), 'api', gen_random_uuid())`;
  const { code, stdout } = await runHere(['migrate'], { cwd: tmpdir(), env: { DATABASE_URL: database.url } });
  expect(code).toBe(3);
  expect(stdout).toMatch(/^View crm_account cannot be made: /m);
  await refreshViews(database.sql, { zone: 'UTC' });
  expect(await database.sql`select name from flowlu_live.crm_account`).toEqual([{ name: 'Acme' }]);
  await database.sql`delete from flowlu.customfields_fields where id > 1`;
  expect(await refreshViews(database.sql, { zone: 'UTC' })).toBe(true);
  expect(await database.sql`select name from flowlu_live.crm_account`).toEqual([{ name: 'Acme' }]);
});
