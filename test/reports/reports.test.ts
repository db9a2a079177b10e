/** The ready-made views on records that are few enough to know the answers by heart. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrate } from '../../src/migrate/migrate.ts';
import { reportViews } from '../../src/reports/all.ts';
import { NO_FACTS } from '../../src/views/live-columns.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { askAsReader, putRows, type Row } from './rows.ts';

let database: TestDatabase;
/** Days from today by the clock of the portal, so that what is overdue stays so. */
const today = new Intl.DateTimeFormat('sv', { timeZone: 'Europe/Berlin' }).format();
const day = (offset: number) => new Date(Date.parse(today) + offset * 86_400_000).toISOString().slice(0, 10);
const PAST = '2020-03-10';
const GONE = '2025-01-01T00:00:00Z';

const put = (table: string, ...rows: readonly Row[]) => putRows(database.sql, table, rows);

/** The rows of a ready-made view as the reader role sees them; of its columns all, or those named. */
const rowsOf = (view: string, order: string, ...columns: readonly string[]) =>
  askAsReader(
    database.sql,
    `select ${columns.length === 0 ? '*' : columns.join(', ')} from flowlu_reports.${view} order by ${order}`,
  );

beforeAll(async () => {
  database = await createTestDatabase();
  await migrate(database.sql, { zone: 'Europe/Berlin' });
  await put('core_user', { id: 1, name: 'Ann' }, { id: 2, name: 'Bob', _deleted_at: GONE }, { id: 3, name: '' });
  await put(
    'crm_account',
    {
      id: 10,
      type: 1,
      name: 'Acme',
      owner_id: 1,
      email: 'acme@example.com',
      phone: '+1',
      account_category_id: 5,
      industry_id: 99,
    },
    { id: 11, type: 2, name: 'Zoe', owner_id: 2, email: 'zoe@example.com', active: true },
    { id: 12, type: 1, name: 'Old Acme', merged_to: 10 },
    { id: 13, type: 1, name: 'Gone GmbH', _deleted_at: GONE },
    { id: 14, type: 2, name: 'Yan' },
  );
  await put('crm_account_category', { id: 5, name: 'Partner' });
  await put(
    'crm_relation',
    { id: 1, parent_acc_id: 10, child_acc_id: 11, type: 1, position: 'Buyer' },
    { id: 2, parent_acc_id: 13, child_acc_id: 11, type: 1, position: 'Advisor' },
    { id: 3, parent_acc_id: 10, child_acc_id: 14, type: 1, position: 'Left', _deleted_at: GONE },
    { id: 4, parent_acc_id: 10, child_acc_id: 12, type: 2 },
  );
  await put('crm_pipeline', { id: 1, name: 'Sales' });
  await put(
    'crm_pipeline_stage',
    { id: 1, pipeline_id: 1, name: 'New', ordering: 1, active: true },
    { id: 2, pipeline_id: 1, name: 'Offer', ordering: 2, active: true, _deleted_at: GONE },
    { id: 3, pipeline_id: 1, name: 'Empty', ordering: 3, active: true },
    { id: 4, pipeline_id: 1, name: 'Retired', ordering: 4, active: false },
  );
  await put('crm_source', { id: 1, name: 'Fair' });
  await put('crm_loss_reason', { id: 1, name: 'Price', _deleted_at: GONE });
  await put(
    'crm_lead',
    {
      id: 1,
      name: 'Big',
      active: 1,
      pipeline_id: 1,
      pipeline_stage_id: 1,
      budget: '100.50',
      assignee_id: 1,
      customer_id: 10,
      start_date: day(-20),
      deadline: day(-1),
      source_id: 1,
      contact_name: 'A caller',
    },
    {
      id: 2,
      name: 'Small',
      active: 1,
      pipeline_id: 1,
      pipeline_stage_id: 1,
      budget: '0.25',
      assignee_id: 2,
      start_date: day(-5),
    },
    { id: 3, name: 'On a stage that is gone', active: 1, pipeline_stage_id: 2, budget: '7' },
    { id: 4, name: 'Nowhere', active: 1 },
    {
      id: 5,
      name: 'Won',
      active: 3,
      assignee_id: 1,
      customer_id: 12,
      budget: '1000',
      start_date: '2025-01-01',
      closing_date: '2025-01-31',
    },
    { id: 6, name: 'Lost', active: 2, assignee_id: 1, budget: '300', closing_date: '2025-01-05', closing_status_id: 1 },
    { id: 7, name: 'Lost by nobody', active: 2, budget: '5', closing_status_id: 77 },
    { id: 8, name: 'Merged', active: 1, pipeline_stage_id: 1, budget: '9', merged_to_id: 1 },
    { id: 9, name: 'Deleted', active: 3, budget: '9', closing_date: '2025-01-05', _deleted_at: GONE },
  );
  await put(
    'crm_lead_accounts',
    { id: 1, lead_id: 2, account_id: 11, account_type: 2 },
    { id: 2, lead_id: 2, account_id: 13, account_type: 1 },
    { id: 3, lead_id: 4, account_id: 10, account_type: 1, _deleted_at: GONE },
  );
  await put(
    'st_projects',
    {
      id: 100,
      name: 'Shop',
      manager_id: 1,
      customer_id: 10,
      stage_id: 1,
      startdate: '2025-01-01',
      enddate: PAST,
      priority: 3,
      estimated_revenue: '5000',
      estimated_expenses: '1000',
      briefcase_id: 4,
    },
    { id: 101, name: 'Move', is_archive: true, enddate: PAST },
  );
  await put('st_stages', { id: 1, name: 'Build' });
  await put('st_portfolio', { id: 4, name: 'Web' });
  await put('task_stages', { id: 1, name: 'Doing' });
  const task = { type: 0, status: 1, archive_status: 0 };
  await put(
    'task_tasks',
    {
      ...task,
      id: 1,
      name: 'Draw',
      status: 3,
      priority: 3,
      responsible_id: 1,
      owner_id: 2,
      workflow_stage_id: 1,
      module: 'st',
      model: 'project',
      model_id: 100,
      crm_account_id: 10,
      deadline: `${PAST}T12:00:00Z`,
      created_date: '2020-01-01T00:00:00Z',
    },
    {
      ...task,
      id: 2,
      name: 'Paint',
      responsible_id: 1,
      module: 'st',
      model: 'projects',
      model_id: 100,
      deadline: `${day(3)}T12:00:00Z`,
    },
    { ...task, id: 3, name: 'Call', priority: 1, responsible_id: 2, module: 'crm', model: 'lead', model_id: 1 },
    { ...task, id: 4, name: 'Sell', module: 'crm', model: 'account', model_id: 11 },
    { ...task, id: 5, name: 'Done', status: 5, responsible_id: 1, module: 'st', model: 'project', model_id: 100 },
    { ...task, id: 6, name: 'Archived', archive_status: 10, responsible_id: 1 },
    { ...task, id: 7, name: 'Event', type: 20, responsible_id: 1 },
    { ...task, id: 8, name: 'Softly deleted', responsible_id: 1, deleted_at: GONE },
    { ...task, id: 9, name: 'Deleted', responsible_id: 1, _deleted_at: GONE },
  );
  await put('fin_organization', { id: 1, name: 'We' });
  await put('fin_bank_account', { id: 1, name: 'Main account' });
  await put(
    'fin_invoice',
    {
      id: 1,
      status_id: 20,
      invoice_number: 7,
      invoice_number_print: 'INV-7',
      customer_id: 10,
      assignee_id: 1,
      org_id: 1,
      invoice_date: PAST,
      due_date: day(-45),
      currency_code: 'EUR',
      total: '1000',
      module: 'st',
      model: 'project',
      model_id: 100,
    },
    {
      id: 2,
      status_id: 40,
      invoice_number: 8,
      customer_id: 13,
      due_date: day(-400),
      currency_code: 'USD',
      total: '50',
      paid_date: '2025-02-01',
    },
    {
      id: 3,
      status_id: 13,
      invoice_number: 9,
      customer_name: 'Walk-in',
      due_date: day(30),
      currency_code: 'EUR',
      total: '20',
    },
    {
      id: 4,
      status_id: 13,
      invoice_number: 10,
      customer_id: 12,
      due_date: day(-100),
      currency_code: 'EUR',
      total: '30',
    },
    { id: 5, status_id: 13, is_template: true, customer_id: 10, due_date: PAST, total: '1' },
    { id: 6, status_id: 13, customer_id: 10, due_date: PAST, total: '1', _deleted_at: GONE },
  );
  await put(
    'fin_transaction',
    {
      id: 1,
      type: 10,
      status: 10,
      date: '2025-01-10',
      income: '440',
      icy_total: '400',
      bcy_income: '400',
      bcy_outcome: '0',
      currency_id: 2,
      invoice_id: 1,
      project_id: 100,
      crm_account_id: 10,
      org_account_id: 1,
      org_id: 1,
      name: 'Payment',
      description: 'First part',
    },
    {
      id: 2,
      type: 20,
      status: 10,
      date: '2025-01-11',
      outcome: '100',
      icy_total: '50',
      bcy_income: '0',
      bcy_outcome: '100',
      invoice_id: 1,
      project_id: 100,
      name: 'Refund',
    },
    {
      id: 3,
      type: 10,
      status: 0,
      date: '2025-01-12',
      income: '9999',
      icy_total: '9999',
      bcy_income: '9999',
      invoice_id: 1,
      project_id: 100,
      crm_account_id: 12,
    },
    {
      id: 4,
      type: 10,
      status: 10,
      date: '2025-01-13',
      income: '1',
      icy_total: '1',
      bcy_income: '1',
      invoice_id: 1,
      project_id: 100,
      crm_account_id: 10,
      _deleted_at: GONE,
    },
    { id: 5, type: 10, status: 10, date: '2025-01-14', income: '60', bcy_income: '60', crm_account_id: 12 },
  );
  await put(
    'timetracker_timesheets',
    { id: 1, module: 'st', model: 'project', model_id: 100 },
    { id: 2, module: 'task', model: 'tasks', model_id: 1, _deleted_at: GONE },
    { id: 3, module: 'crm', model: 'lead', model_id: 1 },
  );
  await put(
    'timetracker_timelogs',
    // Half past eleven at night in Greenwich is the next day, and the next month, in Berlin.
    {
      id: 1,
      timesheet_id: 1,
      user_id: 1,
      start_timestamp: '2025-01-31T23:30:00Z',
      time_spent: 5400,
      is_billable: true,
      billing_amount: '150',
      employee_cost_amount: '60',
      name: 'Plan',
    },
    {
      id: 2,
      timesheet_id: 2,
      user_id: 1,
      start_timestamp: '2025-02-10T10:00:00Z',
      time_spent: 3600,
      is_billable: false,
      employee_cost_amount: '40',
      description: 'Draw',
    },
    { id: 3, timesheet_id: 3, user_id: 2, start_timestamp: '2025-02-11T10:00:00Z', time_spent: 900 },
    {
      id: 4,
      timesheet_id: 1,
      user_id: 1,
      start_timestamp: '2025-02-12T10:00:00Z',
      time_spent: 7200,
      _deleted_at: GONE,
    },
    { id: 5, user_id: 77, start_timestamp: '2025-02-12T10:00:00Z', time_spent: 60 },
  );
});
afterAll(() => database?.close());

describe('the ready-made views', () => {
  it('are at least a dozen, each with a comment on itself and on every column, and of the types they declare', async () => {
    const views = reportViews(NO_FACTS);
    expect(views.length).toBeGreaterThanOrEqual(12);
    const rows = await database.sql`
      select c.relname as view, a.attname as column, replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz') as type
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and c.relkind = 'v'
       where c.relnamespace = 'flowlu_reports'::regnamespace and obj_description(c.oid, 'pg_class') <> ''
         and col_description(c.oid, a.attnum) <> '' order by 1, a.attnum`;
    const declared = views.flatMap((view) =>
      view.columns.map(({ name, type }) => ({ view: view.name, column: name, type })),
    );
    const sorted = (list: readonly Row[]) => list.map((row) => JSON.stringify(row)).toSorted();
    expect(sorted([...rows])).toEqual(sorted(declared));
  });

  it('have a test each, here or beside', async () => {
    const { readFile } = await import('node:fs/promises');
    const files = ['reports.test.ts', 'numbers.test.ts', 'identities.property.test.ts'];
    const texts = await Promise.all(files.map((file) => readFile(new URL(file, import.meta.url), 'utf8')));
    for (const { name } of reportViews(NO_FACTS))
      expect(texts.join('\n'), name).toMatch(new RegExp(`rowsOf\\('${name}'|it\\('${name}`));
  });

  it('deals: names instead of numbers, also of what is deleted; merged and deleted deals are left out', async () => {
    const [big, small, ...rest] = await rowsOf('deals', 'deal_id');
    expect(big).toMatchObject({
      deal_id: 1,
      deal_name: 'Big',
      state: 'in progress',
      pipeline_name: 'Sales',
      stage_name: 'New',
      budget: 100.5,
      assignee_id: 1,
      assignee_name: 'Ann',
      customer_id: 10,
      customer_name: 'Acme',
      contact_id: null,
      contact_name: 'A caller',
      source_name: 'Fair',
      loss_reason_name: null,
      start_date: day(-20),
      deadline: day(-1),
      closing_date: null,
      days_open: 20,
      created_at: null,
    });
    expect(small).toMatchObject({
      assignee_name: 'Bob',
      customer_id: 13,
      customer_name: 'Gone GmbH',
      contact_name: 'Zoe',
    });
    expect(rest.map((row) => row.deal_id)).toEqual([3, 4, 5, 6, 7]);
    expect(rest[0]).toMatchObject({ pipeline_name: 'Sales', stage_name: 'Offer', days_open: null });
    expect(rest[1]).toMatchObject({ pipeline_name: null, stage_name: null, assignee_name: null, customer_name: null });
  });

  it('sales_pipeline: every open deal counts once, and stages without deals are shown', async () => {
    expect(await rowsOf('sales_pipeline', 'pipeline_id, stage_position')).toMatchObject([
      {
        pipeline_id: 1,
        pipeline_name: 'Sales',
        stage_id: 1,
        stage_name: 'New',
        stage_position: 1,
        open_deals: 2,
        budget: 100.75,
        overdue_deals: 1,
        oldest_start: day(-20),
      },
      {
        pipeline_id: 1,
        pipeline_name: 'Sales',
        stage_id: 2,
        stage_name: 'Offer',
        stage_position: 2,
        open_deals: 1,
        budget: 7,
        overdue_deals: 0,
        oldest_start: null,
      },
      {
        pipeline_id: 1,
        pipeline_name: 'Sales',
        stage_id: 3,
        stage_name: 'Empty',
        stage_position: 3,
        open_deals: 0,
        budget: 0,
        overdue_deals: 0,
        oldest_start: null,
      },
      {
        pipeline_id: null,
        pipeline_name: null,
        stage_id: null,
        stage_name: null,
        stage_position: null,
        open_deals: 1,
        budget: 0,
        overdue_deals: 0,
        oldest_start: null,
      },
    ]);
  });

  it('closed_deals: why and how long', async () => {
    expect(
      await rowsOf(
        'closed_deals',
        'deal_id',
        'deal_id',
        'result',
        'closing_month',
        'customer_name',
        'loss_reason_name',
        'days_to_close',
      ),
    ).toEqual([
      {
        deal_id: 5,
        result: 'won',
        closing_month: '2025-01-01',
        customer_name: 'Acme',
        loss_reason_name: null,
        days_to_close: 30,
      },
      {
        deal_id: 6,
        result: 'lost',
        closing_month: '2025-01-01',
        customer_name: null,
        loss_reason_name: 'Price',
        days_to_close: null,
      },
      {
        deal_id: 7,
        result: 'lost',
        closing_month: null,
        customer_name: null,
        loss_reason_name: null,
        days_to_close: null,
      },
    ]);
  });

  it('won_lost_by_month: by person', async () => {
    expect(await rowsOf('won_lost_by_month', 'month, assignee_id')).toMatchObject([
      {
        month: '2025-01-01',
        assignee_id: 1,
        assignee_name: 'Ann',
        won_deals: 1,
        lost_deals: 1,
        won_percent: 50,
        won_budget: 1000,
        lost_budget: 300,
      },
      {
        month: null,
        assignee_id: null,
        assignee_name: null,
        won_deals: 0,
        lost_deals: 1,
        won_percent: 0,
        won_budget: 0,
        lost_budget: 5,
      },
    ]);
  });

  it('open_tasks: neither completed, archived, deleted nor anything but tasks', async () => {
    const rows = await rowsOf('open_tasks', 'task_id');
    expect(rows.map((row) => row.task_id)).toEqual([1, 2, 3, 4]);
    expect(rows[0]).toMatchObject({
      task_id: 1,
      task_name: 'Draw',
      responsible_id: 1,
      responsible_name: 'Ann',
      owner_name: 'Bob',
      status: 'in progress',
      priority: 'high',
      stage_name: 'Doing',
      deadline: `${PAST}T12:00:00+00:00`,
      is_overdue: true,
      days_overdue: Math.floor((Date.now() - Date.parse(`${PAST}T12:00:00Z`)) / 86_400_000),
      project_id: 100,
      project_name: 'Shop',
      deal_name: null,
      customer_name: 'Acme',
      created_at: '2020-01-01T00:00:00+00:00',
    });
    expect(rows[1]).toMatchObject({ project_name: 'Shop', is_overdue: false, days_overdue: null });
    expect(rows[2]).toMatchObject({ responsible_name: 'Bob', project_name: null, deal_name: 'Big', is_overdue: false });
    expect(rows[3]).toMatchObject({ responsible_name: null, customer_name: 'Zoe', deal_name: null });
  });

  it('tasks_by_person: nobody’s tasks included', async () => {
    expect(await rowsOf('tasks_by_person', 'responsible_id')).toMatchObject([
      {
        responsible_id: 1,
        responsible_name: 'Ann',
        open_tasks: 2,
        overdue_tasks: 1,
        due_in_7_days: 1,
        without_deadline: 0,
        high_priority: 1,
        next_deadline: `${day(3)}T12:00:00+00:00`,
      },
      {
        responsible_id: 2,
        responsible_name: 'Bob',
        open_tasks: 1,
        overdue_tasks: 0,
        due_in_7_days: 0,
        without_deadline: 1,
        high_priority: 0,
        next_deadline: null,
      },
      {
        responsible_id: null,
        responsible_name: null,
        open_tasks: 1,
        overdue_tasks: 0,
        due_in_7_days: 0,
        without_deadline: 1,
        high_priority: 0,
        next_deadline: null,
      },
    ]);
  });

  it('projects: with their tasks', async () => {
    expect(await rowsOf('projects', 'project_id')).toMatchObject([
      {
        project_id: 100,
        project_name: 'Shop',
        manager_name: 'Ann',
        customer_name: 'Acme',
        portfolio_name: 'Web',
        board_name: null,
        stage_name: 'Build',
        priority: 'high',
        startdate: '2025-01-01',
        enddate: PAST,
        is_archived: false,
        is_late: true,
        open_tasks: 2,
        completed_tasks: 1,
        overdue_tasks: 1,
      },
      {
        project_id: 101,
        project_name: 'Move',
        manager_name: null,
        customer_name: null,
        portfolio_name: null,
        board_name: null,
        stage_name: null,
        priority: null,
        startdate: null,
        enddate: PAST,
        is_archived: true,
        is_late: false,
        open_tasks: 0,
        completed_tasks: 0,
        overdue_tasks: 0,
      },
    ]);
  });

  it('project_profitability: money that moved, and hours of the project and of its tasks', async () => {
    expect(await rowsOf('project_profitability', 'project_id')).toMatchObject([
      {
        project_id: 100,
        project_name: 'Shop',
        manager_name: 'Ann',
        customer_name: 'Acme',
        is_archived: false,
        estimated_revenue: 5000,
        estimated_expenses: 1000,
        income_base: 400,
        expenses_base: 100,
        profit_base: 300,
        margin_percent: 75,
        hours: 2.5,
        billable_hours: 1.5,
        time_cost: 100,
      },
      {
        project_id: 101,
        project_name: 'Move',
        manager_name: null,
        customer_name: null,
        is_archived: true,
        estimated_revenue: null,
        estimated_expenses: null,
        income_base: 0,
        expenses_base: 0,
        profit_base: 0,
        margin_percent: null,
        hours: 0,
        billable_hours: 0,
        time_cost: 0,
      },
    ]);
  });

  it('invoices: what is paid and owed in the currency of the invoice', async () => {
    const rows = await rowsOf('invoices', 'invoice_id');
    expect(rows[0]).toMatchObject({
      invoice_id: 1,
      invoice_number: 'INV-7',
      status: 'partly paid',
      customer_id: 10,
      customer_name: 'Acme',
      assignee_name: 'Ann',
      invoice_date: PAST,
      due_date: day(-45),
      currency_code: 'EUR',
      total: 1000,
      paid_amount: 350,
      open_amount: 650,
      paid_date: null,
      is_overdue: true,
      issuer_name: 'We',
      project_id: 100,
      project_name: 'Shop',
    });
    expect(
      rows.slice(1).map(({ invoice_id, invoice_number, customer_name, open_amount, is_overdue }) => ({
        invoice_id,
        invoice_number,
        customer_name,
        open_amount,
        is_overdue,
      })),
    ).toEqual([
      { invoice_id: 2, invoice_number: '8', customer_name: 'Gone GmbH', open_amount: 0, is_overdue: false },
      { invoice_id: 3, invoice_number: '9', customer_name: 'Walk-in', open_amount: 20, is_overdue: false },
      { invoice_id: 4, invoice_number: '10', customer_name: 'Acme', open_amount: 30, is_overdue: true },
    ]);
  });

  it('overdue_invoices: how long and whom to ask', async () => {
    expect(
      await rowsOf(
        'overdue_invoices',
        'invoice_id',
        'invoice_id',
        'open_amount',
        'days_overdue',
        'age',
        'customer_email',
        'customer_phone',
      ),
    ).toEqual([
      {
        invoice_id: 1,
        open_amount: 650,
        days_overdue: 45,
        age: '31-60 days',
        customer_email: 'acme@example.com',
        customer_phone: '+1',
      },
      {
        invoice_id: 4,
        open_amount: 30,
        days_overdue: 100,
        age: 'over 90 days',
        customer_email: 'acme@example.com',
        customer_phone: '+1',
      },
    ]);
  });

  it('payments: expenses are negative in the base currency', async () => {
    const rows = await rowsOf('payments', 'transaction_id');
    expect(rows[0]).toMatchObject({
      transaction_id: 1,
      date: '2025-01-10',
      direction: 'income',
      status: 'paid',
      amount: 440,
      currency_id: 2,
      amount_base: 400,
      partner_id: 10,
      partner_name: 'Acme',
      invoice_id: 1,
      invoice_number: 'INV-7',
      project_id: 100,
      project_name: 'Shop',
      account_name: 'Main account',
      organisation_name: 'We',
      purpose: 'First part',
    });
    expect(rows.map((row) => [row.transaction_id, row.status, row.amount_base, row.purpose])).toEqual([
      [1, 'paid', 400, 'First part'],
      [2, 'paid', -100, 'Refund'],
      [3, 'unpaid', 9999, null],
      [5, 'paid', 60, null],
    ]);
  });

  it('time_entries: days of the portal, and the project by way of the task', async () => {
    expect(await rowsOf('time_entries', 'time_log_id')).toMatchObject([
      {
        time_log_id: 1,
        day: '2025-02-01',
        person_id: 1,
        person_name: 'Ann',
        project_id: 100,
        project_name: 'Shop',
        task_id: null,
        task_name: null,
        description: 'Plan',
        hours: 1.5,
        is_billable: true,
        billing_amount: 150,
        cost_amount: 60,
      },
      {
        time_log_id: 2,
        day: '2025-02-10',
        person_id: 1,
        person_name: 'Ann',
        project_id: 100,
        project_name: 'Shop',
        task_id: 1,
        task_name: 'Draw',
        description: 'Draw',
        hours: 1,
        is_billable: false,
        billing_amount: null,
        cost_amount: 40,
      },
      {
        time_log_id: 3,
        day: '2025-02-11',
        person_id: 2,
        person_name: 'Bob',
        project_id: null,
        project_name: null,
        task_id: null,
        task_name: null,
        description: null,
        hours: 0.25,
        is_billable: null,
        billing_amount: null,
        cost_amount: null,
      },
      {
        time_log_id: 5,
        day: '2025-02-12',
        person_id: 77,
        person_name: null,
        project_id: null,
        project_name: null,
        task_id: null,
        task_name: null,
        description: null,
        hours: 0.01667,
        is_billable: null,
        billing_amount: null,
        cost_amount: null,
      },
    ]);
  });

  it('time_by_project_and_person: months of the portal', async () => {
    expect(await rowsOf('time_by_project_and_person', 'project_id, person_id')).toMatchObject([
      {
        month: '2025-02-01',
        project_id: 100,
        project_name: 'Shop',
        person_id: 1,
        person_name: 'Ann',
        hours: 2.5,
        billable_hours: 1.5,
        billing_amount: 150,
        cost_amount: 100,
      },
      {
        month: '2025-02-01',
        project_id: null,
        project_name: null,
        person_id: 2,
        person_name: 'Bob',
        hours: 0.25,
        billable_hours: 0,
        billing_amount: 0,
        cost_amount: 0,
      },
      {
        month: '2025-02-01',
        project_id: null,
        project_name: null,
        person_id: 77,
        person_name: null,
        hours: 0.01667,
        billable_hours: 0,
        billing_amount: 0,
        cost_amount: 0,
      },
    ]);
  });

  it('contacts: with the organisations that still exist', async () => {
    expect(await rowsOf('contacts', 'contact_id')).toMatchObject([
      {
        contact_id: 11,
        contact_name: 'Zoe',
        position: 'Buyer',
        email: 'zoe@example.com',
        phone: null,
        organisation_id: 10,
        organisation_name: 'Acme',
        owner_name: 'Bob',
        is_active: true,
        last_activity_at: null,
      },
      {
        contact_id: 14,
        contact_name: 'Yan',
        position: null,
        email: null,
        phone: null,
        organisation_id: null,
        organisation_name: null,
        owner_name: null,
        is_active: null,
        last_activity_at: null,
      },
    ]);
  });

  it('customers: what belongs to a merged one counts at the one it was merged into', async () => {
    expect(await rowsOf('customers', 'customer_id')).toMatchObject([
      {
        customer_id: 10,
        customer_name: 'Acme',
        kind: 'organisation',
        category_name: 'Partner',
        industry_name: null,
        owner_name: 'Ann',
        open_deals: 1,
        open_budget: 100.5,
        won_deals: 1,
        won_budget: 1000,
        lost_deals: 0,
        invoices: 2,
        overdue_invoices: 2,
        income_base: 460,
        last_activity_at: null,
      },
      { customer_id: 11, customer_name: 'Zoe', kind: 'contact', owner_name: 'Bob', deals: 0, invoices: 0 },
      // Deleted in Flowlu, but not what belongs to it.
      { customer_id: 13, customer_name: 'Gone GmbH', is_deleted: true, open_deals: 1, open_budget: 0.25, invoices: 1 },
      { customer_id: 14, customer_name: 'Yan', kind: 'contact', owner_name: null, deals: 0, invoices: 0 },
      // Nobody's.
      {
        customer_id: null,
        customer_name: null,
        deals: 4,
        open_deals: 2,
        open_budget: 7,
        lost_deals: 2,
        invoices: 1,
        balance_base: 0,
      },
    ]);
  });

  it('customers that the mirror does not have are unknown, not deleted', async () => {
    await put('crm_lead', { id: 901, name: 'For somebody', customer_id: 902, active: 1, budget: 1 });
    const rows = await rowsOf('customers', 'customer_id', 'customer_id', 'is_unknown', 'is_deleted');
    await database.sql`delete from flowlu.crm_lead where id = 901`;
    const of = (id: number | null) => rows.find(({ customer_id }) => customer_id === id);
    expect(of(902)).toMatchObject({ is_unknown: true, is_deleted: false });
    expect(of(13)).toMatchObject({ is_unknown: false, is_deleted: true });
    expect(of(null)).toMatchObject({ is_unknown: false, is_deleted: false });
  });
});
