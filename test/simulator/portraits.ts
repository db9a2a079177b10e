/** Fields that must agree with each other within one seeded row: names, totals, polymorphic links. */
import { customFieldRow } from './custom-fields.ts';
import type { Value } from './json.ts';
import { between, chance, pick, type Random } from './random.ts';
import { email, money, personName, phoneNumber, someLink, type World } from './values.ts';
import * as words from './words.ts';

type Portrait = Record<string, Value>;

function account(random: Random): Portrait {
  const [city, country] = pick(random, words.CITIES);
  const place = { billing_city: city, billing_country: country, shipping_city: city, shipping_country: country };
  if (chance(random, 0.45)) {
    const company = pick(random, words.COMPANIES);
    const legal = `${company} ${pick(random, words.LEGAL_FORMS)}`;
    return {
      type: 1,
      name: company,
      name_legal: legal,
      name_legal_full: legal,
      first_name: '',
      middle_name: '',
      last_name: '',
      ...place,
    };
  }
  const first = pick(random, words.FIRST_NAMES);
  const last = pick(random, words.LAST_NAMES);
  return {
    type: 2,
    name: `${first} ${last}`,
    name_legal: '',
    name_legal_full: '',
    first_name: first,
    middle_name: '',
    last_name: last,
    ...place,
  };
}

function user(random: Random): Portrait {
  const first = pick(random, words.FIRST_NAMES);
  const last = pick(random, words.LAST_NAMES);
  return {
    name: `${first} ${last}`,
    first_name: first,
    last_name: last,
    second_name: '',
    lang_id: 'en',
    position: 'Manager',
    role_external: 0,
  };
}

function line(random: Random): Portrait {
  const quantity = between(random, 1, 12);
  const unit_price = money(random, 800);
  const sub_total = Math.round(quantity * unit_price * 100) / 100;
  const tax_total = Math.round(sub_total * 19) / 100;
  return {
    name: pick(random, words.PRODUCTS),
    quantity,
    unit_price,
    sub_total,
    tax1: 19,
    tax1_amount: tax_total,
    tax_total,
    total: Math.round((sub_total + tax_total) * 100) / 100,
    discount_is_percent: 1,
  };
}

function document(random: Random): Portrait {
  const sub_total = money(random);
  const tax_total = Math.round(sub_total * 19) / 100;
  const number = between(random, 1, 99_999);
  return {
    sub_total,
    tax_total,
    total: Math.round((sub_total + tax_total) * 100) / 100,
    invoice_number: number,
    invoice_number_print: `INV-${String(number).padStart(5, '0')}`,
    estimate_number_print: `EST-${number}`,
    customer_name: personName(random),
    exchange_rate: 1,
  };
}

function transaction(random: Random, { asSeen }: World): Portrait {
  const amount = money(random);
  // Half of a transfer between own accounts; how the API shows one is not known.
  if (asSeen && chance(random, 0.1)) {
    const out = chance(random, 0.5);
    const sides = { income: out ? 0 : amount, outcome: out ? amount : 0 };
    return { name: 'Transfer', type: 30, ...sides, bcy_income: sides.income, bcy_outcome: sides.outcome };
  }
  const incoming = chance(random, 0.6);
  return {
    name: incoming ? 'Payment received' : 'Gasto',
    type: incoming ? 10 : 20,
    income: incoming ? amount : 0,
    outcome: incoming ? 0 : amount,
    bcy_income: incoming ? amount : 0,
    bcy_outcome: incoming ? 0 : amount,
  };
}

const ANCHORS = [
  ['st', 'project', 'st.projects'],
  ['st', 'projects', 'st.projects'],
  ['crm', 'lead', 'crm.lead'],
  ['crm', 'account', 'crm.account'],
] as const;

/** A `module`, `model`, `model_id` triple that points at a seeded row, or nowhere. */
function anchor(random: Random, world: World): Portrait {
  const [module, model, target] = pick(random, ANCHORS);
  const model_id = someLink(world, random, target, 0.3);
  const spelt = world.asSeen && target === 'crm.lead' ? 'leads' : model;
  return model_id === 0 ? { module: '', model: '', model_id: 0 } : { module, model: spelt, model_id };
}

/** Values that override the made-up ones of a seeded row; may name fields that the model does not have. */
export function portrait(name: string, index: number, random: Random, world: World): Portrait {
  const triple = anchor(random, world);
  switch (name) {
    case 'crm.account':
      return account(random);
    case 'core.user':
      return user(random);
    case 'crm.lead':
      return {
        name: pick(random, words.DEALS),
        budget: money(random, 50_000),
        contact_email: email(random),
        contact_phone: phoneNumber(random),
      };
    case 'task.tasks':
      return { name: pick(random, words.TASKS), ...triple, return_count: 0, rating: 0 };
    case 'st.projects':
      return { name: pick(random, words.PROJECTS) };
    case 'crm.relation':
      return {
        type: chance(random, 0.7) ? 1 : 2,
        parent_acc_id: someLink(world, random, 'crm.account', 0),
        child_acc_id: someLink(world, random, 'crm.account', 0),
        position: pick(random, ['Buyer', 'Director', 'Geschäftsführer', 'Бухгалтер', '']),
      };
    case 'products.product':
      return { name: pick(random, words.PRODUCTS) };
    case 'fin.transaction':
      return transaction(random, world);
    case 'timetracker.timelogs': {
      const start = between(random, 1_700_000_000, 1_750_000_000);
      const spent = between(random, 1, 480) * 60;
      return {
        name: pick(random, words.TASKS),
        start_timestamp: start,
        stop_timestamp: start + spent,
        time_spent: spent,
      };
    }
    default:
      if (name.startsWith('customfields.')) return customFieldRow(name, index, world);
      if (/_items?$/.test(name)) return line(random);
      return /^fin\.(invoice|estimate|recurring_invoice)$/.test(name) ? { ...document(random), ...triple } : triple;
  }
}
