/**
 * What must be equal whatever a portal holds: views that name one thing name one number. Each identity is a query that
 * finds nothing.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrate } from '../../src/migrate/migrate.ts';
import { connect } from '../../src/postgres/connection.ts';
import { reportViews } from '../../src/reports/all.ts';
import { definitionsFor } from '../../src/reports/definitions.ts';
import { NO_FACTS } from '../../src/views/live-columns.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { examples } from '../support/seed.ts';
import { askAsReader, putRows } from './rows.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.sql, { zone: 'Europe/Berlin' });
});
afterAll(() => database?.close());

/** Few numbers, so that links meet; some lead nowhere. */
const link = fc.option(fc.integer({ min: 1, max: 6 }), { freq: 3 });
const money = fc.option(
  fc.integer({ min: -500, max: 5_000 }).map((cents) => cents / 100),
  { freq: 5 },
);
const spent = fc.integer({ min: 0, max: 5_000 }).map((cents) => cents / 100);
const day = fc.option(
  fc.integer({ min: -70, max: 70 }).map((days) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)),
  { freq: 5 },
);
const time = fc.option(
  fc.integer({ min: -70 * 24, max: 70 * 24 }).map((hours) => new Date(Date.now() + hours * 3_600_000).toISOString()),
  { freq: 5 },
);
const maybe = fc.option(fc.boolean());
const code = (...codes: readonly (number | null)[]) => fc.constantFrom(...codes);
const gone = fc.constant('2025-01-01T00:00:00Z');
const rarelyGone = fc.oneof({ weight: 6, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: gone });
const place = fc
  .constantFrom(
    ['st', 'project'],
    ['st', 'projects'],
    ['crm', 'lead'],
    ['crm', 'leads'],
    ['crm', 'account'],
    ['crm', 'contact'],
    ['task', 'tasks'],
    [null, null],
  )
  .map(([module, model]) => ({ module, model }));

const rows = (fields: Readonly<Record<string, fc.Arbitrary<unknown>>>, maxLength = 12) =>
  fc
    .array(fc.record({ ...fields, _deleted_at: rarelyGone }), { maxLength })
    .map((found) => found.map((row, at) => ({ id: at + 1, ...row })));
const placed = (fields: Readonly<Record<string, fc.Arbitrary<unknown>>>, maxLength = 12) =>
  fc
    .tuple(rows({ ...fields, model_id: link }, maxLength), fc.infiniteStream(place))
    .map(([found, places]) => found.map((row) => ({ ...row, ...places.next().value })));

/** Small portals of any kind, some of whose codes nobody has explained. */
const portal = fc.record({
  crm_account: rows({ type: code(1, 2, null), merged_to: fc.option(fc.integer({ min: 1, max: 6 }), { freq: 1 }) }, 6),
  crm_relation: rows({ child_acc_id: link, parent_acc_id: link, type: code(1, 2) }, 4),
  crm_pipeline: rows({ name: fc.constant('Sales') }, 3),
  crm_pipeline_stage: rows({ pipeline_id: link, active: maybe }, 4),
  crm_lead: rows({
    active: code(1, 2, 3, 4, null),
    budget: money,
    customer_id: link,
    contact_id: link,
    pipeline_id: link,
    pipeline_stage_id: link,
    assignee_id: link,
    start_date: day,
    closing_date: day,
    deadline: day,
    created_date: time,
    merged_to_id: fc.oneof({ weight: 5, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: link }),
  }),
  crm_lead_accounts: rows({ lead_id: link, account_id: link, account_type: code(1, 2, null) }, 8),
  fin_invoice: placed({
    status_id: code(5, 10, 12, 13, 20, 30, 40, 99, null),
    total: money,
    bcy_paid_total: money,
    pscy_paid_total: money,
    currency_id: code(1, 2),
    ps_currency_id: code(1, 2),
    currency_code: fc.constantFrom('EUR', 'USD'),
    due_date: day,
    customer_id: link,
    is_template: maybe,
    assignee_id: link,
    invoice_date: day,
  }),
  fin_transaction: rows({
    type: code(10, 20, 30, null),
    status: code(0, 10, 20),
    income: spent,
    outcome: spent,
    bcy_income: spent,
    bcy_outcome: spent,
    icy_total: money,
    date: day,
    invoice_id: link,
    crm_account_id: link,
    project_id: link,
    org_account_id: link,
    currency_id: code(1, 2, null),
    org_id: link,
    category_id: link,
    is_storno: maybe,
  }),
  fin_bank_account: rows(
    {
      currency_id: code(1, 2),
      currency_exchange_rate: code(1, 2, 0, null),
      fixed_balance: money,
      fixed_balance_date: day,
    },
    4,
  ),
  fin_plan_money: rows(
    {
      type: code(10, 20, 30, 40, 50, 60, 70, 99),
      status_paid: code(0, 10, 20, 30, 40),
      total: money,
      paid_total: money,
      is_complete: maybe,
      project_id: link,
      crm_company_id: link,
      plan_paid_date: day,
    },
    6,
  ),
  fin_relations: placed({ plan_money_id: link, amount: money }, 6),
  fin_estimate: placed({ total: money, customer_id: link }, 4),
  st_projects: rows({ is_archive: maybe, customer_id: link, crm_lead_id: link, enddate: day }, 6),
  task_tasks: placed({
    type: code(0, 0, 0, 20, 40),
    status: code(1, 3, 5, null),
    archive_status: code(0, 10, null),
    is_archive: maybe,
    deleted_at: rarelyGone,
    crm_account_id: link,
    responsible_id: link,
    deadline: time,
    plan_start_date: time,
    plan_end_date: time,
    closed_date: time,
    closed_by: link,
    time_estimate: code(0, 3_600, 5_400, null),
  }),
  timetracker_timesheets: placed({ invoice_id: link }, 6),
  timetracker_timelogs: rows({
    timesheet_id: link,
    user_id: link,
    start_timestamp: time,
    time_spent: fc.integer({ min: 0, max: 9_000 }),
    is_billable: maybe,
    currency_id: code(1, 2, null),
    billing_amount: money,
    employee_cost_amount: money,
    invoice_id: link,
  }),
});

const R = 'flowlu_reports';
/** Two numbers that must be one, nulls taken as nothing. */
const same = (one: string, other: string) =>
  `select * from (select coalesce((${one}), 0) as one, coalesce((${other}), 0) as other) pair where abs(one - other) > 0.001`;
const each = (view: string, equation: string) => `select * from ${R}.${view} v where not coalesce(${equation}, true)`;
const sum = (column: string, view: string, where = 'true') =>
  `select sum(${column})::numeric from ${R}.${view} where ${where}`;
const count = (view: string, where = 'true') => `select count(*)::numeric from ${R}.${view} where ${where}`;
const raw = (what: string, table: string, where: string) =>
  `select ${what}::numeric from flowlu.${table} where _deleted_at is null and ${where}`;

const IDENTITIES: Readonly<Record<string, string>> = {
  'every deal counts for one customer or none': same(sum('deals', 'customers'), count('deals')),
  'open deals: customers = deals': same(sum('open_deals', 'customers'), count('deals', 'is_open')),
  'open budgets: customers = pipeline': same(sum('open_budget', 'customers'), sum('budget', 'sales_pipeline')),
  'open deals: pipeline = deals': same(sum('open_deals', 'sales_pipeline'), count('deals', 'is_open')),
  'open deals by pipeline = deals by pipeline': `select pipeline_id from (
      select pipeline_id, sum(open_deals)::bigint as n from ${R}.sales_pipeline where open_deals > 0 group by 1
      except select pipeline_id, count(*) from ${R}.deals where is_open group by 1) x`,
  'overdue deals: pipeline = deals': same(sum('overdue_deals', 'sales_pipeline'), count('deals', 'is_overdue')),
  'deals: the view = the table': same(count('deals'), raw('count(*)', 'crm_lead', 'merged_to_id is null')),
  'won budgets: customers = months': same(sum('won_budget', 'customers'), sum('won_budget', 'won_lost_by_month')),
  'won budgets: months = closed deals': same(
    sum('won_budget', 'won_lost_by_month'),
    sum('budget', 'closed_deals', 'is_won'),
  ),
  'won deals: activity = deals': same(sum('deals_won', 'activity_by_person'), count('deals', 'is_won')),
  'lost deals: customers = months': same(sum('lost_deals', 'customers'), sum('lost_deals', 'won_lost_by_month')),
  'no negative days': each('closed_deals', 'days_to_close >= 0'),
  'a customer that others know is a customer': `select customer_id from (
      select customer_id from ${R}.deals union select customer_id from ${R}.invoices union select partner_id from ${R}.payments where moves_cash
      except select customer_id from ${R}.customers) x`,
  'invoices: total = paid + open - overpaid': each('invoices', 'total = paid_amount + open_amount - overpaid_amount'),
  'invoices: what is issued has an open amount, nothing else has': each(
    'invoices',
    'is_issued = (open_amount is not null)',
  ),
  'invoices: nothing is open twice': each(
    'invoices',
    'open_amount >= 0 and overpaid_amount >= 0 and (open_amount = 0 or overpaid_amount = 0)',
  ),
  'invoices: customers = invoices': same(sum('invoices', 'customers'), count('invoices')),
  'overdue: customers = invoices': same(sum('overdue_invoices', 'customers'), count('invoices', 'is_overdue')),
  'overdue: the view = the flag': same(
    sum('open_amount', 'overdue_invoices'),
    sum('open_amount', 'invoices', 'is_overdue'),
  ),
  'overdue invoices owe something': each('overdue_invoices', 'open_amount > 0 and days_overdue > 0'),
  'owed by deal = owed': same(
    sum('open_amount', 'deal_money'),
    sum('open_amount', 'invoices', `deal_id in (select deal_id from ${R}.deals)`),
  ),
  'income + expense + other = balance by month': each(
    'cash_flow_by_month',
    'income_base + expense_base + other_base = balance_base',
  ),
  'income + expense + other = balance by customer': each(
    'customers',
    'income_base + expense_base + other_base = balance_base',
  ),
  'balance: months = customers': same(sum('balance_base', 'cash_flow_by_month'), sum('balance_base', 'customers')),
  'balance: months = payments': same(
    sum('balance_base', 'cash_flow_by_month'),
    sum('amount_base', 'payments', 'moves_cash'),
  ),
  'balance: accounts = months': same(sum('moved_base', 'cash_position'), sum('balance_base', 'cash_flow_by_month')),
  'balance: the view = the table': same(
    sum('balance_base', 'cash_flow_by_month'),
    raw('sum(bcy_income - bcy_outcome)', 'fin_transaction', 'status = 10'),
  ),
  'income: categories = months': same(
    sum('cash_base', 'money_by_category_and_month', "kind = 'income'"),
    sum('income_base', 'cash_flow_by_month'),
  ),
  'income: customers = payments': same(
    sum('income_base', 'customers'),
    sum('amount_base', 'payments', "moves_cash and kind = 'income'"),
  ),
  'what is unclear: months = payments': same(
    sum('unclear_base', 'cash_flow_by_month'),
    sum('amount_base', 'payments', 'moves_cash is null'),
  ),
  'accounts: fixed + moved = balance': each('cash_position', 'coalesce(fixed_balance, 0) + moved_since = balance'),
  'accounts: nothing is added up over currencies': `select account_id from ${R}.cash_position v where moved_since is not null and 1 < (
      select count(distinct x.currency_id) from flowlu.fin_transaction x
       where x._deleted_at is null and x.status = 10 and x.org_account_id is not distinct from v.account_id and (v.currency_id is null or x.currency_id = v.currency_id))`,
  'accounts: moved in own currency = payments': same(
    sum('moved_since', 'cash_position', 'fixed_balance_date is null and currency_id is not null'),
    `select sum(p.signed_amount)::numeric from ${R}.payments p join ${R}.cash_position c on c.account_id is not distinct from p.account_id
      where p.moves_cash and c.fixed_balance_date is null and c.moved_since is not null and coalesce(p.currency_id, c.currency_id) = c.currency_id`,
  ),
  'profit of projects = payments of projects': same(
    sum('profit_base + other_base', 'project_profitability'),
    sum('amount_base', 'payments', `moves_cash and project_id in (select project_id from ${R}.projects)`),
  ),
  'plans: the view = the table': same(
    sum('planned_amount', 'planned_money'),
    raw('sum(total)', 'fin_plan_money', 'true'),
  ),
  'quotes: the view = the table': same(count('quotes'), raw('count(*)', 'fin_estimate', 'true')),
  'open tasks: projects = tasks': same(
    sum('open_tasks', 'projects'),
    count('open_tasks', `project_id in (select project_id from ${R}.projects)`),
  ),
  'open tasks: people = tasks': same(sum('open_tasks', 'tasks_by_person'), count('open_tasks')),
  'overdue tasks: people = tasks': same(sum('overdue_tasks', 'tasks_by_person'), count('open_tasks', 'is_overdue')),
  'overdue tasks: projects = tasks': same(
    sum('overdue_tasks', 'projects'),
    count('open_tasks', `is_overdue and project_id in (select project_id from ${R}.projects)`),
  ),
  'planned hours: weeks = budget': same(
    sum('planned_hours', 'workload_by_week'),
    sum('estimated_hours', 'time_budget', 'is_open'),
  ),
  'hours: months = logs': same(sum('hours', 'time_by_project_and_person'), sum('hours', 'time_entries')),
  'hours: the view = the table': same(
    sum('hours', 'time_entries'),
    raw('sum(round(time_spent / 3600.0, 5))', 'timetracker_timelogs', 'true'),
  ),
  'hours: projects = logs': same(
    sum('hours', 'project_profitability'),
    sum('hours', 'time_entries', `project_id in (select project_id from ${R}.projects)`),
  ),
  'hours: people = logs': same(sum('hours', 'activity_by_person'), sum('hours', 'time_entries')),
  // Each entry is rounded by itself.
  'unbilled hours are billable': `select * from (${sum('hours', 'unbilled_time')}) u(n) where n > (${sum('hours', 'time_entries', 'is_billable')}) + 0.01`,
  'completed tasks: activity = table': same(
    sum('tasks_completed', 'activity_by_person'),
    raw('count(*)', 'task_tasks', 'deleted_at is null and type = 0 and status = 5'),
  ),
};

/** A key tells rows apart. */
const KEYS = reportViews(NO_FACTS).map(
  ({ name, key }) =>
    [`key of ${name}`, `select 1 as one from ${R}.${name} group by ${key?.join(', ')} having count(*) > 1`] as const,
);

/** A record that was merged into another is named nowhere, so that every identifier finds its row in the other views. */
const MERGES = { 'crm.account': ['crm_account', 'merged_to'], 'crm.lead': ['crm_lead', 'merged_to_id'] } as const;
const MERGED = reportViews(NO_FACTS).flatMap(({ name, columns }) =>
  columns.flatMap((column) => {
    const found = Object.entries(MERGES).find(([model]) => model === column.references);
    if (found === undefined) return [];
    const [table, into] = found[1];
    const query = `select v.${column.name} from ${R}.${name} v join flowlu.${table} a on a.id = v.${column.name}
      join flowlu.${table} b on b.id = a.${into} and b.${into} is null`;
    return [[`nothing merged in ${name}.${column.name}`, query] as const];
  }),
);
const QUERIES = [...Object.entries(IDENTITIES), ...KEYS, ...MERGED];

it('hold over random portals', async () => {
  const session = connect(database.url, { applicationName: 'identities', max: 1 });
  const union = QUERIES.map(
    ([name, query]) => `select '${name}' as identity, (select to_jsonb(q) from (${query}) q limit 1) as found`,
  );
  // Planned once: working out the plans takes longer than the answers.
  await session.unsafe(
    `set jit = off; prepare identities as select * from (${union.join(' union all ')}) x where found is not null`,
  );
  try {
    await fc.assert(
      fc.asyncProperty(portal, async (tables) => {
        await session.unsafe(
          Object.keys(tables)
            .map((table) => `delete from flowlu.${table}`)
            .join(';'),
        );
        for (const [table, found] of Object.entries(tables)) if (found.length > 0) await putRows(session, table, found);
        expect([...(await session.unsafe('execute identities'))]).toEqual([]);
      }),
      { numRuns: examples(60) },
    );
  } finally {
    await session.end({ timeout: 5 });
  }
}, 240_000);

it('definitions: every term is used by a view, word for word', async () => {
  const views = reportViews(NO_FACTS);
  const text = views
    .filter(({ name }) => name !== 'definitions')
    .map(({ columns, from }) => `${columns.map(({ expression }) => expression).join('\n')}\n${from}`)
    .join('\n');
  for (const [term, { sql }] of Object.entries(definitionsFor('UTC'))) expect(text.includes(sql), term).toBe(true);
  const shown = await askAsReader(database.sql, `select term, meaning, sql from ${R}.definitions`);
  expect(shown.map(({ term }) => term)).toEqual(Object.keys(definitionsFor('UTC')));
});
