/** Ready-made views about money that is to come: plans, the money of deals, quotes. */
import type { View } from '../live-columns.ts';
import { wordOf } from './codes.ts';
import { ESTIMATE_CUSTOMERS } from './customers.ts';
import { isDeal, isProject, type Terms } from './definitions.ts';
import { owed } from './invoices.ts';
import {
  amount,
  count,
  currency,
  day,
  key,
  linked,
  linkOf,
  name,
  report,
  updatedAt,
  word,
  words,
  yesNo,
} from './report.ts';

/** The project or deal of a plan: that of its first relation, else of its own link. */
const relation = (isKind: (alias: string) => string) => `(
  select r.model_id from flowlu.fin_relations r
   where r.plan_money_id = n.id and ${isKind('r')} and r._deleted_at is null order by r.id limit 1)`;

export function planned(terms: Terms): readonly View[] {
  const { is, today } = terms;
  const OPEN = `case when ${is.planned_open} then greatest(coalesce(n.total, 0) - coalesce(n.paid_total, 0), 0) else 0 end`;
  const plannedMoney = report({
    name: 'planned_money',
    grain: 'planned payment',
    key: ['plan_id'],
    comment: 'Planned payments of deals, projects and invoices: planned, paid and what is still to come',
    columns: {
      plan_id: key('n.id', 'Planned payment', 'fin.plan_money'),
      plan_name: word("coalesce(nullif(n.name, ''), n.description)", 'Title of the planned payment'),
      kind: [
        'text',
        `case when ${is.planned_income} then 'income' when ${is.planned_expense} then 'expense' else 'other' end`,
        'income, expense or other',
      ],
      type: words('fin.plan_money', 'type', 'n.type', 'What the plan stands for'),
      status: words('fin.plan_money', 'status_paid', 'n.status_paid', 'How far the plan is paid'),
      due_date: day('n.plan_paid_date', 'Day on which payment is planned'),
      ...currency('n.currency_id'),
      planned_amount: amount('coalesce(n.total, 0)', 'Amount planned, without sign'),
      paid_amount: amount('coalesce(n.paid_total, 0)', 'Paid so far'),
      open_amount: amount(OPEN, 'Still to come; nothing where the plan is settled'),
      gap_amount: amount(
        'coalesce(n.total, 0) - coalesce(n.paid_total, 0)',
        'Planned less paid, whatever the state of the plan',
      ),
      is_due: yesNo(
        `coalesce(${OPEN} > 0 and n.plan_paid_date < ${today}, false)`,
        'Something is still to come, and was due before today',
      ),
      ...linked('project', 'n.the_project_id', 'Project', 'st.projects'),
      ...linked('deal', 'n.the_deal_id', 'Deal', 'crm.lead'),
      ...linked('partner', 'n.crm_company_id', 'Customer or supplier', 'crm.account'),
      invoice_id: key('n.invoice_id', 'Invoice that the plan comes from', 'fin.invoice'),
      ...linked('account', 'n.org_account_id', 'Own bank or cash account', 'fin.bank_account'),
      category_id: ['bigint', 'n.category_id', 'Finance item'],
      updated_at: updatedAt('n'),
    },
    from: `(
  select n.*, coalesce(${relation(isProject)}, n.project_id) as the_project_id, ${relation(isDeal)} as the_deal_id
    from flowlu.fin_plan_money n where ${is.planned}
) n
${name('st_projects', 'project', 'n.the_project_id')}
${name('crm_lead', 'deal', 'n.the_deal_id')}
${name('crm_account', 'partner', 'n.crm_company_id')}
${name('fin_bank_account', 'account', 'n.org_account_id')}`,
  });

  const sumOf = (what: string) => `coalesce(sum(m.amount) filter (where m.what = '${what}'), 0)`;
  const dealMoney = report({
    name: 'deal_money',
    grain: 'deal and currency',
    key: ['deal_id', 'currency_id'],
    comment: 'What was planned, invoiced and paid for each deal, by currency; deals without any money are left out',
    columns: {
      deal_id: key('m.deal_id', 'Deal', 'crm.lead'),
      deal_name: word('max(l.name)', 'Title of the deal'),
      state: words('crm.lead', 'active', 'max(l.active)', 'in progress, lost or won'),
      budget: amount(
        'max(l.budget)',
        'Amount of the deal, on every row of it; not to be added up, and without a currency',
      ),
      ...currency('m.currency_id', 'max(m.currency_code)'),
      planned_income: amount(sumOf('planned income'), 'Money that is planned to come in'),
      planned_expense: amount(sumOf('planned expense'), 'Money that is planned to go out'),
      invoiced_amount: amount(sumOf('invoiced'), 'Issued invoices of the deal'),
      paid_amount: amount(sumOf('paid'), 'Paid on them'),
      open_amount: amount(sumOf('open'), 'Owed on them'),
      overpaid_amount: amount(sumOf('overpaid'), 'Paid beyond their totals'),
      gap_amount: amount(`${sumOf('planned income')} - ${sumOf('paid')}`, 'Planned income less what was paid'),
    },
    from: `(
  select i.model_id as deal_id, i.currency_id, i.currency_code, part.what, part.amount
    from flowlu.fin_invoice i${owed(terms)}
    cross join lateral (values ('invoiced', said.total), ('paid', paid.amount), ('open', owed.open_amount), ('overpaid', owed.overpaid_amount)) part (what, amount)
   where ${is.invoice} and ${is.issued} and ${isDeal('i')}
   union all
  select r.model_id, n.currency_id, null, case when ${is.planned_income} then 'planned income' when ${is.planned_expense} then 'planned expense' else 'other' end,
         coalesce(r.amount, n.total)
    from flowlu.fin_relations r join flowlu.fin_plan_money n on n.id = r.plan_money_id
   where r._deleted_at is null and ${isDeal('r')} and ${is.planned}
) m
join flowlu.crm_lead l on l.id = m.deal_id and ${is.deal}
group by m.deal_id, m.currency_id`,
  });

  const quotes = report({
    name: 'quotes',
    grain: 'estimate',
    key: ['quote_id'],
    comment: 'Estimates with their customer, their deal and the invoice that was made from them',
    columns: {
      quote_id: key('e.id', 'Estimate', 'fin.estimate'),
      quote_number: word("coalesce(nullif(e.estimate_number_print, ''), e.estimate_number::text)", 'Number as printed'),
      status_id: ['integer', 'e.status_id', 'State of the estimate, by code'],
      status: words('fin.estimate', 'status_id', 'e.status_id', 'State of the estimate'),
      ...linked(
        'customer',
        'link.customer_id',
        'Customer, see definitions; else the name as printed',
        'crm.account',
        "coalesce(nullif(customer.name, ''), e.customer_name)",
      ),
      ...linked('assignee', 'e.assignee_id', 'User responsible for the estimate', 'core.user'),
      ...linked('deal', 'of_deal.model_id', 'Deal that the estimate belongs to', 'crm.lead'),
      deal_state: [
        'text',
        `case when deal.id is not null then ${wordOf('crm.lead', 'active', 'deal.active')} end`,
        'in progress, lost or won',
      ],
      quote_date: day('e.invoice_date', 'Day of issue'),
      expire_date: day('e.expire_date', 'Last day on which the offer holds'),
      ...currency('e.currency_id', 'e.currency_code'),
      total: amount('e.total', 'Amount of the estimate'),
      is_sent: yesNo('e.estimate_emailed_date is not null', 'Sent by e-mail'),
      is_invoiced: yesNo('coalesce(made.invoices > 0, false)', 'An invoice was made from it'),
      is_won: yesNo(
        'coalesce(made.invoices > 0, false) or coalesce(deal.active = 3, false)',
        'An invoice was made from it, or its deal was won',
      ),
      is_expired: yesNo(
        `coalesce(made.invoices, 0) = 0 and coalesce(e.expire_date < ${today}, false)`,
        'The offer has ended and no invoice was made from it',
      ),
      invoices: count('coalesce(made.invoices, 0)', 'Invoices that were made from it'),
      updated_at: updatedAt('e'),
    },
    from: `flowlu.fin_estimate e
left join (
  select i.estimate_id, count(*) as invoices from flowlu.fin_invoice i where ${is.invoice} and i.estimate_id is not null group by i.estimate_id
) made on made.estimate_id = e.id
left join ${ESTIMATE_CUSTOMERS} link on link.record_id = e.id
${name('crm_account', 'customer', 'link.customer_id')}
${name('core_user', 'assignee', 'e.assignee_id')}
${linkOf('fin_estimate', 'of_deal', 'e', isDeal)}
${name('crm_lead', 'deal', 'of_deal.model_id')}
where ${is.quote}`,
  });
  return [plannedMoney, dealMoney, quotes];
}
