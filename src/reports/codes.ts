/** Words for codes: the catalogue's and, above them, those an operator has written into `flowlu_reports.code_labels`. Pure. */
import { models } from '../catalog/index.ts';
import { literal } from '../postgres/quote.ts';
import { labelOf } from '../views/live-columns.ts';

/** The operator's table; nothing of ours ever writes a row of it. */
export const CODE_LABELS = `create schema if not exists flowlu_reports;
create table if not exists flowlu_reports.code_labels (
  model text not null,
  field text not null,
  code bigint not null,
  label text not null,
  counts_as text,
  primary key (model, field, code)
)`;

export const codeLabelDocs = {
  table:
    'Words for codes that Flowlu does not document, written by the operator of the mirror; the ready-made views show them',
  columns: {
    model: 'Flowlu module and model, such as fin.transaction',
    field: 'Field that holds the code, such as type; currencies: model fin.currency, field id',
    code: 'The code',
    label: 'The word for it',
    counts_as:
      'What the code counts as, where a definition asks. fin.transaction type and category_id: income, expense, transfer; fin.transaction status: executed, cash only, profit and loss only, not executed; fin.invoice status_id 10: issued, draft',
  },
} as const;

/** One object of all entries of a field, asked for once a query. */
const entries = (model: string, field: string, column: 'label' | 'counts_as') =>
  `(select jsonb_object_agg(c.code::text, c.${column}) from flowlu_reports.code_labels c where c.model = ${literal(model)} and c.field = ${literal(field)} and c.${column} is not null)`;

/** SQL for what an operator says the codes of a field count as. */
export const countsAs = (model: string, field: string): string => entries(model, field, 'counts_as');

/** SQL for the word of a code: the operator's, the catalogue's, else the code itself. */
export function wordOf(model: string, field: string, code: string): string {
  const labels = models.find(({ name }) => name === model)?.fields[field]?.labels ?? {};
  const known = Object.keys(labels).length === 0 ? [] : [labelOf(labels, code)];
  return `coalesce(${[`${entries(model, field, 'label')} ->> ${code}::text`, ...known, `'code ' || ${code}`].join(', ')})`;
}

/** SQL for the code of a currency, as far as an operator has named it. */
export const currencyOf = (id: string): string => `${entries('fin.currency', 'id', 'label')} ->> ${id}::text`;

/** Codes on which amounts depend, with the ones that the views understand. */
const CODES: readonly (readonly [table: string, field: string, known: readonly number[]])[] = [
  ['fin_transaction', 'type', [10, 20]],
  ['fin_transaction', 'status', [0, 10]],
  ['fin_invoice', 'status_id', [5, 10, 12, 13, 20, 30, 40]],
  ['fin_estimate', 'status_id', []],
  ['fin_plan_money', 'type', [10, 20, 30, 40, 50, 60, 70]],
  ['crm_lead', 'active', [1, 2, 3]],
];

/** SQL for those that occur and have no word: `code`, as `module.model.field number`. */
export const UNNAMED_CODES = `${CODES.map(([table, field, known]) => {
  const model = table.replace('_', '.');
  return `select '${model}.${field} ' || t.${field} as code from (select distinct ${field} from flowlu.${table} where _deleted_at is null) t
   where t.${field} <> all ('{${known.join(',')}}')
     and not exists (select from flowlu_reports.code_labels c where c.model = '${model}' and c.field = '${field}' and c.code = t.${field})`;
}).join('\nunion all\n')} order by 1`;
