/** The setup of finance: own organisations, their bank accounts, lines of business. */
import { code, date, datetime, decimal, flag, integer, link, model, text } from '../fields.ts';
import { active, entry, importOrigin, ordering } from '../groups.ts';

export const setup = {
  bank_account: model('Bank and cash accounts of the own organisations', 'fin', 'flowlu', {
    name: text('Name of the account'),
    type: code('Kind of account, e.g. bank or cash (values undocumented)'),
    org_id: link('Own organisation that holds the account', 'fin.organization'),
    account_group_id: link('Group of accounts', 'fin.bank_account_group'),
    manager_id: link('User responsible for the account', 'core.user'),
    currency_id: link('Currency of the account'),
    currency_exchange_rate: decimal('Rate from the currency of the account to the base currency'),
    bcy_balance: decimal('Current balance, in the base currency of the portal'),
    fixed_balance: decimal('Balance fixed as the starting point, in the currency of the account'),
    fixed_balance_date: date('Day for which the balance was fixed'),
    excluded_balance: decimal('Part of the balance left out of totals (exact meaning undocumented)'),
    pls_bcy_balance: decimal('Current balance in accrual accounting, in the base currency of the portal'),
    pls_fixed_balance: decimal('Balance fixed as the starting point of accrual accounting'),
    pls_fixed_balance_date: date('Day for which the accrual balance was fixed'),
    active,
    closed_at: datetime('When the account was closed'),
    ordering,
    ordering_by_group: integer('Sort position within its group, lowest first'),
    ...importOrigin,
  }),

  bank_account_group: model('Groups of bank accounts', 'fin', 'expected', {
    name: text('Name of the group'),
    ...entry,
  }),

  business_line: model('Lines of business', 'fin', 'expected', {
    name: text('Name of the line of business'),
    ...entry,
  }),

  categories: model('Finance items and their activities', 'fin', 'possible', {
    name: text('Name of the item, or of the activity that groups items'),
    type: code('Presumably whether it is an activity or an item, of income or of expense (values undocumented)'),
  }),

  organization: model('Own organisations (legal entities of the company)', 'fin', 'expected', {
    name: text('Name of the organisation within the portal'),
    legal_name: text('Name as registered by law'),
    default_organization: flag('Used unless another organisation is chosen'),
    contact_person: text('Contact person of the organisation, presumably the signatory of its documents'),
    contact_person_position: text('Job title of that contact person'),
    show_add_sign_string: flag('A second line for signatures is printed'),
    comment: text('Internal note'),
    tax2: decimal('Rate of the second tax on new documents, percent'),
    tax2_included: flag('Prices on new documents already contain the second tax'),

    invoice_enabled: flag('Invoices may be issued in its name'),
    invoice_logo: link('Picture file of the logo on documents', 'system.files'),
    invoice_print_sign: link('Picture file of stamp or signature on documents', 'system.files'),
    invoice_color: text('Accent colour of printed invoices'),
    invoice_show_taxes: flag('Taxes are shown on invoices'),
    invoice_due: integer('Days until a new invoice falls due'),
    invoice_footer: text('Text at the foot of new invoices'),
    invoice_terms: text('Terms and conditions on new invoices'),

    invoice_prefix: text('Prefix of invoice numbers'),
    invoice_start_number: integer('First number for invoices'),
    estimate_prefix: text('Prefix of estimate numbers'),
    estimate_start_number: integer('First number for estimates'),
    act_prefix: text('Prefix of the numbers of acceptance certificates'),
    act_start_number: integer('First number for acceptance certificates'),
    reconciliation_act_prefix: text('Prefix of the numbers of account reconciliations'),
    reconciliation_act_start_number: integer('First number for account reconciliations'),
    advance_invoice_prefix: text('Prefix of the numbers of advance invoices'),
    advance_invoice_start_number: integer('First number for advance invoices'),
    ordering,
    active,
    ...importOrigin,
  }),
};
