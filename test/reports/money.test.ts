/** Money in the ready-made views, where ids and days are such that a mistake by one shows. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

const META = `'{}'::jsonb, now(), 'api', gen_random_uuid()`;
const insert = (table: string, columns: string, values: string) =>
  database.sql.unsafe(
    `insert into flowlu.${table} (${columns}, _record, _observed_at, _source, _hash) select v.*, ${META} from (values ${values}) v`,
  );

it('the class of age of an overdue invoice changes after 30, 60 and 90 days', async () => {
  const ages = [1, 30, 31, 60, 61, 90, 91];
  await insert(
    'fin_invoice',
    'id, status_id, total, due_date',
    ages.map((age) => `(${age}, 20, 100, current_date - ${age})`).join(','),
  );
  const rows = await database.sql`
    select invoice_id::int as age, days_overdue::int as days, age as class from flowlu_reports.overdue_invoices order by 1`;
  expect(rows.map(({ age, days, class: name }) => [age, days, name])).toEqual([
    [1, 1, '1-30 days'],
    [30, 30, '1-30 days'],
    [31, 31, '31-60 days'],
    [60, 60, '31-60 days'],
    [61, 61, '61-90 days'],
    [90, 90, '61-90 days'],
    [91, 91, 'over 90 days'],
  ]);
});

it('a payment names its own account, organisation, partner and project, whichever ids those have', async () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const five = names.map((name, at) => `(${at + 1}, '${name}')`).join(',');
  await insert('fin_bank_account', 'id, name', five);
  await insert('fin_organization', 'id, name', five);
  await insert('crm_account', 'id, name', five);
  await insert('st_projects', 'id, name', five);
  await insert(
    'fin_transaction',
    'id, type, status, income, org_account_id, org_id, crm_account_id, project_id',
    '(1, 10, 20, 100, 1, 2, 3, 4)',
  );
  const [row] = await database.sql`
    select account_name, organisation_name, partner_name, project_name from flowlu_reports.payments`;
  expect(row).toEqual({ account_name: 'a', organisation_name: 'b', partner_name: 'c', project_name: 'd' });
});
