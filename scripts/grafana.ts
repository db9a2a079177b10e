/**
 * Writes the dashboards of deploy/grafana with Grafana's foundation SDK: one for operators, from what Prometheus has
 * scraped, and one for everybody else, from the ready-made views in PostgreSQL.
 */
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import * as barchart from '@grafana/grafana-foundation-sdk/barchart';
import type * as cog from '@grafana/grafana-foundation-sdk/cog';
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import * as stat from '@grafana/grafana-foundation-sdk/stat';
import * as table from '@grafana/grafana-foundation-sdk/table';
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';

type Panel = cog.Builder<dashboard.Panel>;
type Size = readonly [width: number, height: number];

/** Grafana's own source for PostgreSQL. */
const POSTGRES = 'grafana-postgresql-datasource';
const HALF: Size = [12, 8];
/** The variable by which a dashboard chooses its source. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholder is Grafana's
const SOURCE = '${datasource}';

interface Page {
  readonly uid: string;
  readonly title: string;
  /** Type of the source that a reader chooses. */
  readonly source: string;
  readonly from: string;
  readonly refresh: string;
}

function page({ uid, title, source, from, refresh }: Page, panels: readonly Panel[]): dashboard.Dashboard {
  const made = new dashboard.DashboardBuilder(title)
    .uid(uid)
    .time({ from, to: 'now' })
    .refresh(refresh)
    .tags(['flowlu-mirror'])
    .editable()
    .withVariable(new dashboard.DatasourceVariableBuilder('datasource').label('Source').type(source));
  for (const panel of panels) made.withPanel(panel);
  return made.build();
}

/** What to draw of each expression, by its legend. */
function series(title: string, unit: string, expressions: Readonly<Record<string, string>>): Panel {
  const panel = new timeseries.PanelBuilder().title(title).unit(unit).span(HALF[0]).height(HALF[1]);
  panel.datasource({ type: 'prometheus', uid: SOURCE });
  for (const [index, [legend, expr]] of Object.entries(expressions).entries())
    panel.withTarget(
      new prometheus.DataqueryBuilder().refId('ABC'.charAt(index)).expr(expr).legendFormat(legend).range(),
    );
  return panel;
}

export const operations = () =>
  page({ uid: 'flowlu-mirror', title: 'flowlu-mirror', source: 'prometheus', from: 'now-24h', refresh: '1m' }, [
    series('Findings', 'short', { '{{severity}}: {{code}}': 'max by (code, severity) (flowlu_mirror_findings)' }),
    series('Since the last webhook', 's', { age: 'time() - max(flowlu_mirror_last_delivery_timestamp_seconds)' }),
    series('Webhooks a minute', 'short', {
      '{{status}}': 'sum by (status) (rate(flowlu_mirror_deliveries_received_total[5m])) * 60',
    }),
    series('Time to record a batch, 95 %', 's', {
      '95 %': 'histogram_quantile(0.95, sum by (le) (rate(flowlu_mirror_apply_duration_seconds_bucket[5m])))',
    }),
    series('Since each model was compared', 's', {
      '{{model}}': 'topk(10, time() - max by (model) (flowlu_mirror_reconcile_last_success_timestamp_seconds))',
    }),
    series('Request budget used', 'percentunit', {
      share: 'sum(rate(flowlu_mirror_api_requests_total[5m])) / max(flowlu_mirror_request_budget_per_second > 0)',
    }),
    series('Changes that no webhook announced', 'short', {
      '{{model}}': 'sum by (model) (increase(flowlu_mirror_drift_rows_total[1h]))',
    }),
    series('Waiting, doubtful, failed', 'short', {
      waiting: 'max(flowlu_mirror_ledger_backlog)',
      doubtful: 'max(flowlu_mirror_doubtful_rows)',
      failed: 'max(flowlu_mirror_failed_deliveries)',
    }),
    series('Requests to Flowlu', 'reqps', {
      '{{outcome}}': 'sum by (outcome) (rate(flowlu_mirror_api_requests_total[5m]))',
    }),
    series('Connections to the database', 'short', {
      '{{state}}': 'max by (state) (flowlu_mirror_database_connections)',
    }),
  ]);

/** A query of the source for PostgreSQL, which the SDK has no builder for. */
const rows = (rawSql: string): cog.Builder<cog.Dataquery> => ({
  build: () =>
    ({ refId: 'A', format: 'table', rawQuery: true, editorMode: 'code', rawSql }) as unknown as cog.Dataquery,
});

/** Draws what one statement answers, in the way of the panel. */
function drawn<P extends timeseries.PanelBuilder | barchart.PanelBuilder | stat.PanelBuilder | table.PanelBuilder>(
  panel: P,
  title: string,
  sql: string,
  [width, height]: Size = HALF,
): P {
  panel.title(title).span(width).height(height).withTarget(rows(sql));
  panel.datasource({ type: POSTGRES, uid: SOURCE });
  return panel;
}

const NUMBER: Size = [6, 4];
const oneNumber = (title: string, sql: string) => drawn(new stat.PanelBuilder(), title, sql, NUMBER);
/** The first column names the bars. */
const bars = (title: string, sql: string) => drawn(new barchart.PanelBuilder(), title, sql);
const list = (title: string, sql: string) => drawn(new table.PanelBuilder(), title, sql);

export const numbers = () =>
  page(
    { uid: 'flowlu-numbers', title: 'Flowlu: sales, money, work', source: POSTGRES, from: 'now-1y', refresh: '5m' },
    [
      oneNumber('Open deals', 'select sum(open_deals) as deals from flowlu_reports.sales_pipeline'),
      oneNumber('Overdue invoices', 'select count(*) as invoices from flowlu_reports.overdue_invoices'),
      oneNumber('Open tasks', 'select count(*) as tasks from flowlu_reports.open_tasks'),
      oneNumber(
        'Oldest comparison with Flowlu, s',
        'select max(oldest_compared_seconds) as seconds from flowlu_live.sync_status where rows > 0',
      ),
      bars(
        'Open deals by stage',
        `select concat_ws(': ', pipeline_name, stage_name) as stage, budget
  from flowlu_reports.sales_pipeline where open_deals > 0 order by pipeline_name, stage_name`,
      ),
      bars(
        'Deals won and lost, last twelve months',
        `select to_char(month, 'YYYY-MM') as month, sum(won_budget) as won, sum(lost_budget) as lost
  from flowlu_reports.won_lost_by_month where month > current_date - interval '1 year' group by month order by month`,
      ),
      bars(
        'Money in and out, last twelve months, base currency',
        `select to_char(month, 'YYYY-MM') as month, sum(income_base) as income, sum(expense_base) as expense, sum(other_base) as other
  from flowlu_reports.cash_flow_by_month where month > current_date - interval '1 year' group by month order by month`,
      ),
      list(
        'Owed by customers, by currency',
        `select coalesce(currency_code, currency_id::text) as currency, count(*) as invoices, sum(open_amount) as owed,
       sum(open_amount) filter (where is_overdue) as overdue
  from flowlu_reports.invoices where open_amount > 0 group by 1 order by owed desc`,
      ),
      list(
        'Longest overdue invoices',
        `select invoice_number, customer_name, due_date, days_overdue, open_amount, currency_code
  from flowlu_reports.overdue_invoices order by days_overdue desc limit 20`,
      ),
      list(
        'Deals on which nothing happens',
        `select deal_name, customer_name, assignee_name, days_quiet, budget
  from flowlu_reports.stuck_deals order by budget desc nulls last limit 20`,
      ),
      list(
        'Open tasks by person',
        `select responsible_name, open_tasks, overdue_tasks, due_in_7_days
  from flowlu_reports.tasks_by_person order by open_tasks desc limit 20`,
      ),
      list(
        'Tasks beyond their estimate',
        `select task_name, project_name, estimated_hours, spent_hours
  from flowlu_reports.time_budget where is_over order by remaining_hours limit 20`,
      ),
    ],
  );

/** Every dashboard, by its file in deploy/grafana. */
export const dashboards = { 'flowlu-mirror.json': operations, 'flowlu-numbers.json': numbers } as const;

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  for (const [file, made] of Object.entries(dashboards))
    writeFileSync(new URL(`../deploy/grafana/${file}`, import.meta.url), `${JSON.stringify(made(), null, 2)}\n`);
