/**
 * How long the ready-made views and the past of deals take at size.
 *
 *   npx tsx bench/reports.ts [address of a database, empty or filled before] [share of the full size, 1 unless given]
 *
 * Fills a database with generated rows (300,000 tasks, 200,000 accounts, 100,000 deals, 80,000 invoices, 2,000,000 changes) and
 * asks every view for all of it and, where it has such a column, for one customer, one project, one month. The plan of
 * whatever takes longer than its limit is printed below the table.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { openEmbedded } from '../src/embedded/server.ts';
import { migrate } from '../src/migrate/migrate.ts';
import { connect, type Sql } from '../src/postgres/connection.ts';
import { reportViews } from '../src/reports/all.ts';
import { fillDealStates } from '../src/store/deal-states.ts';
import { NO_FACTS } from '../src/views/live-columns.ts';

const LIMITS_MS = { whole: 2_000, one: 50, past: 1_000 } as const;
const RUNS = 3;
const share = Number(process.argv[3] ?? 1);

/** Table → rows at full size, and SQL of its columns in terms of the row's number `i`; the rest stays null. */
const TABLES: Readonly<Record<string, readonly [rows: number, columns: Readonly<Record<string, string>>]>> = {
  core_user: [200, { name: "'User ' || i" }],
  crm_pipeline: [4, { name: "'Pipeline ' || i % 3" }],
  crm_pipeline_stage: [24, { name: "'Stage ' || i", pipeline_id: '1 + i % 4', ordering: 'i', active: 'true' }],
  crm_account: [
    200_000,
    {
      name: "'Account ' || i",
      type: '1 + i % 2',
      owner_id: '1 + i % 200',
      merged_to: 'case when i % 100 = 7 then i + 1 end',
    },
  ],
  crm_lead: [
    100_000,
    {
      name: "'Deal ' || i",
      active: '1 + (i * 7) % 3',
      pipeline_stage_id: '1 + i % 24',
      assignee_id: '1 + (i * 31) % 200',
      customer_id: 'case when i % 10 > 1 then 1 + (i * 7919::bigint) % 200000 end',
      contact_id: 'case when i % 10 = 1 then 1 + (i * 7919::bigint) % 200000 end',
      budget: '(i * 37) % 50000',
      created_date: "timestamptz '2020-01-01' + i * interval '30 minutes'",
      start_date: "date '2020-01-01' + i / 50",
      closing_date: "case when (i * 7) % 3 > 0 then date '2020-02-01' + i / 50 end",
      _version: "timestamptz '2025-10-01' + i * interval '30 seconds'",
    },
  ],
  crm_lead_accounts: [
    60_000,
    { lead_id: '1 + (i * 7919::bigint) % 100000', account_id: '1 + (i * 31) % 200000', account_type: '1 + i % 2' },
  ],
  st_projects: [5_000, { name: "'Project ' || i", customer_id: '1 + (i * 7919::bigint) % 200000' }],
  fin_bank_account: [
    12,
    { name: "'Bank ' || i", currency_id: '1 + i % 3', currency_exchange_rate: '1 + i % 3', fixed_balance: '100' },
  ],
  fin_invoice: [
    80_000,
    {
      status_id: '(array[10, 13, 20, 40, 40, 40])[1 + i % 6]',
      total: '10 + (i * 37) % 5000',
      bcy_paid_total: 'case when i % 6 = 2 then (i * 13) % 100 end',
      currency_id: '1 + i % 3',
      currency_code: "(array['EUR', 'USD', 'PLN'])[1 + i % 3]",
      customer_id: '1 + (i * 7919::bigint) % 200000',
      invoice_date: "date '2020-01-01' + i / 40",
      due_date: "date '2020-01-15' + i / 40",
      module: "(array['st', 'crm', null])[1 + i % 3]",
      model: "(array['project', 'lead', null])[1 + i % 3]",
      model_id: '1 + (i * 31) % 5000',
    },
  ],
  fin_transaction: [
    150_000,
    {
      type: 'case when i % 4 = 0 then 20 else 10 end',
      status: 'case when i % 9 = 0 then 0 else 10 end',
      date: "date '2020-01-01' + i / 70",
      income: 'case when i % 4 > 0 then i % 700 end',
      bcy_income: 'case when i % 4 > 0 then i % 700 end',
      outcome: 'case when i % 4 = 0 then i % 700 end',
      bcy_outcome: 'case when i % 4 = 0 then i % 700 end',
      icy_total: 'i % 700',
      invoice_id: 'case when i % 2 = 0 then 1 + (i * 31) % 80000 end',
      crm_account_id: 'case when i % 3 > 0 then 1 + (i * 7919::bigint) % 200000 end',
      project_id: 'case when i % 3 = 0 then 1 + (i * 31) % 5000 end',
      org_account_id: '1 + i % 12',
      category_id: '1 + i % 40',
    },
  ],
  fin_plan_money: [
    20_000,
    { type: '10 * (1 + i % 7)', total: 'i % 900', paid_total: 'i % 300', project_id: '1 + i % 5000', currency_id: '1' },
  ],
  fin_relations: [
    10_000,
    { plan_money_id: '2 * i', module: "'crm'", model: "'lead'", model_id: '1 + (i * 31) % 100000', amount: 'i % 900' },
  ],
  fin_estimate: [10_000, { total: 'i % 900', customer_id: '1 + (i * 7919::bigint) % 200000' }],
  task_tasks: [
    300_000,
    {
      name: "'Task ' || i",
      type: 'case when i % 10 = 0 then 20 else 0 end',
      status: 'case when i % 8 = 0 then 1 + (i / 8) % 4 else 5 end',
      module: "case when i % 3 > 0 then 'st' end",
      model: "case when i % 3 > 0 then 'project' end",
      model_id: 'case when i % 3 > 0 then 1 + (i * 7919::bigint) % 5000 end',
      responsible_id: '1 + (i * 31) % 200',
      time_estimate: 'case when i % 3 = 0 then 3600 end',
      deadline: "timestamptz '2020-01-01' + i * interval '10 minutes'",
      plan_start_date:
        "case when i % 2 = 0 then timestamptz '2020-01-01' + i * interval '10 minutes' - interval '9 days' end",
      closed_date: "case when i % 8 > 0 then timestamptz '2020-01-01' + i * interval '10 minutes' end",
    },
  ],
  timetracker_timesheets: [
    100_000,
    {
      module: "case when i % 2 = 0 then 'task' else 'st' end",
      model: "case when i % 2 = 0 then 'tasks' else 'project' end",
      model_id: 'case when i % 2 = 0 then 1 + (i * 31) % 300000 else 1 + (i * 31) % 5000 end',
    },
  ],
  timetracker_timelogs: [
    300_000,
    {
      user_id: '1 + (i * 31) % 200',
      timesheet_id: '1 + (i * 7919::bigint) % 100000',
      start_timestamp: "timestamptz '2020-01-01' + i * interval '10 minutes'",
      time_spent: '60 * (i % 400)',
      is_billable: 'i % 3 = 0',
      currency_id: '1 + i % 2',
      billing_amount: 'i % 90',
    },
  ],
};

const address = process.argv[2] || undefined;
const directory = address === undefined ? await mkdtemp(join(tmpdir(), 'flowlu-mirror-reports-')) : null;
const embedded =
  directory === null ? null : await openEmbedded({ directory, settings: { fsync: 'off', max_wal_size: '4GB' } });
const url = embedded?.url ?? address ?? '';
const sql = connect(url, { applicationName: 'flowlu-mirror bench reports', max: 1 });
try {
  await migrate(url, { zone: 'Europe/Berlin' });
  const [filled] = await sql<{ already: boolean }[]>`select exists (select from flowlu.crm_lead) as already`;
  if (filled?.already !== true) {
    // The product's connections give a statement up after two minutes.
    const patient = postgres(url, { max: 1, onnotice: () => {} });
    await fill(patient);
    await patient.end();
  }
  await measure(sql);
} finally {
  await sql.end({ timeout: 5 });
  await embedded?.close();
  if (directory !== null) await rm(directory, { recursive: true, force: true });
}

async function fill(into: Sql): Promise<void> {
  for (const [table, [rows, columns]] of Object.entries(TABLES)) {
    await into.unsafe(`
      insert into flowlu.${table} (id, ${Object.keys(columns).join(', ')}, _record, _observed_at, _source, _hash)
      select i, ${Object.values(columns).join(', ')}, jsonb_build_object('text', repeat('x', 400)), '2025-01-01', 'api', gen_random_uuid()
        from generate_series(1, ${Math.ceil(rows * (rows < 1_000 ? 1 : share))}) i`);
  }
  // Three in ten are of deals, and of those a third is a move or a change of the amount.
  await into.unsafe(`
    insert into sync.history (recorded_at, model, entity_id, change, version, observed_at, path, before, after, prior_version, prior_observed_at)
    select at, case when i % 10 < 3 then 'crm.lead' else 'task.tasks' end, 1 + (i * 7919::bigint) % ${Math.ceil(100_000 * share)}, 'updated', at, at, 'webhook',
           part, part, at - interval '20 days', at - interval '20 days'
      from (select i, timestamptz '2025-02-01' + i * interval '10 seconds' as at,
                   case when i % 10 = 0 then jsonb_build_object('pipeline_stage_id', 1 + i % 24, 'updated_date', i)
                        else jsonb_build_object('description', repeat('x', 100), 'updated_date', i) end as part
              from generate_series(1, ${Math.ceil(2_000_000 * share)}) i) c`);
  await fillDealStates(into);
  await into.unsafe('vacuum analyze');
}

async function measure(on: Sql): Promise<void> {
  // As reader logins have it.
  await on.unsafe('set jit = off');
  const slow: string[] = [];
  const ask = async (what: string, query: string, limit_ms: number) => {
    let best = { ms: Number.POSITIVE_INFINITY, plan: '' };
    for (let run = 0; run < RUNS; run += 1) {
      const rows = await on.unsafe(`explain (analyze, timing off) ${query}`);
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
      const times = [...plan.matchAll(/(?:Planning|Execution) Time: ([\d.]+) ms/g)].map((match) => Number(match[1]));
      const ms = times.reduce((sum, time) => sum + time, 0);
      if (ms < best.ms) best = { ms, plan };
    }
    const note = best.ms > limit_ms ? `  more than ${limit_ms}` : '';
    console.log(`${what.padEnd(52)} ${best.ms.toFixed(1).padStart(9)} ms${note}`);
    if (note !== '') slow.push(`${what}\n${best.plan}`);
  };
  for (const { name, columns } of reportViews(NO_FACTS)) {
    const has = (column: string) => columns.some((one) => one.name === column);
    await ask(name, `select * from flowlu_reports.${name}`, LIMITS_MS.whole);
    for (const [column, value] of [
      ['customer_id', '7920'],
      ['project_id', '100'],
      ['month', "date '2025-03-01'"],
    ] as const)
      if (has(column))
        await ask(
          `${name}, one ${column}`,
          `select * from flowlu_reports.${name} where ${column} = ${value}`,
          LIMITS_MS.one,
        );
  }
  await ask('time_in_stage', 'select * from flowlu_history.time_in_stage', LIMITS_MS.past);
  await ask(
    'the pipeline as of a day',
    `select stage_id, count(*), sum(budget) from flowlu_history.deal_states
      where valid_from <= '2025-06-01' and (valid_to > '2025-06-01' or valid_to is null) and status = 'in progress' group by 1`,
    LIMITS_MS.past,
  );
  console.log(slow.map((text) => `\n${text}`).join('\n'));
}
