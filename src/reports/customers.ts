/**
 * Which customer a deal, an invoice or a transaction counts for, and which deal a record belongs to: merges are followed to the
 * end of their chain, since whoever joins by an identifier that was given up finds nothing. Pure.
 *
 * Each way is a branch of its own that yields a plain column, so that a condition on one customer or deal reaches the index of
 * every branch. Conditions reach into a branch, joins do not: so rows come with all columns that a view is asked by.
 */
import { isAccount, isDeal } from './definitions.ts';

const MERGED_INTO = { crm_account: 'merged_to', crm_lead: 'merged_to_id' } as const;
type Mergeable = keyof typeof MERGED_INTO;

/**
 * Records that were merged, each with the one at the end of its chain; merged in a circle they have none. They are taken from
 * the table itself, whose numbers the planner knows.
 */
function merged(table: Mergeable): string {
  const into = MERGED_INTO[table];
  return `(
  select m.id, way.end_id
    from flowlu.${table} m
    left join (
      with recursive step (id, end_id) as (
        select id, ${into} from flowlu.${table} where ${into} is not null
         union
        select step.id, a.${into}
          from step join flowlu.${table} a on a.id = step.end_id and a.${into} is not null
      )
      select step.id, step.end_id
        from step
       where not exists (select from flowlu.${table} a where a.id = step.end_id and a.${into} is not null)
    ) way on way.id = m.id
   where m.${into} is not null
)`;
}

/** Rows that have a `link_id`, each with what that leads to after all merges: `end_id`. */
export const followed = (rows: string, table: Mergeable = 'crm_account'): string => `(
  select r.*, r.link_id as end_id
    from (${rows}) r
   where not exists (select from flowlu.${table} a where a.id = r.link_id and a.${MERGED_INTO[table]} is not null)
   union all
  select r.*, merged.end_id
    from ${merged(table)} merged join (${rows}) r on r.link_id = merged.id
)`;

const PARTY = 'party._deleted_at is null and party.account_id is not null';
/** No other party of the deal comes before this one: organisations come before contacts. */
const FIRST = `not exists (
  select from flowlu.crm_lead_accounts earlier
   where earlier.lead_id = party.lead_id and earlier._deleted_at is null and earlier.account_id is not null
     and (coalesce(earlier.account_type, 9), earlier.account_id, earlier.id) < (coalesce(party.account_type, 9), party.account_id, party.id))`;

/** The links of one column of a table. */
const column = (table: string, name: string, where = 'true') =>
  `select r.id as record_id, r.${name} as link_id from flowlu.${table} r where r.${name} is not null and ${where}`;

/** Joins where a link of row `row` leads after all merges, as `alias.end_id`. */
const joinEnd = (links: string, alias: string, row: string) =>
  `left join ${links} ${alias} on ${alias}.record_id = ${row}.id`;

/** Joins the account that a column of a table names. */
export const accountOf = (table: string, name: string, alias: string, row: string): string =>
  joinEnd(followed(column(table, name)), alias, row);

/** Joins the account that a task names: by its own column, else as the record that it belongs to. */
export const accountOfTask = (alias: string, row: string): string =>
  joinEnd(
    followed(`${column('task_tasks', 'crm_account_id')}
   union all
  ${column('task_tasks', 'model_id', `r.crm_account_id is null and ${isAccount('r')}`)}`),
    alias,
    row,
  );

/** The deals that `module`, `model` and `model_id` name, for a view that is asked by deal: `record_id`, `end_id`. */
export const dealLinks = (table: string): string => followed(column(table, 'model_id', isDeal('r')), 'crm_lead');

/**
 * Joins the deal at the end of the chain that begins at a link, as `alias.end_id`; none where deals were merged in a circle. Row
 * by row, since no index finds the few deals that were merged.
 */
export const joinDeal = (alias: string, link: string): string => `
left join lateral (
  select case when not exists (select from flowlu.crm_lead m where m.id = ${link} and m.merged_to_id is not null) then ${link}
         else (
           with recursive step (id, next_id) as (
             select m.id, m.merged_to_id from flowlu.crm_lead m where m.id = ${link}
              union
             select m.id, m.merged_to_id from step join flowlu.crm_lead m on m.id = step.next_id
           )
           select coalesce(s.next_id, s.id) from step s where not exists (select from step t where t.id = s.next_id)
         ) end as end_id
  offset 0
) ${alias} on true`;

/** Joins the deal that `module`, `model` and `model_id` of a row name, as `alias.end_id`. */
export const dealOf = (alias: string, row: string): string =>
  joinDeal(alias, `case when ${isDeal(row)} then ${row}.model_id end`);

/** Joins, for a link worked out before, the record at the end of its chain: `atEnd` is then what it leads to. */
export const joinMerged = (table: Mergeable, alias: string, link: string): string =>
  `left join ${merged(table)} ${alias} on ${alias}.id = ${link}`;
export const atEnd = (alias: string, link: string): string => `coalesce(${alias}.end_id, ${link})`;

/**
 * Deals, each with its customer as `end_id`: its organisation, else the first that takes part; without any, its contact, else
 * the first that takes part.
 */
export const DEALS_WITH_CUSTOMER = followed(`
  select l.*, l.customer_id as link_id from flowlu.crm_lead l where l.customer_id is not null
   union all
  select l.*, party.account_id
    from flowlu.crm_lead_accounts party join flowlu.crm_lead l on l.id = party.lead_id
   where ${PARTY} and ${FIRST} and l.customer_id is null and (party.account_type = 1 or l.contact_id is null)
   union all
  select l.*, l.contact_id
    from flowlu.crm_lead l
   where l.customer_id is null and not exists (
     select from flowlu.crm_lead_accounts party
      where party.lead_id = l.id and (party.account_type = 1 or l.contact_id is null) and ${PARTY})`);

/** The contact of a deal, else the first that takes part. */
export const DEAL_CONTACT = `coalesce(l.contact_id, (
  select min(party.account_id) from flowlu.crm_lead_accounts party
   where party.lead_id = l.id and party.account_type = 2 and ${PARTY}))`;

/** Transactions, each with its party, else the customer of its invoice, as `end_id`. */
export const PAYMENTS_WITH_PARTNER = followed(`
  select x.*, x.crm_account_id as link_id from flowlu.fin_transaction x where x.crm_account_id is not null
   union all
  select x.*, i.customer_id
    from flowlu.fin_transaction x left join flowlu.fin_invoice i on i.id = x.invoice_id
   where x.crm_account_id is null`);
