/** Module `timetracker`: time spent on records, and what it costs and earns. */
import { code, decimal, flag, integer, link, model, text, unix } from './fields.ts';
import { audit, currency_id, linkedRecord, named } from './groups.ts';

export const timetracker = {
  billing_entities_list: model('Hourly rates of users and groups', 'timetracker', 'expected', {
    user_id: link('User that the rates are for', 'core.user'),
    group_id: link('User group that the rates are for, in place of a single user'),
    type: code('Kind of entry (values undocumented)'),
    cost_rate: decimal('Hourly cost to the company'),
    billing_rate: decimal('Hourly price charged to the customer'),
    ...audit,
  }),

  timelogs: model('Time logs', 'timetracker', 'flowlu', {
    ...named('What the time was spent on', 'Free-text details of the work'),
    timesheet_id: link('Timesheet that the log adds to', 'timetracker.timesheets'),
    user_id: link('User who worked', 'core.user'),
    status: code('State of the timer', { 0: 'new', 10: 'running', 20: 'paused', 30: 'stopped' }),
    start_timestamp: unix('When work began'),
    stop_timestamp: unix('When work ended'),
    time_spent: integer('Time worked, seconds'),
    is_manual: flag('Entered by hand, not measured'),
    is_billable: flag('Charged to the customer'),
    is_approved: flag('Approved by a manager'),
    rate: decimal('Hourly rate applied (how it relates to the other rates is undocumented)'),
    amount: decimal('Time worked at the rate applied, as money'),
    billing_rate: decimal('Hourly price charged to the customer'),
    billing_amount: decimal('Time worked at the price charged to the customer, as money'),
    employee_cost_rate: decimal('Hourly cost of the employee'),
    employee_cost_amount: decimal('Time worked at the cost of the employee, as money'),
    currency_id,
    invoice_id: link('Invoice that charges the time (deprecated)', 'fin.invoice'),
    ...audit,
  }),

  timesheets: model('Timesheets: time totals of a record', 'timetracker', 'flowlu', {
    ...linkedRecord,
    parent_sheet_id: link('Timesheet of the record above', 'timetracker.timesheets'),
    description: text('Free-text note on the timesheet'),

    time_estimate: integer('Planned time (unit undocumented; time logs count seconds)'),
    aggregated_time_estimate: integer('Planned time with that of the timesheets below (unit undocumented)'),
    time_spent: integer('Time spent (unit undocumented; time logs count seconds)'),
    bill_time: integer('Billable part of the time spent (unit undocumented)'),
    bill_time_estimate: integer('Billable part of the planned time (unit undocumented)'),
    unbill_time: integer('Part of the time spent that is not billable (unit undocumented)'),
    unbill_time_estimate: integer('Part of the planned time that is not billable (unit undocumented)'),

    rate: decimal('Hourly rate applied (how it relates to the other rates is undocumented)'),
    billing_rate: decimal('Hourly price charged to the customer'),
    employee_cost_rate: decimal('Hourly cost of the employee'),
    bill_time_type: text('How billable time is reckoned (values undocumented)'),
    cost_time_type: text('How the cost of time is reckoned (values undocumented)'),
    is_billable: flag('The time is charged to the customer'),
    is_billable_employee: flag('The time is paid to the employee'),
    billing_status: code('How far the time has been invoiced (values undocumented)'),

    amount_timeestimate: decimal('Planned time, as money'),
    amount_timespent: decimal('Time spent, as money'),
    bill_amount_timeestimate: decimal('Planned time at the price charged to the customer, as money'),
    bill_amount_timespent: decimal('Time spent at the price charged to the customer, as money'),
    bill_cost_timeestimate: decimal('Billable planned time at the cost of the employee, as money'),
    bill_cost_timespent: decimal('Billable time spent at the cost of the employee, as money'),
    currency_id,
    invoice_id: link('Invoice that charges the time', 'fin.invoice'),
    ...audit,
  }),
};
