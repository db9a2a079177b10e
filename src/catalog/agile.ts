/** Module `agile`: agile projects, issues, sprints, and the dictionaries around them. */
import { code, date, datetime, decimal, flag, integer, link, model, text } from './fields.ts';
import { audit, color, importOrigin, named, ordering, timestamps } from './groups.ts';

export const agile = {
  categories: model('Issue categories', 'agile', 'flowlu', {
    project_id: link('Agile project that the category belongs to', 'agile.projects'),
    parent_id: link('Category above this one', 'agile.categories'),
    ...named('Name of the category', 'What the category covers'),
    assignee_id: link('User who gets new issues of the category', 'core.user'),
    color,
    ordering,
    ...timestamps,
  }),

  epics: model('Epics', 'agile', 'flowlu', {
    project_id: link('Agile project that the epic belongs to', 'agile.projects'),
    ...named('Name of the epic', 'What the epic is about'),
    start_date: date('First day of the epic'),
    end_date: date('Last day of the epic'),
    is_completed: flag('Completed'),
    ordering,
    ...audit,
  }),

  followers: model('Observers of issues', 'agile', 'expected', {
    issue_id: link('The issue observed', 'agile.issues'),
    user_id: link('User who observes', 'core.user'),
    group_id: link('User group that observes, in place of a single user'),
    role: code('Kind of observer (values undocumented)'),
    ...audit,
  }),

  issue_relation_names: model('Wordings of issue relations', 'agile', 'flowlu', {
    name: text('Wording of one direction of a relation, e.g. blocks'),
    tree_type: flag('The relation builds a tree of issues'),
    ...timestamps,
  }),

  issue_relation_types: model('Kinds of issue relations', 'agile', 'flowlu', {
    name: text('Name of the kind of relation'),
    parent_relation_name_id: link('Wording seen from the parent issue', 'agile.issue_relation_names'),
    child_relation_name_id: link('Wording seen from the child issue', 'agile.issue_relation_names'),
    ...timestamps,
  }),

  issue_relations: model('Relations between issues', 'agile', 'expected', {
    parent_issue_id: link('Issue on the parent side', 'agile.issues'),
    child_issue_id: link('Issue on the child side', 'agile.issues'),
    type: link('Kind of relation', 'agile.issue_relation_types'),
    ...timestamps,
  }),

  issue_type: model('Issue types', 'agile', 'flowlu', {
    ...named('Name of the issue type', 'What issues of the type are for'),
    type: code('Built-in kind that the type belongs to (values undocumented)'),
    icon: text('Code of the icon'),
    color,
    is_default: flag('Chosen for new issues unless set otherwise'),
    ordering,
    ...timestamps,
  }),

  issue_types_projects: model('Issue types enabled in agile projects', 'agile', 'expected', {
    project_id: link('The agile project', 'agile.projects'),
    issue_type_id: link('Issue type that may be used there', 'agile.issue_type'),
  }),

  issues: model('Issues', 'agile', 'flowlu', {
    number: integer('Running number within the agile project'),
    number_label: text('Number with the prefix of the project, as shown'),
    ...named('Title of the issue', 'What the issue is about'),
    project_id: link('Agile project of the issue', 'agile.projects'),
    type_id: link('Issue type', 'agile.issue_type'),
    workflow_stage_id: link('Stage of the agile workflow that the issue has reached', 'agile.stages'),
    category_id: link('Category of the issue', 'agile.categories'),
    epic_id: link('Epic that the issue belongs to', 'agile.epics'),
    sprint_id: link('Sprint that the issue is planned in', 'agile.sprints'),
    parent_issue_id: link('Issue that this one is part of', 'agile.issues'),
    creator_id: link('User who raised the issue', 'core.user'),
    assignee_id: link('User who works on the issue', 'core.user'),
    priority: code('Urgency of the issue (values undocumented)'),
    effort: decimal('Effort of the issue (unit undocumented, presumably story points)'),
    estimate: decimal('Estimate for the issue (unit undocumented)'),
    value: text('Value of the issue to the business (scale undocumented)'),
    ordering,
    completed_date: datetime('When the issue was completed'),
    is_archived: flag('Archived'),
    archived_date: datetime('When the issue was archived'),
    ...importOrigin,
    ...timestamps,
  }),

  projects: model('Agile projects', 'agile', 'expected', {
    ...named('Name of the agile project', 'What the agile project is about'),
    prefix_name: text('Prefix of its issue numbers'),
    workflow_id: link('Workflow that its issues move through', 'agile.workflows'),
    manager_id: link('User who manages the project', 'core.user'),
    is_admin_menu_showing: flag('The administration menu is shown'),
    archived_date: datetime('When the project was archived'),
    ...timestamps,
  }),

  projects_users: model('Members of agile projects', 'agile', 'expected', {
    project_id: link('The agile project', 'agile.projects'),
    user_id: link('User who belongs to the project', 'core.user'),
    role_id: code('Whether the user is a member or an observer (values undocumented)'),
  }),

  ref_issue_relation: model('Origins of imported issues', 'agile', 'expected', {
    issue_id: link('The imported issue', 'agile.issues'),
    ...importOrigin,
  }),

  sprints: model('Sprints', 'agile', 'flowlu', {
    project_id: link('Agile project that the sprint belongs to', 'agile.projects'),
    ...named('Name of the sprint', 'Goal of the sprint'),
    start_date: date('First day of the sprint'),
    deadline: date('Last day of the sprint'),
    // A time of day by its name, which would be lost if read as a date-time.
    standup_time: text('Time of the daily stand-up meeting'),
    started: flag('The sprint has been started'),
    active: flag('The sprint is under way'),
    changelog: text('Record of changes to the sprint'),
    ...timestamps,
  }),

  stages: model('Stages of agile workflows', 'agile', 'flowlu', {
    workflow_id: link('Workflow that the stage belongs to', 'agile.workflows'),
    ...named('Name of the stage', 'What the stage stands for'),
    status: code('State of issues in this stage', { 10: 'to do', 20: 'in progress', 25: 'confirmed', 30: 'done' }),
    color,
    ordering,
    ...timestamps,
  }),

  workflows: model('Agile workflows (project templates)', 'agile', 'flowlu', {
    ...named('Name of the workflow', 'What the workflow is for'),
    ...timestamps,
  }),
};
