/** Fields that must agree with each other within one seeded row: names, totals, polymorphic links. */
import { customFieldRow } from './custom-fields.ts';
import { codesOf } from './enumerations.ts';
import type { Value } from './json.ts';
import { between, chance, pick, type Random, randomFrom } from './random.ts';
import {
  CURRENCIES,
  currencyOf,
  email,
  money,
  personName,
  phoneNumber,
  someLink,
  someTime,
  type World,
} from './values.ts';
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

/** The name of a row whose variant came `round` times before: a branch of the company, another person. */
export function accountName(stock: string, round: number): string {
  if (round === 0) return stock;
  const isCompany = words.COMPANIES.some((company) => company === stock);
  const suffix = words.BRANCHES[round - 1] ?? String(round);
  if (isCompany) return `${stock} ${suffix}`;
  return stock.replace(' ', ` ${suffix.charAt(0)}. `);
}

/** Id of the n-th seeded row of `model`, or 0 where there is none. */
const nth = (world: World, model: string, n: number): number => (n < world.count(model) ? world.idAt(n) : 0);

const rounded = (amount: number): number => Math.round(amount * 100) / 100;

/** A deal has a day of closing once it is won or lost, a reason if lost, and a stage of its own pipeline. */
function deal(random: Random, world: World): Portrait {
  const active = pick(random, codesOf('crm.lead', 'active') ?? [1]);
  const stage = between(random, 0, Math.max(0, world.count('crm.pipeline_stage') - 1));
  return {
    name: pick(random, words.DEALS),
    active,
    budget: money(random, 50_000),
    contact_email: email(random),
    contact_phone: phoneNumber(random),
    closing_date: active === 1 ? null : world.zone.date(someTime(random, world)),
    ...(active !== 2 && { closing_status_id: 0 }),
    pipeline_stage_id: nth(world, 'crm.pipeline_stage', stage),
    pipeline_id: pipelineOf(stage, world),
  };
}

const STAGES_OF_A_PIPELINE = words.NAMES['crm.pipeline_stage']?.length ?? 1;
const pipelineOf = (stage: number, world: World): number =>
  nth(world, 'crm.pipeline', Math.floor(stage / STAGES_OF_A_PIPELINE) % Math.max(1, world.count('crm.pipeline')));

function task(random: Random, world: World): Portrait {
  const status = pick(random, codesOf('task.tasks', 'status') ?? [1]);
  const closed_date = status === 5 ? world.zone.dateTime(someTime(random, world)) : null;
  return { name: pick(random, words.TASKS), status, closed_date, return_count: 0, rating: 0 };
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
    ...currency(random),
  };
}

const currency = (random: Random) => {
  const { id, code, rate } = currencyOf(random);
  return { currency_id: id, currency_code: code, exchange_rate: rate };
};

/** What an invoice says to have been paid goes with its state. */
function invoice(random: Random, world: World): Portrait {
  const made = document(random);
  const status_id = pick(random, codesOf('fin.invoice', 'status_id', world.asSeen) ?? [10]);
  const share = { 20: 0.4, 30: 1.1, 40: 1 }[status_id] ?? 0;
  const paid_date = share === 0 ? null : world.zone.date(someTime(random, world));
  const bcy_paid_total = rounded(Number(made.total) * share * Number(made.exchange_rate));
  return { ...made, status_id, bcy_paid_total, paid_date, category_id: category(random, world, 'income') };
}

/** A finance item that money of this kind is booked under. */
function category(random: Random, world: World, kind: 'income' | 'expense'): number {
  const items = words.FINANCE_ITEMS.flatMap((item, n) => (item.kind === kind ? [nth(world, 'fin.categories', n)] : []));
  return pick(random, items);
}

/** Every fourth own account is in the second currency. */
const accountCurrency = (account: number) => CURRENCIES[account % 4 === 3 ? 1 : 0];

/** Transfers between own accounts are a pair of neighbours; how the API shows one is not known. */
const TRANSFER_PAIRS = 0.06;

function transaction(index: number, random: Random, world: World): Portrait {
  const accounts = world.count('fin.bank_account');
  const pair = randomFrom(Math.floor(index / 2));
  const isTransfer = chance(pair, TRANSFER_PAIRS);
  const isOut = index % 2 === 1;
  const amount = money(isTransfer ? pair : random);
  const from = between(isTransfer ? pair : random, 0, Math.max(0, accounts - 1));
  const account = isTransfer && !isOut ? (from + 1) % Math.max(1, accounts) : from;
  const { id, rate } = accountCurrency(account);
  const of = (type: number, incoming: boolean, base: number) => ({
    type,
    currency_id: id,
    currency_exchange_rate: rate,
    income: incoming ? rounded(base / rate) : 0,
    outcome: incoming ? 0 : rounded(base / rate),
    bcy_income: incoming ? base : 0,
    bcy_outcome: incoming ? 0 : base,
    org_account_id: nth(world, 'fin.bank_account', account),
  });
  if (isTransfer) {
    const nobody = { crm_account_id: 0, invoice_id: 0, category_id: 0 };
    return { name: 'Transfer between own accounts', ...of(30, !isOut, amount), ...nobody };
  }
  const incoming = chance(random, 0.6);
  const category_id = category(random, world, incoming ? 'income' : 'expense');
  if (incoming) return { name: 'Payment received', ...of(10, true, amount), category_id };
  // Money that goes out on an own invoice is paid back.
  if (chance(random, 0.08)) return { name: 'Refund', ...of(20, false, amount), category_id };
  return { name: 'Payment made', ...of(20, false, amount), category_id, invoice_id: 0 };
}

const PLANNED_INCOME: readonly number[] = [10, 30, 50, 60];

function plan(random: Random, world: World): Portrait {
  const type = pick(random, codesOf('fin.plan_money', 'type') ?? [10]);
  const kind = PLANNED_INCOME.includes(type) ? 'income' : 'expense';
  return { name: pick(random, words.DEALS), type, category_id: category(random, world, kind) };
}

/** Rows of dictionaries, by their place. */
function entry(name: string, index: number, world: World): Portrait {
  const names = words.NAMES[name] ?? [];
  const own = { name: names[index % names.length] ?? '' };
  switch (name) {
    case 'crm.pipeline_stage':
      return { ...own, ordering: index % names.length, pipeline_id: pipelineOf(index, world), deleted_at: null };
    case 'fin.bank_account': {
      const { id, rate } = accountCurrency(index);
      return { ...own, active: 1, closed_at: null, currency_id: id, currency_exchange_rate: rate };
    }
    case 'fin.categories':
      return { ...own, type: words.FINANCE_ITEMS[index % names.length]?.kind === 'income' ? 10 : 20 };
    default:
      return own;
  }
}

/** Time is logged on tasks and, now and then, on projects. */
function timesheet(random: Random, world: World): Portrait {
  const onTask = chance(random, 0.75);
  const model_id = someLink(world, random, onTask ? 'task.tasks' : 'st.projects', 0);
  return { module: onTask ? 'task' : 'st', model: onTask ? 'tasks' : 'project', model_id };
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
      return deal(random, world);
    case 'task.tasks':
      return { ...task(random, world), ...triple };
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
      return transaction(index, random, world);
    case 'timetracker.timesheets':
      return timesheet(random, world);
    case 'fin.invoice':
      return { ...invoice(random, world), ...triple };
    case 'fin.plan_money':
      return plan(random, world);
    case 'timetracker.timelogs': {
      const start = someTime(random, world);
      const spent = between(random, 1, 480) * 60;
      return {
        name: pick(random, words.TASKS),
        start_timestamp: start,
        stop_timestamp: start + spent,
        time_spent: spent,
      };
    }
    default:
      if (name in words.NAMES) return { ...triple, ...entry(name, index, world) };
      if (name.startsWith('customfields.')) return customFieldRow(name, index, world);
      if (/_items?$/.test(name)) return line(random);
      return /^fin\.(estimate|recurring_invoice)$/.test(name) ? { ...document(random), ...triple } : triple;
  }
}
