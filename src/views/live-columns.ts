/**
 * What the views of schema `flowlu_live` show of each model: its fields, words beside codes, custom fields by name.
 * Pure: whoever describes the views to people or tools asks here.
 */
import type { Field, Model } from '../catalog/types.ts';
import { identifier, literal } from '../postgres/quote.ts';
import type { Settings } from '../store/settings.ts';
import { sqlTypes } from '../tables/facts.ts';
import { COMPANIONS, type CustomColumn } from './custom-columns.ts';
import { customValues, lateralOf, valueAs } from './custom-values.ts';
import { keepEmpty, type View, type ViewColumn } from './view.ts';

/** What the portal, not the catalogue, decides about the live views. */
export interface LiveFacts {
  /** Zone of the portal's date-times; null where the server does not know it, which leaves such columns empty. */
  readonly zone: string | null;
  /** By `module.model`. */
  readonly customColumns: ReadonlyMap<string, readonly CustomColumn[]>;
  /** Fields of models that the catalogue does not know, by `module.model`. */
  readonly extraFields: Settings['extra_fields'];
}

export const NO_FACTS: LiveFacts = { zone: 'UTC', customColumns: new Map(), extraFields: {} };

export function fieldMeaning(field: Field): string {
  const labels = Object.entries(field.labels ?? {}).map(([value, label]) => `${value} ${label}`);
  return labels.length > 0 ? `${field.doc}: ${labels.join(', ')}` : field.doc;
}

/** SQL for the words of a code; null for codes that have none. */
export function labelOf(labels: Readonly<Record<number, string>>, code: string): string {
  const branches = Object.entries(labels).map(([value, label]) => `when ${value} then ${literal(label)}`);
  return `case ${code} ${branches.join(' ')} end`;
}

function fieldColumns([name, field]: readonly [string, Field]): readonly ViewColumn[] {
  const own: ViewColumn = {
    name,
    type: sqlTypes[field.kind],
    expression: identifier(name),
    comment: fieldMeaning(field),
    origin: 'field',
    references: field.references ?? null,
  };
  if (field.labels === undefined) return [own];
  const label: ViewColumn = {
    name: `${name}_label`,
    type: 'text',
    expression: labelOf(field.labels, identifier(name)),
    comment: `${field.doc}, in words`,
    origin: 'label',
    references: null,
  };
  return [own, label];
}

export function ownColumns(model: Model): readonly ViewColumn[] {
  return Object.entries(model.fields).flatMap(fieldColumns);
}

/** Columns of a view; PostgreSQL takes 1,664 in a statement. */
const MAX_COLUMNS = 1_500;

export function modelView(model: Model, { zone, customColumns }: LiveFacts): View {
  const custom = customColumns.get(model.name) ?? [];
  const table = `flowlu.${identifier(model.table)}`;
  return {
    schema: 'flowlu_live',
    name: model.table,
    model: model.name,
    comment: `${model.title} (Flowlu ${model.name}): live records`,
    columns: [...ownColumns(model), ...custom.flatMap((column) => columnsOfCustom(column, zone))].slice(0, MAX_COLUMNS),
    from:
      custom.length === 0
        ? `${table} where _deleted_at is null`
        : `${table} cross join lateral ${lateralOf(custom)} where _deleted_at is null`,
    keep: (name, type) => keepCustom(custom, name, type, zone),
  };
}

function columnsOfCustom({ field, name, former }: CustomColumn, zone: string | null): readonly ViewColumn[] {
  const values = customValues(field, zone);
  const wording = `${field.title === '' ? name : field.title}`.slice(0, 300);
  return [{ name, untilMs: null }, ...former].flatMap(({ name: as, untilMs }) =>
    values.map(({ suffix, type, expression, doc, references }): ViewColumn => {
      const what = `custom field ${field.id}, ${field.type}`;
      const meaning = `${wording}${doc === '' ? '' : `: ${doc}`} (${what})`;
      return {
        name: as + suffix,
        type,
        expression,
        comment:
          untilMs === null
            ? meaning
            : `Former name of ${name}${suffix}, shown until ${new Date(untilMs).toISOString().slice(0, 10)}. ${meaning}`,
        origin: untilMs === null ? 'custom field' : 'former name',
        references,
      };
    }),
  );
}

/** A field that still exists goes on showing its value under any name it ever had; what is gone shows nothing. */
function keepCustom(custom: readonly CustomColumn[], name: string, type: string, zone: string | null): string {
  for (const { field, name: present, former, past } of custom) {
    for (const known of [present, ...former.map((row) => row.name), ...past]) {
      const suffix = COMPANIONS.find((end) => known + end === name);
      if (suffix !== undefined) return valueAs(field, suffix, type, zone);
    }
  }
  return keepEmpty(name, type);
}
