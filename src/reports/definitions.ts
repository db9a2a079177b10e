/**
 * What the business terms of the ready-made views mean: each with its condition in SQL, written once. The views are made
 * from these conditions, and `flowlu_reports.definitions` shows them, so that a term cannot mean two things. Pure.
 *
 * In a condition each model has one letter: `l` deals, `i` invoices, `x` transactions, `n` planned money, `t` tasks, `p` projects,
 * `g` time logs, `e` estimates, `a` accounts.
 */
import { splitName } from '../catalog/name.ts';
import { namesOf } from '../catalog/other-names.ts';
import { literal } from '../postgres/quote.ts';
import { c, type View, view } from '../views/view.ts';
import { countsAs } from './codes.ts';

interface Definition {
  /** Model and letter that the condition speaks of; empty where it is about no record. */
  readonly of: string;
  readonly meaning: string;
  readonly sql: string;
}

/** Whether a link by `module`, `model` and `model_id` leads to such a model, by any of its names. */
const leadsTo =
  (name: string) =>
  (alias: string): string => {
    const names = namesOf(name).map(splitName);
    const pairs = names.map(({ module, model }) => `(${literal(module)}, ${literal(model)})`);
    const paths = names.map(({ module, model }) => literal(`${module}/${model}`));
    return `((${alias}.module, ${alias}.model) in (${pairs.join(', ')}) or ${alias}.model in (${paths.join(', ')}))`;
  };
export const isProject = leadsTo('st.projects');
export const isDeal = leadsTo('crm.lead');
export const isAccount = leadsTo('crm.account');

const INVOICE = 'i._deleted_at is null and i.is_template is not true';
/** Invoices stay new until they are paid where nobody confirms them. An operator may say which it is. */
const NEW_IS_ISSUED = `coalesce(
  (${countsAs('fin.invoice', 'status_id')} ->> '10') = 'issued',
  not exists (select from flowlu.fin_invoice confirmed where confirmed.status_id = 13 and confirmed._deleted_at is null))`;
const ISSUED = `(i.status_id in (13, 20, 30, 40) or (i.status_id = 10 and ${NEW_IS_ISSUED}))`;

const CASH_STATE = `coalesce(${countsAs('fin.transaction', 'status')} ->> x.status::text,
  case x.status when 10 then 'executed' when 0 then 'not executed' end)`;
const MONEY_KIND = `case coalesce(${countsAs('fin.transaction', 'category_id')} ->> x.category_id::text,
    ${countsAs('fin.transaction', 'type')} ->> x.type::text,
    case x.type when 10 then 'income' when 20 then 'expense' end)
  when 'income' then 'income' when 'expense' then 'expense' else 'other' end`;

const OPEN_TASK = 't.status is distinct from 5 and t.archive_status is distinct from 10 and t.is_archive is not true';

/** Amounts that an operator's words do not touch are worked out where they are shown: see `paid` in invoices.ts. */
const define = <T extends string>(terms: Readonly<Record<T, readonly [of: string, meaning: string, sql: string]>>) =>
  Object.fromEntries(
    Object.entries<readonly [string, string, string]>(terms).map(([term, [of, meaning, sql]]) => [
      term,
      { of, meaning, sql },
    ]),
  ) as Readonly<Record<T, Definition>>;

export function definitionsFor(zone: string) {
  const today = `(now() at time zone ${literal(zone)})::date`;
  return define({
    today: ['', 'The day by the clock of the portal, whatever the zone of the session that asks', today],
    customer: [
      'crm.account a',
      'An organisation or a contact; one that was merged stands for the account at the end of the chain. A deal belongs to its organisation, else to its contact; a transaction to its party, else to the customer of its invoice',
      'a.merged_to is null',
    ],
    deal: [
      'crm.lead l',
      'A deal that exists and was not merged into another',
      'l._deleted_at is null and l.merged_to_id is null',
    ],
    open_deal: ['crm.lead l', 'A deal in progress', 'l.active = 1'],
    lost_deal: ['crm.lead l', 'A deal that was lost', 'l.active = 2'],
    won_deal: ['crm.lead l', 'A deal that was won', 'l.active = 3'],
    overdue_deal: [
      'crm.lead l',
      'An open deal that should have been closed before today',
      `l.active = 1 and l.deadline < ${today}`,
    ],
    invoice: ['fin.invoice i', 'An invoice that exists and is no template; drafts included', INVOICE],
    issued: [
      'fin.invoice i',
      'An invoice that the customer has to pay or has paid: confirmed, partly paid, overpaid or paid. A new one too where invoices are not confirmed in the portal, which is taken to be so while none is in the state confirmed; code_labels may say it (fin.invoice, status_id, 10, counts_as issued or draft)',
      ISSUED,
    ],
    overdue: [
      'fin.invoice i',
      'An issued invoice on which something is owed and whose due date is before today',
      // What is paid owes nothing; said here, so that nobody works out its payments.
      `${ISSUED} and i.status_id not in (30, 40) and i.due_date < ${today} and owed.open_amount > 0`,
    ],
    transaction: ['fin.transaction x', 'A transaction that exists', 'x._deleted_at is null'],
    income: [
      'fin.transaction x',
      'Money received: transactions of type income. A refund is an expense and does not lessen it',
      `${MONEY_KIND} = 'income'`,
    ],
    expense: [
      'fin.transaction x',
      'Money spent: transactions of type expense, refunds included; as an amount it is negative',
      `${MONEY_KIND} = 'expense'`,
    ],
    other: [
      'fin.transaction x',
      'Neither income nor expense: transfers between own accounts and types that nobody has explained. Income, expense and other make the balance',
      `${MONEY_KIND} = 'other'`,
    ],
    moves_cash: [
      'fin.transaction x',
      'The money has moved: executed, or cash only. Null where the state of the transaction is unknown; code_labels may say what it counts as: executed, cash only, profit and loss only, not executed',
      `${CASH_STATE} in ('executed', 'cash only')`,
    ],
    counts_in_pl: [
      'fin.transaction x',
      'Counts in profit and loss: executed, or profit and loss only. Null where the state is unknown',
      `${CASH_STATE} in ('executed', 'profit and loss only')`,
    ],
    refund: [
      'fin.transaction x',
      'Money paid back on an own invoice',
      `${MONEY_KIND} = 'expense' and x.invoice_id is not null`,
    ],
    planned: ['fin.plan_money n', 'A planned payment that exists', 'n._deleted_at is null'],
    planned_income: ['fin.plan_money n', 'Money that is planned to come in', 'n.type in (10, 30, 50, 60)'],
    planned_expense: ['fin.plan_money n', 'Money that is planned to go out', 'n.type in (20, 40, 70)'],
    planned_open: [
      'fin.plan_money n',
      'A planned payment that is not settled yet',
      'n.is_complete is not true and n.status_paid is distinct from 10 and n.status_paid is distinct from 20 and n.status_paid is distinct from 40',
    ],
    task: [
      'task.tasks t',
      'A task proper: no inbox entry, event, template or milestone',
      't._deleted_at is null and t.deleted_at is null and t.type = 0',
    ],
    open_task: ['task.tasks t', 'A task that is neither completed nor archived', OPEN_TASK],
    completed_task: ['task.tasks t', 'A task that is completed', 't.status = 5'],
    overdue_task: ['task.tasks t', 'An open task whose deadline has passed', `${OPEN_TASK} and t.deadline < now()`],
    project: ['st.projects p', 'A project that exists, archived ones included', 'p._deleted_at is null'],
    late_project: [
      'st.projects p',
      'A project that is not archived although its last day has passed',
      `p.is_archive is not true and p.enddate < ${today}`,
    ],
    time_log: [
      'timetracker.timelogs g',
      'A time log that exists, whatever the state of its timer',
      'g._deleted_at is null',
    ],
    billable: ['timetracker.timelogs g', 'Time that is charged to the customer', 'g.is_billable'],
    unbilled: [
      'timetracker.timelogs g',
      'Billable time that neither the log nor its timesheet names an invoice for',
      'g.is_billable and g.invoice_id is null and g.sheet_invoice_id is null',
    ],
    quote: ['fin.estimate e', 'An estimate that exists', 'e._deleted_at is null'],
    stuck_deal: [
      'crm.lead l',
      'An open deal without any activity or change for 30 days',
      `l.active = 1 and greatest(l.last_activity_time, l._version) < now() - interval '30 days'`,
    ],
  });
}

type Definitions = ReturnType<typeof definitionsFor>;

export interface Terms {
  readonly zone: string;
  readonly today: string;
  readonly is: Readonly<Record<keyof Definitions, string>>;
}

export function termsFor(zone: string): Terms {
  const definitions = definitionsFor(zone);
  const is = Object.fromEntries(Object.entries(definitions).map(([term, { sql }]) => [term, `(${sql})`]));
  return { zone, today: definitions.today.sql, is: is as Terms['is'] };
}

export const moneyKind = MONEY_KIND;
export const cashState = CASH_STATE;

/** `flowlu_reports.definitions`: the terms as rows, and how those that follow the data are decided now. */
export function definitionsView(zone: string): View {
  const rows = Object.entries(definitionsFor(zone)).map(
    ([term, { of, meaning, sql }]) =>
      `(${[term, of.split(' ')[0] ?? '', meaning, sql.replace(/\s+/g, ' ')].map(literal).join(', ')})`,
  );
  const column = (name: string, comment: string, sql = `d.${name}`) => ({ [name]: c.text(sql, comment) });
  return view({
    name: 'definitions',
    grain: 'term',
    key: ['term'],
    comment: 'What the terms of the ready-made views mean',
    columns: {
      ...column('term', 'The term, as in the names of columns'),
      ...column('model', 'Flowlu model that it speaks of; none where it is about no record', "nullif(d.model, '')"),
      ...column('meaning', 'What it means'),
      ...column('sql', 'The condition that the views use; each model has one letter, such as l for deals'),
      ...column(
        'in_force',
        'How a term that follows the data is decided at present',
        `case d.term when 'today' then ${definitionsFor(zone).today.sql}::text
          when 'issued' then case when ${NEW_IS_ISSUED} then 'new invoices count as issued' else 'new invoices are drafts' end end`,
      ),
    },
    from: `(values ${rows.join(',\n')}) as d (term, model, meaning, sql)`,
  });
}
