/** Ready-made views about invoices: what is paid and what is owed. */
import { c, type View, view } from '../views/view.ts';
import { dealOf, followed, withMerged } from './customers.ts';
import { isProject, moneyKind, type Terms } from './definitions.ts';
import { currency, linkOf, words } from './report.ts';

/** Rate from each currency to the base currency, as the portal's bank accounts have it. */
const RATES = `(
  select distinct on (account.currency_id) account.currency_id, account.currency_exchange_rate as rate
    from flowlu.fin_bank_account account
   where account.currency_exchange_rate > 0 and account._deleted_at is null
   order by account.currency_id, account.active desc nulls last, account.id
)`;

/**
 * What was paid on an invoice and what is owed, in its currency, as laterals on `i`.
 *
 * Payments may be booked without a transaction, so three sources are asked: the transactions that settle the invoice, what
 * the invoice itself says was paid, and its state. One in state paid owes nothing; of one that is partly paid or overpaid the
 * larger of the other two counts, as far as it fits that state; of any other, the transactions. `offset 0` keeps the planner
 * from working each of them out once for every column that is made of it.
 */
export const owed = ({ is }: Terms): string => `
left join ${RATES} rates on rates.currency_id = i.currency_id
left join lateral (
  select sum(case ${moneyKind} when 'expense' then -1 when 'income' then 1 else sign(coalesce(x.income, 0) - coalesce(x.outcome, 0)) end
             * coalesce(x.icy_total, coalesce(x.income, 0) + coalesce(x.outcome, 0))) as amount
    from flowlu.fin_transaction x
   where x.invoice_id = i.id and ${is.transaction} and ${is.moves_cash}
) settled on true
cross join lateral (
  select coalesce(case when i.ps_currency_id = i.currency_id then nullif(i.pscy_paid_total, 0) end,
                  round(nullif(i.bcy_paid_total, 0) / coalesce(rates.rate, 1), 2)) as amount,
         (i.ps_currency_id = i.currency_id and i.pscy_paid_total <> 0) is true as is_exact, coalesce(i.total, 0) as total
  offset 0
) said
cross join lateral (
  select case i.status_id when 40 then said.total
              when 30 then greatest(said.total, settled.amount, said.amount)
              when 20 then greatest(settled.amount, case when said.amount < said.total then said.amount end, 0)
              else greatest(coalesce(settled.amount, 0), least(said.total, 0)) end as amount
  offset 0
) paid
cross join lateral (
  select case when ${is.issued} then greatest(said.total - paid.amount, 0) end as open_amount,
         case when ${is.issued} then greatest(paid.amount - said.total, 0) end as overpaid_amount
  offset 0
) owed`;

/**
 * The sources do not agree to the cent, or the state says another thing than they. What the invoice says in the base currency
 * is compared only where a rate of today cannot make the difference: in states that go by it, and where nothing is paid.
 */
const DIFFER = `coalesce(abs(settled.amount - paid.amount) > 0.005, false)
  or coalesce(abs(said.amount - paid.amount) > 0.005 and (said.is_exact or i.status_id in (20, 30) or paid.amount = 0), false)
  or (i.status_id = 20 and not (paid.amount > 0 and paid.amount < said.total))
  or (i.status_id = 30 and paid.amount <= said.total)`;

/** Invoices, each with its customer as `end_id` and its project. */
export const INVOICES_WITH_CUSTOMER = followed([
  [
    'i.*, of_project.model_id as the_project_id',
    `flowlu.fin_invoice i ${linkOf('fin_invoice', 'of_project', 'i', isProject)}`,
    'i.customer_id',
    'true',
  ],
]);

export const INVOICE_NUMBER = "coalesce(nullif(i.invoice_number_print, ''), i.invoice_number::text)";

export function invoices(terms: Terms): readonly View[] {
  const { is, today } = terms;
  const rows = `${INVOICES_WITH_CUSTOMER} i${owed(terms)}
${dealOf('of_deal', 'i')}`;
  const columns = {
    invoice_id: c.key('i.id', 'Invoice', 'fin.invoice'),
    invoice_number: c.word(INVOICE_NUMBER, 'Number as printed'),
    status: words('fin.invoice', 'status_id', 'i.status_id', 'State of the invoice'),
    ...c.linked(
      'customer',
      'i.end_id',
      'Customer, see definitions; else the name as printed',
      'crm.account',
      "coalesce(nullif(customer.name, ''), i.customer_name)",
    ),
    ...c.linked('assignee', 'i.assignee_id', 'User responsible for the invoice', 'core.user'),
    invoice_date: c.day('i.invoice_date', 'Day of issue'),
    due_date: c.day('i.due_date', 'Day by which payment is due'),
    ...currency('i.currency_id', 'i.currency_code'),
    total: c.amount('said.total', 'Amount of the invoice'),
    paid_amount: c.amount(
      'paid.amount',
      'What was paid: total = paid_amount + open_amount - overpaid_amount for every issued invoice',
    ),
    open_amount: c.amount('owed.open_amount', 'What is owed; none for invoices that are not issued'),
    overpaid_amount: c.amount(
      'owed.overpaid_amount',
      'What was paid beyond the total; none for invoices that are not issued',
    ),
    paid_sources_differ: c.yesNo(
      DIFFER,
      'The transactions, what the invoice itself says and its state do not tell the same amount',
    ),
    ...c.linked('project', 'i.the_project_id', 'Project that the invoice belongs to', 'st.projects'),
    ...c.linked('deal', 'of_deal.end_id', 'Deal that the invoice belongs to', 'crm.lead'),
    ...c.linked('issuer', 'i.org_id', 'Own organisation that issues the invoice', 'fin.organization'),
  } as const;

  return [
    view({
      name: 'invoices',
      grain: 'invoice, drafts included',
      key: ['invoice_id'],
      comment: 'Invoices with customer, project and what is paid and still owed; no templates',
      columns: {
        ...columns,
        is_issued: c.yesNo(`coalesce(${is.issued}, false)`, 'Issued, see definitions; false for drafts'),
        is_overdue: c.yesNo(`coalesce(${is.overdue}, false)`, 'Issued, something is owed, and due before today'),
        paid_date: c.day('i.paid_date', 'Day on which the invoice was paid'),
        updated_at: c.updatedAt('i'),
      },
      with: withMerged('crm_account'),
      from: rows,
      where: is.invoice,
    }),
    view({
      name: 'overdue_invoices',
      grain: 'overdue invoice',
      key: ['invoice_id'],
      comment: 'Issued invoices on which something is owed and that were due before today, with how long',
      columns: {
        ...columns,
        days_overdue: c.integer(`${today} - i.due_date`, 'Days since the due date'),
        age: c.text(
          `case when ${today} - i.due_date <= 30 then '1-30 days' when ${today} - i.due_date <= 60 then '31-60 days' when ${today} - i.due_date <= 90 then '61-90 days' else 'over 90 days' end`,
          'The usual classes of age',
        ),
        customer_email: c.word('customer.email', 'Main e-mail address of the customer'),
        customer_phone: c.word('customer.phone', 'Main telephone number of the customer'),
        updated_at: c.updatedAt('i'),
      },
      with: withMerged('crm_account'),
      from: rows,
      where: `${is.invoice} and ${is.overdue}`,
    }),
  ];
}
