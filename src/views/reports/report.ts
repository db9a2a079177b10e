/**
 * The words with which the ready-made views are written. They stand on the tables, not on the live views: so the live
 * views stay free to change, and the name of a person or a stage is still known when Flowlu has deleted it.
 */
import { keepEmpty, labelOf, type View } from '../live-columns.ts';

/** Type, SQL, meaning, and the model that a link leads to. */
export type ReportColumn = readonly [type: string, expression: string, comment: string, references?: string];

interface Report {
  readonly name: string;
  readonly comment: string;
  readonly columns: Readonly<Record<string, ReportColumn>>;
  readonly from: string;
}

/** A view of schema `flowlu_reports`. */
export function report({ name, comment, columns, from }: Report): View {
  return {
    schema: 'flowlu_reports',
    name,
    model: null,
    comment,
    columns: Object.entries(columns).map(([column, [type, expression, text, references]]) => ({
      name: column,
      type,
      expression,
      comment: text,
      origin: 'derived',
      references: references ?? null,
    })),
    from,
    keep: keepEmpty,
  };
}

/** The record's number. */
export const key = (expression: string, what: string, model: string): ReportColumn => [
  'bigint',
  expression,
  `${what}: identifier in Flowlu`,
  model,
];
/** A name or another short text; an empty one is none. */
export const word = (expression: string, comment: string): ReportColumn => [
  'text',
  `nullif(${expression}, '')`,
  comment,
];
/** The words for a code. */
export const words = (
  field: { readonly labels?: Readonly<Record<number, string>> },
  code: string,
  comment: string,
): ReportColumn => ['text', labelOf(field.labels ?? {}, code), comment];
export const day = (expression: string, comment: string): ReportColumn => ['date', expression, comment];
export const moment = (expression: string, comment: string): ReportColumn => ['timestamptz', expression, comment];
export const amount = (expression: string, comment: string): ReportColumn => ['numeric', expression, comment];
export const count = (expression: string, comment: string): ReportColumn => ['bigint', expression, comment];
export const days = (expression: string, comment: string): ReportColumn => ['integer', expression, comment];
export const yesNo = (expression: string, comment: string): ReportColumn => ['boolean', expression, comment];

/** Joins the record that a link leads to, deleted or not; without one the row stays. */
export const name = (table: string, alias: string, link: string): string =>
  `left join flowlu.${table} ${alias} on ${alias}.id = ${link}`;

/** True where a `module`, `model`, `model_id` triple names a project, which Flowlu spells in two ways. */
export const isProject = (alias: string): string =>
  `${alias}.module = 'st' and ${alias}.model in ('project', 'projects')`;
