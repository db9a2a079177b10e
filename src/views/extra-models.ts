/**
 * Views of models that the catalogue does not know, over the common table. Pure. Their columns are found from the records:
 * a field that was seen once keeps its name, and its type only ever becomes wider.
 */
import { splitName } from '../catalog/name.ts';
import type { FieldForms, ValueForm } from '../mirror-rows/extra-fields.ts';
import { identifier, literal } from '../postgres/quote.ts';
import type { ExtraField } from '../store/settings.ts';
import { toIdentifier } from './custom-columns.ts';
import { castText } from './values.ts';
import { keepEmpty, type View, type ViewColumn } from './view.ts';

const MAX_COLUMNS = 500;

/** The fields known before, their forms widened by those found now, and new ones after them. */
export function mergeFields(before: readonly ExtraField[], found: readonly FieldForms[]): readonly ExtraField[] {
  const formsOf = new Map(found.map(({ key, forms }) => [key, forms]));
  const fields = before.map((field) => ({
    ...field,
    forms: [...new Set([...field.forms, ...(formsOf.get(field.key) ?? [])])].sort(),
  }));
  const known = new Set(before.map(({ key }) => key));
  const names = new Set(['id', ...before.map(({ name }) => name)]);
  for (const { key, forms } of found) {
    if (known.has(key) || key === 'id' || fields.length >= MAX_COLUMNS) continue;
    const base = toIdentifier(key) || 'field';
    let name = base;
    for (let count = 2; names.has(name); count += 1) name = `${base}_${count}`;
    names.add(name);
    fields.push({ key, name, forms: [...forms].sort() });
  }
  return fields;
}

/** Types from the narrowest on, each with the forms that it can hold. Texts of digits may be telephone numbers. */
const TYPES: readonly (readonly [type: string, forms: readonly ValueForm[]])[] = [
  ['boolean', ['flag']],
  ['bigint', ['whole']],
  ['numeric', ['whole', 'decimal']],
  ['date', ['day']],
  ['timestamptz', ['day', 'moment']],
  ['jsonb', ['json']],
];

function typeOf({ key, forms }: ExtraField): string {
  const isNumber = /(^|_)id$/i.test(key) || forms.includes('whole') || forms.includes('decimal');
  const meant = forms.map((form) => (form === 'digits' && isNumber ? 'whole' : form));
  if (meant.length === 0) return 'text';
  return TYPES.find(([, held]) => meant.every((form) => held.includes(form)))?.[0] ?? 'text';
}

const FORM_WORDS: Readonly<Record<ValueForm, string>> = {
  flag: 'true and false',
  whole: 'whole numbers',
  digits: 'digits',
  decimal: 'decimal numbers',
  day: 'dates',
  moment: "times in the portal's zone",
  json: 'lists or objects',
  text: 'texts',
};

function columnOf(field: ExtraField, zone: string | null): ViewColumn {
  const { key, name, forms } = field;
  const type = typeOf(field);
  const found = forms.length === 0 ? 'nothing so far' : forms.map((form) => FORM_WORDS[form]).join(', ');
  return {
    name,
    type,
    expression: valueAs(key, type, zone),
    comment: `Field ${key.slice(0, 100)}, not in the catalogue; the records hold ${found}`,
    origin: 'field',
    references: null,
  };
}

function valueAs(key: string, type: string, zone: string | null): string {
  return type === 'jsonb' ? `d.r -> ${literal(key)}` : castText(type, `(d.r ->> ${literal(key)})`, zone);
}

/** Its name within `flowlu_live`. */
export const extraViewName = (model: string) => model.replace('.', '_');

export function extraView(model: string, fields: readonly ExtraField[], zone: string | null): View {
  const { module, model: name } = splitName(model);
  return {
    schema: 'flowlu_live',
    name: extraViewName(model),
    model,
    comment: `Flowlu ${model}: live records; the catalogue does not know this model, so columns and types are found from the records`,
    columns: [
      {
        name: 'id',
        type: 'bigint',
        expression: identifier('id'),
        comment: 'Identifier in Flowlu',
        origin: 'field',
        references: null,
      },
      ...fields.map((field) => columnOf(field, zone)),
    ],
    // One look into the record for all columns; see `lateralOf`.
    from: `flowlu.uncatalogued cross join lateral (select _record || '{}' as r offset 0) as d
where module = ${literal(module)} and model = ${literal(name)} and _deleted_at is null`,
    keep: (column, type) => {
      const field = fields.find((one) => one.name === column);
      return field === undefined ? keepEmpty(column, type) : valueAs(field.key, type, zone);
    },
  };
}
