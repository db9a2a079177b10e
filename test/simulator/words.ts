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
  'Солнечный Дом',
  'Café del Mar',
  '東京精密',
  'Quick "Fox" Labs',
  'Łódź Logistics',
  'Green\\Leaf',
  'Alpine Ventures',
  'Sunrise Bakery',
  'Helix Bio',
  'Orbit Media',
  'Piñata Events',
  'Granite & Sons',
  'شركة النور',
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
  'Поставка оборудования',
  'Büroausstattung',
  'Solar panels, phase 2',
  'Rediseño de marca',
  'Pilot 🚀',
  'Warehouse lease',
  '年間契約',
] as const;

export const TASKS = [
  'Call the customer back',
  'Prepare the offer',
  'Review contract',
  'Rechnung prüfen',
  'Подготовить отчёт',
  'Fix the printer 🖨️',
  'Plan sprint',
  'Comprar billetes',
  'Update price list',
  'Send samples',
  'Deploy release',
  '会議の準備',
] as const;

export const PROJECTS = [
  'Office move',
  'Online shop',
  'ERP migration',
  'Messeauftritt',
  'Новый склад',
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
