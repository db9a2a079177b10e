/**
 * Which customer a deal, an invoice or a transaction counts for, and which deal a record belongs to: merges are followed to the
 * end of their chain, since whoever joins by an identifier that was given up finds nothing. Pure.
 *
 * Each way is a branch of its own that yields a plain column, so that a condition on one customer or deal reaches the index of
 * every branch. Conditions reach into a branch, joins do not: so rows come with all columns that a view is asked by.
 */
import { mergedInto } from '../tables/indexes.ts';
import { isAccount, isDeal } from './definitions.ts';

/**
 * `with` clauses for `merged`: the records that were merged, each with the one at the end of its chain; merged in a circle they
 * have none. A view that follows merges begins with it. It does not stand in each part, since a part with clauses of its own
 * reads all columns of its rows, wanted or not.
 */
export const withMerged = (table: keyof typeof mergedInto): string => `
  with recursive merge (id, next_id) as (
    select id, ${mergedInto[table]} from flowlu.${table} where ${mergedInto[table]} is not null
  ), step (id, end_id) as (
    select id, next_id from merge
     union
    select step.id, merge.next_id from step join merge on merge.id = step.end_id
  ), merged (id, end_id) as (
    select merge.id, max(step.end_id) filter (where next.id is null)
      from merge join step on step.id = merge.id left join merge next on next.id = step.end_id
     group by merge.id
  )`;

/** Rows that have a link, and the link: SQL of columns, tables, the link and a condition. */
type Way = readonly [columns: string, from: string, link: string, where: string];

/** Rows by some ways, each with what its link leads to after all merges: `end_id`. */
export const followed = (ways: readonly Way[]): string => `(
  ${[
    ...ways.map(
      ([columns, from, link, where]) => `select ${columns}, ${link} as end_id
    from ${from}
   where ${where} and not exists (select from merged where merged.id = ${link})`,
    ),
    ...ways.map(
      ([columns, from, link, where]) => `select ${columns}, merged.end_id
    from ${from}
    join merged on merged.id = ${link}
   where ${where}`,
    ),
  ].join('\n   union all\n  ')}
)`;

const PARTY = 'party._deleted_at is null and party.account_id is not null';
/** No other party of the deal, or none of a kind, comes before this one: organisations come before contacts. */
const first = (kind = 'true') => `not exists (
  select from flowlu.crm_lead_accounts earlier
   where earlier.lead_id = party.lead_id and earlier._deleted_at is null and earlier.account_id is not null and ${kind}
     and (coalesce(earlier.account_type, 9), earlier.account_id, earlier.id) < (coalesce(party.account_type, 9), party.account_id, party.id))`;

/** The links of one column of a table. */
const column = (table: string, name: string, where = 'true'): Way => [
  'r.id as record_id',
  `flowlu.${table} r`,
  `r.${name}`,
  `r.${name} is not null and ${where}`,
];

/** Joins where a link of row `row` leads after all merges, as `alias.end_id`. */
const joinEnd = (links: string, alias: string, row: string) =>
  `left join ${links} ${alias} on ${alias}.record_id = ${row}.id`;

/** Joins the account that a column of a table names. */
export const accountOf = (table: string, name: string, alias: string, row: string): string =>
  joinEnd(followed([column(table, name)]), alias, row);

/** Joins the account that a task names: by its own column, else as the record that it belongs to. */
export const accountOfTask = (alias: string, row: string): string =>
  joinEnd(
    followed([
      column('task_tasks', 'crm_account_id'),
      column('task_tasks', 'model_id', `r.crm_account_id is null and ${isAccount('r')}`),
    ]),
    alias,
    row,
  );

/** The deals that `module`, `model` and `model_id` name, for a view that is asked by deal: `record_id`, `end_id`. */
export const dealLinks = (table: string): string => followed([column(table, 'model_id', isDeal('r'))]);

/** All merges of deals as one object, worked out once a query from the index of merged deals. */
const MERGED_DEALS = `(${withMerged('crm_lead')} select jsonb_object_agg(id, end_id) from merged)`;

/** Joins the deal at the end of the chain that begins at a link, as `alias.end_id`; none where deals were merged in a circle. */
export const joinDeal = (alias: string, link: string): string => `
cross join lateral (
  select case when ${MERGED_DEALS} ? ${link}::text then (${MERGED_DEALS} ->> ${link}::text)::bigint else ${link} end as end_id
) ${alias}`;

/** Joins the deal that `module`, `model` and `model_id` of a row name, as `alias.end_id`. */
export const dealOf = (alias: string, row: string): string =>
  joinDeal(alias, `case when ${isDeal(row)} then ${row}.model_id end`);

/** Joins, for a link worked out before, the record at the end of its chain: `atEnd` is then what it leads to. */
export const joinMerged = (alias: string, link: string): string => `left join merged ${alias} on ${alias}.id = ${link}`;
export const atEnd = (alias: string, link: string): string => `coalesce(${alias}.end_id, ${link})`;

/**
 * Deals, each with its customer as `end_id`: its organisation, else the first that takes part; without any, its contact, else
 * the first that takes part.
 */
export const DEALS_WITH_CUSTOMER = followed([
  ['l.*', 'flowlu.crm_lead l', 'l.customer_id', 'l.customer_id is not null'],
  [
    'l.*',
    'flowlu.crm_lead_accounts party join flowlu.crm_lead l on l.id = party.lead_id',
    'party.account_id',
    `${PARTY} and ${first()} and l.customer_id is null and (party.account_type = 1 or l.contact_id is null)`,
  ],
  [
    'l.*',
    'flowlu.crm_lead l',
    'l.contact_id',
    `l.customer_id is null and not exists (
     select from flowlu.crm_lead_accounts party
      where party.lead_id = l.id and (party.account_type = 1 or l.contact_id is null) and ${PARTY})`,
  ],
]);

/** Joins to a deal `l` the first contact that takes part, as `alias.account_id`. */
export const joinFirstContact = (alias: string): string => `left join (
  select party.lead_id, party.account_id
    from flowlu.crm_lead_accounts party
   where party.account_type = 2 and ${PARTY} and ${first('earlier.account_type = 2')}
) ${alias} on ${alias}.lead_id = l.id`;

/** Transactions, each with its party, else the customer of its invoice, as `end_id`. */
export const PAYMENTS_WITH_PARTNER = followed([
  ['x.*', 'flowlu.fin_transaction x', 'x.crm_account_id', 'x.crm_account_id is not null'],
  [
    'x.*',
    'flowlu.fin_transaction x left join flowlu.fin_invoice i on i.id = x.invoice_id',
    'i.customer_id',
    'x.crm_account_id is null',
  ],
]);
