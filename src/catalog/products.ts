/** Module `products`: goods and services, their prices, warehouses and stock documents. */
import { code, date, decimal, flag, integer, link, model, text } from './fields.ts';
import {
  active,
  audit,
  currency,
  currency_id,
  documentParties,
  entry,
  extraCharges,
  lineItem,
  named,
  ordering,
  productAudit,
  productEntry,
  receiptCodes,
} from './groups.ts';

const customs = {
  country_id: link('Country of origin'),
  declaration_number: text('Number of the customs declaration'),
};

export const products = {
  category: model('Product categories', 'products', 'flowlu', {
    parent_id: link('Category above this one', 'products.category'),
    ...named('Name of the category', 'What the category covers'),
    ...productEntry,
  }),

  document_items: model('Lines of stock documents', 'products', 'expected', {
    store_doc_id: link('Stock document that the line belongs to', 'products.store_document'),
    type: code('Kind of line (values undocumented; invoices use 10 line, 20 header)'),
    ...lineItem,
    variation_id: link('Variation of the product'),
    ...customs,
    ...audit,
  }),

  manufacturer: model('Manufacturers', 'products', 'flowlu', {
    ...named('Name of the manufacturer', 'Free-text notes on the manufacturer'),
    crm_company_id: link('The manufacturer as an organisation', 'crm.account'),
    currency_id: link('Currency that the manufacturer prices in'),
    ...productEntry,
  }),

  owed: model('Debts to suppliers', 'products', 'expected', {
    date: date('Day on which the debt arose'),
    type: text('Kind of debt (values undocumented)'),
    description: text('What the debt is for'),
    crm_acc_id: link('Supplier on the other side', 'crm.account'),
    org_id: link('Own organisation that owes', 'fin.organization'),
    amount: decimal('Amount of the debt, in its own currency'),
    currency_id,
    amount_bcy: decimal('Amount of the debt, in the base currency of the portal'),
    ...audit,
  }),

  pricelist: model('Price lists', 'products', 'flowlu', {
    ...named('Name of the price list', 'What the price list is for'),
    type: code('Kind of price list (values undocumented)'),
    default: flag('Used unless another price list is chosen'),
    ordering,
    ...productEntry,
  }),

  pricelist_item: model('Prices of products, per price list', 'products', 'expected', {
    pricelist_id: link('The price list', 'products.pricelist'),
    item_id: link('The product or service', 'products.product'),
    price: decimal('Price of one unit'),
    currency_id: link('Currency of the price'),
    ...productAudit,
  }),

  product: model('Products and services', 'products', 'flowlu', {
    type: code('Kind of product, e.g. goods or service (values undocumented)'),
    name: text('Name of the product'),
    article: text('Stock-keeping unit (SKU)'),
    code: text('Internal product code'),
    code_ean: text('European article number (EAN)'),
    code_isbn: text('International standard book number (ISBN)'),
    code_mpn: text('Part number of the manufacturer (MPN)'),
    code_upc: text('Universal product code (UPC)'),
    description: text('Short description'),
    full_description: text('Long description'),
    category_id: link('Category of the product', 'products.category'),
    section_id: link('Section of the product catalogue', 'products.category'),
    manufacturer_id: link('Manufacturer of the product', 'products.manufacturer'),
    unit_id: link('Unit of measure', 'products.units'),
    uom_id: link('Unit of measure (older companion of unit_id)', 'products.units'),
    hide_quantity: flag('The quantity is not shown on documents'),
    // Further price lists add columns of their own; only the first is certain to exist.
    pricelist_price_1: decimal('Price of one unit in price list 1'),
    pricelist_currency_1: text('Currency of the price in price list 1, as the portal gives it'),
    taxable: flag('Tax is charged'),
    tax: decimal('Rate of the tax, percent'),
    tax_desc: text('Name of the tax'),
    tax_included: flag('The price already contains the tax'),
    ...receiptCodes,
    ...customs,
    ...productEntry,
  }),

  store: model('Warehouses', 'products', 'expected', {
    ...named('Name of the warehouse', 'What the warehouse is for'),
    address: text('Where the warehouse is'),
    access_type: code('Who may use the warehouse (values undocumented)'),
    ...entry,
  }),

  store_document: model('Stock documents', 'products', 'expected', {
    type: code('Kind of document, e.g. receipt or transfer (values undocumented)'),
    status: code('State of the document (values undocumented)'),
    paid_status: code('How far the document is paid (values undocumented)'),
    name: text('Title of the document'),
    doc_number: integer('Running number'),
    date: date('Day of the document'),
    description: text('Free-text notes on the document'),
    reason: text('Ground for the movement of stock'),
    store_id: link('Warehouse whose stock changes', 'products.store'),
    sender_store_id: link('Warehouse that the stock is taken from', 'products.store'),
    manager_id: link('User responsible for the document', 'core.user'),
    org_id: link('Own organisation that issues the document', 'fin.organization'),
    org_name: text('Issuer: name as printed'),
    org_legal_name: text('Issuer: legal name as printed'),
    crm_company_id: link('Customer or supplier on the other side', 'crm.account'),
    company_name: text('Customer: name as printed'),
    company_legal_name: text('Customer: legal name as printed'),
    crm_lead_id: link('Deal that the document belongs to', 'crm.lead'),
    project_id: link('Project that the document belongs to', 'st.projects'),
    invoice_id: link('Invoice that the document belongs to', 'fin.invoice'),
    utd_template_id: link('Print template of the universal transfer document'),

    ...currency,
    total: decimal('Value of the document, in its currency'),
    ...extraCharges,
    paid_total: decimal('Paid so far, in the currency of the document'),
    bcy_paid_total: decimal('Paid so far, in the base currency of the portal'),
    plan_money_id: link('Planned payment for the document', 'fin.plan_money'),
    plan_money_total: decimal('Amount of the planned payment'),
    ...documentParties,
    ...audit,
  }),

  units: model('Units of measure', 'products', 'expected', {
    name: text('Name of the unit'),
    symbol: text('Short sign of the unit, e.g. kg'),
    code: text('Code of the unit in the national classification'),
    description: text('Free-text note on the unit'),
    ordering,
    active,
    ...productAudit,
  }),
};
