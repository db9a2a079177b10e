/** Codes that the public documentation lists, as `module.model.field` or as a field name used everywhere. */
const CODES: Readonly<Record<string, readonly number[]>> = {
  'crm.account.type': [1, 2],
  'crm.account.active': [1, 1, 1, 0],
  'crm.emails.type': [10, 20, 30],
  'crm.phones.type': [10, 20, 30],
  'crm.lead.active': [1, 1, 2, 3],
  'crm.lead_accounts.account_type': [1, 2],
  'crm.relation.type': [1, 2],
  'task.tasks.type': [0, 0, 0, 0, 1, 20, 21, 22, 23, 30, 40],
  'task.tasks.status': [1, 3, 4, 5],
  'task.tasks.archive_status': [0, 0, 0, 10],
  'task.tasks.event_access_type': [10, 20, 30],
  'task.tasks.event_busy_status': [10, 20],
  'task.tasks.event_type': [21, 22, 23],
  'agile.stages.status': [10, 20, 25, 30],
  'timetracker.timelogs.status': [0, 10, 20, 30],
  'fin.invoice.status_id': [5, 10, 12, 13, 20, 30, 40],
  'fin.invoice_item.type': [10, 10, 10, 20],
  'fin.estimate_item.type': [10, 10, 10, 20],
  'fin.recurring_invoice_item.type': [10, 10, 10, 20],
  'fin.plan_money.type': [10, 20, 30, 40, 50, 60, 70],
  'fin.plan_money.status_paid': [0, 10, 20, 30, 40],
  'fin.transaction.type': [10, 20],
  'fin.transaction.status': [0, 10],
  'loans.loan.monthly_payment_day': [-1, 1, 15, 31],
  'customfields.fields.active': [1],
  priority: [1, 2, 3],
  status_paid: [0, 10, 20, 30],
  currency_id: [1, 1, 1, 2],
  active: [1, 1, 1, 1, 0],
  is_active: [1, 1, 1, 0],
  role_admin: [0, 0, 0, 1],
  role_login: [1],
  role: [10, 20],
};

/** Yes or no, though the documentation calls them numbers. */
const FLAGS = new Set([
  'agile.sprints.started',
  'customfields.fields.required',
  'fin.customer_payment.need_approve',
  'fin.invoice.exported_1c',
  'fin.invoice_contacts.invoice_emailed',
  'fin.invoice_contacts.reminders_sent',
  'fin.organization.default_organization',
  'fin.recurring_invoice.never_expire',
  'knowledgebase.knowledgebases.external',
  'task.tasks.deadline_allowchange',
  'task.tasks.public_template',
  'task.tasks.task_checkbyowner',
  'tax1_included',
  'tax2_included',
]);
const NO_OR_YES = [0, 0, 1];

/** Codes that others saw on live tenants, or that follow from Flowlu's help pages. */
const SEEN_CODES: Readonly<Record<string, readonly number[]>> = {
  'fin.transaction.status': [10, 10, 10, 0, 20, 30],
  // Nobody approves invoices here.
  'fin.invoice.status_id': [5, 10, 10, 10, 20, 30, 40],
  'st.projects.billing_type': [0, 10, 20],
  'fin.customer_payment.status': [0, 10],
  'fin.customer_payment.status_pls': [0, 1],
};

export const codesOf = (model: string, field: string, asSeen = false): readonly number[] | undefined =>
  (asSeen ? SEEN_CODES[`${model}.${field}`] : undefined) ??
  CODES[`${model}.${field}`] ??
  CODES[field] ??
  (FLAGS.has(field) || FLAGS.has(`${model}.${field}`) ? NO_OR_YES : undefined);

const DATE_ONLY = new Set([
  'crm.lead.start_date',
  'crm.lead.deadline',
  'crm.lead.closing_date',
  'crm.account.organization_registration_date',
  'core.user.birth_date',
  'fin.invoice.invoice_date',
  'fin.invoice.due_date',
  'fin.invoice.paid_date',
  'fin.estimate.invoice_date',
  'fin.estimate.expire_date',
  'fin.recurring_invoice.start_date',
  'fin.recurring_invoice.end_date',
  'fin.recurring_invoice.next_run_date',
  'company.absences.start_date',
  'company.absences.end_date',
  'company.absences.original_end_date',
  'fin.invoice_item.paid_date',
  'fin.plan_money.paid_date',
  'fin.plan_money.plan_paid_date',
  'fin.plan_money.pls_date',
  'fin.plan_money.last_child_date',
  'fin.recurring_invoice_item.paid_date',
  'st.project_money_stage.paid_date',
  'st.project_money_stage.plan_paid_date',
  'fin.bank_account.fixed_balance_date',
  'fin.bank_account.pls_fixed_balance_date',
  'loans.loan.issue_date',
  'loans.loan.repayment_date',
  'agile.epics.start_date',
  'agile.epics.end_date',
]);

/** Fields that hold a calendar day, whatever their documented type says. */
export const isDateOnly = (model: string, field: string): boolean =>
  DATE_ONLY.has(`${model}.${field}`) || field === 'date' || field === 'enddate' || field === 'startdate';
