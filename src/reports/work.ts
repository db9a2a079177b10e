/** Ready-made views about tasks and projects. */
import { c, type View, view } from '../views/view.ts';
import { accountOfTask, dealOf, followed, joinDeal, withMerged } from './customers.ts';
import { isProject, moneyKind, type Terms } from './definitions.ts';
import { movedCash, SIGNED_BASE } from './money.ts';
import { currency, linkOf, taskUrl, words } from './report.ts';
import { BILLABLE, HOURS, sheets } from './time.ts';

export function work(terms: Terms): readonly View[] {
  const { is } = terms;
  const responsible = c.linked('responsible', 't.responsible_id', 'User who does the tasks', 'core.user');
  const openTasks = view({
    name: 'open_tasks',
    grain: 'open task',
    key: ['task_id'],
    comment: 'Tasks that are neither completed nor archived, with the names of everything they are linked to',
    columns: {
      task_id: c.key('t.id', 'Task', 'task.tasks'),
      task_name: c.word('t.name', 'Title of the task'),
      ...responsible,
      ...c.linked('owner', 't.owner_id', 'User who set the task', 'core.user'),
      status: words('task.tasks', 'status', 't.status', 'State of the task'),
      priority: words('task.tasks', 'priority', 't.priority', 'Urgency of the task'),
      ...c.linked('stage', 't.workflow_stage_id', 'Stage of the workflow', 'task.stages'),
      deadline: c.moment('t.deadline', 'Moment by which the task is due'),
      is_overdue: c.yesNo(`coalesce(${is.overdue_task}, false)`, 'The deadline has passed'),
      days_overdue: c.integer(
        `case when ${is.overdue_task} then floor(extract(epoch from now() - t.deadline) / 86400)::integer end`,
        'Whole days since the deadline',
      ),
      ...c.linked('project', 'of_project.model_id', 'Project that the task belongs to', 'st.projects'),
      ...c.linked('deal', 'of_deal.end_id', 'Deal that the task belongs to', 'crm.lead'),
      ...c.linked('customer', 'of_account.end_id', 'Organisation or contact that the task concerns', 'crm.account'),
      created_at: c.moment('t.created_date', 'When the task was created'),
      updated_at: c.updatedAt('t'),
      url: taskUrl,
    },
    with: withMerged('crm_account'),
    from: `flowlu.task_tasks t
${linkOf('task_tasks', 'of_project', 't', isProject)}
${dealOf('of_deal', 't')}
${accountOfTask('of_account', 't')}`,
    where: `${is.task} and ${is.open_task}`,
  });

  const tasksByPerson = view({
    name: 'tasks_by_person',
    grain: 'user who has open tasks; a last one without a user for those of nobody',
    key: ['responsible_id'],
    hasNobody: true,
    comment: 'Open tasks by the user who does them',
    columns: {
      ...c.linked('responsible', 't.responsible_id', 'User who does the tasks', 'core.user', 'max(responsible.name)'),
      open_tasks: c.count('count(*)', 'Tasks that are neither completed nor archived'),
      overdue_tasks: c.count(`count(*) filter (where ${is.overdue_task})`, 'Those whose deadline has passed'),
      due_in_7_days: c.count(
        "count(*) filter (where t.deadline >= now() and t.deadline < now() + interval '7 days')",
        'Those due within the next seven days',
      ),
      without_deadline: c.count('count(*) filter (where t.deadline is null)', 'Those without a deadline'),
      high_priority: c.count('count(*) filter (where t.priority = 3)', 'Those of high priority'),
      next_deadline: c.moment('min(t.deadline) filter (where t.deadline >= now())', 'The next deadline to come'),
    },
    from: `flowlu.task_tasks t`,
    where: `${is.task} and ${is.open_task}`,
    group: 't.responsible_id',
  });

  const projectOf = (customer: string) =>
    ({
      project_id: c.key('p.id', 'Project', 'st.projects'),
      project_name: c.word('p.name', 'Name of the project'),
      ...c.linked('manager', 'p.manager_id', 'User who manages the project', 'core.user'),
      ...c.linked('customer', customer, 'Customer of the project', 'crm.account'),
      is_archived: c.yesNo('coalesce(p.is_archive, false)', 'Archived'),
    }) as const;
  const PROJECTS = followed([['p.*', 'flowlu.st_projects p', 'p.customer_id', 'true']]);

  const projects = view({
    name: 'projects',
    grain: 'project, archived ones included',
    key: ['project_id'],
    comment: 'Projects with their people, place and tasks',
    columns: {
      ...projectOf('work.end_id'),
      ...c.linked('portfolio', 'p.briefcase_id', 'Portfolio', 'st.portfolio'),
      ...c.linked('board', 'p.project_type_id', 'Board (template) of the project', 'st.project_types'),
      ...c.linked('stage', 'p.stage_id', 'Stage that the project has reached', 'st.stages'),
      ...c.linked('deal', 'of_deal.end_id', 'Deal that the project came from', 'crm.lead'),
      priority: words('st.projects', 'priority', 'p.priority', 'Urgency of the project'),
      startdate: c.day('p.startdate', 'First day of the project'),
      enddate: c.day('p.enddate', 'Last day of the project'),
      is_late: c.yesNo(`coalesce(${is.late_project}, false)`, 'Not archived although its last day has passed'),
      open_tasks: c.count('work.open_tasks', 'Tasks that are neither completed nor archived'),
      completed_tasks: c.count('work.completed_tasks', 'Tasks that are completed'),
      overdue_tasks: c.count('work.overdue_tasks', 'Open tasks whose deadline has passed'),
      updated_at: c.updatedAt('p'),
    },
    with: withMerged('crm_account'),
    from: `(
  select p.id, p.end_id,
         count(t.id) filter (where ${is.open_task}) as open_tasks,
         count(t.id) filter (where ${is.completed_task}) as completed_tasks,
         count(t.id) filter (where ${is.overdue_task}) as overdue_tasks
    from ${PROJECTS} p left join flowlu.task_tasks t on t.model_id = p.id and ${is.task} and ${isProject('t')}
   group by p.id, p.end_id
) work
join flowlu.st_projects p on p.id = work.id
${joinDeal('of_deal', 'p.crm_lead_id')}`,
    where: is.project,
  });

  const spentIn = currency('g.currency_id');
  const summed = (kind: string) => `coalesce(sum(g.amount) filter (where g.kind = '${kind}'), 0)`;
  const profitability = view({
    name: 'project_profitability',
    grain: 'project, archived ones included',
    key: ['project_id'],
    comment:
      'What projects were to bring and what they have brought, in the base currency of the portal, with their hours',
    columns: {
      ...projectOf('g.end_id'),
      estimated_revenue: c.amount(
        'p.estimated_revenue',
        'Revenue expected, as entered in the project; Flowlu gives it no currency',
      ),
      estimated_expenses: c.amount(
        'p.estimated_expenses',
        'Expenses expected, as entered in the project; Flowlu gives it no currency',
      ),
      income_base: c.amount('g.income_base', 'Money received for the project'),
      expenses_base: c.amount('-g.expense_base', 'Money spent on the project, without sign'),
      other_base: c.amount('g.other_base', 'Money that is neither income nor expense'),
      profit_base: c.amount('g.income_base + g.expense_base', 'Income less expenses'),
      margin_percent: c.amount(
        'round(100 * (g.income_base + g.expense_base) / nullif(g.income_base, 0), 1)',
        'Profit as a share of the income, percent; none without income; not to be added up',
      ),
      hours: c.amount('g.hours', 'Hours worked on the project and its tasks'),
      billable_hours: c.amount('g.billable_hours', 'Those charged to the customer'),
      time_cost: c.amount(
        'g.cost',
        'Hours at the cost of the employees; none where they are in several currencies, see time_by_project_and_person; not part of profit_base',
      ),
      time_cost_currency_id: spentIn.currency_id,
      time_cost_currency_code: spentIn.currency_code,
      updated_at: c.updatedAt('p'),
    },
    with: withMerged('crm_account'),
    from: `(
  select g.project_id, g.customer_id as end_id, ${summed('income')} as income_base, ${summed('expense')} as expense_base,
         ${summed('other')} as other_base, ${HOURS} as hours, ${BILLABLE} as billable_hours,
         case when min(g.currency_id) is not distinct from max(g.currency_id) then coalesce(sum(g.employee_cost_amount), 0) end as cost,
         case when min(g.currency_id) = max(g.currency_id) then min(g.currency_id) end as currency_id
    from (
      select p.id as project_id, p.end_id as customer_id, null as kind, null::numeric as amount, null::bigint as time_spent,
             null::boolean as is_billable, null::numeric as employee_cost_amount, null::bigint as currency_id
        from ${PROJECTS} p where ${is.project}
       union all
      select p.id, p.end_id, ${moneyKind}, ${SIGNED_BASE}, null, null, null, null
        from ${PROJECTS} p join flowlu.fin_transaction x on x.project_id = p.id
       where ${is.project} and ${is.transaction} and ${movedCash(terms)}
       union all
      select sheet.project_id, sheet.customer_id, null, null, g.time_spent, g.is_billable, g.employee_cost_amount, g.currency_id
        from ${sheets('p.end_id', (id) => `join ${PROJECTS} p on p.id = ${id} and ${is.project}`)} sheet
        join flowlu.timetracker_timelogs g on g.timesheet_id = sheet.id
       where ${is.time_log}
    ) g
   group by g.project_id, g.customer_id
) g
join flowlu.st_projects p on p.id = g.project_id`,
  });
  return [openTasks, tasksByPerson, projects, profitability];
}
