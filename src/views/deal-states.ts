/** How deals moved through their pipelines: what `sync.deal_states` is made of, and the views that read it. Pure. */
import { findModel } from '../catalog/index.ts';
import { literal } from '../postgres/quote.ts';
import { DEALS, keeperOf, STAGE_CHANGES, STAGE_FIELDS, STATE_COLUMNS } from '../store/deal-states.ts';
import { pastValue } from './history-functions.ts';
import { SINCE, states } from './history-states.ts';
import { c, view } from './view.ts';

const fields = (alias: string) => STAGE_FIELDS.map((field) => `${alias}.${field}`).join(', ');
const pastOf = (field: (typeof STAGE_FIELDS)[number]) =>
  `${pastValue(findModel(DEALS)?.fields[field]?.kind ?? 'text', literal(field), 's.past', `t.${field}`)} as ${field}`;
const PLACE = 'row(v.pipeline_id, v.pipeline_stage_id, v.active)';

/**
 * The states of the deals in `due`. The oldest begins where the mirror first knew of the deal, whatever changed in between. States
 * in a row of one stage and status are one stay; its begin and its end are kept with each, so that no reader adds states up.
 */
const KEPT = `
  select w.id as entity_id, w.place, w.valid_from, w.valid_to, w.known_at, ${fields('w')},
         max(case when w.begins then w.valid_from end) over upto as entered_at,
         max(case when w.begins and w.is_exact then w.place end) over upto
           is not distinct from max(case when w.begins then w.place end) over upto as enters_exactly,
         coalesce(lead(w.begins) over following, true) as ends_stay
    from (
      select v.*, ${PLACE} is distinct from lag(${PLACE}) over following
               or v.valid_from is distinct from lag(v.valid_to) over following as begins,
             (v.valid_from = v.created_date
               or v.path = 'webhook' and (v.change = 'created' or lag(v.id) over following is not null)) is true as is_exact
        from (
          select s.id, case when s.number is null then least(s.valid_from, first.began_at) else s.valid_from end as valid_from,
                 s.valid_to, s.change, s.path, t.created_date, coalesce(first.known_at, s.observed_at) as known_at,
                 row_number() over (partition by s.id order by s.number nulls first) as place,
                 ${STAGE_FIELDS.map(pastOf).join(',\n                 ')}
            from ${states(['id'], `${STAGE_CHANGES} and h.entity_id = any (due)`, '(select * from flowlu.crm_lead l where l.id = any (due))')}
            join flowlu.crm_lead t on t.id = s.id
            left join (
              select distinct on (h.entity_id) h.entity_id as id, coalesce(h.prior_version, h.prior_observed_at) as began_at,
                     coalesce(h.prior_observed_at, h.observed_at) as known_at
                from sync.history h
               where h.model = ${literal(DEALS)} and h.entity_id = any (due) and h.recorded_at >= ${SINCE}
               order by h.entity_id, h.number
            ) first on first.id = s.id
           where s.lives and s.began_at is not null
        ) v
      window following as (partition by v.id order by v.place)
    ) w
  window following as (partition by w.id order by w.place), upto as (following rows unbounded preceding)`;
const KEPT_COLUMNS = [...STATE_COLUMNS, ...STAGE_FIELDS].map((column) => `k.${column}`).join(', ');

export const KEEPER = keeperOf(`select ${KEPT_COLUMNS} from (${KEPT}) k`);

/** Rows from before a time in which changes were not kept do not count. */
const KEEPS = `k.kept_at >= ${SINCE}`;
const ROW_BEGAN = `coalesce(case when t._version <= t._observed_at + interval '1 day' then t._version end, t._observed_at)`;

/** The states of deals while they lived: those that ended as they were kept, the one that lasts with the values of the row. */
export const DEAL_STATES = `(
  select k.entity_id as id, k.place, k.valid_from, k.valid_to, k.entered_at, k.enters_exactly, k.ends_stay, ${fields('k')}
    from sync.deal_states k where k.valid_to is not null and ${KEEPS}
   union all
  select t.id, coalesce(k.place, 1), coalesce(k.valid_from, ${ROW_BEGAN}), null, coalesce(k.entered_at, ${ROW_BEGAN}),
         coalesce(k.enters_exactly, ${ROW_BEGAN} = t.created_date, false), true, ${fields('t')}
    from flowlu.crm_lead t left join sync.deal_states k on k.entity_id = t.id and k.valid_to is null and ${KEEPS}
   where t._deleted_at is null
)`;

/** When the mirror first knew deals: before that it cannot tell what was. */
export const DEALS_KNOWN_SINCE = `(select least(
    (select min(k.known_at) from sync.deal_states k where ${KEEPS}), (select min(l._observed_at) from flowlu.crm_lead l)))`;

/** The last state of each stay. */
export const STAYS = `(select x.*, x.valid_to as left_at from ${DEAL_STATES} x where x.ends_stay)`;

const STATUS = (code: string) => `case ${code} when 1 then 'in progress' when 2 then 'lost' when 3 then 'won' end`;

export const dealStates = view({
  schema: 'flowlu_history',
  name: 'deal_states',
  comment:
    'What each deal was from when until when, as far as pipeline, stage, status and amount are concerned: quick to ask as of a day. Deals merged into others are left out from the merge on',
  grain: 'state of a deal',
  key: ['deal_id', 'valid_from', 'valid_to'],
  columns: {
    deal_id: c.number('s.id', 'The deal', 'crm.lead'),
    valid_from: c.moment('s.valid_from', 'When this state came about'),
    valid_to: c.moment('s.valid_to', 'When it ended; null while it lasts'),
    pipeline_id: c.number('s.pipeline_id', 'Pipeline of the deal', 'crm.pipeline'),
    stage_id: c.number('s.pipeline_stage_id', 'Stage of the deal', 'crm.pipeline_stage'),
    status: c.text(STATUS('s.active'), 'in progress, lost or won'),
    budget: c.amount('s.budget', 'Amount of the deal; Flowlu gives it no currency'),
    complete_since: c.moment(
      DEALS_KNOWN_SINCE,
      'When the mirror first knew deals, the same on every row: as of a moment before it, some deals are missing',
    ),
  },
  from: `${DEAL_STATES} s`,
  where: 's.merged_to_id is null',
});

export const timeInStage = view({
  schema: 'flowlu_history',
  name: 'time_in_stage',
  comment: 'How long each deal stayed in each stage of its pipeline',
  grain: 'stay of a deal in a stage',
  key: ['deal_id', 'entered_at', 'left_at'],
  columns: {
    deal_id: c.number('y.id', 'The deal', 'crm.lead'),
    deal: c.text('d.name', 'Title of the deal, as it is now'),
    pipeline_id: c.number('y.pipeline_id', 'Pipeline of the stay', 'crm.pipeline'),
    pipeline: c.text('p.name', 'Its name, as it is now'),
    stage_id: c.number('y.pipeline_stage_id', 'Stage of the stay', 'crm.pipeline_stage'),
    stage: c.text('g.name', 'Its name, as it is now'),
    status: c.text(STATUS('y.active'), 'in progress, lost or won, during the stay'),
    entered_at: c.moment('y.entered_at', 'When the deal came into the stage'),
    left_at: c.moment('y.left_at', 'When it went to another stage or status, or was deleted; null while it stays'),
    duration: {
      type: 'interval',
      sql: 'case when y.left_at is not null or y.active = 1 then coalesce(y.left_at, now()) - y.entered_at end',
      comment:
        'left_at, or now, less entered_at; none for a deal that is lost or won and stays so: it waits for nothing',
    },
    entered_exactly: c.yesNo(
      'y.enters_exactly',
      'False where the deal may have come into the stage earlier: before the mirror began, or unseen until a reading',
    ),
  },
  from: `${STAYS} y
join flowlu.crm_lead d on d.id = y.id
left join flowlu.crm_pipeline p on p.id = y.pipeline_id
left join flowlu.crm_pipeline_stage g on g.id = y.pipeline_stage_id`,
});
