/** All mirror tables, each exported under its name in the database. */
import { bigint, primaryKey, text } from 'drizzle-orm/pg-core';
import { catalog } from '../catalog/index.ts';
import { metaColumns } from './columns.ts';
import { flowlu, mirrorTable } from './table.ts';

const { agile, calendar, company, core, crm, customfields, customlists, fin } = catalog;
const { knowledgebase, loans, products, st, system, task, telephony, timetracker } = catalog;

export const agile_categories = mirrorTable('agile_categories', agile.categories);
export const agile_epics = mirrorTable('agile_epics', agile.epics);
export const agile_followers = mirrorTable('agile_followers', agile.followers);
export const agile_issue_relation_names = mirrorTable('agile_issue_relation_names', agile.issue_relation_names);
export const agile_issue_relation_types = mirrorTable('agile_issue_relation_types', agile.issue_relation_types);
export const agile_issue_relations = mirrorTable('agile_issue_relations', agile.issue_relations);
export const agile_issue_type = mirrorTable('agile_issue_type', agile.issue_type);
export const agile_issue_types_projects = mirrorTable('agile_issue_types_projects', agile.issue_types_projects);
export const agile_issues = mirrorTable('agile_issues', agile.issues);
export const agile_projects = mirrorTable('agile_projects', agile.projects);
export const agile_projects_users = mirrorTable('agile_projects_users', agile.projects_users);
export const agile_ref_issue_relation = mirrorTable('agile_ref_issue_relation', agile.ref_issue_relation);
export const agile_sprints = mirrorTable('agile_sprints', agile.sprints);
export const agile_stages = mirrorTable('agile_stages', agile.stages);
export const agile_workflows = mirrorTable('agile_workflows', agile.workflows);

export const calendar_calendar = mirrorTable('calendar_calendar', calendar.calendar);

export const company_absences = mirrorTable('company_absences', company.absences);
export const company_absencetypes = mirrorTable('company_absencetypes', company.absencetypes);

export const core_tag = mirrorTable('core_tag', core.tag);
export const core_user = mirrorTable('core_user', core.user);

export const crm_account = mirrorTable('crm_account', crm.account);
export const crm_account_category = mirrorTable('crm_account_category', crm.account_category);
export const crm_emails = mirrorTable('crm_emails', crm.emails);
export const crm_honorific_title = mirrorTable('crm_honorific_title', crm.honorific_title);
export const crm_industry = mirrorTable('crm_industry', crm.industry);
export const crm_lead = mirrorTable('crm_lead', crm.lead);
export const crm_lead_accounts = mirrorTable('crm_lead_accounts', crm.lead_accounts);
export const crm_lead_followers = mirrorTable('crm_lead_followers', crm.lead_followers);
export const crm_leads_items = mirrorTable('crm_leads_items', crm.leads_items);
export const crm_loss_reason = mirrorTable('crm_loss_reason', crm.loss_reason);
export const crm_phones = mirrorTable('crm_phones', crm.phones);
export const crm_pipeline = mirrorTable('crm_pipeline', crm.pipeline);
export const crm_pipeline_stage = mirrorTable('crm_pipeline_stage', crm.pipeline_stage);
export const crm_relation = mirrorTable('crm_relation', crm.relation);
export const crm_source = mirrorTable('crm_source', crm.source);

export const customfields_fieldoptions = mirrorTable('customfields_fieldoptions', customfields.fieldoptions);
export const customfields_fields = mirrorTable('customfields_fields', customfields.fields);
export const customfields_fieldsets = mirrorTable('customfields_fieldsets', customfields.fieldsets);
export const customfields_selected_options = mirrorTable(
  'customfields_selected_options',
  customfields.selected_options,
);

export const customlists_lists = mirrorTable('customlists_lists', customlists.lists);

export const fin_bank_account = mirrorTable('fin_bank_account', fin.bank_account);
export const fin_bank_account_group = mirrorTable('fin_bank_account_group', fin.bank_account_group);
export const fin_business_line = mirrorTable('fin_business_line', fin.business_line);
export const fin_categories = mirrorTable('fin_categories', fin.categories);
export const fin_commitment = mirrorTable('fin_commitment', fin.commitment);
export const fin_customer_payment = mirrorTable('fin_customer_payment', fin.customer_payment);
export const fin_estimate = mirrorTable('fin_estimate', fin.estimate);
export const fin_estimate_contacts = mirrorTable('fin_estimate_contacts', fin.estimate_contacts);
export const fin_estimate_item = mirrorTable('fin_estimate_item', fin.estimate_item);
export const fin_estimate_template = mirrorTable('fin_estimate_template', fin.estimate_template);
export const fin_invoice = mirrorTable('fin_invoice', fin.invoice);
export const fin_invoice_contacts = mirrorTable('fin_invoice_contacts', fin.invoice_contacts);
export const fin_invoice_item = mirrorTable('fin_invoice_item', fin.invoice_item);
export const fin_item_relations = mirrorTable('fin_item_relations', fin.item_relations);
export const fin_organization = mirrorTable('fin_organization', fin.organization);
export const fin_plan_money = mirrorTable('fin_plan_money', fin.plan_money);
export const fin_plan_money_payment_log = mirrorTable('fin_plan_money_payment_log', fin.plan_money_payment_log);
export const fin_recurring_invoice = mirrorTable('fin_recurring_invoice', fin.recurring_invoice);
export const fin_recurring_invoice_item = mirrorTable('fin_recurring_invoice_item', fin.recurring_invoice_item);
export const fin_relations = mirrorTable('fin_relations', fin.relations);
export const fin_transaction = mirrorTable('fin_transaction', fin.transaction);
export const fin_transaction_pls = mirrorTable('fin_transaction_pls', fin.transaction_pls);

export const knowledgebase_access = mirrorTable('knowledgebase_access', knowledgebase.access);
export const knowledgebase_article = mirrorTable('knowledgebase_article', knowledgebase.article);
export const knowledgebase_feedback = mirrorTable('knowledgebase_feedback', knowledgebase.feedback);
export const knowledgebase_hierarchy = mirrorTable('knowledgebase_hierarchy', knowledgebase.hierarchy);
export const knowledgebase_knowledgebases = mirrorTable('knowledgebase_knowledgebases', knowledgebase.knowledgebases);
export const knowledgebase_statuses = mirrorTable('knowledgebase_statuses', knowledgebase.statuses);
export const knowledgebase_tags = mirrorTable('knowledgebase_tags', knowledgebase.tags);
export const knowledgebase_version = mirrorTable('knowledgebase_version', knowledgebase.version);

export const loans_loan = mirrorTable('loans_loan', loans.loan);

export const products_category = mirrorTable('products_category', products.category);
export const products_document_items = mirrorTable('products_document_items', products.document_items);
export const products_manufacturer = mirrorTable('products_manufacturer', products.manufacturer);
export const products_owed = mirrorTable('products_owed', products.owed);
export const products_pricelist = mirrorTable('products_pricelist', products.pricelist);
export const products_pricelist_item = mirrorTable('products_pricelist_item', products.pricelist_item);
export const products_product = mirrorTable('products_product', products.product);
export const products_store = mirrorTable('products_store', products.store);
export const products_store_document = mirrorTable('products_store_document', products.store_document);
export const products_units = mirrorTable('products_units', products.units);

export const st_portfolio = mirrorTable('st_portfolio', st.portfolio);
export const st_project_expense = mirrorTable('st_project_expense', st.project_expense);
export const st_project_money_stage = mirrorTable('st_project_money_stage', st.project_money_stage);
export const st_project_observers = mirrorTable('st_project_observers', st.project_observers);
export const st_project_types = mirrorTable('st_project_types', st.project_types);
export const st_projects = mirrorTable('st_projects', st.projects);
export const st_stage_checkitems = mirrorTable('st_stage_checkitems', st.stage_checkitems);
export const st_stages = mirrorTable('st_stages', st.stages);

export const system_comments = mirrorTable('system_comments', system.comments);
export const system_files = mirrorTable('system_files', system.files);

export const task_collaborators = mirrorTable('task_collaborators', task.collaborators);
export const task_followers = mirrorTable('task_followers', task.followers);
export const task_invoicing_logs = mirrorTable('task_invoicing_logs', task.invoicing_logs);
export const task_lists = mirrorTable('task_lists', task.lists);
export const task_stages = mirrorTable('task_stages', task.stages);
export const task_tasks = mirrorTable('task_tasks', task.tasks);
export const task_taskslists = mirrorTable('task_taskslists', task.taskslists);
export const task_workflows = mirrorTable('task_workflows', task.workflows);

export const telephony_calls = mirrorTable('telephony_calls', telephony.calls);
export const telephony_responsibles = mirrorTable('telephony_responsibles', telephony.responsibles);

export const timetracker_billing_entities_list = mirrorTable(
  'timetracker_billing_entities_list',
  timetracker.billing_entities_list,
);
export const timetracker_timelogs = mirrorTable('timetracker_timelogs', timetracker.timelogs);
export const timetracker_timesheets = mirrorTable('timetracker_timesheets', timetracker.timesheets);

/** Records of models that the catalogue does not know, so that nothing sent by Flowlu is dropped. */
export const uncatalogued = flowlu.table(
  'uncatalogued',
  {
    module: text('module').notNull(),
    model: text('model').notNull(),
    id: bigint('id', { mode: 'bigint' }).notNull(),
    ...metaColumns(),
  },
  (t) => [primaryKey({ columns: [t.module, t.model, t.id] })],
);
