/** Raw material for plausible data, in several scripts. */

export const FIRST_NAMES = [
  'Anna',
  'James',
  'María',
  'Jürgen',
  'Zoë',
  'Олена',
  'Дмитро',
  'Łukasz',
  'Siobhán',
  '美咲',
  '伟',
  'فاطمة',
  'Aarav',
  'Chloé',
  'Tomáš',
  'Ayşe',
  'Liam',
  'Sofia',
  'Henrik',
  'Priya',
] as const;

export const LAST_NAMES = [
  'Schmidt',
  'O’Connor',
  "D'Angelo",
  'García Márquez',
  'Müller-Lüdenscheidt',
  'Шевченко',
  'Кравчук',
  'Wiśniewska',
  '田中',
  '王',
  'الزهراء',
  'Nguyễn',
  'Smith',
  'Johnson',
  'Dvořák',
  'Yılmaz',
  'Singh',
  'Lindqvist',
  'Dubois',
  'Okafor',
] as const;

export const COMPANIES = [
  'Northwind Traders',
  'Blåtand & Søn',
  'Müller Maschinenbau',
  'Sunny Home (Солнечный Дом)',
  'Café del Mar',
  'Tokyo Seimitsu (東京精密)',
  'Quick "Fox" Labs',
  'Łódź Logistics',
  'Green\\Leaf',
  'Alpine Ventures',
  'Sunrise Bakery',
  'Helix Bio',
  'Orbit Media',
  'Piñata Events',
  'Granite & Sons',
  'Al Noor (النور)',
  'Zenith Solar',
  'Tidal Systems',
  'Copper Kettle',
  'Meadowbrook Farms',
] as const;

export const LEGAL_FORMS = ['Ltd', 'GmbH', 'Inc.', 'S.L.', 'ООО', 'Sp. z o.o.', '株式会社', 'LLC'] as const;

export const CITIES = [
  ['Berlin', 'Germany'],
  ['Kraków', 'Poland'],
  ['Львів', 'Ukraine'],
  ['San José', 'Costa Rica'],
  ['München', 'Germany'],
  ['東京', 'Japan'],
  ['Manchester', 'United Kingdom'],
  ['São Paulo', 'Brazil'],
  ['Austin', 'United States'],
  ['القاهرة', 'Egypt'],
] as const;

export const STREETS = [
  'Main Street',
  'Hauptstraße',
  'вул. Шевченка',
  'Calle Mayor',
  'Rue de l’Église',
  'Świętokrzyska',
] as const;

export const DEALS = [
  'Website relaunch',
  'Annual support',
  'CRM roll-out',
  'Equipment (Оборудование)',
  'Büroausstattung',
  'Solar panels, phase 2',
  'Rediseño de marca',
  'Pilot 🚀',
  'Warehouse lease',
  'Annual contract (年間契約)',
] as const;

export const TASKS = [
  'Call the customer back',
  'Prepare the offer',
  'Review contract',
  'Rechnung prüfen',
  'Write the report (отчёт)',
  'Fix the printer 🖨️',
  'Plan sprint',
  'Comprar billetes',
  'Update price list',
  'Send samples',
  'Deploy release',
  'Prepare the meeting (会議)',
] as const;

export const PROJECTS = [
  'Office move',
  'Online shop',
  'ERP migration',
  'Messeauftritt',
  'New warehouse (Новый склад)',
  'Mobile app',
  'Año nuevo campaign',
] as const;

export const PRODUCTS = [
  'Desk lamp',
  'Consulting hour',
  'Kabel 5 m',
  'Стол письменный',
  'Espresso ☕',
  'Router AX-300',
  'Paper A4',
  'Silla',
] as const;

export const NOTES = [
  'Asked for a discount.',
  'Please call after 14:00 – thanks!',
  'Wichtig: nur per E-Mail.',
  'Ждём ответа от клиента',
  'Line one\nLine two\n\tindented',
  '<p>Hello <b>world</b> &amp; all</p>',
  'C:\\share\\docs',
  'He said "maybe" 🤔',
  '👩‍👩‍👧‍👦 family account',
  '',
] as const;

export const DICTIONARY = [
  'Default',
  'Priority',
  'Retail',
  'Wholesale',
  'Partner',
  'Internal',
  'Hotové',
  'В работе',
  'Abgeschlossen',
  'Archived ✅',
  'Other',
  'VIP ⭐',
] as const;

/** What is added to a company's name where the portal has more accounts than names. */
export const BRANCHES = [
  'Group',
  'Holding',
  'International',
  'Trading',
  'Services',
  'Partners',
  'Nord',
  'Export',
  'Logistics',
  'Works',
  'Studio',
  'Retail',
  'Invest',
  'Energy',
  'Design',
  'Consulting',
  'Iberia',
  'Baltic',
  'Digital',
  'Foods',
] as const;

export const FINANCE_ITEMS = [
  { name: 'Sales of goods', kind: 'income' },
  { name: 'Services', kind: 'income' },
  { name: 'Subscriptions', kind: 'income' },
  { name: 'Interest', kind: 'income' },
  { name: 'Salaries', kind: 'expense' },
  { name: 'Rent', kind: 'expense' },
  { name: 'Materials', kind: 'expense' },
  { name: 'Software', kind: 'expense' },
  { name: 'Marketing', kind: 'expense' },
  { name: 'Travel', kind: 'expense' },
] as const;

/** Names of the entries of small dictionaries, in their order; they begin again where a portal has more. */
export const NAMES: Readonly<Record<string, readonly string[]>> = {
  'crm.account_category': ['Customer', 'Prospect', 'Supplier', 'Partner', 'Competitor', 'Press'],
  'crm.honorific_title': ['Ms', 'Mr', 'Dr', 'Frau', 'Herr'],
  'crm.industry': ['Retail', 'Logistics', 'Software', 'Energy', 'Construction', 'Food', 'Health', 'Education', 'Media'],
  'crm.loss_reason': [
    'Too expensive',
    'Chose a competitor',
    'No budget this year',
    'No answer any more',
    'Not our business',
    'Delivered too late',
    'Duplicate',
  ],
  'crm.pipeline': ['New business', 'Existing customers', 'Partner sales', 'Tenders'],
  'crm.pipeline_stage': ['New', 'Qualified', 'Offer sent', 'Negotiation', 'Contract', 'Handover'],
  'crm.source': [
    'Website',
    'Referral',
    'Trade fair',
    'Cold call',
    'Newsletter',
    'Social media',
    'Partner',
    'Ads',
    'Other',
  ],
  'fin.bank_account': [
    'Main account',
    'Savings',
    'Cash desk',
    'Dollar account',
    'Payroll',
    'Card',
    'Deposit',
    'Dollar reserve',
  ],
  'fin.bank_account_group': ['Banks', 'Cash', 'Cards'],
  'fin.business_line': ['Projects', 'Shop', 'Support', 'Training', 'Rental'],
  'fin.categories': FINANCE_ITEMS.map(({ name }) => name),
  'fin.organization': ['Example Europe GmbH', 'Example UK Ltd', 'Пример ООО'],
  'st.project_types': ['Internal', 'Fixed price', 'Time and material', 'Maintenance', 'Event', 'Research'],
  'task.workflows': ['Simple', 'With review', 'Support', 'Production'],
  'task.stages': ['To do', 'In progress', 'In review', 'Waiting', 'Done'],
};

export const COLORS = ['#ff6b6b', '#4dabf7', '#51cf66', '#fcc419', '#845ef7', '#868e96'] as const;

/** Text that breaks careless software; used where a test asks for it. */
export const UGLY_TEXTS = [
  'nul\u0000inside',
  'lone high \ud83d surrogate',
  'lone low \ude00 surrogate',
  'line\u2028separator\u2029paragraph',
  '\u202eright to left',
  '\\u0000 spelt out',
  '\ufeffbyte order mark',
  'back\\slash and "quotes"',
  "Robert'); DROP TABLE accounts;--",
  ' \t surrounded \r\n',
  'Z͑ͫ̓ͪ̂a̴̵̞l̡̛g̝̟o',
  '\u0001\u001f\u007f',
  '\ufffe\uffff',
] as const;
