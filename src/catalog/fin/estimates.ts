/** Estimates (proposals to customers), with their lines, recipients and templates. */
import { code, date, datetime, decimal, flag, integer, link, model, text } from '../fields.ts';
import {
  active,
  audit,
  currency,
  documentCustomer,
  documentMoney,
  documentParties,
  importOrigin,
  lineItem,
  lineType,
  linkedRecord,
  ordering,
  undatedAudit,
  uuid,
} from '../groups.ts';

export const estimates = {
  estimate: model('Estimates (proposals)', 'fin', 'flowlu', {
    type: code('Kind of estimate (values undocumented)'),
    status_id: code('State of the estimate (values undocumented)'),
    active: flag('In use; no means retired'),
    estimate_number: integer('Running number'),
    estimate_number_print: text('Number as printed, with prefix'),
    reference_number: text('Reference of the customer, e.g. an enquiry number'),
    invoice_date: date('Day on which the estimate was issued'),
    expire_date: date('Last day on which the offer holds'),
    estimate_emailed_date: datetime('When the estimate was sent by e-mail'),
    assignee_id: link('User responsible for the estimate', 'core.user'),
    org_id: link('Own organisation that makes the offer', 'fin.organization'),
    ...documentCustomer,
    ...linkedRecord,
    group_id: link('Group that the estimate is filed under'),
    template_id: link('Template that the estimate was made from', 'fin.estimate_template'),

    ...currency,
    exchange_rate: decimal('Rate from the currency of the estimate to the base currency'),
    ...documentMoney,

    estimate_terms_text: text('Terms and conditions on the estimate'),
    estimate_footer_text: text('Text at the foot of the estimate'),
    ...documentParties,
    uuid,
    ...importOrigin,
    ...undatedAudit,
  }),

  estimate_contacts: model('Recipients of estimates', 'fin', 'expected', {
    estimate_id: link('The estimate', 'fin.estimate'),
    contact_id: link('Contact who receives it', 'crm.account'),
    email_id: link('E-mail address it goes to', 'crm.emails'),
    is_primary: flag('Main recipient'),
    estimate_emailed: flag('The estimate was sent to this recipient'),
    estimate_emailed_date: datetime('When the estimate was sent to this recipient'),
  }),

  estimate_item: model('Lines of estimates', 'fin', 'expected', {
    estimate_id: link('Estimate that the line belongs to', 'fin.estimate'),
    type: lineType,
    ...lineItem,
    ...importOrigin,
  }),

  estimate_template: model('Templates of estimates', 'fin', 'expected', {
    name: text('Name of the template'),
    code: text('Short code of the template'),
    description: text('What the template is for'),
    org_id: link('Own organisation that uses the template', 'fin.organization'),
    doctemplater_id: link('Print form of the document builder'),
    params: text('Settings of the template, as stored (format undocumented)'),
    ordering,
    active,
    uuid,
    ...audit,
  }),
};
