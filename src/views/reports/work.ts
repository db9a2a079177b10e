/** Ready-made views about tasks, projects and time. */
import { catalog } from '../../catalog/index.ts';
import { literal } from '../../postgres/quote.ts';
import type { View } from '../live-columns.ts';
import { amount, count, day, days, isProject, key, moment, name, report, word, words, yesNo } from './report.ts';

const { tasks } = catalog.task;

/** Tasks proper: no inbox entries, events, templates or milestones. */
const TASKS = 't._deleted_at is null and t.deleted_at is null and t.type = 0';
const OPEN = `${TASKS} and t.status is distinct from 5 and t.archive_status is distinct from 10 and t.is_archive is not true`;

const responsible = {
  responsible_id: key('t.responsible_id', 'User who does the tasks', 'core.user'),
  responsible_name: word('responsible.name', 'User who does the task'),
} as const;

const openTasks = report({
  name: 'open_tasks',
  comment: 'Tasks that are neither completed nor archived, with the names of everything they are linked to',
  columns: {
    task_id: key('t.id', 'Task', 'task.tasks'),
    task_name: word('t.name', 'Title of the task'),
    ...responsible,
    owner_name: word('owner.name', 'User who set the task'),
    status: words(tasks.fields.status, 't.status', 'State of the task'),
    priority: words(tasks.fields.priority, 't.priority', 'Urgency of the task'),
    stage_name: word('stage.name', 'Stage of the workflow'),
    deadline: moment('t.deadline', 'Moment by which the task is due'),
    is_overdue: yesNo('coalesce(t.deadline < now(), false)', 'The deadline has passed'),
    days_overdue: days(
      'case when t.deadline < now() then floor(extract(epoch from now() - t.deadline) / 86400)::integer end',
      'Whole days since the deadline',
    ),
    project_id: key(`case when ${isProject('t')} then t.model_id end`, 'Project', 'st.projects'),
    project_name: word('project.name', 'Project that the task belongs to'),
    deal_name: word('deal.name', 'Deal that the task belongs to'),
    customer_name: word('customer.name', 'Organisation or contact that the task concerns'),
    created_at: moment('t.created_date', 'When the task was created'),
  },
  from: `flowlu.task_tasks t
${name('core_user', 'responsible', 't.responsible_id')}
${name('core_user', 'owner', 't.owner_id')}
${name('task_stages', 'stage', 't.workflow_stage_id')}
${name('st_projects', 'project', `t.model_id and ${isProject('t')}`)}
${name('crm_lead', 'deal', "t.model_id and t.module = 'crm' and t.model = 'lead'")}
${name('crm_account', 'customer', "coalesce(t.crm_account_id, case when t.module = 'crm' and t.model = 'account' then t.model_id end)")}
where ${OPEN}`,
});

const tasksByPerson = report({
  name: 'tasks_by_person',
  comment: 'Open tasks by the user who does them; a last row without a user for those of nobody',
  columns: {
    ...responsible,
    responsible_name: word('max(responsible.name)', 'User who does the tasks'),
    open_tasks: count('count(*)', 'Tasks that are neither completed nor archived'),
    overdue_tasks: count('count(*) filter (where t.deadline < now())', 'Those whose deadline has passed'),
    due_in_7_days: count(
      "count(*) filter (where t.deadline >= now() and t.deadline < now() + interval '7 days')",
      'Those due within the next seven days',
    ),
    without_deadline: count('count(*) filter (where t.deadline is null)', 'Those without a deadline'),
    high_priority: count('count(*) filter (where t.priority = 3)', 'Those of high priority'),
    next_deadline: moment('min(t.deadline) filter (where t.deadline >= now())', 'The next deadline to come'),
  },
  from: `flowlu.task_tasks t
${name('core_user', 'responsible', 't.responsible_id')}
where ${OPEN}
group by t.responsible_id`,
});

/** Time logs with the project and the task that their timesheet belongs to, and the day by the portal's calendar. */
const logs = (zone: string) => `(
  select g.*, (g.start_timestamp at time zone ${literal(zone)})::date as day,
         case when s.module = 'task' then s.model_id end as task_id,
         case when ${isProject('s')} then s.model_id
              when s.module = 'task' and ${isProject('t')} then t.model_id end as project_id
    from flowlu.timetracker_timelogs g
    left join flowlu.timetracker_timesheets s on s.id = g.timesheet_id
    left join flowlu.task_tasks t on s.module = 'task' and t.id = s.model_id
   where g._deleted_at is null
) g`;

/** Finer than a second, so that sums of hours are those of the seconds. */
const hours = (seconds: string) => `trim_scale(round(${seconds} / 3600.0, 5))`;
const HOURS = hours('coalesce(sum(g.time_spent), 0)');
const BILLABLE = hours('coalesce(sum(g.time_spent) filter (where g.is_billable), 0)');

const timeEntries = (zone: string): View =>
  report({
    name: 'time_entries',
    comment: 'Time logs with person, task and project; days are those of the portal’s time zone',
    columns: {
      time_log_id: key('g.id', 'Time log', 'timetracker.timelogs'),
      day: day('g.day', 'Day on which work began, by the clock of the portal'),
      person_id: key('g.user_id', 'User who worked', 'core.user'),
      person_name: word('person.name', 'User who worked'),
      project_id: key('g.project_id', 'Project', 'st.projects'),
      project_name: word('project.name', 'Project that the time was spent on'),
      task_id: key('g.task_id', 'Task', 'task.tasks'),
      task_name: word('task.name', 'Task that the time was spent on'),
      description: word("coalesce(nullif(g.name, ''), g.description)", 'What the time was spent on'),
      hours: amount(hours('g.time_spent'), 'Hours worked'),
      is_billable: yesNo('g.is_billable', 'Charged to the customer'),
      billing_amount: amount('g.billing_amount', 'At the price charged to the customer'),
      cost_amount: amount('g.employee_cost_amount', 'At the cost of the employee'),
    },
    from: `${logs(zone)}
${name('core_user', 'person', 'g.user_id')}
${name('st_projects', 'project', 'g.project_id')}
${name('task_tasks', 'task', 'g.task_id')}`,
  });

const timeByProjectAndPerson = (zone: string): View =>
  report({
    name: 'time_by_project_and_person',
    comment: 'Hours by month, project and person; months are those of the portal’s time zone',
    columns: {
      month: day("date_trunc('month', g.day)::date", 'First day of the month'),
      project_id: key('g.project_id', 'Project', 'st.projects'),
      project_name: word('max(project.name)', 'Project; none for time spent elsewhere'),
      person_id: key('g.user_id', 'User who worked', 'core.user'),
      person_name: word('max(person.name)', 'User who worked'),
      hours: amount(HOURS, 'Hours worked'),
      billable_hours: amount(BILLABLE, 'Those charged to the customer'),
      billing_amount: amount('coalesce(sum(g.billing_amount), 0)', 'At the price charged to the customer, as logged'),
      cost_amount: amount('coalesce(sum(g.employee_cost_amount), 0)', 'At the cost of the employees, as logged'),
    },
    from: `${logs(zone)}
${name('core_user', 'person', 'g.user_id')}
${name('st_projects', 'project', 'g.project_id')}
group by date_trunc('month', g.day)::date, g.project_id, g.user_id`,
  });

const PROJECT = {
  project_id: key('p.id', 'Project', 'st.projects'),
  project_name: word('p.name', 'Name of the project'),
  manager_name: word('manager.name', 'User who manages the project'),
  customer_name: word('customer.name', 'Customer of the project'),
} as const;

const PROJECTS = `flowlu.st_projects p
${name('core_user', 'manager', 'p.manager_id')}
${name('crm_account', 'customer', 'p.customer_id')}`;

const projects = report({
  name: 'projects',
  comment: 'Projects with their people, place and tasks, archived ones included',
  columns: {
    ...PROJECT,
    portfolio_name: word('portfolio.name', 'Portfolio'),
    board_name: word('board.name', 'Board (template) of the project'),
    stage_name: word('stage.name', 'Stage that the project has reached'),
    priority: words(catalog.st.projects.fields.priority, 'p.priority', 'Urgency of the project'),
    startdate: day('p.startdate', 'First day of the project'),
    enddate: day('p.enddate', 'Last day of the project'),
    is_archived: yesNo('coalesce(p.is_archive, false)', 'Archived'),
    is_late: yesNo(
      'p.is_archive is not true and coalesce(p.enddate < current_date, false)',
      'Not archived although its last day has passed',
    ),
    open_tasks: count('coalesce(work.open_tasks, 0)', 'Tasks that are not completed'),
    completed_tasks: count('coalesce(work.completed_tasks, 0)', 'Tasks that are completed'),
    overdue_tasks: count('coalesce(work.overdue_tasks, 0)', 'Open tasks whose deadline has passed'),
  },
  from: `${PROJECTS}
${name('st_portfolio', 'portfolio', 'p.briefcase_id')}
${name('st_project_types', 'board', 'p.project_type_id')}
${name('st_stages', 'stage', 'p.stage_id')}
left join (
  select t.model_id, count(*) filter (where t.status is distinct from 5) as open_tasks,
         count(*) filter (where t.status = 5) as completed_tasks,
         count(*) filter (where t.status is distinct from 5 and t.deadline < now()) as overdue_tasks
    from flowlu.task_tasks t where ${TASKS} and ${isProject('t')} group by t.model_id
) work on work.model_id = p.id
where p._deleted_at is null`,
});

const projectProfitability = (zone: string): View =>
  report({
    name: 'project_profitability',
    comment:
      'What projects were to bring and what they have brought, in the base currency of the portal, with hours and their cost',
    columns: {
      ...PROJECT,
      is_archived: yesNo('coalesce(p.is_archive, false)', 'Archived'),
      estimated_revenue: amount('p.estimated_revenue', 'Revenue expected, as entered in the project'),
      estimated_expenses: amount('p.estimated_expenses', 'Expenses expected, as entered in the project'),
      income_base: amount('coalesce(money.income, 0)', 'Money received for the project, in the base currency'),
      expenses_base: amount('coalesce(money.expenses, 0)', 'Money spent on the project, in the base currency'),
      profit_base: amount('coalesce(money.income - money.expenses, 0)', 'Income less expenses, in the base currency'),
      margin_percent: amount(
        'round(100 * (money.income - money.expenses) / nullif(money.income, 0), 1)',
        'Profit as a share of the income, percent; none without income',
      ),
      hours: amount('coalesce(spent.hours, 0)', 'Hours worked on the project and its tasks'),
      billable_hours: amount('coalesce(spent.billable_hours, 0)', 'Those charged to the customer'),
      time_cost: amount(
        'coalesce(spent.cost, 0)',
        'Hours at the cost of the employees, as logged; not part of profit_base',
      ),
    },
    from: `${PROJECTS}
left join (
  select project_id, coalesce(sum(bcy_income), 0) as income, coalesce(sum(bcy_outcome), 0) as expenses
    from flowlu.fin_transaction where _deleted_at is null and status = 10 group by project_id
) money on money.project_id = p.id
left join (
  select g.project_id, ${HOURS} as hours, ${BILLABLE} as billable_hours, sum(g.employee_cost_amount) as cost
    from ${logs(zone)} group by g.project_id
) spent on spent.project_id = p.id
where p._deleted_at is null`,
  });

/** @param zone IANA name: whose days and months count. */
export const work = (zone: string): readonly View[] => [
  openTasks,
  tasksByPerson,
  projects,
  projectProfitability(zone),
  timeEntries(zone),
  timeByProjectAndPerson(zone),
];
