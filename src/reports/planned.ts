/** Ready-made views about money that is to come: plans, the money of deals, quotes. */
import { c, joined, type View, view } from '../views/view.ts';
import { wordOf } from './codes.ts';
import { accountOf, atEnd, dealLinks, dealOf, joinDeal, joinMerged, withMerged } from './customers.ts';
import { isDeal, isProject, type Terms } from './definitions.ts';
import { INVOICE_NUMBER, owed } from './invoices.ts';
import { category, currency, words } from './report.ts';

/** Joins the project or deal that the first relation of a plan names. */
const joinRelation = (alias: string, isKind: (alias: string) => string) => `left join (
  select distinct on (r.plan_money_id) r.plan_money_id, r.model_id
    from flowlu.fin_relations r
   where ${isKind('r')} and r._deleted_at is null
   order by r.plan_money_id, r.id
) ${alias} on ${alias}.plan_money_id = n.id`;

export function planned(terms: Terms): readonly View[] {
  const { is, today } = terms;
  const OPEN = `case when ${is.planned_open} then greatest(coalesce(n.total, 0) - coalesce(n.paid_total, 0), 0) else 0 end`;
  const plannedMoney = view({
    name: 'planned_money',
    grain: 'planned payment',
    key: ['plan_id'],
    comment: 'Planned payments of deals, projects and invoices: planned, paid and what is still to come',
    columns: {
      plan_id: c.key('n.id', 'Planned payment', 'fin.plan_money'),
      plan_name: c.word("coalesce(nullif(n.name, ''), n.description)", 'Title of the planned payment'),
      kind: c.text(
        `case when ${is.planned_income} then 'income' when ${is.planned_expense} then 'expense' else 'other' end`,
        'income, expense or other',
      ),
      type: words('fin.plan_money', 'type', 'n.type', 'What the plan stands for'),
      status: words('fin.plan_money', 'status_paid', 'n.status_paid', 'How far the plan is paid'),
      due_date: c.day('n.plan_paid_date', 'Day on which payment is planned'),
      ...currency('n.currency_id'),
      planned_amount: c.amount('coalesce(n.total, 0)', 'Amount planned, without sign'),
      paid_amount: c.amount('coalesce(n.paid_total, 0)', 'Paid so far'),
      open_amount: c.amount(OPEN, 'Still to come; nothing where the plan is settled'),
      gap_amount: c.amount(
        'coalesce(n.total, 0) - coalesce(n.paid_total, 0)',
        'Planned less paid, whatever the state of the plan',
      ),
      is_due: c.yesNo(
        `coalesce(${OPEN} > 0 and n.plan_paid_date < ${today}, false)`,
        'Something is still to come, and was due before today',
      ),
      ...c.linked('project', 'coalesce(for_project.model_id, n.project_id)', 'Project', 'st.projects'),
      ...c.linked('deal', 'of_deal.end_id', 'Deal', 'crm.lead'),
      ...c.linked('partner', atEnd('merged_partner', 'n.crm_company_id'), 'Customer or supplier', 'crm.account'),
      invoice_id: c.key('n.invoice_id', 'Invoice that the plan comes from', 'fin.invoice'),
      invoice_number: c.word(INVOICE_NUMBER, 'Its number as printed'),
      ...c.linked('account', 'n.org_account_id', 'Own bank or cash account', 'fin.bank_account'),
      ...category('n.category_id'),
      updated_at: c.updatedAt('n'),
    },
    with: withMerged('crm_account'),
    from: `flowlu.fin_plan_money n
${joinRelation('for_project', isProject)}
${joinRelation('for_deal', isDeal)}
${joinDeal('of_deal', 'for_deal.model_id')}
${joinMerged('merged_partner', 'n.crm_company_id')}
${joined('fin_invoice', 'i', 'n.invoice_id')}`,
    where: is.planned,
  });

  const sumOf = (what: string) => `coalesce(sum(m.amount) filter (where m.what = '${what}'), 0)`;
  const dealMoney = view({
    name: 'deal_money',
    grain: 'deal and currency',
    key: ['deal_id', 'currency_id', 'currency_code'],
    comment:
      'What was planned, invoiced and paid for each deal, by currency; deals without any money are left out. Of a plan for several deals, what their relations do not divide counts for the first without an amount',
    columns: {
      deal_id: c.key('m.deal_id', 'Deal', 'crm.lead'),
      deal_name: c.word('max(l.name)', 'Title of the deal'),
      state: words('crm.lead', 'active', 'max(l.active)', 'in progress, lost or won'),
      budget: c.amount(
        'max(l.budget)',
        'Amount of the deal, on every row of it; not to be added up, and without a currency',
      ),
      ...currency('m.currency_id', 'max(m.currency_code)'),
      planned_income: c.amount(sumOf('planned income'), 'Money that is planned to come in'),
      planned_expense: c.amount(sumOf('planned expense'), 'Money that is planned to go out'),
      invoiced_amount: c.amount(sumOf('invoiced'), 'Issued invoices of the deal'),
      paid_amount: c.amount(sumOf('paid'), 'Paid on them'),
      open_amount: c.amount(sumOf('open'), 'Owed on them'),
      overpaid_amount: c.amount(sumOf('overpaid'), 'Paid beyond their totals'),
      gap_amount: c.amount(`${sumOf('planned income')} - ${sumOf('paid')}`, 'Planned income less what was paid'),
    },
    with: withMerged('crm_lead'),
    from: `(
  select of_deal.end_id as deal_id, i.currency_id, i.currency_code, part.what, part.amount
    from flowlu.fin_invoice i${owed(terms)}
    join ${dealLinks('fin_invoice')} of_deal on of_deal.record_id = i.id
    cross join lateral (values ('invoiced', said.total), ('paid', paid.amount), ('open', owed.open_amount), ('overpaid', owed.overpaid_amount)) part (what, amount)
   where ${is.invoice} and ${is.issued}
   union all
  select of_deal.end_id, r.currency_id, null, r.what, r.amount
    from (
      select r.model_id, n.currency_id, case when ${is.planned_income} then 'planned income' when ${is.planned_expense} then 'planned expense' else 'other' end as what,
             coalesce(r.amount, case when row_number() over (partition by n.id, r.amount is null order by r.id) = 1
               then greatest(n.total - coalesce(sum(r.amount) over (partition by n.id), 0), 0) end) as amount
        from flowlu.fin_relations r join flowlu.fin_plan_money n on n.id = r.plan_money_id
       where r._deleted_at is null and ${isDeal('r')} and ${is.planned}
    ) r
    ${joinDeal('of_deal', 'r.model_id')}
) m
join flowlu.crm_lead l on l.id = m.deal_id and ${is.deal}`,
    group: 'm.deal_id, m.currency_id, case when m.currency_id is null then m.currency_code end',
  });

  const quotes = view({
    name: 'quotes',
    grain: 'estimate',
    key: ['quote_id'],
    comment: 'Estimates with their customer, their deal and the invoice that was made from them',
    columns: {
      quote_id: c.key('e.id', 'Estimate', 'fin.estimate'),
      quote_number: c.word(
        "coalesce(nullif(e.estimate_number_print, ''), e.estimate_number::text)",
        'Number as printed',
      ),
      status_id: c.integer('e.status_id', 'State of the estimate, by code'),
      status: words('fin.estimate', 'status_id', 'e.status_id', 'State of the estimate'),
      ...c.linked(
        'customer',
        'link.end_id',
        'Customer, see definitions; else the name as printed',
        'crm.account',
        "coalesce(nullif(customer.name, ''), e.customer_name)",
      ),
      ...c.linked('assignee', 'e.assignee_id', 'User responsible for the estimate', 'core.user'),
      ...c.linked('deal', 'of_deal.end_id', 'Deal that the estimate belongs to', 'crm.lead'),
      deal_state: c.text(
        `case when deal.id is not null then ${wordOf('crm.lead', 'active', 'deal.active')} end`,
        'in progress, lost or won',
      ),
      quote_date: c.day('e.invoice_date', 'Day of issue'),
      expire_date: c.day('e.expire_date', 'Last day on which the offer holds'),
      ...currency('e.currency_id', 'e.currency_code'),
      total: c.amount('e.total', 'Amount of the estimate'),
      is_sent: c.yesNo('e.estimate_emailed_date is not null', 'Sent by e-mail'),
      is_invoiced: c.yesNo('made.invoices > 0', 'An invoice was made from it'),
      is_won: c.yesNo(
        'made.invoices > 0 or coalesce(deal.active = 3, false)',
        'An invoice was made from it, or its deal was won',
      ),
      is_expired: c.yesNo(
        `made.invoices = 0 and coalesce(e.expire_date < ${today}, false)`,
        'The offer has ended and no invoice was made from it',
      ),
      invoices: c.count('made.invoices', 'Invoices that were made from it'),
      updated_at: c.updatedAt('e'),
    },
    with: withMerged('crm_account'),
    from: `flowlu.fin_estimate e
left join lateral (select count(*) as invoices from flowlu.fin_invoice i where i.estimate_id = e.id and ${is.invoice}) made on true
${accountOf('fin_estimate', 'customer_id', 'link', 'e')}
${dealOf('of_deal', 'e')}`,
    where: is.quote,
  });
  return [plannedMoney, dealMoney, quotes];
}
