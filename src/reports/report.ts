/** What the ready-made views share. They stand on the tables, not on the live views, which so stay free to change; deleted people and stages keep their names. */
import { literal } from '../postgres/quote.ts';
import { settingAsText } from '../store/settings.ts';
import { c } from '../views/view.ts';
import { currencyOf, wordOf } from './codes.ts';

export const words = (model: string, field: string, code: string, comment: string) =>
  c.text(wordOf(model, field, code), comment);

/** The currency of the amounts of a row; its code where the record or an operator gives it. */
export const currency = (id: string, code = 'null') =>
  ({
    currency_id: c.number(id, 'Currency of the amounts, by number'),
    currency_code: c.text(
      `coalesce(nullif(${code}, ''), ${currencyOf(id)})`,
      'Its code, where the record or flowlu_reports.code_labels gives it',
    ),
  }) as const;

/** The finance item of a row, with its name where the portal gives fin.categories or an operator has written it. */
export const category = (id: string, name = 'category.name') =>
  c.linked(
    'category',
    id,
    'Finance item',
    'fin.categories',
    `coalesce(nullif(${name}, ''), case when ${id} is not null then ${wordOf('fin.transaction', 'category_id', id)} end)`,
  );

/** The only page of a record whose path in the portal is known. */
export const taskUrl = c.word(
  `'https://' || ${settingAsText('portal')} || '/_module/task/view/task/' || t.id`,
  'Page of the task in the portal',
);

/** First day of the month of a day; by way of `timestamp`, since a cast to a moment would depend on the session. */
export const monthOf = (date: string): string => `date_trunc('month', ${date}::timestamp)::date`;

interface Months {
  /** The clock by which a moment falls into a month; left out for dates. */
  readonly zone?: string;
  /** What is read of each row, and from what it is joined to. */
  readonly columns?: string;
  readonly joins?: string;
}

/**
 * The rows of a table with the month of a date or a moment; none where it is missing. The months come first, so that one month
 * finds its rows by the index on that column. The last bound follows from the one before it: the planner takes each inequality of
 * a join for a third of the rows, and without it expects far more rows than a month has.
 */
export function byMonth(table: string, alias: string, at: string, where: string, more: Months = {}): string {
  const { zone, columns = `${alias}.*`, joins = '' } = more;
  const wall = (value: string) =>
    zone === undefined ? `${value}::timestamp` : `${value} at time zone ${literal(zone)}`;
  const from = (first: string) => (zone === undefined ? first : `(${first}::timestamp at time zone ${literal(zone)})`);
  return `(
  select month.first as month, ${columns}
    from (
      select first, (first + interval '1 month')::date as next
        from unnest(array(
          select first::date
            from generate_series((select date_trunc('month', ${wall(`min(${at})`)}) from flowlu.${table} ${alias}),
                                 (select ${wall(`max(${at})`)} from flowlu.${table} ${alias}), interval '1 month') first
        )) first
    ) month
    join flowlu.${table} ${alias} on ${at} >= ${from('month.first')} and ${at} < ${from('month.next')}
     and ${at} <= ${from('month.next')} ${joins}
   where ${where}
   union all
  select null::date, ${columns} from flowlu.${table} ${alias} ${joins} where ${at} is null and ${where}
)`;
}

/**
 * Joins the record of a kind that `module`, `model` and `model_id` name, as a plain column `alias.model_id`: a condition on it
 * reaches the index.
 */
export const linkOf = (table: string, alias: string, row: string, isKind: (alias: string) => string): string =>
  `left join (select link.id, link.model_id from flowlu.${table} link where ${isKind('link')}) ${alias} on ${alias}.id = ${row}.id`;
