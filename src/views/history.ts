/**
 * What the views of schema `flowlu_history` show. Pure.
 *
 * A state of the past is the row as it stands, with the `before` of every later change laid over it. In the SQL below each
 * change stands for the state that it put an end to, and the row for the one that lasts; so a record without any
 * change has its one state too, and states beyond the retention drop off without harm to the others. All windows are
 * cut by `id`, so that a condition on it reaches the indexes.
 */

import { findModel, models } from '../catalog/index.ts';
import type { Model } from '../catalog/types.ts';
import { identifier, literal } from '../postgres/quote.ts';
import { settingAsText } from '../store/settings.ts';
import { sqlTypes } from '../tables/columns.ts';
import { historyViewDocs, stateDocs } from './history-docs.ts';
import { pastValue } from './history-functions.ts';
import { fieldMeaning, keepEmpty, type View, type ViewColumn } from './live-columns.ts';
import { typedValue } from './values.ts';

const HISTORY = 'flowlu_history';

/** Beyond any number of a change: the state that lasts. */
const LAST = '9223372036854775807';

/** Before this moment changes may be missing, so no state is made of them. */
const SINCE = `(select coalesce(${settingAsText('history_since')}::timestamptz, '-infinity'))`;

/** Second names of custom fields → first ones. */
const ALIASES = `(select coalesce(jsonb_object_agg('cf_' || alias, 'cf_' || id), '{}')
  from flowlu.customfields_fields where _deleted_at is null and alias <> '')`;

/**
 * The states of records, their values still to be read.
 * @param key the columns that tell one record
 * @param changes which changes are theirs, as a condition on `h`
 * @param rows the table of their rows
 */
function states(key: readonly string[], changes: string, rows: string): string {
  const columns = (alias: string) => key.map((column) => `${alias}.${column}`).join(', ');
  const keyOfChange = key.map((column) => (column === 'id' ? 'h.entity_id as id' : nameParts[column])).join(', ');
  return `(
  select ${columns('e')}, e.number, e.lives, e.change, e.path, e.observed_at, e.began_at, e.past,
         max(e.began_at) over (partition by ${columns('e')} order by e.ended_by rows unbounded preceding) as valid_from,
         case when e.ended_by <> ${LAST} then max(e.began_at) over (
           partition by ${columns('e')} order by e.ended_by rows between unbounded preceding and 1 following) end as valid_to
    from (
      select ${columns('c')}, c.number as ended_by, c.lives,
             lead(c.number) over w as number, lead(c.change) over w as change, lead(c.path) over w as path,
             coalesce(lead(c.observed_at) over w, c.prior_observed_at) as observed_at,
             case when lead(c.number) over w is null then coalesce(c.prior_version, c.prior_observed_at)
                  else coalesce(lead(c.version) over w, lead(c.observed_at) over w) end as began_at,
             ${HISTORY}.laid_over(c.before) over (partition by ${columns('c')} order by c.number desc rows unbounded preceding) as past
        from (
          select ${keyOfChange}, h.number, h.change, h.path, h.version, h.observed_at, h.prior_version,
                 h.prior_observed_at, h.before, h.change in ('updated', 'deleted') as lives
            from sync.history h
           where ${changes} and h.recorded_at >= ${SINCE}
          union all
          select ${columns('t')}, ${LAST}, null, null, null, null,
                 case when t._version <= t._observed_at + interval '1 day' then t._version end, t._observed_at, null,
                 t._deleted_at is null
            from ${rows} t
        ) c
      window w as (partition by ${columns('c')} order by c.number desc)
    ) e
) s`;
}

const nameParts: Readonly<Record<string, string>> = {
  module: "split_part(h.model, '.', 1) as module",
  model: "substr(h.model, strpos(h.model, '.') + 1) as model",
};

const column = (
  name: string,
  type: string,
  expression: string,
  comment = '',
  references: string | null = null,
): ViewColumn => ({ name, type, expression, comment, origin: 'derived', references });

/** A view with what its columns mean. */
function documented(
  view: Pick<View, 'name' | 'columns' | 'from'>,
  text: string,
  docs: Readonly<Record<string, string>>,
): View {
  const columns = view.columns.map((one) => ({ ...one, comment: docs[one.name] ?? one.comment }));
  return { schema: HISTORY, model: null, ...view, columns, comment: text, keep: keepEmpty };
}

/** What is known of a state beside its values. */
const META: readonly ViewColumn[] = [
  column('_change', 'text', 's.change'),
  column('_path', 'text', 's.path'),
  column('_observed_at', 'timestamptz', 's.observed_at'),
  column('_number', 'bigint', 's.number'),
  column('_record', 'jsonb', `${HISTORY}.past_record(t._record, s.past, ${ALIASES})`),
];

const VALIDITY: readonly ViewColumn[] = [
  column('valid_from', 'timestamptz', 's.valid_from'),
  column('valid_to', 'timestamptz', 's.valid_to'),
];

/** Every state of the records of one model while they lived. */
function modelHistory(model: Model): View {
  const table = `flowlu.${identifier(model.table)}`;
  const fields = Object.entries(model.fields).filter(([name]) => name !== 'id');
  const view = {
    name: model.table,
    columns: [
      column('id', 'bigint', 's.id', model.fields.id?.doc),
      ...VALIDITY,
      ...fields.map(([name, field]) => {
        const value = pastValue(field.kind, literal(name), 's.past', `t.${identifier(name)}`);
        return column(name, sqlTypes[field.kind], value, fieldMeaning(field), field.references ?? null);
      }),
      ...META,
    ],
    from: `${states(['id'], `h.model = ${literal(model.name)}`, table)}
join ${table} t on t.id = s.id
where s.lives and s.began_at is not null`,
  };
  const text = `${model.title} (Flowlu ${model.name}): every state that the mirror knows of`;
  return { ...documented(view, text, stateDocs), model: model.name };
}

const uncatalogued = documented(
  {
    name: 'uncatalogued',
    columns: [
      column('module', 'text', 's.module'),
      column('model', 'text', 's.model'),
      column('id', 'bigint', 's.id'),
      ...VALIDITY,
      ...META,
    ],
    from: `${states(
      ['module', 'model', 'id'],
      `h.model <> all (array[${models.map(({ name }) => literal(name)).join(', ')}])`,
      'flowlu.uncatalogued',
    )}
join flowlu.uncatalogued t on t.module = s.module and t.model = s.model and t.id = s.id
where s.lives and s.began_at is not null`,
  },
  'Records of models that the catalogue does not know: every state that the mirror knows of',
  { module: 'Flowlu module', model: 'Flowlu model', id: 'Identifier in Flowlu', ...stateDocs },
);

const changes = documented(
  {
    name: 'changes',
    columns: [
      column('number', 'bigint', 'h.number'),
      column('model', 'text', 'h.model'),
      column('id', 'bigint', 'h.entity_id'),
      column('change', 'text', 'h.change'),
      column('changed_at', 'timestamptz', 'h.version'),
      column('observed_at', 'timestamptz', 'h.observed_at'),
      column('recorded_at', 'timestamptz', 'h.recorded_at'),
      column('path', 'text', 'h.path'),
      column('before', 'jsonb', 'h.before'),
      column('after', 'jsonb', 'h.after'),
    ],
    from: 'sync.history h',
  },
  historyViewDocs.changes.text,
  historyViewDocs.changes.columns,
);

/** Who made the change, where the model says and the change gave another name; a change by the one before does not say it. */
const CHANGED_BY = typedValue('link', "(h.after -> 'updated_by')");

/** Words of the catalogue for the codes of every model, as one object: asked for once a query. */
const LABELS = literal(
  JSON.stringify(
    Object.fromEntries(
      models.flatMap(({ name, fields }) =>
        Object.entries(fields).flatMap(([field, { labels }]) =>
          labels === undefined ? [] : [[`${name} ${field}`, labels]],
        ),
      ),
    ),
  ),
);
const labelIn = (value: string) => `${LABELS}::jsonb -> (h.model || ' ' || f.key) ->> (${value})`;

const fieldChanges = documented(
  {
    name: 'field_changes',
    columns: [
      ...changes.columns.filter(({ type }) => type !== 'jsonb'),
      column('field', 'text', 'f.key'),
      column('old_value', 'text', 'h.before ->> f.key'),
      column('new_value', 'text', "f.value #>> '{}'"),
      column('changed_by', 'bigint', CHANGED_BY, '', 'core.user'),
      column(
        'changed_by_name',
        'text',
        `(select nullif(u.name, '') from flowlu.core_user u where u.id = ${CHANGED_BY})`,
      ),
      column('old_label', 'text', labelIn('h.before ->> f.key')),
      column('new_label', 'text', labelIn("f.value #>> '{}'")),
    ],
    from: 'sync.history h cross join lateral jsonb_each(h.after) f',
  },
  historyViewDocs.field_changes.text,
  historyViewDocs.field_changes.columns,
);

/** Fields of deals that the questions about pipelines ask for; changes of any other are passed over. */
const STAGE_FIELDS = ['pipeline_id', 'pipeline_stage_id', 'active', 'budget', 'merged_to_id'] as const;
const STAGE_CHANGES = `h.model = 'crm.lead' and (h.change <> 'updated' or h.before ?| array[${STAGE_FIELDS.map(literal).join(', ')}])`;

/** The table of changes finds those of stages, and the first of each deal, without reading the others. */
export const STAGE_INDEXES = `
create index if not exists history_stages on sync.history (entity_id, number) where ${STAGE_CHANGES.replaceAll('h.', '')};
create index if not exists history_first on sync.history (entity_id, number) include (prior_version, prior_observed_at) where model = 'crm.lead'`;

/**
 * The states of deals, as far as `STAGE_FIELDS` are concerned: `id`, `valid_from`, `valid_to`, those fields, and how the state
 * came about. The oldest begins where the mirror first knew of the deal, whatever changed in between.
 */
export const DEAL_STATES = `(
  select s.id, case when s.number is null then least(s.valid_from, first.began_at) else s.valid_from end as valid_from,
         s.valid_to, s.number, s.change, s.path, t.created_date,
         ${STAGE_FIELDS.map((name) => `${pastValue(catalogued('crm.lead').fields[name]?.kind ?? 'text', literal(name), 's.past', `t.${name}`)} as ${name}`).join(',\n         ')}
    from ${states(['id'], STAGE_CHANGES, 'flowlu.crm_lead')}
    join flowlu.crm_lead t on t.id = s.id
    left join (
      select distinct on (h.entity_id) h.entity_id as id, coalesce(h.prior_version, h.prior_observed_at) as began_at
        from sync.history h where h.model = 'crm.lead' and h.recorded_at >= ${SINCE} order by h.entity_id, h.number
    ) first on first.id = s.id
   where s.lives and s.began_at is not null
)`;

/** Stays of deals: consecutive states of one stage and status are one. */
export const STAYS = `(
  select x.id, x.pipeline_id, x.pipeline_stage_id, x.active, min(x.valid_from) as entered_at,
         case when bool_and(x.valid_to is not null) then max(x.valid_to) end as left_at,
         coalesce(bool_or(x.begins and x.is_exact), false) as entered_exactly
    from (
      select w.*, count(*) filter (where w.begins) over (partition by w.id order by w.number nulls first rows unbounded preceding) as stay
        from (
          select s.*,
                 row(s.pipeline_id, s.pipeline_stage_id, s.active)
                   is distinct from lag(row(s.pipeline_id, s.pipeline_stage_id, s.active)) over v
                 or s.valid_from is distinct from lag(s.valid_to) over v as begins,
                 s.valid_from = s.created_date
                 or s.path = 'webhook' and (s.change = 'created' or lag(s.id) over v is not null) is true as is_exact
            from ${DEAL_STATES} s
          window v as (partition by s.id order by s.number nulls first)
        ) w
    ) x
   group by x.id, x.stay, x.pipeline_id, x.pipeline_stage_id, x.active
)`;

function catalogued(name: string): Model {
  const model = findModel(name);
  if (model === undefined) throw new Error(`the catalogue has no ${name}`);
  return model;
}

/** How long deals stayed in a stage. */
const timeInStage = documented(
  {
    name: 'time_in_stage',
    columns: [
      column('deal_id', 'bigint', 'y.id', '', 'crm.lead'),
      column('deal', 'text', 'd.name'),
      column('pipeline_id', 'bigint', 'y.pipeline_id', '', 'crm.pipeline'),
      column('pipeline', 'text', 'p.name'),
      column('stage_id', 'bigint', 'y.pipeline_stage_id', '', 'crm.pipeline_stage'),
      column('stage', 'text', 'g.name'),
      column('status', 'text', "case y.active when 1 then 'in progress' when 2 then 'lost' when 3 then 'won' end"),
      column('entered_at', 'timestamptz', 'y.entered_at'),
      column('left_at', 'timestamptz', 'y.left_at'),
      column(
        'duration',
        'interval',
        'case when y.left_at is not null or y.active = 1 then coalesce(y.left_at, now()) - y.entered_at end',
      ),
      column('entered_exactly', 'boolean', 'y.entered_exactly'),
    ],
    from: `${STAYS} y
join flowlu.crm_lead d on d.id = y.id
left join flowlu.crm_pipeline p on p.id = y.pipeline_id
left join flowlu.crm_pipeline_stage g on g.id = y.pipeline_stage_id`,
  },
  historyViewDocs.time_in_stage.text,
  historyViewDocs.time_in_stage.columns,
);

/** Every view of schema `flowlu_history`. */
export function historyViews(): readonly View[] {
  return [...models.map(modelHistory), uncatalogued, changes, fieldChanges, timeInStage];
}
