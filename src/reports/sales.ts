/** Ready-made views about deals. */
import { c, joined, type View, view } from '../views/view.ts';
import { atEnd, DEALS_WITH_CUSTOMER, joinFirstContact, joinMerged, withMerged } from './customers.ts';
import type { Terms } from './definitions.ts';
import { byMonth, monthOf, words } from './report.ts';

/** Gives rows that have a stage and a pipeline `in_pipeline_id`: the pipeline of the stage; their own where they have no stage. */
export const inPipeline = (rows: string): string => `(
  select r.*, coalesce(own.pipeline_id, r.pipeline_id) as in_pipeline_id
    from ${rows} r ${joined('crm_pipeline_stage', 'own', 'r.pipeline_stage_id')}
)`;

const DEALS = `${inPipeline('flowlu.crm_lead')} l`;
const WITH_CUSTOMER = `${inPipeline(DEALS_WITH_CUSTOMER)} l`;

const CONTACT_LINK = 'coalesce(l.contact_id, first_contact.account_id)';
const CONTACT = atEnd('survivor', CONTACT_LINK);

/** Columns that every list of deals has. */
const dealColumns = {
  deal_id: c.key('l.id', 'Deal', 'crm.lead'),
  deal_name: c.word('l.name', 'Title of the deal'),
  ...c.linked('pipeline', 'l.in_pipeline_id', 'Sales pipeline: of the stage, else of the deal', 'crm.pipeline'),
  ...c.linked('stage', 'l.pipeline_stage_id', 'Stage that the deal has reached', 'crm.pipeline_stage'),
  budget: c.amount('l.budget', 'Amount of the deal; Flowlu gives it no currency'),
  ...c.linked('assignee', 'l.assignee_id', 'User responsible for the deal', 'core.user'),
  ...c.linked('customer', 'l.end_id', 'Customer, see definitions', 'crm.account'),
} as const;

/** Columns of what is counted by pipeline and stage. */
export const placeColumns = (pipeline: string, stage: string) =>
  ({
    ...c.linked('pipeline', pipeline, 'Sales pipeline: of the stage, else of the deals', 'crm.pipeline'),
    ...c.linked('stage', stage, 'Stage; none where the deals have none', 'crm.pipeline_stage'),
    stage_position: c.count('stage.ordering', 'Place of the stage within its pipeline, lowest first'),
  }) as const;

const outcome = {
  ...c.linked('source', 'l.source_id', 'Where the deal came from', 'crm.source'),
  ...c.linked(
    'loss_reason',
    'case when l.active = 2 then l.closing_status_id end',
    'Why the deal was lost',
    'crm.loss_reason',
  ),
} as const;

/** Day on which a deal began: as entered, unless it lies after the closing; then the day of its creation. */
const began = (zone: string) => {
  const created = `(l.created_date at time zone '${zone}')::date`;
  return `case when l.start_date <= coalesce(l.closing_date, l.start_date) then l.start_date
    when l.start_date is null or ${created} <= l.closing_date then ${created} end`;
};
const daysBetween = (to: string, from: string) => `case when ${to} >= ${from} then ${to} - (${from}) end`;

export function sales({ zone, today, is }: Terms): readonly View[] {
  const deals = view({
    name: 'deals',
    grain: 'deal',
    key: ['deal_id'],
    comment: 'Deals with the names of everything they are linked to; without those merged into others',
    columns: {
      ...dealColumns,
      state: words('crm.lead', 'active', 'l.active', 'in progress, lost or won'),
      is_open: c.yesNo(`coalesce(${is.open_deal}, false)`, 'In progress'),
      is_won: c.yesNo(`coalesce(${is.won_deal}, false)`, 'Won'),
      is_overdue: c.yesNo(`coalesce(${is.overdue_deal}, false)`, 'Open, and should have been closed before today'),
      contact_id: c.key(CONTACT, 'Contact, else the first that takes part', 'crm.account'),
      contact_name: c.word(
        "coalesce(nullif(contact.name, ''), l.contact_name)",
        'Contact, else the name in the enquiry',
      ),
      ...outcome,
      start_date: c.day('l.start_date', 'Day on which the deal began'),
      deadline: c.day('l.deadline', 'Day by which the deal is expected to close'),
      closing_date: c.day('l.closing_date', 'Day on which the deal was won or lost'),
      days_open: c.integer(
        `case when ${is.open_deal} then ${daysBetween(today, began(zone))} else ${daysBetween('l.closing_date', began(zone))} end`,
        'Days from the beginning to the closing, of open deals to today; none where the dates do not fit',
      ),
      created_at: c.moment('l.created_date', 'When the deal was created'),
      last_activity_at: c.moment('l.last_activity_time', 'Most recent activity'),
      updated_at: c.updatedAt('l'),
    },
    with: withMerged('crm_account'),
    from: `${WITH_CUSTOMER}
${joinFirstContact('first_contact')}
${joinMerged('survivor', CONTACT_LINK)}
${joined('crm_account', 'contact', CONTACT)}`,
    where: is.deal,
  });

  const salesPipeline = view({
    name: 'sales_pipeline',
    grain: 'stage of a pipeline',
    key: ['pipeline_id', 'stage_id'],
    comment: 'Open deals by pipeline and stage, stages without deals included',
    columns: {
      ...placeColumns('coalesce(d.pipeline_id, current.pipeline_id)', 'coalesce(d.stage_id, current.id)'),
      open_deals: c.count('coalesce(d.open_deals, 0)', 'Deals in progress'),
      budget: c.amount('coalesce(d.budget, 0)', 'Their amounts; Flowlu gives deals no currency'),
      overdue_deals: c.count('coalesce(d.overdue_deals, 0)', 'Deals that should have been closed before today'),
      oldest_start: c.day('d.oldest_start', 'Beginning of the oldest of them'),
    },
    from: `(
  select l.pipeline_stage_id as stage_id, l.in_pipeline_id as pipeline_id, count(*) as open_deals, sum(l.budget) as budget,
         count(*) filter (where ${is.overdue_deal}) as overdue_deals, min(l.start_date) as oldest_start
    from ${DEALS}
   where ${is.deal} and ${is.open_deal}
   group by l.pipeline_stage_id, l.in_pipeline_id
) d
full join (
  select id, pipeline_id from flowlu.crm_pipeline_stage
   where _deleted_at is null and deleted_at is null and active is distinct from false
) current on current.id = d.stage_id`,
  });

  const closedDeals = view({
    name: 'closed_deals',
    grain: 'deal that was won or lost',
    key: ['deal_id'],
    comment: 'Deals that were won or lost, with who, whom and why',
    columns: {
      ...dealColumns,
      result: words('crm.lead', 'active', 'l.active', 'won or lost'),
      is_won: c.yesNo(is.won_deal, 'Won'),
      closing_date: c.day('l.closing_date', 'Day on which the deal was won or lost'),
      closing_month: c.day(monthOf('l.closing_date'), 'First day of the month of closing'),
      ...outcome,
      days_to_close: c.integer(
        daysBetween('l.closing_date', began(zone)),
        'Days from the beginning to the closing; from the creation where the deal has no beginning or one after its closing; none where neither fits',
      ),
      updated_at: c.updatedAt('l'),
    },
    with: withMerged('crm_account'),
    from: WITH_CUSTOMER,
    where: `${is.deal} and (${is.won_deal} or ${is.lost_deal})`,
  });

  const wonLostByMonth = view({
    name: 'won_lost_by_month',
    grain: 'month and user responsible',
    key: ['month', 'assignee_id'],
    comment: 'Deals won and lost by month of closing and by the user responsible',
    columns: {
      month: c.day('l.month', 'First day of the month of closing; none where it is not known'),
      ...c.linked('assignee', 'l.assignee_id', 'User responsible for the deals', 'core.user', 'max(assignee.name)'),
      won_deals: c.count(`count(*) filter (where ${is.won_deal})`, 'Deals won'),
      lost_deals: c.count(`count(*) filter (where ${is.lost_deal})`, 'Deals lost'),
      won_percent: c.amount(
        `round(100.0 * count(*) filter (where ${is.won_deal}) / count(*), 1)`,
        'Share of deals won, percent; not to be added up',
      ),
      won_budget: c.amount(
        `coalesce(sum(l.budget) filter (where ${is.won_deal}), 0)`,
        'Amounts of the deals won; Flowlu gives deals no currency',
      ),
      lost_budget: c.amount(
        `coalesce(sum(l.budget) filter (where ${is.lost_deal}), 0)`,
        'Amounts of the deals lost; Flowlu gives deals no currency',
      ),
    },
    from: `${byMonth('crm_lead', 'l', 'l.closing_date', `${is.deal} and (${is.won_deal} or ${is.lost_deal})`)} l`,
    group: 'l.month, l.assignee_id',
  });

  const stuckDeals = view({
    name: 'stuck_deals',
    grain: 'open deal without any activity or change for 30 days',
    key: ['deal_id'],
    comment: 'Open deals on which nothing has happened for 30 days',
    columns: {
      ...dealColumns,
      last_activity_at: c.moment('greatest(l.last_activity_time, l._version)', 'Most recent activity or change'),
      days_quiet: c.integer(
        'floor(extract(epoch from now() - greatest(l.last_activity_time, l._version)) / 86400)::integer',
        'Whole days since then',
      ),
      deadline: c.day('l.deadline', 'Day by which the deal is expected to close'),
      is_overdue: c.yesNo(`coalesce(${is.overdue_deal}, false)`, 'Should have been closed before today'),
      updated_at: c.updatedAt('l'),
    },
    with: withMerged('crm_account'),
    from: WITH_CUSTOMER,
    where: `${is.deal} and ${is.stuck_deal}`,
  });

  return [deals, salesPipeline, closedDeals, stuckDeals, wonLostByMonth];
}
