/** Module `loans`: money lent and borrowed. */
import { date, decimal, integer, link, model, text } from './fields.ts';
import { active, audit, currency_id, named } from './groups.ts';

export const loans = {
  loan: model('Loans and borrowings', 'loans', 'aspro', {
    ...named('Name of the loan', 'Free-text details of the loan'),
    type: text('Whether money is lent (loan) or borrowed (borrowing)'),
    repayment_term: text('Whether repayment is short-term or long-term (short, long)'),
    issue_date: date('Day on which the money was paid out'),
    repayment_date: date('Day by which the loan is to be repaid'),
    crm_account_id: link('Lender or borrower on the other side', 'crm.account'),
    org_id: link('Own organisation that lends or borrows', 'fin.organization'),
    business_line_id: link('Line of business that the loan counts towards', 'fin.business_line'),
    manager_id: link('User responsible for the loan', 'core.user'),
    amount: decimal('Amount lent or borrowed'),
    currency_id,
    rate: decimal('Interest rate, percent (period undocumented)'),
    periodic_payment_amount: decimal('Amount of each regular payment'),
    monthly_payment_day: integer('Day of the month on which payment is due; -1 is the last day'),
    active,
    created_at: audit.created_date,
    created_by: audit.created_by,
    updated_at: audit.updated_date,
    updated_by: audit.updated_by,
  }),
};
