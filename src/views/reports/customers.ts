/**
 * Which customer a deal, an invoice or a transaction counts for. Pure.
 *
 * Each way to a customer is a branch of its own whose customer is a plain column, so that a condition on one customer reaches
 * the index of every branch.
 */

/** Accounts that were merged, each with the one at the end of its chain. Accounts merged in a circle have none. */
const MERGED = `(
  with recursive step (account_id, target_id) as (
    select id, merged_to from flowlu.crm_account where merged_to is not null
     union
    select step.account_id, a.merged_to
      from step join flowlu.crm_account a on a.id = step.target_id and a.merged_to is not null
  )
  select step.account_id, step.target_id
    from step
   where not exists (select from flowlu.crm_account a where a.id = step.target_id and a.merged_to is not null)
)`;

/** The links with merged accounts replaced: `record_id`, `customer_id`. */
const followed = (links: string) => `(
  select link.record_id, link.account_id as customer_id
    from (${links}) link
   where not exists (select from flowlu.crm_account a where a.id = link.account_id and a.merged_to is not null)
   union all
  select link.record_id, merged.target_id
    from ${MERGED} merged join (${links}) link on link.account_id = merged.account_id
)`;

const PARTY = 'party._deleted_at is null and party.account_id is not null';
/** No other party of the deal comes before this one: organisations come before contacts. */
const FIRST = `not exists (
  select from flowlu.crm_lead_accounts earlier
   where earlier.lead_id = party.lead_id and earlier._deleted_at is null and earlier.account_id is not null
     and (coalesce(earlier.account_type, 9), earlier.account_id, earlier.id) < (coalesce(party.account_type, 9), party.account_id, party.id))`;

/** The organisation of a deal, else the first that takes part; without any, its contact, else the first that takes part. */
export const DEAL_CUSTOMERS = followed(`
  select l.id as record_id, l.customer_id as account_id from flowlu.crm_lead l where l.customer_id is not null
   union all
  select l.id, party.account_id
    from flowlu.crm_lead_accounts party join flowlu.crm_lead l on l.id = party.lead_id
   where ${PARTY} and ${FIRST} and l.customer_id is null and (party.account_type = 1 or l.contact_id is null)
   union all
  select l.id, l.contact_id
    from flowlu.crm_lead l
   where l.customer_id is null and l.contact_id is not null
     and not exists (select from flowlu.crm_lead_accounts party where party.lead_id = l.id and party.account_type = 1 and ${PARTY})`);

/** The contact of a deal, else the first that takes part. */
export const DEAL_CONTACT = `coalesce(l.contact_id, (
  select min(party.account_id) from flowlu.crm_lead_accounts party
   where party.lead_id = l.id and party.account_type = 2 and ${PARTY}))`;

export const INVOICE_CUSTOMERS = followed(`
  select i.id as record_id, i.customer_id as account_id from flowlu.fin_invoice i where i.customer_id is not null`);

export const ESTIMATE_CUSTOMERS = followed(`
  select e.id as record_id, e.customer_id as account_id from flowlu.fin_estimate e where e.customer_id is not null`);

export const PROJECT_CUSTOMERS = followed(`
  select p.id as record_id, p.customer_id as account_id from flowlu.st_projects p where p.customer_id is not null`);

/** The party of a transaction, else the customer of its invoice. */
export const PAYMENT_CUSTOMERS = followed(`
  select x.id as record_id, x.crm_account_id as account_id from flowlu.fin_transaction x where x.crm_account_id is not null
   union all
  select x.id, i.customer_id
    from flowlu.fin_invoice i join flowlu.fin_transaction x on x.invoice_id = i.id
   where i.customer_id is not null and x.crm_account_id is null`);
