/** Ready-made views about how deals move, from the history: what a pipeline was, where deals die, which are stuck. */

import { literal } from '../../postgres/quote.ts';
import { DEAL_STATES, STAYS } from '../history.ts';
import type { View } from '../live-columns.ts';
import type { Terms } from './definitions.ts';
import { amount, count, day, days, linked, moment, name, report, updatedAt, yesNo } from './report.ts';
import { DEAL_ROWS, dealColumns } from './sales.ts';

/** When the mirror first knew deals: before that it cannot tell what was. */
const FIRST_KNOWN = `(select min(coalesce(
    (select min(h.prior_observed_at) from sync.history h where h.model = 'crm.lead'), t.at))
  from (select min(l._observed_at) as at from flowlu.crm_lead l) t)`;

export function pipeline({ is, zone, today }: Terms): readonly View[] {
  const month = (at: string) => `date_trunc('month', ${at} at time zone ${literal(zone)})::date`;
  const place = {
    ...linked(
      'pipeline',
      'coalesce(stage.pipeline_id, m.pipeline_id)',
      'Sales pipeline: of the stage, else of the deals',
      'crm.pipeline',
    ),
    ...linked('stage', 'm.stage_id', 'Stage; none where the deals had none', 'crm.pipeline_stage'),
    stage_position: count('stage.ordering', 'Place of the stage within its pipeline, lowest first'),
  } as const;
  const NAMES = `${name('crm_pipeline_stage', 'stage', 'm.stage_id')}
${name('crm_pipeline', 'pipeline', 'coalesce(stage.pipeline_id, m.pipeline_id)')}`;

  const byMonth = report({
    name: 'pipeline_by_month',
    grain: 'month and stage',
    key: ['month', 'pipeline_id', 'stage_id'],
    comment: 'Open deals as they stood at the end of each month, of the present month as they stand now',
    columns: {
      month: day('m.month', 'First day of the month'),
      ...place,
      open_deals: count(
        'm.open_deals::bigint',
        'Deals in progress at the end of the month; not to be added up over months',
      ),
      budget: amount('m.budget', 'Their amounts at that time'),
      is_complete: yesNo(
        `m.month >= ${month(FIRST_KNOWN)}`,
        'False for months that ended before the mirror first knew the deals: some may be missing',
      ),
    },
    from: `(
  select * from (
    select month.month, part.pipeline_id, part.stage_id,
           sum(step.deals) over upto as open_deals, sum(step.budget) over upto as budget
      from (
        select e.pipeline_id, e.stage_id, min(e.month) as first from (
          select s.pipeline_id, s.pipeline_stage_id as stage_id, ${month('s.valid_from')} as month from ${DEAL_STATES} s where s.active = 1 and s.merged_to_id is null
        ) e group by e.pipeline_id, e.stage_id
      ) part
      cross join lateral (select first::date as month from generate_series(part.first::timestamp, ${today}::timestamp, interval '1 month') first) month
      left join (
        select s.pipeline_id, s.pipeline_stage_id as stage_id, ${month('change.at')} as month, sum(change.sign) as deals, sum(change.sign * coalesce(s.budget, 0)) as budget
          from ${DEAL_STATES} s cross join lateral (values (s.valid_from, 1), (s.valid_to, -1)) change (at, sign)
         where s.active = 1 and s.merged_to_id is null and change.at is not null and ${month('s.valid_from')} is distinct from ${month('s.valid_to')}
         group by 1, 2, 3
      ) step on step.month = month.month and step.stage_id is not distinct from part.stage_id and step.pipeline_id is not distinct from part.pipeline_id
    window upto as (partition by part.pipeline_id, part.stage_id order by month.month)
  ) m where m.open_deals > 0
) m
${NAMES}`,
  });

  const stageConversion = report({
    name: 'stage_conversion',
    grain: 'stage of a pipeline',
    key: ['pipeline_id', 'stage_id'],
    comment: 'What became of the stays of open deals in each stage, as far as the mirror saw them',
    columns: {
      ...place,
      stays: count('m.stays', 'Stays of deals in the stage; a deal that comes back stays again'),
      moved_on: count('m.moved_on', 'Those that ended in a later stage'),
      moved_back: count('m.moved_back', 'Those that ended in an earlier stage or another pipeline'),
      won: count('m.won', 'Those that ended with the deal won'),
      lost: count('m.lost', 'Those that ended with the deal lost'),
      waiting: count('m.waiting', 'Those that last'),
      gone: count(
        'm.stays - m.moved_on - m.moved_back - m.won - m.lost - m.waiting',
        'Those that ended otherwise: deleted, merged',
      ),
      conversion_percent: amount(
        'round(100.0 * (m.moved_on + m.won) / nullif(m.stays - m.waiting, 0), 1)',
        'Moved on or won, of the stays that have ended; not to be added up',
      ),
      average_days: amount('m.average_days', 'Length of the stays that have ended, days; not to be added up'),
    },
    from: `(
  select coalesce(here.pipeline_id, y.pipeline_id) as pipeline_id, y.pipeline_stage_id as stage_id, count(*) as stays,
         count(*) filter (where y.next_active = 1 and next.pipeline_id = here.pipeline_id and next.ordering > here.ordering) as moved_on,
         count(*) filter (where y.next_active = 1 and (next.pipeline_id = here.pipeline_id and next.ordering > here.ordering) is not true) as moved_back,
         count(*) filter (where y.next_active = 3) as won, count(*) filter (where y.next_active = 2) as lost,
         count(*) filter (where y.left_at is null) as waiting,
         round((extract(epoch from avg(y.left_at - y.entered_at)) / 86400)::numeric, 1) as average_days
    from (
      select y.*, lead(y.active) over following as next_active, lead(y.pipeline_stage_id) over following as next_stage_id
        from ${STAYS} y
      window following as (partition by y.id order by y.entered_at, y.left_at nulls last)
    ) y
    left join flowlu.crm_pipeline_stage here on here.id = y.pipeline_stage_id
    left join flowlu.crm_pipeline_stage next on next.id = y.next_stage_id
   where y.active = 1
   group by coalesce(here.pipeline_id, y.pipeline_id), y.pipeline_stage_id
) m
${NAMES}`,
  });

  const stuckDeals = report({
    name: 'stuck_deals',
    grain: 'open deal without any activity or change for 30 days',
    key: ['deal_id'],
    comment: 'Open deals on which nothing has happened for 30 days',
    columns: {
      ...dealColumns,
      last_activity_at: moment('greatest(l.last_activity_time, l._version)', 'Most recent activity or change'),
      days_quiet: days(
        'floor(extract(epoch from now() - greatest(l.last_activity_time, l._version)) / 86400)::integer',
        'Whole days since then',
      ),
      deadline: day('l.deadline', 'Day by which the deal is expected to close'),
      is_overdue: yesNo(`coalesce(${is.overdue_deal}, false)`, 'Should have been closed before today'),
      updated_at: updatedAt('l'),
    },
    from: `${DEAL_ROWS}\nwhere ${is.deal} and ${is.stuck_deal}`,
  });
  return [byMonth, stageConversion, stuckDeals];
}
