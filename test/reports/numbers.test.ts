/** Small portals in which a number could go wrong: each with the outcome that a finance director would expect. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { migrate } from '../../src/migrate/migrate.ts';
import { transaction } from '../../src/postgres/connection.ts';
import { keepDealStates } from '../../src/store/deal-states.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { askAsReader, putRows, type Row } from './rows.ts';

let database: TestDatabase;
const put = (table: string, ...rows: readonly Row[]) => putRows(database.sql, table, rows);
const rowsOf = (view: string, order: string) =>
  askAsReader(database.sql, `select * from flowlu_reports.${view} order by ${order}`);
const ask = (query: string, zone?: string) => askAsReader(database.sql, query, zone);

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.sql, { zone: 'Europe/Berlin' });
});
afterAll(() => database?.close());
beforeEach(async () => {
  const [found] = await database.sql`
    select string_agg(format('%I.%I', schemaname, tablename), ', ') as tables from pg_tables
     where schemaname = 'flowlu' or (schemaname, tablename) = ('flowlu_reports', 'code_labels')`;
  await database.sql.unsafe(`truncate ${found?.tables}`);
});

const label = (model: string, field: string, code: number, word: string, countsAs: string | null = null) =>
  database.sql`insert into flowlu_reports.code_labels values (${model}, ${field}, ${code}, ${word}, ${countsAs})`;

describe('invoices', () => {
  const invoice = { total: 100, due_date: '2020-01-01', currency_code: 'EUR' };
  const overdue = async () => (await rowsOf('overdue_invoices', 'invoice_id')).map((row) => row.invoice_id);

  it('that are new are owed where the portal confirms none, and drafts where it does; the operator has the last word', async () => {
    await put('fin_invoice', { ...invoice, id: 1, status_id: 10 }, { ...invoice, id: 2, status_id: 20 });
    expect(await overdue()).toEqual([1, 2]);
    await put('fin_invoice', { ...invoice, id: 3, status_id: 13 });
    expect(await overdue()).toEqual([2, 3]);
    expect(await ask("select in_force from flowlu_reports.definitions where term = 'issued'")).toEqual([
      { in_force: 'new invoices are drafts' },
    ]);
    await label('fin.invoice', 'status_id', 10, 'sent', 'issued');
    expect(await overdue()).toEqual([1, 2, 3]);
    expect(await ask('select status from flowlu_reports.invoices where invoice_id = 1')).toEqual([{ status: 'sent' }]);
  });

  it('say themselves what was paid without a transaction', async () => {
    await put('fin_invoice', { ...invoice, id: 1, total: 1000, status_id: 20, bcy_paid_total: 600 });
    await put('fin_invoice', { ...invoice, id: 2, total: 1000, status_id: 40 });
    await put('fin_invoice', { ...invoice, id: 3, total: 1000, status_id: 30, bcy_paid_total: 1100 });
    expect(
      await ask('select invoice_id, paid_amount, open_amount, overpaid_amount from flowlu_reports.invoices order by 1'),
    ).toEqual([
      { invoice_id: 1, paid_amount: 600, open_amount: 400, overpaid_amount: 0 },
      { invoice_id: 2, paid_amount: 1000, open_amount: 0, overpaid_amount: 0 },
      { invoice_id: 3, paid_amount: 1100, open_amount: 0, overpaid_amount: 100 },
    ]);
  });

  it('give what they say in the base currency by the rate of their own currency', async () => {
    await put('fin_bank_account', { id: 1, currency_id: 2, currency_exchange_rate: 4 });
    await put('fin_invoice', { ...invoice, id: 1, total: 1000, status_id: 20, bcy_paid_total: 600, currency_id: 2 });
    expect(await ask('select paid_amount, currency_id from flowlu_reports.invoices')).toEqual([
      { paid_amount: 150, currency_id: 2 },
    ]);
  });

  it('are not owed while they are drafts, and say where their sources differ', async () => {
    await put(
      'fin_invoice',
      { ...invoice, id: 1, status_id: 13 },
      { ...invoice, id: 2, status_id: 12 },
      { ...invoice, id: 3, status_id: 40 },
    );
    await put(
      'fin_transaction',
      { id: 1, type: 10, status: 10, invoice_id: 1, income: 100, icy_total: 100 },
      { id: 2, type: 10, status: 10, invoice_id: 3, income: 30, icy_total: 30 },
    );
    expect(
      await ask(
        'select invoice_id, open_amount, is_overdue, paid_sources_differ from flowlu_reports.invoices order by 1',
      ),
    ).toEqual([
      { invoice_id: 1, open_amount: 0, is_overdue: false, paid_sources_differ: false },
      { invoice_id: 2, open_amount: null, is_overdue: false, paid_sources_differ: false },
      { invoice_id: 3, open_amount: 0, is_overdue: false, paid_sources_differ: true },
    ]);
  });

  it('say where their state or what they say themselves is another thing than what is taken as paid', async () => {
    const own = { ...invoice, total: 1000, currency_id: 1, ps_currency_id: 1 };
    await put(
      'fin_invoice',
      { ...own, id: 1, status_id: 13, pscy_paid_total: 600 },
      { ...own, id: 2, status_id: 40, pscy_paid_total: 600 },
      { ...own, id: 3, status_id: 40, pscy_paid_total: 1000 },
      { ...own, id: 4, status_id: 20 },
      { ...own, id: 5, status_id: 30 },
      { ...own, id: 6, status_id: 20, pscy_paid_total: 600 },
      { ...own, id: 7, status_id: 13 },
    );
    const found = await ask('select invoice_id from flowlu_reports.invoices where paid_sources_differ order by 1');
    expect(found.map((row) => row.invoice_id)).toEqual([1, 2, 4, 5]);
  });

  it('are overdue by the day of the portal, whatever the zone of the session', async () => {
    const [found] = await database.sql`select (now() at time zone 'Europe/Berlin')::date::text as today`;
    await put('fin_invoice', { ...invoice, id: 1, status_id: 13, due_date: found?.today });
    for (const zone of ['Pacific/Auckland', 'Pacific/Pago_Pago', 'Pacific/Kiritimati'])
      expect(await ask('select invoice_id from flowlu_reports.overdue_invoices', zone)).toEqual([]);
  });
});

describe('money', () => {
  const executed = { status: 10, date: '2025-01-10' };

  it('that is neither income nor expense is other, and a state that nobody explained is in no figure but its own', async () => {
    await put(
      'fin_transaction',
      { ...executed, id: 1, type: 10, income: 900, bcy_income: 900 },
      { ...executed, id: 2, type: 20, outcome: 200, bcy_outcome: 200, invoice_id: 7 },
      { ...executed, id: 3, type: 30, income: 50_000, bcy_income: 50_000, org_account_id: 1 },
      { ...executed, id: 4, type: 30, outcome: 50_000, bcy_outcome: 50_000, org_account_id: 2 },
      { id: 5, type: 10, status: 20, date: '2025-01-11', income: 7, bcy_income: 7 },
      { id: 6, type: 10, status: 0, date: '2025-01-11', income: 8, bcy_income: 8 },
    );
    expect(await rowsOf('cash_flow_by_month', 'month')).toMatchObject([
      {
        month: '2025-01-01',
        income_base: 900,
        expense_base: -200,
        other_base: 0,
        balance_base: 700,
        refunds_base: -200,
        unclear_base: 7,
        transactions: 4,
      },
    ]);
    expect(
      await ask(
        'select transaction_id, direction, kind, status, moves_cash from flowlu_reports.payments where transaction_id in (3, 5) order by 1',
      ),
    ).toEqual([
      { transaction_id: 3, direction: 'code 30', kind: 'other', status: 'paid', moves_cash: true },
      { transaction_id: 5, direction: 'income', kind: 'income', status: 'code 20', moves_cash: null },
    ]);
    await label('fin.transaction', 'type', 30, 'transfer', 'transfer');
    await label('fin.transaction', 'status', 20, 'profit and loss', 'profit and loss only');
    expect(
      await ask(
        'select direction, kind, moves_cash, counts_in_pl from flowlu_reports.payments where transaction_id in (3, 5) order by transaction_id',
      ),
    ).toEqual([
      { direction: 'transfer', kind: 'other', moves_cash: true, counts_in_pl: true },
      { direction: 'income', kind: 'income', moves_cash: false, counts_in_pl: true },
    ]);
    expect(await rowsOf('money_by_category_and_month', 'kind')).toMatchObject([
      { kind: 'expense', cash_base: -200, pl_base: -200 },
      { kind: 'income', cash_base: 900, pl_base: 907, unclear_base: 0 },
      { kind: 'other', cash_base: 0, pl_base: 0 },
    ]);
  });

  it('has the name of its finance item beside it, by the portal, else by the operator, else the number', async () => {
    await put('fin_categories', { id: 5, name: 'Rent' });
    await label('fin.transaction', 'category_id', 6, 'Travel');
    const items = [5, 6, 7, null].map((category_id, index) => ({ id: index + 1, category_id }));
    await put('fin_transaction', ...items.map((item) => ({ ...executed, ...item, type: 10, bcy_income: 1 })));
    await put('fin_plan_money', ...items.map((item) => ({ ...item, type: 10 })));
    const named = ['Rent', 'Travel', 'code 7', null];
    for (const view of ['payments', 'planned_money', 'money_by_category_and_month'])
      expect(await ask(`select category_name from flowlu_reports.${view} order by category_id`), view).toEqual(
        named.map((category_name) => ({ category_name })),
      );
  });

  it('cash_position: the fixed balance and what has moved since', async () => {
    await put('fin_bank_account', {
      id: 1,
      name: 'Bank',
      currency_id: 2,
      fixed_balance: 100,
      fixed_balance_date: '2025-01-09',
      bcy_balance: 99,
    });
    await put(
      'fin_transaction',
      { ...executed, id: 1, type: 10, income: 50, bcy_income: 55, org_account_id: 1, currency_id: 2 },
      { ...executed, id: 2, type: 20, outcome: 20, bcy_outcome: 22, org_account_id: 1, date: '2025-01-01' },
      { ...executed, id: 3, type: 20, outcome: 5, bcy_outcome: 5 },
    );
    expect(await rowsOf('cash_position', 'account_id')).toMatchObject([
      {
        account_id: 1,
        account_name: 'Bank',
        currency_id: 2,
        moved_since: 50,
        balance: 150,
        moved_base: 33,
        flowlu_balance_base: 99,
      },
      { account_id: null, moved_base: -5 },
    ]);
  });

  it('cash_position: several currencies are never added up', async () => {
    await put('fin_bank_account', { id: 1, currency_id: 2 }, { id: 2 });
    const income = { ...executed, type: 10, income: 50, bcy_income: 55 };
    await put(
      'fin_transaction',
      { ...income, id: 1, org_account_id: 1, currency_id: 2 },
      { ...income, id: 2, org_account_id: 1, currency_id: 3 },
      { ...income, id: 3, org_account_id: 2, currency_id: 3 },
      { ...income, id: 4, currency_id: 2 },
      { ...income, id: 5, currency_id: 3 },
    );
    expect(await rowsOf('cash_position', 'account_id')).toMatchObject([
      { account_id: 1, currency_id: 2, balance: 50, other_currencies_base: 55, moved_base: 110 },
      { account_id: 2, currency_id: 3, balance: 50, other_currencies_base: 0 },
      { account_id: null, currency_id: null, moved_since: null, balance: null, moved_base: 110 },
    ]);
  });

  it('planned_money: what is still to come, for the project or deal that the plan belongs to', async () => {
    await put(
      'fin_plan_money',
      {
        id: 1,
        type: 30,
        status_paid: 30,
        total: 100,
        paid_total: 40,
        plan_paid_date: '2020-01-01',
        project_id: 9,
        currency_id: 2,
      },
      { id: 2, type: 20, status_paid: 40, total: 100, paid_total: 90 },
    );
    await put('fin_relations', { id: 1, plan_money_id: 2, module: 'crm', model: 'lead', model_id: 5, amount: 100 });
    await put('crm_lead', { id: 5, name: 'Deal', active: 1, budget: 1 });
    expect(await rowsOf('planned_money', 'plan_id')).toMatchObject([
      { plan_id: 1, kind: 'income', project_id: 9, deal_id: null, open_amount: 60, gap_amount: 60, is_due: true },
      {
        plan_id: 2,
        kind: 'expense',
        project_id: null,
        deal_id: 5,
        deal_name: 'Deal',
        open_amount: 0,
        gap_amount: 10,
        is_due: false,
      },
    ]);
  });

  it('deal_money: by currency, never added up', async () => {
    const ofDeal = { module: 'crm', model: 'leads', model_id: 5, status_id: 13 };
    await put('crm_lead', { id: 5, name: 'Deal', active: 1, budget: 1 });
    await put(
      'fin_invoice',
      { ...ofDeal, id: 1, total: 10, currency_id: 1, currency_code: 'EUR' },
      { ...ofDeal, id: 2, total: 7, currency_id: 2, currency_code: 'USD' },
    );
    await put('fin_transaction', { ...executed, id: 1, type: 10, income: 4, icy_total: 4, invoice_id: 1 });
    await put('fin_plan_money', { id: 1, type: 10, total: 30, currency_id: 1 });
    await put('fin_relations', { id: 1, plan_money_id: 1, module: 'crm', model: 'lead', model_id: 5, amount: 20 });
    expect(await rowsOf('deal_money', 'deal_id, currency_id')).toMatchObject([
      {
        deal_id: 5,
        currency_code: 'EUR',
        planned_income: 20,
        invoiced_amount: 10,
        paid_amount: 4,
        open_amount: 6,
        gap_amount: 16,
      },
      { deal_id: 5, currency_code: 'USD', planned_income: 0, invoiced_amount: 7, paid_amount: 0, open_amount: 7 },
    ]);
  });

  it('deal_money: a plan that several deals share counts once, and money without a number of its currency stays apart', async () => {
    await put('crm_lead', { id: 5, active: 1 }, { id: 6, active: 1 }, { id: 7, active: 2, merged_to_id: 5 });
    await put('fin_plan_money', { id: 1, type: 10, total: 30, currency_id: 1 });
    const relation = { plan_money_id: 1, module: 'crm', model: 'lead' };
    await put(
      'fin_relations',
      { ...relation, id: 1, model_id: 6, amount: 10 },
      { ...relation, id: 2, model_id: 7 },
      { ...relation, id: 3, model_id: 6 },
    );
    const draft = { module: 'crm', model: 'lead', model_id: 5, status_id: 13 };
    await put(
      'fin_invoice',
      { ...draft, id: 1, total: 8, currency_code: 'EUR' },
      { ...draft, id: 2, total: 9, currency_code: 'USD' },
    );
    expect(
      await ask(
        'select deal_id, currency_code, planned_income, invoiced_amount from flowlu_reports.deal_money order by 1, 2',
      ),
    ).toEqual([
      { deal_id: 5, currency_code: 'EUR', planned_income: 0, invoiced_amount: 8 },
      { deal_id: 5, currency_code: 'USD', planned_income: 0, invoiced_amount: 9 },
      { deal_id: 5, currency_code: null, planned_income: 20, invoiced_amount: 0 },
      { deal_id: 6, currency_code: null, planned_income: 10, invoiced_amount: 0 },
    ]);
  });

  it('quotes: whether they were sent, won or have expired', async () => {
    await put(
      'fin_estimate',
      { id: 1, total: 5, currency_code: 'EUR', expire_date: '2020-01-01', status_id: 3 },
      { id: 2, expire_date: '2020-01-01' },
    );
    await put('fin_invoice', { id: 1, estimate_id: 1 });
    await label('fin.estimate', 'status_id', 3, 'accepted');
    expect(await rowsOf('quotes', 'quote_id')).toMatchObject([
      { quote_id: 1, status: 'accepted', total: 5, is_sent: false, is_invoiced: true, is_won: true, is_expired: false },
      { quote_id: 2, status: null, is_invoiced: false, is_won: false, is_expired: true },
    ]);
  });
});

describe('customers', () => {
  it('stand at the end of a chain of merges, a contact where there is no organisation, and money paid back counts', async () => {
    await put(
      'crm_account',
      { id: 12, type: 1, name: 'Twelve', merged_to: 13 },
      { id: 13, type: 1, merged_to: 14 },
      { id: 14, type: 1, name: 'Fourteen' },
      { id: 15, type: 2, name: 'Zoe' },
      { id: 16, merged_to: 17 },
      { id: 17, merged_to: 16 },
    );
    await put(
      'crm_lead',
      { id: 1, active: 1, budget: 5, contact_id: 15 },
      { id: 2, active: 1, budget: 6 },
      { id: 3, active: 3, budget: 7, customer_id: 16 },
    );
    await put(
      'crm_lead_accounts',
      { id: 1, lead_id: 2, account_id: 12, account_type: 1 },
      { id: 2, lead_id: 2, account_id: 15, account_type: 2 },
    );
    await put('fin_invoice', { id: 1, status_id: 40, customer_id: 12, total: 900 });
    await put(
      'fin_transaction',
      { id: 1, type: 10, status: 10, income: 900, bcy_income: 900, crm_account_id: 12 },
      { id: 2, type: 20, status: 10, outcome: 200, bcy_outcome: 200, invoice_id: 1 },
    );
    const columns = 'customer_id, deals, open_budget, invoices, income_base, expense_base, balance_base';
    expect(await ask(`select ${columns} from flowlu_reports.customers order by customer_id`)).toEqual([
      {
        customer_id: 14,
        deals: 1,
        open_budget: 6,
        invoices: 1,
        income_base: 900,
        expense_base: -200,
        balance_base: 700,
      },
      { customer_id: 15, deals: 1, open_budget: 5, invoices: 0, income_base: 0, expense_base: 0, balance_base: 0 },
      // Merged in a circle: nobody is left.
      { customer_id: null, deals: 1, open_budget: 0, invoices: 0, income_base: 0, expense_base: 0, balance_base: 0 },
    ]);
    expect(await ask('select invoice_id, customer_id, customer_name from flowlu_reports.invoices')).toEqual([
      { invoice_id: 1, customer_id: 14, customer_name: 'Fourteen' },
    ]);
  });
});

describe('deals', () => {
  it('of two pipelines of one name stay apart', async () => {
    await put('crm_pipeline', { id: 1, name: 'Sales' }, { id: 2, name: 'Sales' });
    await put('crm_pipeline_stage', { id: 1, pipeline_id: 1, name: 'New' }, { id: 2, pipeline_id: 2, name: 'New' });
    await put(
      'crm_lead',
      { id: 1, active: 1, budget: 5, pipeline_stage_id: 1 },
      { id: 2, active: 1, budget: 6, pipeline_stage_id: 2, pipeline_id: 1 },
    );
    expect(await ask('select pipeline_id, stage_id, budget from flowlu_reports.sales_pipeline order by 1')).toEqual([
      { pipeline_id: 1, stage_id: 1, budget: 5 },
      { pipeline_id: 2, stage_id: 2, budget: 6 },
    ]);
    expect(await ask('select deal_id, pipeline_id from flowlu_reports.deals order by 1')).toEqual([
      { deal_id: 1, pipeline_id: 1 },
      { deal_id: 2, pipeline_id: 2 },
    ]);
  });

  it('take no negative number of days to close', async () => {
    const closed = { active: 3, closing_date: '2025-01-31' };
    await put(
      'crm_lead',
      { ...closed, id: 1, start_date: '2025-01-01' },
      { ...closed, id: 2, start_date: '2025-03-01', created_date: '2025-01-20T23:30:00Z' },
      { ...closed, id: 3, start_date: '2025-03-01', created_date: '2025-03-01T00:00:00Z' },
      { ...closed, id: 4, created_date: '2025-01-21T00:00:00Z' },
    );
    expect((await rowsOf('closed_deals', 'deal_id')).map((row) => row.days_to_close)).toEqual([30, 10, null, 10]);
  });
});

describe('time', () => {
  it('in several currencies stays apart', async () => {
    const log = { timesheet_id: 1, user_id: 1, start_timestamp: '2025-01-31T23:30:00Z', is_billable: true };
    await put('timetracker_timesheets', { id: 1, module: 'st', model: 'project', model_id: 9 });
    await put('st_projects', { id: 9, name: 'Shop' });
    await put(
      'timetracker_timelogs',
      { ...log, id: 1, time_spent: 3600, billing_amount: 10, employee_cost_amount: 1, currency_id: 1 },
      { ...log, id: 2, time_spent: 1800, billing_amount: 20, employee_cost_amount: 2, currency_id: 2 },
      { ...log, id: 3, time_spent: 1800, billing_amount: 30, currency_id: 2, invoice_id: 5 },
    );
    expect(await rowsOf('time_by_project_and_person', 'currency_id')).toMatchObject([
      { month: '2025-02-01', project_id: 9, currency_id: 1, hours: 1, billing_amount: 10 },
      { month: '2025-02-01', project_id: 9, currency_id: 2, hours: 1, billing_amount: 50 },
    ]);
    expect(await rowsOf('unbilled_time', 'currency_id')).toMatchObject([
      { project_id: 9, person_id: 1, currency_id: 1, hours: 1, billing_amount: 10, oldest_day: '2025-02-01' },
      { project_id: 9, currency_id: 2, hours: 0.5, billing_amount: 20 },
    ]);
    expect(await ask('select hours, time_cost from flowlu_reports.project_profitability')).toEqual([
      { hours: 2, time_cost: null },
    ]);
  });

  it('time_budget: planned against logged', async () => {
    await put(
      'task_tasks',
      { id: 1, type: 0, status: 1, time_estimate: 3600, module: 'st', model: 'projects', model_id: 9 },
      { id: 2, type: 0, status: 1 },
    );
    await put('timetracker_timesheets', { id: 1, module: 'task', model: 'tasks', model_id: 1 });
    await put('timetracker_timelogs', { id: 1, timesheet_id: 1, time_spent: 5400 });
    expect(await rowsOf('time_budget', 'task_id')).toMatchObject([
      {
        task_id: 1,
        project_id: 9,
        estimated_hours: 1,
        spent_hours: 1.5,
        remaining_hours: -0.5,
        is_over: true,
        is_open: true,
      },
    ]);
  });

  it('workload_by_week: planned hours over working days', async () => {
    const task = { type: 0, status: 1, responsible_id: 1, time_estimate: 36_000 };
    await put(
      'task_tasks',
      // Thursday to Tuesday: two days of the one week, two of the next.
      { ...task, id: 1, plan_start_date: '2025-01-02T09:00:00Z', plan_end_date: '2025-01-07T09:00:00Z' },
      // A Saturday has no working day, yet the work is there.
      { ...task, id: 2, deadline: '2025-01-11T09:00:00Z' },
      { ...task, id: 3 },
    );
    expect(await rowsOf('workload_by_week', 'week')).toMatchObject([
      { week: '2024-12-30', person_id: 1, planned_hours: 5, tasks: 1 },
      { week: '2025-01-06', person_id: 1, planned_hours: 15, tasks: 2 },
      { week: null, person_id: 1, planned_hours: 10, tasks: 1 },
    ]);
  });

  it('activity_by_person: by month of the portal', async () => {
    await put('crm_lead', {
      id: 1,
      active: 3,
      created_by: 1,
      assignee_id: 2,
      created_date: '2025-01-31T23:30:00Z',
      closing_date: '2025-02-28',
    });
    await put('task_tasks', { id: 1, type: 0, status: 5, closed_by: 2, closed_date: '2025-02-01T00:00:00Z' });
    expect(await rowsOf('activity_by_person', 'person_id')).toMatchObject([
      { month: '2025-02-01', person_id: 1, deals_created: 1, deals_won: 0 },
      { month: '2025-02-01', person_id: 2, deals_created: 0, deals_won: 1, tasks_completed: 1, hours: 0 },
    ]);
  });
});

describe('the past of deals', () => {
  const change = async (id: number, kind: string, at: string, before: Row, after: Row, prior: string) => {
    await database.sql`
      insert into sync.history (recorded_at, model, entity_id, change, version, observed_at, path, before, after, prior_version, prior_observed_at)
      values (${at}, 'crm.lead', ${id}, ${kind}, ${at}, ${at}, 'webhook', ${JSON.stringify(before)}::jsonb, ${JSON.stringify(after)}::jsonb, ${prior}, ${prior})`;
    await transaction(database.sql, {}, (tx) => keepDealStates(tx, [String(id)]));
  };

  it('pipeline_by_month, stage_conversion and stuck_deals: as deals stood, where they went, which wait', async () => {
    await database.sql`truncate sync.history, sync.deal_states`;
    await put(
      'crm_pipeline_stage',
      { id: 1, pipeline_id: 1, name: 'New', ordering: 1 },
      { id: 2, pipeline_id: 1, name: 'Offer', ordering: 2 },
    );
    const known = { pipeline_id: 1, _version: '2026-03-10T10:00:00Z', _observed_at: '2026-03-10T10:00:00Z' };
    await put(
      'crm_lead',
      {
        ...known,
        id: 1,
        name: 'Quiet',
        active: 1,
        pipeline_stage_id: 1,
        budget: 5,
        _version: '2026-01-05T10:00:00Z',
        _observed_at: '2026-01-05T10:00:00Z',
      },
      { ...known, id: 2, active: 1, pipeline_stage_id: 2, budget: 8 },
      { ...known, id: 3, active: 3, pipeline_stage_id: 1, budget: 7 },
      { ...known, id: 4, active: 1, pipeline_stage_id: 1, budget: 1, merged_to_id: 1 },
    );
    await change(2, 'updated', '2026-02-01T10:00:00Z', { budget: 6 }, { budget: 8 }, '2026-01-05T10:00:00Z');
    await change(2, 'updated', '2026-02-10T10:00:00Z', { name: 'x' }, { name: 'y' }, '2026-02-01T10:00:00Z');
    await change(
      2,
      'updated',
      '2026-03-10T10:00:00Z',
      { pipeline_stage_id: 1 },
      { pipeline_stage_id: 2 },
      '2026-02-10T10:00:00Z',
    );
    await change(3, 'updated', '2026-03-10T10:00:00Z', { active: 1 }, { active: 3 }, '2026-01-05T10:00:00Z');
    await change(
      4,
      'updated',
      '2026-03-10T10:00:00Z',
      { merged_to_id: null },
      { merged_to_id: 1 },
      '2026-01-05T10:00:00Z',
    );
    const stood = async (month: string) =>
      ask(
        `select stage_id, open_deals, budget, is_complete from flowlu_reports.pipeline_by_month where month = '${month}' order by stage_id`,
      );
    expect(await stood('2025-12-01')).toEqual([]);
    expect(await stood('2026-01-01')).toEqual([{ stage_id: 1, open_deals: 4, budget: 19, is_complete: true }]);
    expect(await stood('2026-02-01')).toEqual([{ stage_id: 1, open_deals: 4, budget: 21, is_complete: true }]);
    // Merged into the first, the fourth counts there alone.
    expect(await stood('2026-03-01')).toEqual([
      { stage_id: 1, open_deals: 1, budget: 5, is_complete: true },
      { stage_id: 2, open_deals: 1, budget: 8, is_complete: true },
    ]);
    const now = await ask(
      `select stage_id, open_deals, budget from flowlu_reports.pipeline_by_month where month = date_trunc('month', now() at time zone 'Europe/Berlin')::date order by stage_id`,
    );
    expect(now).toEqual(
      await ask(
        'select stage_id, open_deals, budget from flowlu_reports.sales_pipeline where open_deals > 0 order by stage_id',
      ),
    );
    expect(await rowsOf('stage_conversion', 'stage_id')).toMatchObject([
      { stage_id: 1, stays: 4, moved_on: 1, won: 1, lost: 0, waiting: 2 },
      { stage_id: 2, stays: 1, moved_on: 0, waiting: 1, conversion_percent: null },
    ]);
    expect(await rowsOf('stuck_deals', 'deal_id')).toMatchObject([{ deal_id: 1, deal_name: 'Quiet' }, { deal_id: 2 }]);
    expect(
      await ask("select duration is null as waits_for_nothing from flowlu_history.time_in_stage where status = 'won'"),
    ).toEqual([{ waits_for_nothing: true }]);
  });
});
