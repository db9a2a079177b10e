/** The views of schema `flowlu_history`. Pure. */

import { models } from '../catalog/index.ts';
import type { Model } from '../catalog/types.ts';
import { identifier, literal } from '../postgres/quote.ts';
import { sqlTypes } from '../tables/facts.ts';
import { historyDocs } from '../tables/history.ts';
import { dealStates, timeInStage } from './deal-states.ts';
import { pastValue } from './history-functions.ts';
import { HISTORY, states } from './history-states.ts';
import { fieldMeaning } from './live-columns.ts';
import { typedValue } from './values.ts';
import { type Column, c, type View, view } from './view.ts';

/** Second names of custom fields → first ones. */
const ALIASES = `(select coalesce(jsonb_object_agg('cf_' || alias, 'cf_' || id), '{}')
  from flowlu.customfields_fields where _deleted_at is null and alias <> '')`;

const VALIDITY = {
  valid_from: c.moment(
    's.valid_from',
    'When this state came about: by the clock of Flowlu where it tells, else when the mirror learnt it',
  ),
  valid_to: c.moment(
    's.valid_to',
    'When it ended, by the next change or by the deletion of the record; null while it lasts',
  ),
} as const;

/** What is known of a state beside its values. */
const META = {
  _change: c.text(
    's.change',
    'What brought it about: created, updated or revived; null for the oldest state known, which may have come about earlier',
  ),
  _path: c.text('s.path', 'Through what the mirror learnt it: webhook, list or get; null for the oldest state known'),
  _observed_at: c.moment('s.observed_at', 'When the mirror learnt it'),
  _number: c.number(
    's.number',
    'Number of the change that brought it about, see flowlu_history.changes; null for the oldest state known',
  ),
  _record: c.json(
    `${HISTORY}.past_record(t._record, s.past, ${ALIASES})`,
    'The whole record in this state, custom and unknown fields included',
  ),
} as const;

function modelHistory(model: Model): View {
  const table = `flowlu.${identifier(model.table)}`;
  const { id: _, ...fields } = model.fields;
  const past = Object.entries(fields).map(([name, field]): [string, Column] => {
    const sql = pastValue(field.kind, literal(name), 's.past', `t.${identifier(name)}`);
    const column = { type: sqlTypes[field.kind], sql, comment: fieldMeaning(field) };
    return [name, field.references === undefined ? column : { ...column, references: field.references }];
  });
  return view({
    schema: HISTORY,
    name: model.table,
    model: model.name,
    comment: `${model.title} (Flowlu ${model.name}): every state that the mirror knows of`,
    columns: { id: c.number('s.id', model.fields.id?.doc ?? ''), ...VALIDITY, ...Object.fromEntries(past), ...META },
    from: `${states(['id'], `h.model = ${literal(model.name)}`, table)}\njoin ${table} t on t.id = s.id`,
    where: 's.lives and s.began_at is not null',
  });
}

const uncatalogued = view({
  schema: HISTORY,
  name: 'uncatalogued',
  comment: 'Records of models that the catalogue does not know: every state that the mirror knows of',
  columns: {
    module: c.text('s.module', 'Flowlu module'),
    model: c.text('s.model', 'Flowlu model'),
    id: c.number('s.id', 'Identifier in Flowlu'),
    ...VALIDITY,
    ...META,
  },
  from: `${states(
    ['module', 'model', 'id'],
    `h.model <> all (array[${models.map(({ name }) => literal(name)).join(', ')}])`,
    'flowlu.uncatalogued',
  )}
join flowlu.uncatalogued t on t.module = s.module and t.model = s.model and t.id = s.id`,
  where: 's.lives and s.began_at is not null',
});

const CHANGE = {
  number: c.number('h.number', historyDocs.number),
  model: c.text('h.model', historyDocs.model),
  id: c.number('h.entity_id', historyDocs.entity_id),
  change: c.text('h.change', historyDocs.change),
  changed_at: c.moment('h.version', historyDocs.version),
  observed_at: c.moment('h.observed_at', historyDocs.observed_at),
  recorded_at: c.moment('h.recorded_at', 'When the change was recorded; a condition on it spares reading other months'),
  path: c.text('h.path', historyDocs.path),
} as const;

const changes = view({
  schema: HISTORY,
  name: 'changes',
  comment: 'Every change of any record that the mirror accepted',
  grain: 'change',
  key: ['number'],
  columns: { ...CHANGE, before: c.json('h.before', historyDocs.before), after: c.json('h.after', historyDocs.after) },
  from: 'sync.history h',
});

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

const fieldChanges = view({
  schema: HISTORY,
  name: 'field_changes',
  comment: 'The same by field: which value became which',
  grain: 'change and field',
  key: ['number', 'field'],
  columns: {
    ...CHANGE,
    field: c.text('f.key', "Flowlu's name of the field"),
    old_value: c.text('h.before ->> f.key', 'Value before, as text; null where the field was empty or not there'),
    new_value: c.text("f.value #>> '{}'", 'Value after, as text; null where the field is empty or not there any more'),
    changed_by: c.number(
      CHANGED_BY,
      'User who made the change, where the change itself names one: models with updated_by, when it is another user than before',
      'core.user',
    ),
    changed_by_name: c.text(
      `(select nullif(u.name, '') from flowlu.core_user u where u.id = ${CHANGED_BY})`,
      'Their name',
    ),
    old_label: c.text(labelIn('h.before ->> f.key'), 'Words for a code before'),
    new_label: c.text(labelIn("f.value #>> '{}'"), 'Words for a code after'),
  },
  from: 'sync.history h cross join lateral jsonb_each(h.after) f',
});

export function historyViews(): readonly View[] {
  return [...models.map(modelHistory), uncatalogued, changes, fieldChanges, dealStates, timeInStage];
}
