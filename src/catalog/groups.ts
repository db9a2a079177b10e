/** Fields and groups of fields that several models share, each under Flowlu's own name. */
import { code, datetime, decimal, flag, integer, link, text } from './fields.ts';

export const active = flag('In use; no means retired and no longer offered');
export const color = text('Colour as a hexadecimal RGB value');
export const currency_id = link('Currency of the amounts on this record');
export const currency = { currency_id, currency_code: text('Code of the currency, e.g. EUR') };
export const deleted_at = datetime('When the record was softly deleted; empty while it is live');
export const extra_fields = text('Further values, presumably serialised JSON; content undocumented');
export const ordering = integer('Sort position among its siblings, lowest first');
export const uuid = text('Universally unique identifier (version 4)');

export const named = (name: string, description: string) => ({ name: text(name), description: text(description) });

/** Who created and last changed the record, and when: on most models. */
export const audit = {
  created_by: link('User who created the record', 'core.user'),
  created_date: datetime('When the record was created'),
  updated_by: link('User who last changed the record', 'core.user'),
  updated_date: datetime('When the record was last changed'),
};

export const timestamps = { created_date: audit.created_date, updated_date: audit.updated_date };

/** `audit` without the time of creation. */
export const undatedAudit = {
  created_by: audit.created_by,
  updated_by: audit.updated_by,
  updated_date: audit.updated_date,
};

/** `audit` as most of the products module spells it. */
export const productAudit = {
  created: audit.created_date,
  created_by: audit.created_by,
  updated: audit.updated_date,
  updated_by: audit.updated_by,
};

/** Where an imported record came from. External ids take any form, so both are text. */
export const importOrigin = {
  ref: text('Name of the system that the record was imported from'),
  ref_id: text('Identifier of the record in the system it was imported from'),
};

/** A link to a record of any model, identified by all three fields. */
export const linkedRecord = {
  module: text('Module of the linked record, e.g. st or crm'),
  model: text('Model of the linked record; projects may read project or projects'),
  model_id: link('Identifier of the linked record within module and model'),
};

/** An entry of a dictionary: where it stands, whether it is offered, and who made it. */
export const entry = { ordering, active, ...audit };
export const deletableEntry = { ordering, active, deleted_at, ...audit };

/** What identifies a record in other systems, where it came from, and who made it. */
export const provenance = { uuid, ...importOrigin, ...audit };

/** `provenance` as most of the products module has it. */
export const productEntry = { active, ...importOrigin, ...productAudit };

/** Charges on a whole document that are not product lines, and where the prices of these come from. */
export const extraCharges = {
  shipping_charge: decimal('Delivery costs added to the total'),
  adjustment: decimal('Amount that corrects the total, up or down'),
  adjustment_description: text('Reason given for the adjustment'),
  pricelist_id: link('Price list for the lines', 'products.pricelist'),
};

/** Totals of a document, with taxes, discount and charges that apply to it as a whole. */
export const documentMoney = {
  sub_total: decimal('Sum of the lines before taxes'),
  tax_total: decimal('Sum of all taxes'),
  total: decimal('Amount due on the document, in its currency'),
  tax1: decimal('Rate of the first tax, percent'),
  tax1_included: flag('Prices already contain the first tax'),
  tax2: decimal('Rate of the second tax, percent'),
  tax2_included: flag('Prices already contain the second tax'),
  discount: decimal('Discount on the document: a percentage if is_discount_percent, else an amount'),
  is_discount_percent: flag('The discount is a percentage; no means an amount of money'),
  discount_before_tax: flag('The discount is taken off before taxes are calculated'),
  ...extraCharges,
};

/** The customer of a document. */
export const documentCustomer = {
  customer_id: link('Organisation or contact that the document is made out to', 'crm.account'),
  customer_name: text('Name of the customer as printed'),
  customer_legal_name: text('Legal name of the customer as printed'),
  contact_person: text('Contact person printed on the document, presumably the signatory'),
  contact_person_position: text('Job title of that contact person, as printed'),
};

/** Addresses, telephones and tax numbers of both sides, copied onto a document when it is created. */
export const documentParties = {
  bill_from_address: text('Issuer: street address'),
  bill_from_city: text('Issuer: city'),
  bill_from_state: text('Issuer: state or region'),
  bill_from_zip: text('Issuer: postal code'),
  bill_from_country_id: link('Issuer: country'),
  bill_to_address: text('Customer: street address'),
  bill_to_city: text('Customer: city'),
  bill_to_state: text('Customer: state or region'),
  bill_to_zip: text('Customer: postal code'),
  bill_to_country_id: link('Customer: country'),
  company_phone: text('Customer: telephone number'),
  company_phone2: text('Customer: second telephone number'),
  company_vat: text('Customer: tax number'),
  company_vat2: text('Customer: second tax or registration number'),
  org_phone: text('Issuer: telephone number'),
  org_phone2: text('Issuer: second telephone number'),
  org_vat: text('Issuer: tax number'),
  org_vat2: text('Issuer: second tax or registration number'),
};

/** One product line of a deal, estimate, invoice or stock document. */
export const lineItem = {
  ordering: integer('Place of the line on the document, lowest first'),
  item_id: link('Product or service sold; none for a free line', 'products.product'),
  name: text('Title of the line'),
  description: text('Explanation under the title of the line'),
  unit_price: decimal('Price of one unit, in the currency of the document'),
  unit_id: link('Unit of measure of the quantity', 'products.units'),
  quantity: decimal('Number of units'),
  tax1: decimal('Rate of the first tax, percent'),
  tax1_included: flag('The unit price already contains the first tax'),
  tax1_amount: decimal('First tax on the line, as an amount of money'),
  tax2: decimal('Rate of the second tax, percent'),
  tax2_included: flag('The unit price already contains the second tax'),
  tax2_amount: decimal('Second tax on the line, as an amount of money'),
  discount: decimal('Discount as entered: a percentage if discount_is_percent, else an amount'),
  discount_is_percent: flag('The discount is a percentage; no means an amount of money'),
  discount_amount: decimal('Discount on the line as an amount of money, calculated'),
  sub_total: decimal('Value of the line before taxes'),
  tax_total: decimal('Sum of all taxes on the line'),
  tax_displayed: text('Taxes of the line, worded for print'),
  total: decimal('Value of the line with taxes and discount'),
};

export const lineType = code('Whether this is a product line or a heading between lines', { 10: 'line', 20: 'header' });

/** Data on a fiscal receipt about a line that is paid online. */
export const receiptCodes = {
  online_payment_type: code('Payment method on the fiscal receipt (values undocumented)'),
  online_payment_subject_type: code('Kind of goods or service on the fiscal receipt (values undocumented)'),
  online_payment_vat: code('VAT category on the fiscal receipt (values undocumented)'),
};
