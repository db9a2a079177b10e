/** SQL that reads the value of a custom field from `_record`. Pure. Values are texts, whatever the declared type. */

import type { CustomField } from '../mirror-rows/custom-fields.ts';
import { literal } from '../postgres/quote.ts';
import type { COMPANIONS, CustomColumn } from './custom-columns.ts';
import { castText } from './values.ts';

interface CustomValue {
  /** What is appended to the field's name: '' for the value itself. */
  readonly suffix: (typeof COMPANIONS)[number];
  readonly type: string;
  readonly expression: string;
  readonly doc: string;
  readonly references: string | null;
}

/** PostgreSQL type by declared type; what is not here is text. References to records begin with `model.`. */
const TYPES: Readonly<Record<string, string>> = {
  int: 'bigint',
  price: 'numeric',
  decimal: 'numeric',
  boolean: 'boolean',
  date: 'date',
  datetime: 'timestamptz',
};

/** Models that references of a declared type lead to. */
const TARGETS: Readonly<Record<string, string>> = { 'model.user': 'core.user', 'model.file': 'system.files' };

const isReference = (type: string) => type.startsWith('model.');
const isChoice = (type: string) => type.startsWith('select.');

/** Names that `lateralOf` gives to the parts of a field's value. */
const text = ({ id }: CustomField) => `c.text_${id}`;
const label = ({ id }: CustomField) => `c.label_${id}`;
const json = ({ id }: CustomField) => `c.json_${id}`;

/**
 * What follows `lateral`: the values of all fields as they came, under either spelling of their names; of two the one
 * that is not empty. A record that knows neither may know the field by an alias it had before.
 *
 * Long records are stored compressed, and every look into one unpacks all of it. `|| '{}'` unpacks it once, and `offset 0`
 * keeps the planner from undoing that: some ten times faster where five fields of such records are read, and hardly
 * slower for short ones. What nobody asks for is left out.
 */
export function lateralOf(columns: readonly CustomColumn[]): string {
  const parts = columns.flatMap(({ field, oldKeys }) => {
    const keys = [`cf_${field.id}`, ...(field.alias === '' ? [] : [`cf_${field.alias}`])];
    return [
      `${pickText(keys, oldKeys)} as text_${field.id}`,
      ...(isChoice(field.type) || isReference(field.type)
        ? [`${pickText(keys.map(labelKey), oldKeys.map(labelKey))} as label_${field.id}`]
        : []),
      ...(field.type === 'select.multiple' ? [`${pickJson(keys, oldKeys)} as json_${field.id}`] : []),
    ];
  });
  return `(select ${parts.join(', ')} from (select _record || '{}' as r offset 0) as d offset 0) as c`;
}

const labelKey = (key: string) => `${key}_value`;

function pickText(keys: readonly string[], oldKeys: readonly string[]): string {
  return pick(keys, oldKeys, (key) => `nullif(d.r ->> ${literal(key)}, '')`);
}

function pickJson(keys: readonly string[], oldKeys: readonly string[]): string {
  return pick(keys, oldKeys, (key) => `nullif(nullif(d.r -> ${literal(key)}, '""'), 'null')`);
}

function pick(keys: readonly string[], oldKeys: readonly string[], read: (key: string) => string): string {
  const old = oldKeys.map((key) => `case when not d.r ?| array[${keys.map(literal).join(', ')}] then ${read(key)} end`);
  const choices = [...keys.map(read), ...old];
  return choices.length === 1 ? (choices[0] as string) : `coalesce(${choices.join(', ')})`;
}

export function customValues(field: CustomField, zone: string | null): readonly CustomValue[] {
  const { type } = field;
  const raw: CustomValue = {
    suffix: '_raw',
    type: 'text',
    expression: text(field),
    doc: 'as Flowlu stores it: numbers of options',
    references: null,
  };
  const own = (sqlType: string, expression: string, doc = '', references: string | null = null): CustomValue => ({
    suffix: '',
    type: sqlType,
    expression,
    doc,
    references,
  });
  if (type === 'select.single') return [own('text', chosenOption(field), 'option chosen, in words'), raw];
  if (type === 'select.multiple') {
    const words = chosenOptions(field, 'array_agg(word order by place)');
    // For tools that know no arrays. Sorted, so that records with the same choices have the same text.
    const list = chosenOptions(field, `string_agg(distinct word, ', ' order by word)`);
    const doc = 'options chosen, as one text in alphabetical order';
    return [
      own('text[]', words, 'options chosen, in words'),
      raw,
      { suffix: '_text', type: 'text', expression: list, doc, references: null },
    ];
  }
  if (isReference(type)) {
    const id = castText('bigint', text(field), zone);
    // Only users have a name in the mirror; of anything else the record tells it.
    const name =
      type === 'model.user'
        ? `coalesce((select nullif(u.name, '') from flowlu.core_user u where u.id = ${id}), ${label(field)})`
        : label(field);
    return [
      own('bigint', `nullif(${id}, 0)`, '', TARGETS[type] ?? null),
      { suffix: '_label', type: 'text', expression: name, doc: 'name of the record chosen', references: null },
    ];
  }
  const sqlType = TYPES[type] ?? 'text';
  return [own(sqlType, castText(sqlType, text(field), zone))];
}

/** A column that stays although it is no longer what the field asks for: the value, as far as it fits. */
export function valueAs(field: CustomField, suffix: string, type: string, zone: string | null): string {
  const present = customValues(field, zone).find((value) => value.suffix === suffix && value.type === type);
  return present?.expression ?? castText(type, text(field), zone);
}

/** The wording of an option as Flowlu has it now; else as the record tells it; else what is stored. */
function chosenOption(field: CustomField): string {
  const value = text(field);
  return `case when ${value} <> '0' then coalesce(${optionOf(field, value)}, ${label(field)}, ${value}) end`;
}

/** The words of a value that is a list with commas or a JSON array, each with its place in it. */
function chosenOptions(field: CustomField, aggregate: string): string {
  const value = json(field);
  return `(select ${aggregate}
    from jsonb_array_elements_text(case jsonb_typeof(${value}) when 'array' then ${value}
      else to_jsonb(string_to_array(${value} #>> '{}', ',')) end) with ordinality as e (part, place)
    cross join lateral (select btrim(e.part) as item) as chosen
    cross join lateral (select coalesce(${optionOf(field, 'chosen.item')}, chosen.item) as word offset 0) as named
    where chosen.item not in ('', '0'))`;
}

const optionOf = (field: CustomField, value: string) =>
  `(select nullif(o.value, '') from flowlu.customfields_fieldoptions o where o.field_id = ${field.id} and o.id = ${castText('bigint', value, null)})`;
