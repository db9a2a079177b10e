/** Makes up one value for one field, from its kind, its documented type and what its name suggests. */
import type { FieldFacts } from './catalog.ts';
import { codesOf, isDateOnly } from './enumerations.ts';
import type { Value } from './json.ts';
import { between, chance, pick, type Random } from './random.ts';
import * as words from './words.ts';
import type { ZoneClock } from './zone.ts';

/** What a value may depend on: the portal's clock face and how many rows other models start with. */
export interface World {
  readonly zone: ZoneClock;
  readonly count: (model: string) => number;
  /** Id of the n-th seeded row of any model. */
  readonly idAt: (index: number) => number;
  /** Share (0..1) of free texts that are ugly. */
  readonly uglyText: number;
  /** Codes and links as clients saw them on live tenants. */
  readonly asSeen: boolean;
  /** When the seeded rows were made (Unix seconds). */
  readonly history: { readonly from: number; readonly to: number };
}

/** Seeded history runs from 2022-01-01 to 2025-07-01 (Unix seconds), whatever today is: the same seed, the same portal. */
const HISTORY = { from: 1_640_995_200, to: 1_751_328_000 } as const;
const DAY_S = 86_400;

/** The same history moved so that it ends in the evening of the day given. */
export function historyUntil(end: Date | undefined): { readonly from: number; readonly to: number } {
  const to = end === undefined ? HISTORY.to : (Math.floor(end.getTime() / 1000 / DAY_S) + 5 / 6) * DAY_S;
  return { from: to - (HISTORY.to - HISTORY.from), to };
}

export const someTime = (random: Random, { history }: World): number => between(random, history.from, history.to);
/** The first currency is the base currency of the portal. */
export const CURRENCIES = [
  { id: 1, code: 'EUR', rate: 1 },
  { id: 2, code: 'USD', rate: 0.92371 },
] as const;
export const currencyOf = (random: Random) => CURRENCIES[chance(random, 0.25) ? 1 : 0];
export const money = (random: Random, high = 20_000): number => Math.round(random() * high * 100) / 100;
export const personName = (random: Random): string =>
  `${pick(random, words.FIRST_NAMES)} ${pick(random, words.LAST_NAMES)}`;
export const phoneNumber = (random: Random): string =>
  `+${between(random, 1, 99)}${between(random, 100_000_000, 999_999_999)}`;
const address = (random: Random): string => `${pick(random, words.STREETS)} ${between(random, 1, 199)}`;
export const email = (random: Random): string => `contact${between(random, 1, 99_999)}@example.com`;

/** How often (0..1) a link of this name points nowhere; what was merged before is for the seeded rows to say. */
function noLinkShare(field: string): number {
  if (field.startsWith('merged_')) return 1;
  return /parent|prev_|template|from_/.test(field) ? 0.8 : 0.1;
}

/** Id of some seeded row of `model`, or 0 ("no link") with probability `none` and where the model is empty. */
export function someLink(world: World, random: Random, model: string, none: number): number {
  const count = world.count(model);
  return count === 0 || chance(random, none) ? 0 : world.idAt(between(random, 0, count - 1));
}

type Maker = (random: Random, world: World) => Value;

/** First match wins: what the name of a text field suggests. */
const TEXTS: readonly (readonly [RegExp, Maker])[] = [
  [/^(email|email_personal|contact_email|username)$/, email],
  [/phone|mobile|_number$|extension/, (random) => (chance(random, 0.3) ? '' : phoneNumber(random))],
  [/^(name|title|article_name|knowledgebase_name|tag_name)$/, (random) => pick(random, words.DICTIONARY)],
  [/contact_person$|contact_person2$|contact_name|^first_name|^customer_name/, personName],
  [/company|legal_name|org_name/, (random) => `${pick(random, words.COMPANIES)} ${pick(random, words.LEGAL_FORMS)}`],
  [
    /description|comment|note|text|report|hint|content|transcription|changelog|footer|terms/,
    (random) => pick(random, words.NOTES),
  ],
  [/address/, (random) => (chance(random, 0.4) ? '' : address(random))],
  [/_city$/, (random) => pick(random, words.CITIES)[0]],
  [/_country$/, (random) => pick(random, words.CITIES)[1]],
  [/_zip$/, (random) => String(between(random, 0, 99_999)).padStart(5, '0')],
  [/^color$|_color$/, (random) => pick(random, words.COLORS)],
  [
    /^web$|contact_web|_url$/,
    (random) => (chance(random, 0.5) ? '' : `https://www.example.com/${between(random, 1, 9999)}`),
  ],
  [/^vat|_vat2?$|^VAT/, (random) => (chance(random, 0.5) ? '' : `DE${between(random, 100_000_000, 999_999_999)}`)],
  [/^timezone$/, () => 'Europe/Berlin'],
  [/^currency_code$|^pricelist_currency/, (random) => pick(random, CURRENCIES).code],
  [/^pricelist_price/, (random) => money(random, 900).toFixed(2)],
  [/^last_active$/, (random, world) => String(someTime(random, world))],
  [/^(start|status_firstviewdate)$/, (random, world) => world.zone.dateTime(someTime(random, world))],
  [/^module$/, () => 'crm'],
  [/^model$|_model$/, () => 'account'],
  [/^ref$/, (random) => (chance(random, 0.8) ? '' : 'import')],
  [/^ref_id$/, (random) => (chance(random, 0.8) ? '' : `ext-${between(random, 1, 1_000_000)}`)],
  [/^discount$/, (random) => String(between(random, 0, 20))],
  [
    /^(code|code_ean|article|number_label|symbol|prefix_name|etag|hash|session_id)$|_prefix$/,
    (random) => `X${between(random, 100, 99_999)}`,
  ],
];

function text(name: string, random: Random, world: World): Value {
  if (chance(random, world.uglyText)) return pick(random, words.UGLY_TEXTS);
  return TEXTS.find(([pattern]) => pattern.test(name))?.[1](random, world) ?? '';
}

function decimal(name: string, random: Random): number {
  if (name === 'quantity') return pick(random, [1, 1, 2, 5, 10, 0.5, 2.25, 0.001]);
  if (/exchange_rate/.test(name)) return pick(random, CURRENCIES).rate;
  if (/^tax\d?$|^rate$/.test(name)) return pick(random, [0, 7, 19, 20, 5.5]);
  if (name === 'discount_before_tax') return pick(random, [0, 0, 1]);
  if (/discount/.test(name)) return pick(random, [0, 0, 5, 12.5]);
  return chance(random, 0.2) ? 0 : money(random);
}

function wholeNumber(model: string, name: string, random: Random, world: World): number {
  const codes = codesOf(model, name, world.asSeen);
  if (codes !== undefined) return pick(random, codes);
  if (/time|duration|estimate|spent/.test(name)) return between(random, 0, 160) * 900;
  if (/ordering|number|count|amount/.test(name)) return between(random, 0, 5000);
  return between(random, 0, 3);
}

function flag(model: string, name: string, documentedType: string, random: Random): Value {
  const value = pick(random, codesOf(model, name) ?? [0, 0, 1]);
  return documentedType === 'string' ? String(value) : value;
}

function moment(model: string, name: string, random: Random, world: World): Value {
  if (name === 'deleted_at' || chance(random, 0.25)) return null;
  return isDateOnly(model, name)
    ? world.zone.date(someTime(random, world))
    : world.zone.dateTime(someTime(random, world));
}

/** A plausible value of the field; deterministic in the state of `random`. */
export function madeUp(model: string, field: FieldFacts, random: Random, world: World): Value {
  const [name, documentedType, kind, references] = field;
  switch (kind) {
    case 'id':
      return 0;
    case 'ref': {
      const codes = codesOf(model, name, world.asSeen);
      const link =
        references === undefined ? pick(random, codes ?? [0]) : someLink(world, random, references, noLinkShare(name));
      return documentedType === 'string' ? String(link) : link;
    }
    case 'flag':
      return flag(model, name, documentedType, random);
    case 'decimal':
      return decimal(name, random);
    case 'number':
    case 'integer':
      return wholeNumber(model, name, random, world);
    case 'unix':
      return someTime(random, world);
    case 'datetime':
      return moment(model, name, random, world);
    case 'null':
      return null;
    case 'enum':
      return name === 'type' ? pick(random, ['issued', 'received']) : pick(random, ['monthly', 'end_of_term']);
    case 'text':
      return isDateOnly(model, name) ? world.zone.date(someTime(random, world)) : text(name, random, world);
  }
}
