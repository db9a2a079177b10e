/** Module `st`: projects, their portfolios, boards, stages and planned money. */
import { code, date, datetime, decimal, flag, integer, link, model, text } from './fields.ts';
import {
  active,
  audit,
  color,
  currency_id,
  entry,
  extra_fields,
  importOrigin,
  named,
  ordering,
  provenance,
} from './groups.ts';

/** Fields shared by planned revenue and planned expenses of a project. */
const plannedAmount = {
  project_id: link('Project that the amount is planned for', 'st.projects'),
  project_stage_id: link('Stage of the project that the amount falls in', 'st.stages'),
  name: text('What the amount is for'),
  description: text('Free-text details'),
  total: decimal('Planned amount, in its own currency'),
  currency_id,
  status_paid: code('How far the amount is paid', { 0: 'unpaid', 10: 'paid', 20: 'overpaid', 30: 'partly paid' }),
  category_id: link('Finance item that the amount is booked under', 'fin.categories'),
  org_id: link('Own organisation that pays or is paid', 'fin.organization'),
  org_account_id: link('Own bank account used', 'fin.bank_account'),
  crm_company_id: link('Customer or supplier on the other side', 'crm.account'),
  manager_id: link('User responsible for the payment', 'core.user'),
  ordering,
};

export const st = {
  portfolio: model('Project portfolios', 'st', 'flowlu', {
    ...named('Name of the portfolio', 'What the portfolio gathers'),
    active,
    status: code('State of the portfolio (values undocumented)'),
    archive_date: datetime('When the portfolio was archived'),
    archive_description: text('Why the portfolio was archived'),
    ordering,
    ...audit,
  }),

  project_expense: model('Planned project expenses', 'st', 'expected', {
    ...plannedAmount,
    date: date('Day on which the expense is planned'),
    ...audit,
  }),

  project_money_stage: model('Planned project revenue (payment stages)', 'st', 'expected', {
    ...plannedAmount,
    plan_paid_date: date('Day on which payment is planned'),
    paid_date: date('Day on which payment came in'),
    invoice_id: link('Invoice made for this stage', 'fin.invoice'),
    ...audit,
  }),

  project_observers: model('Team and observers of projects', 'st', 'flowlu', {
    project_id: link('The project', 'st.projects'),
    user_id: link('User who takes part or observes', 'core.user'),
    role: code('Part that the user plays (other values undocumented)', { 10: 'observer' }),
  }),

  project_types: model('Project boards (templates)', 'st', 'flowlu', {
    ...named('Name of the board', 'What the board is for'),
    description_project: text('Description given to new projects of this board'),
    report: text('Report template of the board (exact meaning undocumented)'),
    tasks_workflow_id: link('Workflow for tasks of new projects', 'task.workflows'),
    auto_startdate_plus_days: integer('Start of a new project, days after its creation'),
    auto_enddate_plus_days: integer('End of a new project, days after its creation'),
    create_tasks_next_stage: flag('Tasks are created for the current stage only'),
    manual_close_checkitems: flag('Checklist items are ticked off by hand'),
    is_active: flag('Offered for new projects'),
    ordering,
    ...importOrigin,
  }),

  projects: model('Projects', 'st', 'flowlu', {
    ...named('Name of the project', 'What the project is about'),
    project_type_id: link('Board (template) of the project', 'st.project_types'),
    stage_id: link('Stage that the project has reached', 'st.stages'),
    briefcase_id: link('Portfolio that the project belongs to', 'st.portfolio'),
    workspace_id: link('Workspace of the project'),
    manager_id: link('User who manages the project', 'core.user'),
    customer_id: link('Customer of the project', 'crm.account'),
    customer_crm_contact_id: link('Contact person at the customer', 'crm.account'),
    crm_lead_id: link('Deal that the project came from', 'crm.lead'),
    priority: code('Urgency of the project', { 1: 'low', 2: 'medium', 3: 'high' }),
    startdate: date('First day of the project'),
    enddate: date('Last day of the project'),
    ordering,

    estimated_revenue: decimal('Revenue expected from the project'),
    estimated_expenses: decimal('Expenses expected for the project'),
    billing_type: code('How the project is billed (values undocumented)'),
    bill_taxes: code('Taxes in project billing (values undocumented)'),
    default_billing_rate: decimal('Hourly rate charged to the customer unless set otherwise'),
    default_employee_cost_rate: decimal('Hourly cost of an employee unless set otherwise'),
    default_bill_time_type: text('How billable time is reckoned unless set otherwise (values undocumented)'),
    default_time_cost_type: text('How the cost of time is reckoned unless set otherwise (values undocumented)'),
    default_only_completed_task: text('Whether only completed tasks are billed unless set otherwise'),
    default_invoice_item_format: text('Wording of invoice lines made from the project'),
    default_invoice_split_type_in_project: code('How work is split into invoice lines (values undocumented)'),
    use_default_invoice_split_type: flag('The portal-wide way of splitting invoice lines applies'),
    tasks_workflow_id: link('Workflow for the tasks of the project', 'task.workflows'),

    is_archive: flag('Archived'),
    archive_date: datetime('When the project was archived'),
    archive_description: text('Why the project was archived'),
    extra_fields,
    ...provenance,
  }),

  stage_checkitems: model('Checklist items of project stages', 'st', 'expected', {
    project_id: link('Project of the item; none on a board', 'st.projects'),
    stage_id: link('Stage that the item belongs to', 'st.stages'),
    from_checkitem_id: link('Item of the board that this one was copied from', 'st.stage_checkitems'),
    ...named('What has to be done', 'Free-text details of the item'),
    responsible_id: link('User who sees to the item', 'core.user'),
    enddate: date('Day by which the item is due'),
    checked: flag('Done'),
    report: text('Report on how the item was done'),
    ...entry,
  }),

  stages: model('Project stages', 'st', 'flowlu', {
    project_type_id: link('Board that the stage belongs to', 'st.project_types'),
    project_id: link('Project that has this stage of its own', 'st.projects'),
    name: text('Name of the stage'),
    fullname: text('Long name used in reports'),
    description: text('What the stage stands for'),
    color,
    color_class: text('Style class of the colour (documented as under development)'),
    ordering,
    ...importOrigin,
  }),
};
