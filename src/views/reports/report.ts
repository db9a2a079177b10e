/**
 * The words with which the ready-made views are written. They stand on the tables, not on the live views: so the live
 * views stay free to change, and the name of a person or a stage is still known when Flowlu has deleted it.
 */
import { literal } from '../../postgres/quote.ts';
import { keepEmpty, type View } from '../live-columns.ts';
import { currencyOf, wordOf } from './codes.ts';

/** Type, SQL, meaning, and the model that a link leads to. */
export type ReportColumn = readonly [type: string, expression: string, comment: string, references?: string];

interface Report {
  readonly name: string;
  /** What one row stands for, after "one row for each". */
  readonly grain: string;
  readonly key: readonly string[];
  readonly comment: string;
  readonly columns: Readonly<Record<string, ReportColumn>>;
  readonly from: string;
}

/** A view of schema `flowlu_reports`. */
export function report({ name, grain, key: keys, comment, columns, from }: Report): View {
  return {
    schema: 'flowlu_reports',
    name,
    model: null,
    comment: `${comment}. One row for each ${grain}; key: ${keys.join(', ')}`,
    key: keys,
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
/** The words for a code of a model's field. */
export const words = (model: string, field: string, code: string, comment: string): ReportColumn => [
  'text',
  wordOf(model, field, code),
  comment,
];
export const day = (expression: string, comment: string): ReportColumn => ['date', expression, comment];
export const moment = (expression: string, comment: string): ReportColumn => ['timestamptz', expression, comment];
export const amount = (expression: string, comment: string): ReportColumn => ['numeric', expression, comment];
export const count = (expression: string, comment: string): ReportColumn => ['bigint', expression, comment];
export const days = (expression: string, comment: string): ReportColumn => ['integer', expression, comment];
export const yesNo = (expression: string, comment: string): ReportColumn => ['boolean', expression, comment];

/** A linked record: its number and, beside it, its name. */
export const linked = <N extends string>(prefix: N, id: string, what: string, model: string, name = `${prefix}.name`) =>
  ({
    [`${prefix}_id`]: key(id, what, model),
    [`${prefix}_name`]: word(name, what),
  }) as Readonly<Record<`${N}_id` | `${N}_name`, ReportColumn>>;

/** The currency of the amounts of a row; its code where the record or an operator gives it. */
export const currency = (id: string, code = 'null') =>
  ({
    currency_id: ['bigint', id, 'Currency of the amounts, by number'],
    currency_code: [
      'text',
      `coalesce(nullif(${code}, ''), ${currencyOf(id)})`,
      'Its code, where the record or flowlu_reports.code_labels gives it',
    ],
  }) as const satisfies Readonly<Record<string, ReportColumn>>;

/** When the record last changed in Flowlu; of models that do not say, when the mirror last learnt of a change. */
export const updatedAt = (alias: string) =>
  moment(`coalesce(${alias}._version, ${alias}._observed_at)`, 'When the record last changed');

/** Joins the record that a link leads to, deleted or not; without one the row stays. */
export const name = (table: string, alias: string, link: string): string =>
  `left join flowlu.${table} ${alias} on ${alias}.id = ${link}`;

/** First day of the month of a day; by way of `timestamp`, since a cast to a moment would depend on the session. */
export const monthOf = (date: string): string => `date_trunc('month', ${date}::timestamp)::date`;

/**
 * The rows of a table with the month of a date or, by the clock of `zone`, of a moment; none where it is missing. The months
 * come first, so that one month finds its rows by the index on that column.
 */
export function byMonth(table: string, alias: string, at: string, where: string, zone?: string): string {
  const wall = (value: string) =>
    zone === undefined ? `${value}::timestamp` : `${value} at time zone ${literal(zone)}`;
  const from = (first: string) => (zone === undefined ? first : `(${first}::timestamp at time zone ${literal(zone)})`);
  return `(
  select month.first as month, ${alias}.*
    from (
      select first::date, (first + interval '1 month')::date as next
        from generate_series((select date_trunc('month', ${wall(`min(${at})`)}) from flowlu.${table} ${alias}),
                             (select ${wall(`max(${at})`)} from flowlu.${table} ${alias}), interval '1 month') first
    ) month
    join flowlu.${table} ${alias} on ${at} >= ${from('month.first')} and ${at} < ${from('month.next')}
   where ${where}
   union all
  select null::date, ${alias}.* from flowlu.${table} ${alias} where ${at} is null and ${where}
)`;
}

/**
 * Joins the record of a kind that `module`, `model` and `model_id` name, as a plain column `alias.model_id`: a condition on it
 * reaches the index.
 */
export const linkOf = (table: string, alias: string, row: string, isKind: (alias: string) => string): string =>
  `left join (select link.id, link.model_id from flowlu.${table} link where ${isKind('link')}) ${alias} on ${alias}.id = ${row}.id`;
