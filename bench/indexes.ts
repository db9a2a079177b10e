/**
 * What each index of the mirror tables is worth to readers, and what it costs writers.
 *
 *   npx tsx bench/indexes.ts [directory]
 *
 * Fills an embedded PostgreSQL with some 560,000 rows of a plausible shape, then asks the usual questions with the
 * tables' own indexes and without them. Pages are 8 kB blocks that a query touched: unlike times, they do not depend
 * on what else the machine does.
 */

import { openEmbedded } from '../src/embedded/server.ts';
import { migrate } from '../src/migrate/migrate.ts';
import { connect, type Sql } from '../src/postgres/connection.ts';

const RUNS = 5;
/** Rows that the cost for writers is measured with. */
const WRITTEN = 20_000;

/** Table → rows, and SQL for columns in terms of the row's number `i`; the rest stays null. */
const TABLES: Readonly<Record<string, readonly [rows: number, columns: Readonly<Record<string, string>>]>> = {
  core_user: [200, { name: "'User ' || i" }],
  crm_pipeline: [3, { name: "'Pipeline ' || i" }],
  crm_pipeline_stage: [20, { name: "'Stage ' || i", pipeline_id: '1 + i % 3', ordering: 'i' }],
  crm_account: [80_000, { name: "'Account ' || i", type: '1 + i % 2', owner_id: '1 + i % 200' }],
  crm_lead: [
    60_000,
    {
      name: "'Deal ' || i",
      active: '1 + (i * 7) % 3',
      pipeline_stage_id: '1 + i % 20',
      assignee_id: '1 + (i * 31) % 200',
      customer_id: '1 + (i * 7919) % 80000',
      budget: '(i * 37) % 50000',
      start_date: "date '2020-01-01' + i / 30",
      closing_date: "case when (i * 7) % 3 > 0 then date '2020-02-01' + i / 30 end",
    },
  ],
  crm_lead_accounts: [70_000, { lead_id: '1 + (i * 7919) % 60000', account_id: '1 + (i * 31) % 80000' }],
  st_projects: [3_000, { name: "'Project ' || i", customer_id: '1 + (i * 7919) % 80000' }],
  task_tasks: [
    150_000,
    {
      name: "'Task ' || i",
      type: 'case when i % 10 = 0 then 20 else 0 end',
      status: 'case when i % 8 = 0 then 1 + (i / 8) % 4 else 5 end',
      module: "case when i % 3 > 0 then 'st' end",
      model: "case when i % 3 > 0 then 'project' end",
      model_id: 'case when i % 3 > 0 then 1 + (i * 7919) % 3000 end',
      responsible_id: '1 + (i * 31) % 200',
      deadline: "timestamptz '2020-01-01' + i * interval '15 minutes'",
    },
  ],
  timetracker_timesheets: [40_000, { module: "'st'", model: "'project'", model_id: '1 + (i * 7919) % 3000' }],
  timetracker_timelogs: [
    150_000,
    {
      user_id: '1 + (i * 31) % 200',
      timesheet_id: '1 + (i * 7919) % 40000',
      start_timestamp: "timestamptz '2020-01-01' + i * interval '15 minutes'",
      time_spent: '60 * (i % 400)',
      is_billable: 'i % 3 > 0',
    },
  ],
  fin_invoice: [
    40_000,
    {
      customer_id: '1 + (i * 7919) % 80000',
      status_id: 'case when i % 20 = 0 then 13 else 40 end',
      invoice_date: "date '2020-01-01' + i / 20",
      due_date: "date '2020-01-15' + i / 20",
      total: 'i % 9000',
    },
  ],
  fin_invoice_item: [100_000, { invoice_id: '1 + (i * 7919) % 40000', name: "'Line ' || i", total: 'i % 900' }],
  fin_transaction: [
    60_000,
    {
      date: "date '2020-01-01' + i / 30",
      type: '10 * (1 + i % 2)',
      project_id: 'case when i % 2 = 0 then 1 + (i * 7919) % 3000 end',
      bcy_income: 'i % 9000',
    },
  ],
};

/** The questions, as the pages for analysts ask them: of everything, of a stretch of time, of one record. */
const QUESTIONS: Readonly<Record<string, string>> = {
  'pipeline, all open deals': `select s.name, count(*), sum(l.budget) from crm_lead l
    join crm_pipeline_stage s on s.id = l.pipeline_stage_id where l.active = 1 group by s.name`,
  'won and lost, one quarter': `select active, count(*), sum(budget) from crm_lead
    where active in (2, 3) and closing_date >= date '2025-01-01' and closing_date < date '2025-04-01' group by active`,
  'deals of one customer': 'select * from crm_lead where customer_id = 4711',
  'open tasks of one person': 'select * from task_tasks where responsible_id = 17 and type = 0 and status <> 5',
  'open tasks by person': `select u.name, count(*) from task_tasks t join core_user u on u.id = t.responsible_id
    where t.type = 0 and t.status <> 5 group by u.name`,
  'tasks of one project': `select * from task_tasks where module = 'st' and model in ('project', 'projects') and model_id = 17`,
  'tasks due in one week': `select count(*) from task_tasks where deadline >= '2023-03-06Z' and deadline < '2023-03-13Z'`,
  'hours by person, one month': `select u.name, sum(t.time_spent) from timetracker_timelogs t
    join core_user u on u.id = t.user_id
    where t.start_timestamp >= '2023-01-01Z' and t.start_timestamp < '2023-02-01Z' group by u.name`,
  'hours of one project': `select sum(l.time_spent) from timetracker_timesheets s
    join timetracker_timelogs l on l.timesheet_id = s.id
    where s.module = 'st' and s.model in ('project', 'projects') and s.model_id = 17`,
  'invoices of one customer': 'select * from fin_invoice where customer_id = 4711',
  'invoices of one month': `select count(*), sum(total) from fin_invoice
    where invoice_date >= date '2024-01-01' and invoice_date < date '2024-02-01'`,
  'overdue invoices': `select count(*), sum(total) from fin_invoice
    where status_id in (13, 20) and due_date < date '2025-06-01'`,
  'lines of one month': `select i.id, l.name, l.total from fin_invoice i join fin_invoice_item l on l.invoice_id = i.id
    where i.invoice_date >= date '2024-01-01' and i.invoice_date < date '2024-02-01'`,
  'money of one month': `select type, sum(bcy_income) from fin_transaction
    where date >= date '2024-01-01' and date < date '2024-02-01' group by type`,
  'money of one project': 'select type, sum(bcy_income) from fin_transaction where project_id = 17 group by type',
  'report: pipeline': 'select * from sales_pipeline',
  'report: deals of one customer': 'select * from deals where customer_id = 4711',
  'report: won deals of one quarter': `select * from closed_deals
    where closing_date >= date '2025-01-01' and closing_date < date '2025-04-01'`,
  'report: won and lost by month': 'select * from won_lost_by_month',
  'report: open tasks of one person': 'select * from open_tasks where responsible_id = 17',
  'report: tasks by person': 'select * from tasks_by_person',
  'report: time of one month': `select person_name, sum(hours) from time_entries
    where day >= date '2023-01-01' and day < date '2023-02-01' group by person_name`,
  'report: invoices of one customer': 'select * from invoices where customer_id = 4711',
  'report: overdue invoices': 'select * from overdue_invoices',
  'report: payments of one month': `select * from payments where date >= date '2024-01-01' and date < date '2024-02-01'`,
  'report: project profitability': 'select * from project_profitability',
  'changes of the last hour': `select id from flowlu.task_tasks where _observed_at >= '2025-06-01Z'`,
};

interface Cost {
  readonly pages: number;
  readonly ms: number;
  /** Rows that the planner expected and that came, of the widest miss in the plan. */
  readonly misjudged: number;
}

/** Numbers as the driver has read them: exact, so perhaps no `number`. */
interface PlanNode {
  readonly 'Plan Rows': unknown;
  readonly 'Actual Rows': unknown;
  readonly 'Shared Hit Blocks': unknown;
  readonly 'Shared Read Blocks': unknown;
  readonly Plans?: readonly PlanNode[];
}

async function fill(sql: Sql): Promise<void> {
  for (const [table, [rows, columns]] of Object.entries(TABLES)) {
    const names = Object.keys(columns);
    await sql.unsafe(`
      insert into flowlu.${table} (id, ${names.join(', ')}, _record, _observed_at, _source, _hash)
      select i, ${Object.values(columns).join(', ')},
             jsonb_build_object('id', i, 'description', repeat(md5(i::text), 30)),
             timestamptz '2020-01-01' + i * interval '15 minutes', 'api', gen_random_uuid()
        from generate_series(1, ${rows}) i`);
  }
  await sql.unsafe('vacuum (analyze)');
}

function misses(node: PlanNode): number {
  const [planned, actual] = [node['Plan Rows'], node['Actual Rows']].map((rows) => Math.max(Number(rows), 1)) as [
    number,
    number,
  ];
  return Math.max(planned / actual, actual / planned, ...(node.Plans ?? []).map(misses));
}

async function ask(sql: Sql, question: string): Promise<Cost> {
  const runs: Cost[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const rows = await sql.unsafe(`explain (analyze, buffers, timing off, format json) ${question}`);
    const answers = rows[0]?.['QUERY PLAN'] as readonly { Plan: PlanNode; 'Execution Time': unknown }[] | undefined;
    const answer = answers?.[0];
    if (answer === undefined) throw new Error('explain said nothing');
    const { Plan: plan } = answer;
    runs.push({
      ms: Number(answer['Execution Time']),
      pages: Number(plan['Shared Hit Blocks']) + Number(plan['Shared Read Blocks']),
      misjudged: misses(plan),
    });
  }
  return runs.toSorted((a, b) => a.ms - b.ms)[Math.floor(RUNS / 2)] as Cost;
}

interface Written {
  readonly us: number;
  /** Bytes of write-ahead log: what disk and followers see, and no matter of luck. */
  readonly wal: number;
}

/** What it takes, for each row, to insert rows into a copy of the table and to change some in a column without an index. */
async function write(sql: Sql, table: string, definitions: readonly string[]) {
  const statements = {
    insert: `insert into written select * from flowlu.${table} where id <= ${WRITTEN}`,
    update: 'update written set _observed_at = now(), _hash = gen_random_uuid() where id % 4 = 0',
  } as const;
  const runs: Record<keyof typeof statements, Written>[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    await sql.unsafe(`
      drop table if exists written;
      create table written (like flowlu.${table});
      alter table written add primary key (id)`);
    for (const definition of definitions) await sql.unsafe(definition);
    await sql.unsafe('checkpoint');
    runs.push({ insert: await timed(sql, statements.insert), update: await timed(sql, statements.update) });
  }
  await sql.unsafe('drop table written');
  const best = (what: keyof typeof statements): Written => ({
    us: Math.min(...runs.map((run) => run[what].us)),
    wal: Math.min(...runs.map((run) => run[what].wal)),
  });
  return { insert: best('insert'), update: best('update') };
}

async function timed(sql: Sql, statement: string): Promise<Written> {
  const position = async () => {
    const [row] = await sql<{ at: string }[]>`select pg_current_wal_insert_lsn() - '0/0' as at`;
    return Number(row?.at);
  };
  const [from, started] = [await position(), performance.now()];
  const { count } = await sql.unsafe(statement);
  const us = ((performance.now() - started) * 1_000) / count;
  return { us, wal: ((await position()) - from) / count };
}

const [directory = '/tmp/flowlu-mirror-indexes'] = process.argv.slice(2);
const server = await openEmbedded({ directory, settings: { fsync: 'off', max_wal_size: '4GB', autovacuum: 'off' } });
const sql = connect(server.url, { applicationName: 'flowlu-mirror bench', max: 1 });
try {
  await migrate(server.url);
  const [found] = await sql`select count(*)::int as rows from flowlu.task_tasks`;
  if (found?.rows === 0) await fill(sql);
  await sql.unsafe('set search_path = flowlu_live, flowlu_reports, public');
  const indexes = await sql<{ name: string; table: string; definition: string; size: string }[]>`
    select indexrelid::regclass::text as name, c.relname as table, pg_get_indexdef(indexrelid) as definition,
           pg_size_pretty(pg_relation_size(indexrelid)) as size
      from pg_index i join pg_class c on c.oid = i.indrelid
     where c.relnamespace = 'flowlu'::regnamespace and not i.indisprimary order by 1`;
  const measure = async () => {
    const costs = new Map<string, Cost>();
    for (const [name, question] of Object.entries(QUESTIONS)) costs.set(name, await ask(sql, question));
    return costs;
  };
  const after = await measure();
  for (const { name } of indexes) await sql.unsafe(`drop index ${name}`);
  const before = await measure();
  for (const { definition } of indexes) await sql.unsafe(definition);
  console.table(
    Object.keys(QUESTIONS).map((question) => ({
      question,
      'pages without': before.get(question)?.pages,
      'pages with': after.get(question)?.pages,
      'ms without': before.get(question)?.ms.toFixed(1),
      'ms with': after.get(question)?.ms.toFixed(1),
      'rows misjudged': after.get(question)?.misjudged.toFixed(1),
    })),
  );
  const costs = [];
  for (const table of new Set(indexes.map((index) => index.table))) {
    const own = indexes.filter((index) => index.table === table);
    const bare = await write(sql, table, []);
    const full = await write(
      sql,
      table,
      own.map(({ definition }) => definition.replace(/ INDEX \S+ ON \S+ /, ' INDEX ON written ')),
    );
    const change = (what: 'insert' | 'update', unit: 'us' | 'wal') =>
      `${bare[what][unit].toFixed(0)} → ${full[what][unit].toFixed(0)}`;
    costs.push({
      table,
      indexes: own.length,
      size: own.map(({ size }) => size).join(', '),
      'µs/insert': change('insert', 'us'),
      'µs/update': change('update', 'us'),
      'WAL bytes/insert': change('insert', 'wal'),
      'WAL bytes/update': change('update', 'wal'),
    });
  }
  console.table(costs);
} finally {
  await sql.end();
  await server.close();
}
