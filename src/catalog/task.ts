/** Module `task`: tasks, events, milestones, templates, and the lists and workflows they move in. */
import { code, datetime, decimal, flag, integer, link, model, oddModel, text } from './fields.ts';
import {
  active,
  audit,
  color,
  deleted_at,
  extra_fields,
  importOrigin,
  named,
  ordering,
  undatedAudit,
  uuid,
} from './groups.ts';

/** Answer and notification of a person invited to an event. */
const invitation = {
  event_accepted_status: flag('Event: invitation accepted'),
  event_show_user_notification: flag('Event: the user is notified'),
};

/** Without it the answer may lack the archive. */
const withArchive = { 'filter[archive_status]': '0,10' };

export const task = {
  collaborators: model('People who work on a task together', 'task', 'expected', {
    task_id: link('The task or event', 'task.tasks'),
    user_id: link('User who takes part', 'core.user'),
    role: code('Part that the user plays (values undocumented)'),
    ...invitation,
    ...audit,
  }),

  followers: model('Observers of tasks and events', 'task', 'expected', {
    task_id: link('The task or event observed', 'task.tasks'),
    user_id: link('User who observes', 'core.user'),
    group_id: link('User group that observes, in place of a single user'),
    role: code('Kind of observer (values undocumented)'),
    ...invitation,
    ...audit,
  }),

  invoicing_logs: model('Invoicing of fixed-price tasks', 'task', 'expected', {
    task_id: link('Task that was invoiced', 'task.tasks'),
    invoice_id: link('Invoice that charges the task', 'fin.invoice'),
    amount: decimal('Amount invoiced for the task'),
    ...audit,
  }),

  lists: model('Task lists', 'task', 'flowlu', {
    name: text('Name of the list'),
    user_id: link('User who has access to the list', 'core.user'),
    color,
    icon: text('Icon shown beside the list'),
    ordering,
    active,
    created: datetime('When the list was created; same meaning as created_date'),
    ...audit,
  }),

  stages: model('Stages (statuses) of task workflows', 'task', 'flowlu', {
    workflow_id: link('Workflow that the stage belongs to', 'task.workflows'),
    ...named('Name of the stage', 'What the stage stands for'),
    task_status: code('Status of tasks in this stage, presumably coded as task.tasks.status'),
    color,
    ordering,
    deleted_at,
    ...undatedAudit,
  }),

  tasks: oddModel({ listQuery: withArchive }, 'Tasks, events, milestones and task templates', 'task', 'flowlu', {
    type: code('Kind of record', {
      0: 'task',
      1: 'inbox',
      20: 'event',
      21: 'event: call',
      22: 'event: e-mail',
      23: 'event: meeting',
      30: 'template',
      40: 'milestone',
    }),
    ...named('Title of the task', 'What is to be done'),
    status: code('State of the task', { 1: 'new', 3: 'in progress', 4: 'pending owner approval', 5: 'completed' }),
    priority: code('Urgency of the task', { 1: 'low', 2: 'medium', 3: 'high' }),
    workflow_id: link('Workflow that the task moves through', 'task.workflows'),
    workflow_stage_id: link('Stage of the workflow that the task has reached', 'task.stages'),
    responsible_id: link('User who does the task', 'core.user'),
    owner_id: link('User who set the task and accepts the result', 'core.user'),
    parent_id: link('Task that this is a subtask of', 'task.tasks'),
    prev_task_id: link('Task that comes before this one', 'task.tasks'),
    template_id: link('Template that the task was made from', 'task.tasks'),
    group_id: link('Section that the task stands in (seen, not documented)'),
    ordering,

    module: text('Module of the record the task belongs to, e.g. st or crm'),
    model: text('Model of the record the task belongs to, e.g. project or lead'),
    model_id: link('Record that the task belongs to, of the model named by module and model'),
    crm_account_id: link('Organisation or contact that the task concerns', 'crm.account'),
    project_stage_id: link('Project stage of the task, where it belongs to a project', 'st.stages'),
    project_checkitem_id: link('Checklist item of the project stage', 'st.stage_checkitems'),

    plan_start_date: datetime('Planned start'),
    plan_end_date: datetime('Planned end'),
    deadline: datetime('Moment by which the task is due'),
    start_date: datetime('When work began'),
    closed_date: datetime('When the task was last completed'),
    first_closed_date: datetime('When the task was completed for the first time'),
    closed_by: link('User who completed the task', 'core.user'),
    return_count: integer('How many times the task was sent back for rework'),
    status_updated_date: datetime('When the status last changed'),
    status_updated_by: link('User who last changed the status', 'core.user'),
    status_firstviewdate: datetime('When the responsible user first opened the task'),
    deadline_allowchange: flag('The responsible user may move the deadline'),
    task_checkbyowner: flag('The owner must approve the result'),
    report: text('Report on the result'),
    report_complete: text('Report required or given on completion (exact meaning undocumented)'),
    rating: integer('Mark given to the result (scale undocumented)'),

    time_estimate: integer('Planned working time (unit undocumented)'),
    time_spent: integer('Working time spent (unit undocumented; time logs count seconds)'),
    cost: decimal('What the task costs the company'),
    cost_type: text('How the cost is reckoned (values undocumented)'),
    price: decimal('What the customer pays for the task'),
    price_type: text('How the price is reckoned (values undocumented)'),

    all_day: flag('Event: lasts whole days'),
    event_type: code('Event: kind of meeting', { 21: 'call', 22: 'e-mail', 23: 'meeting' }),
    event_access_type: code('Event: who may see it', { 10: 'default', 20: 'private', 30: 'public' }),
    event_busy_status: code('Event: whether it blocks time', { 10: 'free', 20: 'busy' }),
    event_calendar_id: link('Event: calendar it stands in', 'calendar.calendar'),
    event_color: text('Event: colour in the calendar'),
    event_location: text('Event: place'),
    event_sync_type: code('Event: external calendar it is synchronised with (values undocumented)'),
    event_etag: text('Event: revision tag of Google Calendar'),

    is_repeat: flag('The task repeats'),
    is_recurrence: flag('The event is part of a recurring series'),
    recurrence_id: link('Recurrence rule of the series'),
    recurrence_parent_id: link('Event that the series grew from', 'task.tasks'),
    recurrence_original_start_date: datetime('Start this occurrence had before it was moved'),
    public_template: flag('Template: open to all users'),

    archive_status: code('Whether the task is archived', { 0: 'active', 10: 'archived' }),
    is_archive: flag('Archived; older companion of archive_status'),
    is_hidden: flag('Hidden from ordinary lists'),
    extra_fields,
    uuid,
    ...importOrigin,
    deleted_at,
    created_date: audit.created_date,
    updated_by: audit.updated_by,
    updated_date: audit.updated_date,
  }),

  taskslists: model('Which tasks are in which lists', 'task', 'flowlu', {
    task_id: link('The task', 'task.tasks'),
    list_id: link('List that holds the task', 'task.lists'),
    ...audit,
  }),

  workflows: model('Task workflows', 'task', 'flowlu', {
    ...named('Name of the workflow', 'What the workflow is for'),
    ordering,
    active,
    deleted_at,
    ...undatedAudit,
  }),
};
