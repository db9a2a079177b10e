/** Ready-made views about time: logs, budgets, what is not billed yet, and what is planned. */
import { c, dayIn, type View, view } from '../views/view.ts';
import { isProject, type Terms } from './definitions.ts';
import { byMonth, currency, linkOf, taskUrl } from './report.ts';

/** Finer than a second, so that sums of hours are those of the seconds. */
const hours = (seconds: string) => `trim_scale(round(${seconds} / 3600.0, 5))`;
export const HOURS = hours('coalesce(sum(g.time_spent), 0)');
export const BILLABLE = hours('coalesce(sum(g.time_spent) filter (where g.is_billable), 0)');

/**
 * Timesheets with the project and the task that they belong to: each way a branch, so that a project finds its timesheets, and by
 * them its logs.
 * @param customer the customer of the project, from what `of` joins to a project, for a view that is asked by it
 */
export const sheets = (customer = 'null::bigint', of = (_project: string) => ''): string => `(
  select s.id, s.model_id as project_id, null::bigint as task_id, s.invoice_id, ${customer} as customer_id
    from flowlu.timetracker_timesheets s ${of('s.model_id')}
   where ${isProject('s')}
   union all
  select s.id, of_project.model_id, s.model_id, s.invoice_id, ${customer}
    from flowlu.timetracker_timesheets s
    left join flowlu.task_tasks of_project on of_project.id = s.model_id and ${isProject('of_project')} ${of('of_project.model_id')}
   where s.module = 'task' and ${isProject('s')} is not true
   union all
  select s.id, null, null, s.invoice_id, ${customer}
    from flowlu.timetracker_timesheets s ${of('null')}
   where (s.module = 'task' or ${isProject('s')}) is not true
)`;

const OF_SHEET = 'join flowlu.timetracker_timesheets s on s.id = g.timesheet_id';
const WAYS: readonly (readonly [project: string, joins: string, where: string])[] = [
  ['s.model_id', OF_SHEET, isProject('s')],
  [
    'of_project.model_id',
    `left ${OF_SHEET} left join flowlu.task_tasks of_project on of_project.id = s.model_id and s.module = 'task' and ${isProject('of_project')}`,
    `${isProject('s')} is not true`,
  ],
];
/** Time logs with their project and task, as columns and tables. */
const LOG = 'g.*, sheet.project_id, sheet.task_id, sheet.invoice_id as sheet_invoice_id';
const WITH_SHEET = `left join ${sheets()} sheet on sheet.id = g.timesheet_id`;

export function time(terms: Terms): readonly View[] {
  const { is, zone, today } = terms;
  const local = (at: string) => dayIn(zone, at);
  const person = c.linked('person', 'g.user_id', 'User who worked', 'core.user');
  const project = c.linked('project', 'g.project_id', 'Project that the time was spent on', 'st.projects');

  const LOGS = `(select ${LOG} from flowlu.timetracker_timelogs g ${WITH_SHEET} where ${is.time_log})`;

  const timeEntries = view({
    name: 'time_entries',
    grain: 'time log',
    key: ['time_log_id'],
    comment: 'Time logs with person, task and project; days are those of the portal’s time zone',
    columns: {
      time_log_id: c.key('g.id', 'Time log', 'timetracker.timelogs'),
      day: c.day(local('g.start_timestamp'), 'Day on which work began, by the clock of the portal'),
      ...person,
      ...project,
      ...c.linked('task', 'g.task_id', 'Task that the time was spent on', 'task.tasks'),
      description: c.word("coalesce(nullif(g.name, ''), g.description)", 'What the time was spent on'),
      hours: c.amount(hours('g.time_spent'), 'Hours worked'),
      is_billable: c.yesNo('g.is_billable', 'Charged to the customer'),
      billing_amount: c.amount('g.billing_amount', 'At the price charged to the customer'),
      cost_amount: c.amount('g.employee_cost_amount', 'At the cost of the employee'),
      ...currency('g.currency_id'),
      started_at: c.moment('g.start_timestamp', 'When work began'),
      updated_at: c.updatedAt('g'),
    },
    from: `${LOGS} g`,
  });

  /** Sums of logs by some of their columns; names come to the sums, not to each log. */
  const summed = (rows: string, by: string, others: string) => `(
  select ${others}, g.project_id, g.user_id, g.currency_id, ${HOURS} as hours, ${BILLABLE} as billable_hours,
         coalesce(sum(g.billing_amount), 0) as billing_amount, coalesce(sum(g.employee_cost_amount), 0) as cost_amount
    from ${rows}
   group by ${by}g.project_id, g.user_id, g.currency_id
) g`;
  const sums = {
    ...c.linked('project', 'g.project_id', 'Project; none for time spent elsewhere', 'st.projects'),
    ...person,
    ...currency('g.currency_id'),
    hours: c.amount('g.hours', 'Hours worked'),
    billable_hours: c.amount('g.billable_hours', 'Those charged to the customer'),
    billing_amount: c.amount('g.billing_amount', 'At the price charged to the customer, as logged'),
    cost_amount: c.amount('g.cost_amount', 'At the cost of the employees, as logged'),
  } as const;
  const byProject = view({
    name: 'time_by_project_and_person',
    grain: 'month, project, person and currency',
    key: ['month', 'project_id', 'person_id', 'currency_id'],
    comment: 'Hours by month, project, person and currency; months are those of the portal’s time zone',
    columns: { month: c.day('g.month', 'First day of the month'), ...sums },
    from: summed(
      `(${WAYS.map(([project, joins, where]) => byMonth('timetracker_timelogs', 'g', 'g.start_timestamp', `${where} and ${is.time_log}`, { zone, columns: `g.*, ${project} as project_id`, joins })).join(' union all ')}) g`,
      'g.month, ',
      'g.month',
    ),
  });

  const unbilled = view({
    name: 'unbilled_time',
    grain: 'project, person and currency',
    key: ['project_id', 'person_id', 'currency_id'],
    comment: 'Billable time that no invoice charges yet',
    columns: { ...sums, oldest_day: c.day('g.oldest_day', 'Day of the oldest of it') },
    from: summed(`${LOGS} g where ${is.unbilled}`, '', `min(${local('g.start_timestamp')}) as oldest_day`),
  });

  const timeBudget = view({
    name: 'time_budget',
    grain: 'task with an estimate or with time spent',
    key: ['task_id'],
    comment:
      'Estimated against spent time of tasks; Flowlu does not document the unit of estimates, taken to be seconds as in time logs',
    columns: {
      task_id: c.key('t.id', 'Task', 'task.tasks'),
      task_name: c.word('t.name', 'Title of the task'),
      ...c.linked('project', 't.project_id', 'Project that the task belongs to', 'st.projects'),
      ...c.linked('responsible', 't.responsible_id', 'User who does the task', 'core.user'),
      is_open: c.yesNo(is.open_task, 'Neither completed nor archived'),
      estimated_hours: c.amount(hours('coalesce(t.time_estimate, 0)'), 'Planned working time'),
      spent_hours: c.amount(hours('t.seconds'), 'Time logged'),
      remaining_hours: c.amount(
        hours('(coalesce(t.time_estimate, 0) - t.seconds)'),
        'Planned less logged; negative beyond the estimate',
      ),
      is_over: c.yesNo(
        'coalesce(t.seconds > t.time_estimate and t.time_estimate > 0, false)',
        'More was logged than planned',
      ),
      updated_at: c.updatedAt('t'),
      url: taskUrl,
    },
    from: `(
  select t.*, of_project.model_id as project_id, coalesce(sum(g.time_spent), 0) as seconds
    from flowlu.task_tasks t
    left join (
      flowlu.timetracker_timesheets s join flowlu.timetracker_timelogs g on g.timesheet_id = s.id and ${is.time_log}
    ) on s.module = 'task' and s.model_id = t.id
    ${linkOf('task_tasks', 'of_project', 't', isProject)}
   where ${is.task}
   group by t.id, of_project.model_id
  having t.time_estimate > 0 or sum(g.time_spent) > 0
) t`,
  });

  /** Working days, Monday to Friday, before a day: counted from a Monday in the past. */
  const before = (date: string) =>
    `((${date} - date '0001-01-01') / 7 * 5 + least((${date} - date '0001-01-01') % 7, 5))`;
  /** Those from one day to another, both included. */
  const workdays = (from: string, to: string) => `(${before(`(${to} + 1)`)} - ${before(from)})`;
  const workload = view({
    name: 'workload_by_week',
    grain: 'person and week',
    key: ['week', 'person_id'],
    comment:
      'Planned hours of open tasks, spread evenly over the working days from planned start to planned end; tasks without a start count on their last day, those without any day have no week',
    columns: {
      week: c.day('w.week', 'Monday of the week; none for tasks without any day'),
      ...c.linked('person', 'w.person_id', 'User who does the tasks', 'core.user', 'max(person.name)'),
      planned_hours: c.amount(
        `trim_scale(round(sum(w.seconds) / 3600.0, 5))`,
        'Planned working time that falls on the week',
      ),
      tasks: c.count('count(*)', 'Tasks that it comes from; a task counts in each of its weeks'),
      is_past: c.yesNo(`coalesce(w.week + 6 < ${today}, false)`, 'The week is over'),
    },
    from: `(
  select t.responsible_id as person_id, week.week, t.time_estimate * share.part as seconds
    from (
      select t.responsible_id, t.time_estimate, least(${local('coalesce(t.plan_start_date, t.plan_end_date, t.deadline)')}, ends.day) as first, ends.day as last
        from flowlu.task_tasks t cross join lateral (select ${local('coalesce(t.plan_end_date, t.deadline, t.plan_start_date)')} as day) ends
       where ${is.task} and ${is.open_task} and t.time_estimate > 0
      offset 0
    ) t
    cross join lateral (select ${workdays('t.first', 't.last')} as days) span
    left join lateral (
      select week::date from generate_series(date_trunc('week', t.first::timestamp), t.last::timestamp, interval '7 days') week
    ) week on true
    cross join lateral (
      select case when week.week is null then 1
                  when span.days = 0 then (week.week = date_trunc('week', t.first::timestamp)::date)::integer
                  else ${workdays('greatest(week.week, t.first)', 'least(week.week + 6, t.last)')}::numeric / span.days end as part
    ) share
   where share.part > 0
) w`,
    group: 'w.week, w.person_id',
  });
  return [timeEntries, byProject, unbilled, timeBudget, workload];
}
