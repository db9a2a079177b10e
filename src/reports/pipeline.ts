/** Ready-made views about how deals move, from the history: what a pipeline was, where deals die, which are stuck. */

import { DEAL_STATES, DEALS_KNOWN_SINCE, STAYS } from '../views/deal-states.ts';
import { c, monthIn, type View, view } from '../views/view.ts';
import type { Terms } from './definitions.ts';
import { inPipeline, placeColumns } from './sales.ts';

export function pipeline({ zone, today }: Terms): readonly View[] {
  const month = (at: string) => monthIn(zone, at);
  const states = inPipeline(DEAL_STATES);
  const place = placeColumns('m.pipeline_id', 'm.stage_id');

  const byMonth = view({
    name: 'pipeline_by_month',
    grain: 'month and stage',
    key: ['month', 'pipeline_id', 'stage_id'],
    comment: 'Open deals as they stood at the end of each month, of the present month as they stand now',
    columns: {
      month: c.day('m.month', 'First day of the month'),
      ...place,
      open_deals: c.count(
        'm.open_deals::bigint',
        'Deals in progress at the end of the month; not to be added up over months',
      ),
      budget: c.amount('m.budget', 'Their amounts at that time; Flowlu gives deals no currency'),
      is_complete: c.yesNo(
        `m.month >= ${month(DEALS_KNOWN_SINCE)}`,
        'False for months that ended before the mirror first knew the deals: some may be missing',
      ),
    },
    from: `(
  with step as materialized (
    select part.pipeline_id, part.stage_id, change.month, sum(change.sign * part.deals) as deals, sum(change.sign * part.budget) as budget
      from (
        select s.in_pipeline_id as pipeline_id, s.pipeline_stage_id as stage_id, ${month('s.valid_from')} as began,
               ${month('s.valid_to')} as ended, count(*) as deals, coalesce(sum(s.budget), 0) as budget
          from ${states} s
         where s.active = 1 and s.merged_to_id is null
         group by 1, 2, 3, 4
      ) part cross join lateral (values (part.began, 1), (part.ended, -1)) change (month, sign)
     where change.month is not null
     group by 1, 2, 3
  )
  select * from (
    select month.month, part.pipeline_id, part.stage_id,
           sum(step.deals) over upto as open_deals, sum(step.budget) over upto as budget
      from (select pipeline_id, stage_id, min(month) as first from step group by 1, 2) part
      cross join lateral (select first::date as month from generate_series(part.first::timestamp, ${today}::timestamp, interval '1 month') first) month
      left join step on step.month = month.month and step.stage_id is not distinct from part.stage_id and step.pipeline_id is not distinct from part.pipeline_id
    window upto as (partition by part.pipeline_id, part.stage_id order by month.month)
  ) m where m.open_deals > 0
) m`,
  });

  const stageConversion = view({
    name: 'stage_conversion',
    grain: 'stage of a pipeline',
    key: ['pipeline_id', 'stage_id'],
    comment: 'What became of the stays of open deals in each stage, as far as the mirror saw them',
    columns: {
      ...place,
      stays: c.count('m.stays', 'Stays of deals in the stage; a deal that comes back stays again'),
      moved_on: c.count('m.moved_on', 'Those that ended in a later stage'),
      moved_back: c.count('m.moved_back', 'Those that ended in an earlier stage or another pipeline'),
      won: c.count('m.won', 'Those that ended with the deal won'),
      lost: c.count('m.lost', 'Those that ended with the deal lost'),
      waiting: c.count('m.waiting', 'Those that last'),
      gone: c.count(
        'm.stays - m.moved_on - m.moved_back - m.won - m.lost - m.waiting',
        'Those that ended otherwise: deleted, merged',
      ),
      conversion_percent: c.amount(
        'round(100.0 * (m.moved_on + m.won) / nullif(m.stays - m.waiting, 0), 1)',
        'Moved on or won, of the stays that have ended; not to be added up',
      ),
      average_days: c.amount('m.average_days', 'Length of the stays that have ended, days; not to be added up'),
    },
    from: `(
  select y.in_pipeline_id as pipeline_id, y.pipeline_stage_id as stage_id, count(*) as stays,
         count(*) filter (where y.next_active = 1 and next.pipeline_id = here.pipeline_id and next.ordering > here.ordering) as moved_on,
         count(*) filter (where y.next_active = 1 and (next.pipeline_id = here.pipeline_id and next.ordering > here.ordering) is not true) as moved_back,
         count(*) filter (where y.next_active = 3) as won, count(*) filter (where y.next_active = 2) as lost,
         count(*) filter (where y.left_at is null) as waiting,
         round((extract(epoch from avg(y.left_at - y.entered_at)) / 86400)::numeric, 1) as average_days
    from (
      select y.*, lead(y.active) over following as next_active, lead(y.pipeline_stage_id) over following as next_stage_id
        from ${inPipeline(STAYS)} y
      window following as (partition by y.id order by y.place)
    ) y
    left join flowlu.crm_pipeline_stage here on here.id = y.pipeline_stage_id
    left join flowlu.crm_pipeline_stage next on next.id = y.next_stage_id
   where y.active = 1
   group by y.in_pipeline_id, y.pipeline_stage_id
) m`,
  });

  return [byMonth, stageConversion];
}
