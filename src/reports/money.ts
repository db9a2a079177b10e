/** Ready-made views about money that has moved: transactions, cash, categories. */
import { c, joined, type View, view } from '../views/view.ts';
import { PAYMENTS_WITH_PARTNER, withMerged } from './customers.ts';
import { cashState, moneyKind, type Terms } from './definitions.ts';
import { INVOICE_NUMBER } from './invoices.ts';
import { byMonth, category, currency, words } from './report.ts';

/** Amounts with their sign: money in is positive. */
const SIGNED = 'coalesce(x.income, 0) - coalesce(x.outcome, 0)';
export const SIGNED_BASE = 'coalesce(x.bcy_income, 0) - coalesce(x.bcy_outcome, 0)';

/** That the money has moved, as a condition that the planner takes to hold for every second transaction and not for one in a hundred. */
export const movedCash = ({ is }: Terms): string => `coalesce(${is.moves_cash}, false)`;

const sumBase = (where: string, comment: string) =>
  c.amount(`coalesce(sum(${SIGNED_BASE}) filter (where ${where}), 0)`, comment);

/** Income, expense, other and their balance, in the base currency; they add up over any rows. */
const balance = ({ is }: Terms, counted: string, what: string) =>
  ({
    income_base: sumBase(`${is.income} and ${counted}`, `Income, ${what}, in the base currency of the portal`),
    expense_base: sumBase(`${is.expense} and ${counted}`, `Expenses, ${what}, refunds included; negative`),
    other_base: sumBase(`${is.other} and ${counted}`, `Neither, ${what}: transfers and unknown types`),
    balance_base: sumBase(counted, 'income_base + expense_base + other_base'),
  }) as const;

export function money(terms: Terms): readonly View[] {
  const { is } = terms;
  const payments = view({
    name: 'payments',
    grain: 'transaction, whatever its state',
    key: ['transaction_id'],
    comment: 'Money in and out with whom, what for and from which account',
    columns: {
      transaction_id: c.key('x.id', 'Transaction', 'fin.transaction'),
      date: c.day('x.date', 'Day of the transaction'),
      direction: words('fin.transaction', 'type', 'x.type', 'Type of the transaction, such as income or expense'),
      kind: c.text(moneyKind, 'income, expense or other, see definitions'),
      status: words('fin.transaction', 'status', 'x.status', 'State of the transaction'),
      moves_cash: c.yesNo(is.moves_cash, 'The money has moved; none where the state is unknown'),
      counts_in_pl: c.yesNo(is.counts_in_pl, 'Counts in profit and loss; none where the state is unknown'),
      is_refund: c.yesNo(`coalesce(${is.refund}, false)`, 'Money paid back on an own invoice'),
      is_storno: c.yesNo('coalesce(x.is_storno, false)', 'Reverses an earlier transaction'),
      amount: c.amount(`abs(${SIGNED})`, 'Amount without sign'),
      signed_amount: c.amount(SIGNED, 'The same, money out negative'),
      ...currency('x.currency_id', 'case when x.currency_id = i.currency_id then i.currency_code end'),
      amount_base: c.amount(SIGNED_BASE, 'Amount in the base currency of the portal; money out is negative'),
      ...c.linked(
        'partner',
        'x.end_id',
        'Customer or supplier, merges followed; else the customer of the invoice',
        'crm.account',
      ),
      invoice_id: c.key('x.invoice_id', 'Invoice', 'fin.invoice'),
      invoice_number: c.word(INVOICE_NUMBER, 'Invoice that it settles'),
      ...c.linked('project', 'x.project_id', 'Project that it belongs to', 'st.projects'),
      ...c.linked('account', 'x.org_account_id', 'Own bank or cash account', 'fin.bank_account'),
      ...c.linked('organisation', 'x.org_id', 'Own organisation', 'fin.organization'),
      ...category('x.category_id'),
      purpose: c.word("coalesce(nullif(x.description, ''), x.name)", 'Purpose of the transaction, else its title'),
      updated_at: c.updatedAt('x'),
    },
    with: withMerged('crm_account'),
    from: `${PAYMENTS_WITH_PARTNER} x
${joined('fin_invoice', 'i', 'x.invoice_id')}`,
    where: is.transaction,
  });

  const OTHER = '(x.currency_id <> account.currency_id)';
  const cashPosition = view({
    name: 'cash_position',
    grain: 'own bank or cash account; a last one for transactions without an account',
    key: ['account_id'],
    hasNobody: true,
    comment: 'What is on each account, by its fixed balance and what has moved since, and by what Flowlu itself says',
    columns: {
      ...c.linked('account', 'coalesce(own.id, moved.account_id)', 'Own bank or cash account', 'fin.bank_account'),
      ...c.linked('organisation', 'own.org_id', 'Own organisation that holds it', 'fin.organization'),
      ...currency('coalesce(own.currency_id, moved.currency_id)'),
      is_closed: c.yesNo('own.active is false or own.closed_at is not null', 'No longer in use'),
      fixed_balance: c.amount('own.fixed_balance', 'Balance fixed as the starting point'),
      fixed_balance_date: c.day('own.fixed_balance_date', 'Day for which it was fixed'),
      moved_since: c.amount(
        'case when moved.several_currencies then null else coalesce(moved.amount, 0) end',
        'What has moved on the account after that day, money out negative, in the currency of the account; none where that is not known and the transactions are in several',
      ),
      balance: c.amount(
        'case when moved.several_currencies then null else coalesce(own.fixed_balance, 0) + coalesce(moved.amount, 0) end',
        'fixed_balance + moved_since',
      ),
      other_currencies_base: c.amount(
        'coalesce(moved.other_base, 0)',
        'What has moved on the account in other currencies than its own, in the base currency; not part of balance',
      ),
      flowlu_balance_base: c.amount(
        'own.bcy_balance',
        'Balance as Flowlu itself says, in the base currency of the portal',
      ),
      moved_base: c.amount(
        'coalesce(moved.amount_base, 0)',
        'All that ever moved on the account, in the base currency',
      ),
      unclear_base: c.amount(
        'coalesce(moved.unclear_base, 0)',
        'Transactions in an unknown state, in none of the other figures',
      ),
      last_moved_on: c.day('moved.last_date', 'Day of the last transaction'),
    },
    from: `(select * from flowlu.fin_bank_account account where account._deleted_at is null) own
full join (
  select x.org_account_id as account_id,
         sum(${SIGNED}) filter (where ${is.moves_cash} and (x.date <= account.fixed_balance_date) is not true and ${OTHER} is not true) as amount,
         sum(${SIGNED_BASE}) filter (where ${is.moves_cash} and ${OTHER}) as other_base,
         case when min(x.currency_id) = max(x.currency_id) then min(x.currency_id) end as currency_id,
         max(account.currency_id) is null and min(x.currency_id) <> max(x.currency_id) as several_currencies,
         sum(${SIGNED_BASE}) filter (where ${is.moves_cash}) as amount_base,
         sum(${SIGNED_BASE}) filter (where ${is.moves_cash} is null) as unclear_base,
         max(x.date) filter (where ${is.moves_cash}) as last_date
    from flowlu.fin_transaction x ${joined('fin_bank_account', 'account', 'x.org_account_id')} and account._deleted_at is null
   where ${is.transaction}
   group by x.org_account_id
) moved on moved.account_id = own.id`,
  });

  const cashFlow = view({
    name: 'cash_flow_by_month',
    grain: 'month and own organisation',
    key: ['month', 'organisation_id'],
    comment: 'Money that has moved by month, in the base currency of the portal',
    columns: {
      month: c.day('x.month', 'First day of the month; none for transactions without a day'),
      ...c.linked('organisation', 'x.org_id', 'Own organisation', 'fin.organization', 'max(organisation.name)'),
      ...balance(terms, is.moves_cash, 'as far as the money has moved'),
      refunds_base: sumBase(
        `${is.refund} and ${is.moves_cash}`,
        'The part of expense_base that was paid back on own invoices',
      ),
      unclear_base: sumBase(
        `${is.moves_cash} is null`,
        'Transactions in an unknown state, in none of the other figures',
      ),
      transactions: c.count(`count(*) filter (where ${is.moves_cash})`, 'Transactions that moved money'),
    },
    from: `${byMonth('fin_transaction', 'x', 'x.date', is.transaction)} x`,
    group: 'x.month, x.org_id',
  });

  const byCategory = view({
    name: 'money_by_category_and_month',
    grain: 'month, category and kind',
    key: ['month', 'category_id', 'kind'],
    comment:
      'Income and expense by category and month, as cash and as profit and loss, by the day of the transaction; the month of accrual is not known',
    columns: {
      month: c.day('x.month', 'First day of the month; none for transactions without a day'),
      ...category('x.category_id', 'max(category.name)'),
      kind: c.text(moneyKind, 'income, expense or other, see definitions'),
      cash_base: sumBase(is.moves_cash, 'As far as the money has moved, in the base currency; money out negative'),
      pl_base: sumBase(is.counts_in_pl, 'As far as it counts in profit and loss'),
      unclear_base: sumBase(`${cashState} is null`, 'Transactions in an unknown state, in none of the other figures'),
      transactions: c.count('count(*)', 'Transactions, those that are not executed included'),
    },
    from: `${byMonth('fin_transaction', 'x', 'x.date', is.transaction)} x`,
    group: `x.month, x.category_id, ${moneyKind}`,
  });
  return [payments, cashPosition, cashFlow, byCategory];
}
