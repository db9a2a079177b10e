/**
 * Indexed columns of the mirror tables for readers: by table, each column alone. Chosen by measuring (`npx tsx
 * bench/indexes.ts`, decision 50): few, since each makes every write of its table slower, and none on columns that
 * every write changes, such as `_observed_at`. The exception, `_version`, is for catching up rather than for readers
 * (decision 67).
 */
export const indexedColumns: Readonly<Record<string, readonly string[]>> = {
  crm_lead: ['customer_id', 'contact_id', 'closing_date', 'created_date'],
  crm_lead_accounts: ['lead_id', 'account_id'],
  task_tasks: ['responsible_id', 'model_id', 'crm_account_id', 'deadline', 'closed_date'],
  timetracker_timelogs: ['start_timestamp', 'timesheet_id'],
  timetracker_timesheets: ['model_id'],
  fin_invoice: ['customer_id', 'invoice_date', 'status_id', 'model_id', 'estimate_id'],
  fin_invoice_item: ['invoice_id'],
  fin_relations: ['plan_money_id'],
  fin_transaction: ['date', 'project_id', 'invoice_id', 'crm_account_id'],
};

/**
 * Columns that say into which record another was merged. An index of the merged rows alone, with their ids, is all that
 * following merges reads; rows that were not merged are not in it, so that writing them costs nothing.
 */
export const mergedInto: Readonly<Record<'crm_account' | 'crm_lead', string>> = {
  crm_account: 'merged_to',
  crm_lead: 'merged_to_id',
};
