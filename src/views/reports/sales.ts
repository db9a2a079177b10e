/** Ready-made views about deals. */
import { catalog } from '../../catalog/index.ts';
import type { View } from '../live-columns.ts';
import { amount, count, day, days, key, name, report, word, words } from './report.ts';

const { lead } = catalog.crm;

/** Who takes part in a deal: where the older single links are empty, the first organisation and contact of it. */
export const PARTIES = `left join (
  select lead_id, min(account_id) filter (where account_type = 1) as organisation_id,
         min(account_id) filter (where account_type = 2) as contact_id
    from flowlu.crm_lead_accounts where _deleted_at is null group by lead_id
) party on party.lead_id = l.id`;

/** Deals that exist; one that was merged into another is counted there. */
export const LIVE_DEALS = 'l._deleted_at is null and l.merged_to_id is null';

const DEALS = `flowlu.crm_lead l
${name('crm_pipeline_stage', 'stage', 'l.pipeline_stage_id')}
${name('crm_pipeline', 'pipeline', 'coalesce(l.pipeline_id, stage.pipeline_id)')}
${name('core_user', 'assignee', 'l.assignee_id')}
${name('crm_source', 'source', 'l.source_id')}
${name('crm_loss_reason', 'reason', 'l.closing_status_id')}
${PARTIES}
${name('crm_account', 'customer', 'coalesce(l.customer_id, party.organisation_id)')}
${name('crm_account', 'contact', 'coalesce(l.contact_id, party.contact_id)')}`;

const people = {
  assignee_id: key('l.assignee_id', 'User responsible', 'core.user'),
  assignee_name: word('assignee.name', 'User responsible for the deal'),
  customer_id: key('coalesce(l.customer_id, party.organisation_id)', 'Customer', 'crm.account'),
  customer_name: word('customer.name', 'Customer: the linked organisation, else the first that takes part'),
} as const;

const deals = report({
  name: 'deals',
  comment: 'Deals with the names of everything they are linked to; without those merged into others',
  columns: {
    deal_id: key('l.id', 'Deal', 'crm.lead'),
    deal_name: word('l.name', 'Title of the deal'),
    state: words(lead.fields.active, 'l.active', 'in progress, lost or won'),
    pipeline_name: word('pipeline.name', 'Sales pipeline'),
    stage_name: word('stage.name', 'Stage that the deal has reached'),
    budget: amount('l.budget', 'Amount of the deal'),
    ...people,
    contact_id: key('coalesce(l.contact_id, party.contact_id)', 'Contact', 'crm.account'),
    contact_name: word("coalesce(nullif(contact.name, ''), l.contact_name)", 'Contact, else the name in the enquiry'),
    source_name: word('source.name', 'Where the deal came from'),
    loss_reason_name: word('case when l.active = 2 then reason.name end', 'Why the deal was lost'),
    start_date: day('l.start_date', 'Day on which the deal began'),
    deadline: day('l.deadline', 'Day by which the deal is expected to close'),
    closing_date: day('l.closing_date', 'Day on which the deal was won or lost'),
    days_open: days(
      'case when l.active = 1 then current_date else l.closing_date end - l.start_date',
      'Days from the beginning to the closing, of open deals to today',
    ),
    created_at: ['timestamptz', 'l.created_date', 'When the deal was created'],
  },
  from: `${DEALS}\nwhere ${LIVE_DEALS}`,
});

const salesPipeline = report({
  name: 'sales_pipeline',
  comment: 'Open deals by pipeline and stage, stages without deals included',
  columns: {
    pipeline_id: key('coalesce(stage.pipeline_id, d.pipeline_id)', 'Pipeline', 'crm.pipeline'),
    pipeline_name: word('pipeline.name', 'Sales pipeline; of the stage, else of the deals'),
    stage_id: key('coalesce(d.stage_id, current.id)', 'Stage', 'crm.pipeline_stage'),
    stage_name: word('stage.name', 'Stage; none where the deals have none'),
    stage_position: count('stage.ordering', 'Place of the stage within its pipeline, lowest first'),
    open_deals: count('coalesce(d.open_deals, 0)', 'Deals in progress'),
    budget: amount('coalesce(d.budget, 0)', 'Their amounts together'),
    overdue_deals: count('coalesce(d.overdue_deals, 0)', 'Deals that should have been closed before today'),
    oldest_start: day('d.oldest_start', 'Beginning of the oldest of them'),
  },
  from: `(
  select pipeline_stage_id as stage_id, max(pipeline_id) as pipeline_id, count(*) as open_deals, sum(budget) as budget,
         count(*) filter (where deadline < current_date) as overdue_deals, min(start_date) as oldest_start
    from flowlu.crm_lead l where ${LIVE_DEALS} and l.active = 1
   group by pipeline_stage_id, case when pipeline_stage_id is null then pipeline_id end
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
  comment: 'Deals that were won or lost, with who, whom and why',
  columns: {
    deal_id: key('l.id', 'Deal', 'crm.lead'),
    deal_name: word('l.name', 'Title of the deal'),
    result: words(lead.fields.active, 'l.active', 'won or lost'),
    closing_date: day('l.closing_date', 'Day on which the deal was won or lost'),
    closing_month: day("date_trunc('month', l.closing_date)::date", 'First day of the month of closing'),
    budget: amount('l.budget', 'Amount of the deal'),
    ...people,
    pipeline_name: word('pipeline.name', 'Sales pipeline'),
    source_name: word('source.name', 'Where the deal came from'),
    loss_reason_name: word('case when l.active = 2 then reason.name end', 'Why the deal was lost'),
    days_to_close: days('l.closing_date - l.start_date', 'Days from the beginning to the closing'),
  },
  from: `${DEALS}\nwhere ${LIVE_DEALS} and l.active in (2, 3)`,
});

const wonLostByMonth = report({
  name: 'won_lost_by_month',
  comment: 'Deals won and lost by month of closing and by the user responsible',
  columns: {
    month: day(
      "date_trunc('month', l.closing_date)::date",
      'First day of the month of closing; none where it is not known',
    ),
    assignee_id: people.assignee_id,
    assignee_name: word('max(assignee.name)', 'User responsible for the deals'),
    won_deals: count('count(*) filter (where l.active = 3)', 'Deals won'),
    lost_deals: count('count(*) filter (where l.active = 2)', 'Deals lost'),
    won_percent: amount(
      'round(100.0 * count(*) filter (where l.active = 3) / count(*), 1)',
      'Share of deals won, percent',
    ),
    won_budget: amount('coalesce(sum(l.budget) filter (where l.active = 3), 0)', 'Amounts of the deals won'),
    lost_budget: amount('coalesce(sum(l.budget) filter (where l.active = 2), 0)', 'Amounts of the deals lost'),
  },
  from: `flowlu.crm_lead l
${name('core_user', 'assignee', 'l.assignee_id')}
where ${LIVE_DEALS} and l.active in (2, 3)
group by date_trunc('month', l.closing_date)::date, l.assignee_id`,
});

export const sales: readonly View[] = [deals, salesPipeline, closedDeals, wonLostByMonth];
