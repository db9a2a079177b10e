/** Ready-made views about deals. */
import type { View } from '../live-columns.ts';
import { DEAL_CONTACT, DEAL_CUSTOMERS } from './customers.ts';
import type { Terms } from './definitions.ts';
import {
  amount,
  byMonth,
  count,
  day,
  days,
  key,
  linked,
  moment,
  monthOf,
  name,
  report,
  updatedAt,
  word,
  words,
  yesNo,
} from './report.ts';

/** The pipeline of a deal is that of its stage; its own where it has no stage. */
const PIPELINE = 'coalesce(stage.pipeline_id, l.pipeline_id)';

const DEALS = `flowlu.crm_lead l
${name('crm_pipeline_stage', 'stage', 'l.pipeline_stage_id')}
${name('crm_pipeline', 'pipeline', PIPELINE)}
${name('core_user', 'assignee', 'l.assignee_id')}
${name('crm_source', 'source', 'l.source_id')}
${name('crm_loss_reason', 'loss_reason', 'case when l.active = 2 then l.closing_status_id end')}
left join ${DEAL_CUSTOMERS} link on link.record_id = l.id
${name('crm_account', 'customer', 'link.customer_id')}`;

/** Columns that every list of deals has. */
export const dealColumns = {
  deal_id: key('l.id', 'Deal', 'crm.lead'),
  deal_name: word('l.name', 'Title of the deal'),
  ...linked('pipeline', PIPELINE, 'Sales pipeline: of the stage, else of the deal', 'crm.pipeline'),
  ...linked('stage', 'l.pipeline_stage_id', 'Stage that the deal has reached', 'crm.pipeline_stage'),
  budget: amount('l.budget', 'Amount of the deal; Flowlu gives it no currency'),
  ...linked('assignee', 'l.assignee_id', 'User responsible for the deal', 'core.user'),
  ...linked('customer', 'link.customer_id', 'Customer, see definitions', 'crm.account'),
} as const;
export { DEALS as DEAL_ROWS };

const outcome = {
  ...linked('source', 'l.source_id', 'Where the deal came from', 'crm.source'),
  ...linked(
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
  const deals = report({
    name: 'deals',
    grain: 'deal',
    key: ['deal_id'],
    comment: 'Deals with the names of everything they are linked to; without those merged into others',
    columns: {
      ...dealColumns,
      state: words('crm.lead', 'active', 'l.active', 'in progress, lost or won'),
      is_open: yesNo(`coalesce(${is.open_deal}, false)`, 'In progress'),
      is_won: yesNo(`coalesce(${is.won_deal}, false)`, 'Won'),
      is_overdue: yesNo(`coalesce(${is.overdue_deal}, false)`, 'Open, and should have been closed before today'),
      contact_id: key(DEAL_CONTACT, 'Contact, else the first that takes part', 'crm.account'),
      contact_name: word(
        `coalesce((select nullif(contact.name, '') from flowlu.crm_account contact where contact.id = ${DEAL_CONTACT}), l.contact_name)`,
        'Contact, else the name in the enquiry',
      ),
      ...outcome,
      start_date: day('l.start_date', 'Day on which the deal began'),
      deadline: day('l.deadline', 'Day by which the deal is expected to close'),
      closing_date: day('l.closing_date', 'Day on which the deal was won or lost'),
      days_open: days(
        `case when ${is.open_deal} then ${daysBetween(today, began(zone))} else ${daysBetween('l.closing_date', began(zone))} end`,
        'Days from the beginning to the closing, of open deals to today; none where the dates do not fit',
      ),
      created_at: moment('l.created_date', 'When the deal was created'),
      last_activity_at: moment('l.last_activity_time', 'Most recent activity'),
      updated_at: updatedAt('l'),
    },
    from: `${DEALS}\nwhere ${is.deal}`,
  });

  const salesPipeline = report({
    name: 'sales_pipeline',
    grain: 'stage of a pipeline',
    key: ['pipeline_id', 'stage_id'],
    comment: 'Open deals by pipeline and stage, stages without deals included',
    columns: {
      ...linked(
        'pipeline',
        'coalesce(stage.pipeline_id, d.pipeline_id)',
        'Sales pipeline: of the stage, else of the deals',
        'crm.pipeline',
      ),
      ...linked(
        'stage',
        'coalesce(d.stage_id, current.id)',
        'Stage; none where the deals have none',
        'crm.pipeline_stage',
      ),
      stage_position: count('stage.ordering', 'Place of the stage within its pipeline, lowest first'),
      open_deals: count('coalesce(d.open_deals, 0)', 'Deals in progress'),
      budget: amount('coalesce(d.budget, 0)', 'Their amounts together'),
      overdue_deals: count('coalesce(d.overdue_deals, 0)', 'Deals that should have been closed before today'),
      oldest_start: day('d.oldest_start', 'Beginning of the oldest of them'),
    },
    from: `(
  select l.pipeline_stage_id as stage_id, max(l.pipeline_id) as pipeline_id, count(*) as open_deals, sum(l.budget) as budget,
         count(*) filter (where ${is.overdue_deal}) as overdue_deals, min(l.start_date) as oldest_start
    from flowlu.crm_lead l
   where ${is.deal} and ${is.open_deal}
   group by l.pipeline_stage_id,
         case when l.pipeline_stage_id is null or not exists (
           select from flowlu.crm_pipeline_stage known where known.id = l.pipeline_stage_id and known.pipeline_id is not null
         ) then l.pipeline_id end
) d
full join (
  select id from flowlu.crm_pipeline_stage
   where _deleted_at is null and deleted_at is null and active is distinct from false
) current on current.id = d.stage_id
${name('crm_pipeline_stage', 'stage', 'coalesce(d.stage_id, current.id)')}
${name('crm_pipeline', 'pipeline', 'coalesce(stage.pipeline_id, d.pipeline_id)')}`,
  });

  const closedDeals = report({
    name: 'closed_deals',
    grain: 'deal that was won or lost',
    key: ['deal_id'],
    comment: 'Deals that were won or lost, with who, whom and why',
    columns: {
      ...dealColumns,
      result: words('crm.lead', 'active', 'l.active', 'won or lost'),
      is_won: yesNo(is.won_deal, 'Won'),
      closing_date: day('l.closing_date', 'Day on which the deal was won or lost'),
      closing_month: day(monthOf('l.closing_date'), 'First day of the month of closing'),
      ...outcome,
      days_to_close: days(
        daysBetween('l.closing_date', began(zone)),
        'Days from the beginning to the closing; from the creation where the deal has no beginning or one after its closing; none where neither fits',
      ),
      updated_at: updatedAt('l'),
    },
    from: `${DEALS}\nwhere ${is.deal} and (${is.won_deal} or ${is.lost_deal})`,
  });

  const wonLostByMonth = report({
    name: 'won_lost_by_month',
    grain: 'month and user responsible',
    key: ['month', 'assignee_id'],
    comment: 'Deals won and lost by month of closing and by the user responsible',
    columns: {
      month: day('l.month', 'First day of the month of closing; none where it is not known'),
      ...linked('assignee', 'l.assignee_id', 'User responsible for the deals', 'core.user', 'max(assignee.name)'),
      won_deals: count(`count(*) filter (where ${is.won_deal})`, 'Deals won'),
      lost_deals: count(`count(*) filter (where ${is.lost_deal})`, 'Deals lost'),
      won_percent: amount(
        `round(100.0 * count(*) filter (where ${is.won_deal}) / count(*), 1)`,
        'Share of deals won, percent; not to be added up',
      ),
      won_budget: amount(`coalesce(sum(l.budget) filter (where ${is.won_deal}), 0)`, 'Amounts of the deals won'),
      lost_budget: amount(`coalesce(sum(l.budget) filter (where ${is.lost_deal}), 0)`, 'Amounts of the deals lost'),
    },
    from: `${byMonth('crm_lead', 'l', 'l.closing_date', `${is.deal} and (${is.won_deal} or ${is.lost_deal})`)} l
${name('core_user', 'assignee', 'l.assignee_id')}
group by l.month, l.assignee_id`,
  });

  return [deals, salesPipeline, closedDeals, wonLostByMonth];
}
