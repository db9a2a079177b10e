/** One customer is found by indexes, whatever was merged into it: what a view reads is counted, not timed. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrate } from '../../src/migrate/migrate.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const ROWS = 3_000;
/** Table → a column that names the customer, and what else its rows need to count. */
const TABLES = {
  crm_account: ['type', 'merged_to', '1, case when i = 10 then 20 end'],
  crm_lead: ['customer_id', 'active', 'i, 3'],
  fin_invoice: ['customer_id', 'status_id', 'i, 13'],
  fin_transaction: ['crm_account_id', 'status', 'i, 10'],
} as const;

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.sql, { zone: 'Europe/Berlin' });
  for (const [table, [one, other, values]] of Object.entries(TABLES))
    await database.sql.unsafe(`
      insert into flowlu.${table} (id, ${one}, ${other}, _record, _observed_at, _source, _hash)
      select i, ${values}, '{}', now(), 'api', gen_random_uuid() from generate_series(1, ${ROWS}) i`);
  await database.sql.unsafe('analyze');
});
afterAll(() => database?.close());

interface Node {
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly Node[];
}
const read = (node: Node): number =>
  (node['Relation Name'] === undefined
    ? 0
    : (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops']) +
  (node.Plans ?? []).reduce((sum, part) => sum + read(part), 0);

it.each([
  ['deals', 'customer_id', 2],
  ['closed_deals', 'customer_id', 2],
  ['invoices', 'customer_id', 2],
  ['payments', 'partner_id', 2],
  ['customers', 'customer_id', 1],
])('%s', async (view, column, rows) => {
  const query = `select * from flowlu_reports.${view} where ${column} = 20`;
  expect((await database.sql.unsafe(query)).length).toBe(rows);
  const [plan] = await database.sql.unsafe(`explain (analyze, format json) ${query}`);
  expect(read(plan?.['QUERY PLAN'][0].Plan)).toBeLessThan(ROWS / 10);
});
