/** Ready-made views about organisations and contacts. */
import { c, type View, view } from '../views/view.ts';
import { accountOf, DEALS_WITH_CUSTOMER, PAYMENTS_WITH_PARTNER, withMerged } from './customers.ts';
import { moneyKind, type Terms } from './definitions.ts';
import { INVOICES_WITH_CUSTOMER, owed } from './invoices.ts';
import { movedCash, SIGNED_BASE } from './money.ts';
import { words } from './report.ts';

const contacts = view({
  name: 'contacts',
  grain: 'contact and organisation that it works for, or contact without one',
  key: ['contact_id', 'relation_id'],
  comment: 'People with the organisations they work for; merged ones left out',
  columns: {
    contact_id: c.key('c.id', 'Contact', 'crm.account'),
    contact_name: c.word('c.name', 'Name of the person'),
    relation_id: c.key('r.id', 'Relation to the organisation', 'crm.relation'),
    position: c.word('r.position', 'Job title in the organisation'),
    email: c.word('c.email', 'Main e-mail address'),
    phone: c.word('c.phone', 'Main telephone number'),
    ...c.linked('organisation', 'o.id', 'Organisation that the person works for', 'crm.account', 'o.name'),
    ...c.linked('owner', 'c.owner_id', 'User responsible for the contact', 'core.user'),
    is_active: c.yesNo('c.active', 'In use'),
    last_activity_at: c.moment('c.last_activity_time', 'Most recent activity'),
    updated_at: c.updatedAt('c'),
  },
  with: withMerged('crm_account'),
  from: `flowlu.crm_account c
left join (
  flowlu.crm_relation r
  ${accountOf('crm_relation', 'child_acc_id', 'person', 'r')}
  ${accountOf('crm_relation', 'parent_acc_id', 'employer', 'r')}
  join flowlu.crm_account o on o.id = employer.end_id and o._deleted_at is null
) on person.end_id = c.id and r.type = 1 and r._deleted_at is null`,
  where: 'c._deleted_at is null and c.type = 2 and c.merged_to is null',
});

export function partners(terms: Terms): readonly View[] {
  const { is } = terms;
  const number = (what: string, comment: string) => c.count(`coalesce(c.${what}, 0)`, comment);
  const sum = (what: string, comment: string) => c.amount(`coalesce(c.${what}, 0)`, comment);
  const counted = (what: string, as: string) => `count(*) filter (where fact.what = '${what}') as ${as}`;
  const summed = (what: string, as: string) => `sum(fact.amount) filter (where fact.what = '${what}') as ${as}`;
  // The sides of the full join stand in the order of `coalesce`: only so does a condition on one customer reach both of them.
  const customers = view({
    name: 'customers',
    grain: 'customer; a last one without an identifier for what belongs to nobody',
    key: ['customer_id'],
    hasNobody: true,
    comment:
      'Organisations and contacts with their deals, invoices and money. What belongs to a merged one counts at the one it was merged into; one that Flowlu has deleted stays while anything belongs to it; so every column adds up to the deals, invoices and payments',
    columns: {
      ...c.linked('customer', 'coalesce(a.id, c.customer_id)', 'Customer', 'crm.account', 'a.name'),
      kind: words('crm.account', 'type', 'a.type', 'organisation or contact'),
      ...c.linked('category', 'a.account_category_id', 'Category', 'crm.account_category'),
      ...c.linked('industry', 'a.industry_id', 'Line of industry', 'crm.industry'),
      ...c.linked('owner', 'a.owner_id', 'User responsible', 'core.user'),
      is_deleted: c.yesNo('a._deleted_at is not null', 'Deleted in Flowlu'),
      is_unknown: c.yesNo(
        'a.id is null and c.customer_id is not null',
        'The mirror has nothing of it but its identifier: it may exist where its model could not be read in full',
      ),
      deals: number('deals', 'Deals, whatever their state'),
      open_deals: number('open_deals', 'Deals in progress'),
      open_budget: sum('open_budget', 'Their amounts; Flowlu gives deals no currency'),
      won_deals: number('won_deals', 'Deals won'),
      won_budget: sum('won_budget', 'Their amounts; Flowlu gives deals no currency'),
      lost_deals: number('lost_deals', 'Deals lost'),
      invoices: number('invoices', 'Invoices, drafts included'),
      overdue_invoices: number('overdue_invoices', 'Invoices that are overdue'),
      income_base: sum('income', 'Money received, in the base currency of the portal'),
      expense_base: sum('expense', 'Money paid to the customer, refunds included; negative'),
      other_base: sum('other', 'Money that is neither income nor expense'),
      balance_base: c.amount(
        'coalesce(c.income, 0) + coalesce(c.expense, 0) + coalesce(c.other, 0)',
        'income_base + expense_base + other_base: what is left after refunds',
      ),
      last_activity_at: c.moment('a.last_activity_time', 'Most recent activity'),
      updated_at: c.updatedAt('a'),
    },
    with: withMerged('crm_account'),
    from: `flowlu.crm_account a
full join (
  select fact.customer_id, true as known,
         count(*) filter (where fact.what in ('open', 'won', 'lost', 'deal')) as deals,
         ${counted('open', 'open_deals')}, ${summed('open', 'open_budget')},
         ${counted('won', 'won_deals')}, ${summed('won', 'won_budget')}, ${counted('lost', 'lost_deals')},
         ${counted('invoice', 'invoices')}, ${counted('overdue', 'overdue_invoices')},
         ${summed('income', 'income')}, ${summed('expense', 'expense')}, ${summed('other', 'other')}
    from (
      select l.end_id as customer_id, case when ${is.open_deal} then 'open' when ${is.won_deal} then 'won' when ${is.lost_deal} then 'lost' else 'deal' end as what, l.budget as amount
        from ${DEALS_WITH_CUSTOMER} l
       where ${is.deal}
       union all
      select i.end_id, 'invoice', null from ${INVOICES_WITH_CUSTOMER} i where ${is.invoice}
       union all
      select i.end_id, 'overdue', null from ${INVOICES_WITH_CUSTOMER} i${owed(terms)} where ${is.invoice} and ${is.overdue}
       union all
      select x.end_id, ${moneyKind}, ${SIGNED_BASE}
        from ${PAYMENTS_WITH_PARTNER} x
       where ${is.transaction} and ${movedCash(terms)}
    ) fact
   group by fact.customer_id
) c on a.id = c.customer_id`,
    where: `(a._deleted_at is null and ${is.customer}) or c.known`,
  });
  return [contacts, customers];
}
