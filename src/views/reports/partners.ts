/** Ready-made views about organisations and contacts. */
import { catalog } from '../../catalog/index.ts';
import type { View } from '../live-columns.ts';
import { LIVE_INVOICES, OVERDUE } from './money.ts';
import { amount, count, key, moment, name, report, word, words, yesNo } from './report.ts';
import { LIVE_DEALS, PARTIES } from './sales.ts';

const contacts = report({
  name: 'contacts',
  comment:
    'People with the organisations they work for: one row for each, one without where there is none; merged ones left out',
  columns: {
    contact_id: key('c.id', 'Contact', 'crm.account'),
    contact_name: word('c.name', 'Name of the person'),
    position: word('r.position', 'Job title in the organisation'),
    email: word('c.email', 'Main e-mail address'),
    phone: word('c.phone', 'Main telephone number'),
    organisation_id: key('o.id', 'Organisation', 'crm.account'),
    organisation_name: word('o.name', 'Organisation that the person works for'),
    owner_name: word('owner.name', 'User responsible for the contact'),
    is_active: yesNo('c.active', 'In use'),
    last_activity_at: moment('c.last_activity_time', 'Most recent activity'),
  },
  from: `flowlu.crm_account c
left join (
  flowlu.crm_relation r join flowlu.crm_account o on o.id = r.parent_acc_id and o._deleted_at is null
) on r.child_acc_id = c.id and r.type = 1 and r._deleted_at is null
${name('core_user', 'owner', 'c.owner_id')}
where c._deleted_at is null and c.type = 2 and c.merged_to is null`,
});

/** Records of accounts that were merged count towards the account they were merged into. */
const byAccount = (columns: string, from: string, link: string, where: string) =>
  `(select coalesce(m.merged_to, ${link}) as account_id, ${columns} from ${from} left join flowlu.crm_account m on m.id = ${link} where ${where} group by 1)`;

const customers = report({
  name: 'customers',
  comment:
    'Organisations and contacts with their deals and invoices; what belongs to a merged one counts at the one it was merged into',
  columns: {
    customer_id: key('a.id', 'Customer', 'crm.account'),
    customer_name: word('a.name', 'Display name'),
    kind: words(catalog.crm.account.fields.type, 'a.type', 'organisation or contact'),
    category_name: word('category.name', 'Category'),
    industry_name: word('industry.name', 'Line of industry'),
    owner_name: word('owner.name', 'User responsible'),
    open_deals: count('coalesce(d.open_deals, 0)', 'Deals in progress'),
    open_budget: amount('coalesce(d.open_budget, 0)', 'Their amounts'),
    won_deals: count('coalesce(d.won_deals, 0)', 'Deals won'),
    won_budget: amount('coalesce(d.won_budget, 0)', 'Their amounts'),
    lost_deals: count('coalesce(d.lost_deals, 0)', 'Deals lost'),
    invoices: count('coalesce(i.invoices, 0)', 'Invoices, templates left out'),
    overdue_invoices: count('coalesce(i.overdue, 0)', 'Those confirmed or partly paid and due before today'),
    income_base: amount('coalesce(x.income, 0)', 'Money received, in the base currency of the portal'),
    last_activity_at: moment('a.last_activity_time', 'Most recent activity'),
  },
  from: `flowlu.crm_account a
${name('crm_account_category', 'category', 'a.account_category_id')}
${name('crm_industry', 'industry', 'a.industry_id')}
${name('core_user', 'owner', 'a.owner_id')}
left join ${byAccount(
    `count(*) filter (where l.active = 1) as open_deals, sum(l.budget) filter (where l.active = 1) as open_budget,
     count(*) filter (where l.active = 3) as won_deals, sum(l.budget) filter (where l.active = 3) as won_budget,
     count(*) filter (where l.active = 2) as lost_deals`,
    `flowlu.crm_lead l ${PARTIES}`,
    'coalesce(l.customer_id, party.organisation_id)',
    LIVE_DEALS,
  )} d on d.account_id = a.id
left join ${byAccount(`count(*) as invoices, count(*) filter (where ${OVERDUE}) as overdue`, 'flowlu.fin_invoice i', 'i.customer_id', LIVE_INVOICES)} i on i.account_id = a.id
left join ${byAccount('sum(t.bcy_income) as income', 'flowlu.fin_transaction t', 't.crm_account_id', 't._deleted_at is null and t.status = 10')} x on x.account_id = a.id
where a._deleted_at is null and a.merged_to is null`,
});

export const partners: readonly View[] = [contacts, customers];
