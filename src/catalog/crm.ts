/** Module `crm`: organisations, contacts, deals and their dictionaries. */
import { code, date, datetime, decimal, flag, integer, link, model, oddModel, text } from './fields.ts';
import {
  audit,
  color,
  deletableEntry,
  deleted_at,
  entry,
  extra_fields,
  extraCharges,
  importOrigin,
  lineItem,
  named,
  ordering,
  timestamps,
} from './groups.ts';

const contactType = { 10: 'work', 20: 'personal', 30: 'other' } as const;
const accountType = { 1: 'organisation', 2: 'contact' } as const;

export const crm = {
  account: model('CRM accounts: organisations and contacts', 'crm.accounts', 'flowlu', {
    type: code('Whether the account is an organisation or a person', accountType),
    name: text('Display name'),
    active: flag('In use; no means inactive'),
    owner_id: link('User responsible for the account', 'core.user'),
    account_category_id: link('Category of the account', 'crm.account_category'),
    industry_id: link('Line of industry', 'crm.industry'),
    description: text('Free-text notes'),

    honorific_title_id: link('Form of address of a contact', 'crm.honorific_title'),
    first_name: text('Given name of a contact'),
    middle_name: text('Middle name or patronymic of a contact'),
    last_name: text('Family name of a contact'),

    name_legal: text('Legal name, short form'),
    name_legal_full: text('Legal name in full'),
    vat: text('Tax number; spelt VAT in lists and vat in single reads'),
    vat1: text('Further tax or registration number, first of two'),
    vat2: text('Further tax or registration number, second of two'),
    bank_details: text('Bank details for payments'),
    organization_employee_count: integer('Number of employees'),
    organization_revenue: decimal('Revenue of the organisation (currency and period undocumented)'),
    organization_expenses: decimal('Expenses of the organisation (currency and period undocumented)'),
    organization_registration_date: date('Day on which the organisation was registered'),

    email: text('Main e-mail address'),
    email_personal: text('Private e-mail address'),
    phone: text('Main telephone number'),
    phone2: text('Second telephone number'),
    phone3: text('Third telephone number'),
    web: text('Website address'),
    skype: text('Skype name'),
    telegram: text('Telegram name or number'),
    link_facebook: text('Facebook profile (older field)'),
    link_google: text('Google profile (older field)'),
    link_instagram: text('Instagram profile (older field)'),
    link_linkedin: text('LinkedIn profile (older field)'),
    link_vk: text('VK profile (older field)'),
    social_network_link_1: text('Skype contact'),
    social_network_link_3: text('Facebook profile'),
    social_network_link_4: text('X (Twitter) profile'),
    social_network_link_5: text('LinkedIn profile'),
    social_network_link_6: text('Instagram profile'),
    timezone: text('Time zone of the account'),

    address: text('Actual address in one line'),
    address_legal: text('Registered address in one line'),
    billing_address_line_1: text('Billing address: first line'),
    billing_address_line_2: text('Billing address: second line'),
    billing_address_line_3: text('Billing address: third line'),
    billing_city: text('Billing address: city'),
    billing_state: text('Billing address: state or region'),
    billing_zip: text('Billing address: postal code'),
    billing_country: text('Billing address: country'),
    shipping_address_line_1: text('Delivery address: first line'),
    shipping_address_line_2: text('Delivery address: second line'),
    shipping_address_line_3: text('Delivery address: third line'),
    shipping_city: text('Delivery address: city'),
    shipping_state: text('Delivery address: state or region'),
    shipping_zip: text('Delivery address: postal code'),
    shipping_country: text('Delivery address: country'),

    last_activity_id: link('Most recent activity with the account; last_activity_model says of which model'),
    last_activity_model: text('Model of the most recent activity'),
    last_activity_time: datetime('When the most recent activity took place'),
    merged_to: link('Account that this one was merged into', 'crm.account'),
    extra_fields,
    guid_1c: text('Identifier of the account in 1C bookkeeping'),
    ...importOrigin,
    ...timestamps,
  }),

  // An old draft documents the update time, but live answers lack it, so nothing orders versions.
  account_category: oddModel({ version: null }, 'Categories of CRM accounts', 'crm.accounts', 'flowlu', {
    name: text('Name of the category'),
    ...deletableEntry,
  }),

  emails: model('E-mail addresses of CRM accounts', 'crm.accounts', 'flowlu', {
    account_id: link('Account that the address belongs to', 'crm.account'),
    type: code('What the address is used for', contactType),
    email: text('The e-mail address'),
    comment: text('Note on the address'),
  }),

  honorific_title: oddModel({ version: null }, 'Forms of address of contacts', 'crm.accounts', 'flowlu', {
    name: text('The form of address, e.g. Ms.'),
    ...entry,
  }),

  industry: oddModel({ version: null }, 'Industries of CRM accounts', 'crm.accounts', 'flowlu', {
    name: text('Name of the industry'),
    ...deletableEntry,
  }),

  lead: model('Opportunities (deals)', 'crm.deals', 'flowlu', {
    ...named('Title of the deal', 'Free-text description of the deal'),
    active: code('State of the deal', { 1: 'in progress', 2: 'lost', 3: 'won' }),
    pipeline_id: link('Sales pipeline that the deal runs through', 'crm.pipeline'),
    pipeline_stage_id: link('Stage of the pipeline that the deal has reached', 'crm.pipeline_stage'),
    ordering: integer('Sort position within the stage, lowest first'),
    assignee_id: link('User responsible for the deal', 'core.user'),
    source_id: link('Source that the deal came from', 'crm.source'),
    customer_id: link('Organisation of the deal (older single link, see crm.lead_accounts)', 'crm.account'),
    contact_id: link('Contact of the deal (older single link, see crm.lead_accounts)', 'crm.account'),

    budget: decimal('Amount of the deal'),
    auto_calc: text('Whether the amount follows the product lines (values undocumented)'),
    ...extraCharges,

    start_date: date('Day on which the deal began'),
    deadline: date('Day by which the deal is expected to close'),
    closing_date: date('Day on which the deal was won or lost'),
    closing_status_id: link('Reason why the deal was lost', 'crm.loss_reason'),
    closing_comment: text('Comment on how the deal ended'),

    contact_name: text('Enquiry: name of the person'),
    contact_company: text('Enquiry: company of the person'),
    contact_position: text('Enquiry: job title of the person'),
    contact_email: text('Enquiry: e-mail address'),
    contact_phone: text('Enquiry: telephone number'),
    contact_mobile: text('Enquiry: mobile telephone number'),
    contact_web: text('Enquiry: website address'),

    last_activity_id: link('Most recent activity on the deal; last_activity_model says of which model'),
    last_activity_model: text('Model of the most recent activity'),
    last_activity_time: datetime('When the most recent activity took place'),
    merged_to_id: link('Deal that this one was merged into', 'crm.lead'),
    ...importOrigin,
    created_by: audit.created_by,
    ...timestamps,
  }),

  lead_accounts: model('Which accounts take part in which deals', 'crm.deals', 'flowlu', {
    lead_id: link('The deal', 'crm.lead'),
    account_id: link('Organisation or contact that takes part', 'crm.account'),
    account_type: code('Whether the account is an organisation or a person', accountType),
    created_at: audit.created_date,
    updated_at: audit.updated_date,
  }),

  lead_followers: model('Observers of deals', 'crm.deals', 'expected', {
    lead_id: link('The deal observed', 'crm.lead'),
    user_id: link('User who observes the deal', 'core.user'),
    extrafields: extra_fields,
    ...audit,
  }),

  leads_items: model('Product lines of deals', 'crm.deals', 'expected', {
    lead_id: link('Deal that the line belongs to', 'crm.lead'),
    type: code('Kind of line (values undocumented; invoices use 10 line, 20 header)'),
    ...lineItem,
    unit: text('Unit of measure in words'),
    ...importOrigin,
  }),

  loss_reason: oddModel({ version: null }, 'Reasons for losing a deal', 'crm.deals', 'flowlu', {
    name: text('Wording of the reason'),
    ...entry,
  }),

  phones: model('Telephone numbers of CRM accounts', 'crm.accounts', 'expected', {
    account_id: link('Account that the number belongs to', 'crm.account'),
    type: code('What the number is used for', contactType),
    phone: text('Telephone number as stored'),
    phone_masked: text('Telephone number formatted for reading'),
    old_phone: text('Telephone number before its last change or conversion'),
    comment: text('Note on the number'),
  }),

  pipeline: oddModel({ version: null }, 'Sales pipelines', 'crm.deals', 'flowlu', {
    ...named('Name of the pipeline', 'What the pipeline is for'),
    type_access: text('Who may see the pipeline (values undocumented)'),
    ordering,
    deleted_at,
    ...audit,
  }),

  pipeline_stage: oddModel({ version: null }, 'Stages of sales pipelines', 'crm.deals', 'flowlu', {
    pipeline_id: link('Pipeline that the stage belongs to', 'crm.pipeline'),
    name: text('Name of the stage'),
    color,
    ...deletableEntry,
  }),

  relation: model('Relations between accounts', 'crm.accounts', 'expected', {
    parent_acc_id: link('Superior account: the employer or parent company', 'crm.account'),
    child_acc_id: link('Subordinate account: the employee or subsidiary', 'crm.account'),
    type: code('Kind of relation', { 1: 'employee', 2: 'subsidiary' }),
    position: text('Job title of an employee'),
    ...audit,
  }),

  source: oddModel({ version: null }, 'Sources of deals', 'crm.deals', 'flowlu', {
    ...named('Name of the source', 'What the source covers'),
    ...deletableEntry,
  }),
};
