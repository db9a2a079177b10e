/** Ready-made views about invoices and payments. */
import { catalog } from '../../catalog/index.ts';
import type { View } from '../live-columns.ts';
import { amount, day, days, isProject, key, name, report, word, words, yesNo } from './report.ts';

const { invoice, transaction } = catalog.fin;

/** What was paid on an invoice in its own currency; one that is marked as paid owes nothing, whatever is known of payments. */
const INVOICES = `flowlu.fin_invoice i
${name('crm_account', 'customer', 'i.customer_id')}
${name('fin_organization', 'issuer', 'i.org_id')}
${name('core_user', 'assignee', 'i.assignee_id')}
${name('st_projects', 'project', `i.model_id and ${isProject('i')}`)}
left join (
  select invoice_id, sum(case type when 20 then -icy_total else icy_total end) as paid
    from flowlu.fin_transaction where _deleted_at is null and status = 10 group by invoice_id
) payment on payment.invoice_id = i.id`;
/** No templates. */
export const LIVE_INVOICES = 'i._deleted_at is null and i.is_template is not true';
/** An expense that is booked on an invoice takes back what was paid, but adds nothing to what is owed. */
const PAID = 'greatest(coalesce(payment.paid, 0), 0)';
const OWED = `case when i.status_id in (30, 40) then 0 else greatest(i.total - ${PAID}, 0) end`;
/** Confirmed or partly paid, and due before today. */
export const OVERDUE = 'i.status_id in (13, 20) and i.due_date < current_date';

const INVOICE = {
  invoice_id: key('i.id', 'Invoice', 'fin.invoice'),
  invoice_number: word("coalesce(nullif(i.invoice_number_print, ''), i.invoice_number::text)", 'Number as printed'),
  status: words(invoice.fields.status_id, 'i.status_id', 'State of the invoice'),
  customer_id: key('i.customer_id', 'Customer', 'crm.account'),
  customer_name: word("coalesce(nullif(customer.name, ''), i.customer_name)", 'Customer, else the name as printed'),
  assignee_name: word('assignee.name', 'User responsible for the invoice'),
  invoice_date: day('i.invoice_date', 'Day of issue'),
  due_date: day('i.due_date', 'Day by which payment is due'),
  currency_code: word('i.currency_code', 'Currency of the amounts'),
  total: amount('i.total', 'Amount of the invoice, in its currency'),
  paid_amount: amount(PAID, 'Payments that are known, in the currency of the invoice'),
  open_amount: amount(OWED, 'What is still owed, in the currency of the invoice'),
} as const;

const invoices = report({
  name: 'invoices',
  comment: 'Invoices with customer, project and what is paid and still owed; no templates',
  columns: {
    ...INVOICE,
    paid_date: day('i.paid_date', 'Day on which the invoice was paid'),
    is_overdue: yesNo(`coalesce(${OVERDUE}, false)`, 'Confirmed or partly paid, and due before today'),
    issuer_name: word('issuer.name', 'Own organisation that issues the invoice'),
    project_id: key(`case when ${isProject('i')} then i.model_id end`, 'Project', 'st.projects'),
    project_name: word('project.name', 'Project that the invoice belongs to'),
  },
  from: `${INVOICES}\nwhere ${LIVE_INVOICES}`,
});

const overdueInvoices = report({
  name: 'overdue_invoices',
  comment: 'Invoices that are confirmed or partly paid and were due before today, with how long',
  columns: {
    ...INVOICE,
    days_overdue: days('current_date - i.due_date', 'Days since the due date'),
    age: [
      'text',
      "case when current_date - i.due_date <= 30 then '1-30 days' when current_date - i.due_date <= 60 then '31-60 days' when current_date - i.due_date <= 90 then '61-90 days' else 'over 90 days' end",
      'The usual classes of age',
    ],
    customer_email: word('customer.email', 'Main e-mail address of the customer'),
    customer_phone: word('customer.phone', 'Main telephone number of the customer'),
  },
  from: `${INVOICES}\nwhere ${LIVE_INVOICES} and ${OVERDUE}`,
});

const payments = report({
  name: 'payments',
  comment: 'Money in and out with whom, what for and from which account',
  columns: {
    transaction_id: key('x.id', 'Transaction', 'fin.transaction'),
    date: day('x.date', 'Day of the transaction'),
    direction: words(transaction.fields.type, 'x.type', 'income or expense'),
    status: words(transaction.fields.status, 'x.status', 'Whether the money has moved'),
    amount: amount(
      'case x.type when 20 then x.outcome else x.income end',
      'Amount without sign, in the currency of the transaction',
    ),
    currency_id: ['bigint', 'x.currency_id', 'Currency of the transaction, by number'],
    amount_base: amount(
      'case x.type when 20 then -x.bcy_outcome else x.bcy_income end',
      'Amount in the base currency of the portal; expenses are negative',
    ),
    partner_id: key('x.crm_account_id', 'Customer or supplier', 'crm.account'),
    partner_name: word('partner.name', 'Customer or supplier'),
    invoice_id: key('x.invoice_id', 'Invoice', 'fin.invoice'),
    invoice_number: word(
      "coalesce(nullif(i.invoice_number_print, ''), i.invoice_number::text)",
      'Invoice that it settles',
    ),
    project_id: key('x.project_id', 'Project', 'st.projects'),
    project_name: word('project.name', 'Project that it belongs to'),
    account_name: word('account.name', 'Own bank or cash account'),
    organisation_name: word('own.name', 'Own organisation'),
    purpose: word("coalesce(nullif(x.description, ''), x.name)", 'Purpose of the transaction, else its title'),
  },
  from: `flowlu.fin_transaction x
${name('crm_account', 'partner', 'x.crm_account_id')}
${name('fin_invoice', 'i', 'x.invoice_id')}
${name('st_projects', 'project', 'x.project_id')}
${name('fin_bank_account', 'account', 'x.org_account_id')}
${name('fin_organization', 'own', 'x.org_id')}
where x._deleted_at is null`,
});

export const money: readonly View[] = [invoices, overdueInvoices, payments];
