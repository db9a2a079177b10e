/**
 * The seeded rows of one model, made on demand: nothing is stored per row, so a model may have a
 * million of them. A row is a *variant* (one of at most 500 made-up rows) with its own id, times,
 * links and UUID; its JSON text is put together from the variant's pre-serialised pieces.
 */
import type { ByteWriter } from './bytes.ts';
import { type FieldFacts, type ModelFacts, nameOf } from './catalog.ts';
import { customValues, definitionsOf } from './custom-fields.ts';
import { isDateOnly } from './enumerations.ts';
import { type SimRecord, toJson, type Value } from './json.ts';
import { accountName, portrait } from './portraits.ts';
import { hash, randomFrom, uuidFrom } from './random.ts';
import { madeUp, type World } from './values.ts';

const VARIANTS = 500;
/** After this many ids one is left out, as in a portal where something was deleted long ago. */
const RUN = 37;
/** So many links of a row are its own; the rest comes with its variant, as do those that portraits decide. */
const OWN_LINKS = 6;
const LINKS_OF_PORTRAIT = new Set([
  'crm.lead.pipeline_id',
  'crm.lead.pipeline_stage_id',
  'fin.transaction.org_account_id',
  'crm.pipeline_stage.pipeline_id',
]);
/** Accounts and deals are given up for older ones only, so that chains of merges come to an end. */
const MERGED = /^merged_to/;
const MERGED_PER_MILLE = 30;
const DAY_S = 86_400;
/** Days from a row's creation to what its variant says has a day: at least, at most. */
const DAYS_AFTER: Readonly<Record<string, readonly [least: number, most: number]>> = {
  'crm.lead.start_date': [0, 5],
  'crm.lead.deadline': [20, 150],
  'crm.lead.closing_date': [3, 120],
  'task.tasks.start_date': [0, 4],
  'task.tasks.deadline': [2, 40],
  'task.tasks.closed_date': [0, 45],
  'st.projects.startdate': [0, 10],
  'st.projects.enddate': [40, 300],
  'fin.invoice.invoice_date': [0, 0],
  'fin.invoice.due_date': [14, 30],
  'fin.invoice.paid_date': [1, 50],
  'fin.transaction.date': [0, 2],
  'fin.plan_money.startdate': [0, 10],
  'fin.plan_money.enddate': [15, 60],
};
/** Days of what has happened: never later than the history. */
const HAPPENED = /^(start_date|closing_date|closed_date|invoice_date|paid_date|date)$/;
const CREATED = /^created(_date|_at)?$/;
const UPDATED = /^updated(_date|_at)?$/;

export const idAt = (index: number): number => index + 1 + Math.floor(index / RUN);

/** Position of a seeded id, or undefined for an id that the seed leaves out. */
export function indexOfId(id: number): number | undefined {
  const rest = (id - 1) % (RUN + 1);
  return rest === RUN ? undefined : Math.floor((id - 1) / (RUN + 1)) * RUN + rest;
}

/** How many seeded positions have an id below `id`. */
export const indexesBelow = (id: number): number => {
  if (id <= 1) return 0;
  const whole = Math.floor((id - 1) / (RUN + 1));
  return whole * RUN + Math.min((id - 1) % (RUN + 1), RUN);
};

export interface SeedRows {
  readonly count: number;
  /** Field names in the order of the API's answers. */
  readonly keys: readonly string[];
  record(index: number): SimRecord;
  /** Writes the record's JSON text as `list` spells it. */
  writeList(index: number, out: ByteWriter): void;
  value(index: number, key: string): Value | undefined;
}

interface Column {
  readonly key: string;
  /** Key in list answers where it differs (`VAT` in list, `vat` in get). */
  readonly listKey: string;
  /** Computed for each row; absent where the variant decides. */
  readonly own?: (index: number, stock: Value) => Value;
}

interface Variant {
  readonly values: readonly Value[];
  /** JSON text between the row's own values. */
  pieces?: readonly Uint8Array[];
}

/** Builds the seeded rows of a model; `salt` sets models apart under one seed. */
export function seedRows(facts: ModelFacts, salt: number, seed: number, world: World): SeedRows {
  const name = nameOf(facts);
  const count = world.count(name);
  const { from, to } = world.history;
  const createdAt = (index: number): number => from + Math.floor(((index + 0.5) / count) * (to - from - DAY_S));
  const updatedAt = (index: number): number => {
    const created = createdAt(index);
    return created + (hash(seed, salt, index, 7) % (to - created));
  };

  /** Whether there is a link is for the variant to say; where it leads is the row's own. */
  const linkTo =
    (target: number, position: number) =>
    (index: number, stock: Value): number =>
      target === 0 || Number(stock) === 0 ? 0 : idAt(hash(seed, salt, index, position + 100) % target);
  const dayAfter = ([key]: FieldFacts, [least, most]: readonly [number, number], position: number): Column['own'] => {
    const spell = isDateOnly(name, key) ? world.zone.date : world.zone.dateTime;
    return (index, stock) => {
      if (stock === null || stock === '') return stock;
      const later = createdAt(index) + (least + (hash(seed, salt, index, position + 200) % (most - least + 1))) * DAY_S;
      return spell(HAPPENED.test(key) ? Math.min(later, to) : later);
    };
  };
  const isMerged = (index: number): boolean => index > 20 && hash(seed, salt, index, 8) % 1000 < MERGED_PER_MILLE;
  const nameOfRow = (): Column['own'] => {
    if (name === 'crm.account') return (index, stock) => accountName(String(stock), Math.floor(index / VARIANTS));
    return count > VARIANTS ? (index, stock) => `${String(stock)} ${idAt(index)}` : undefined;
  };
  let ownLinks = 0;
  const linkOfRow = ([key, documentedType, , references]: FieldFacts, position: number): Column['own'] => {
    if (MERGED.test(key)) return (index) => (isMerged(index) ? linkTo(index, position)(index, 1) : 0);
    if (references === undefined || count <= VARIANTS) return undefined;
    if (LINKS_OF_PORTRAIT.has(`${name}.${key}`) || ++ownLinks > OWN_LINKS) return undefined;
    const link = linkTo(world.count(references), position);
    return documentedType === 'string' ? (index, stock) => String(link(index, stock)) : link;
  };
  /** How a field of a row is computed, or undefined where the variant decides. */
  const ownOf = (field: FieldFacts, position: number): Column['own'] => {
    const [key, , kind] = field;
    if (kind === 'id') return idAt;
    if (kind === 'datetime' && CREATED.test(key)) return (index) => world.zone.dateTime(createdAt(index));
    if (kind === 'datetime' && UPDATED.test(key)) return (index) => world.zone.dateTime(updatedAt(index));
    if (key === 'uuid') return (index) => uuidFrom(seed, salt, index);
    if (key === 'name') return nameOfRow();
    const days = DAYS_AFTER[`${name}.${key}`];
    if (days !== undefined) return dayAfter(field, days, position);
    return kind === 'ref' ? linkOfRow(field, position) : undefined;
  };
  const fields = expandFields(facts, world);
  const columns = fields.map((field, position): Column => {
    const [key] = field;
    const names = name === 'crm.account' && key === 'VAT' ? { key: 'vat', listKey: 'VAT' } : { key, listKey: key };
    const own = ownOf(field, position);
    return own === undefined ? names : { ...names, own };
  });
  const definitions = definitionsOf(name, world);
  for (const key of Object.keys(customValues(definitions, randomFrom(0), world))) columns.push({ key, listKey: key });

  const variantCount = Math.min(count, VARIANTS);
  const variants: Variant[] = [];
  const variantOf = (index: number): Variant => {
    const number = index % variantCount;
    const known = variants[number];
    if (known !== undefined) return known;
    const random = randomFrom(hash(seed, salt, number, 1));
    const overrides = portrait(name, number, random, world);
    const made = fields.map((field) => {
      const fallback = madeUp(name, field, random, world);
      const override = overrides[field[0]];
      return override === undefined ? fallback : override;
    });
    const custom = customValues(definitions, random, world);
    const variant: Variant = { values: [...made, ...columns.slice(fields.length).map(({ key }) => custom[key] ?? '')] };
    variants[number] = variant;
    return variant;
  };

  const ownColumns = columns.flatMap((column, position) =>
    column.own === undefined ? [] : [{ ...column, own: column.own, position }],
  );
  const positions = new Map(columns.map(({ key }, position) => [key, position]));

  return {
    count,
    keys: columns.map(({ key }) => key),
    record: (index) => {
      const { values } = variantOf(index);
      const record: Record<string, Value> = {};
      columns.forEach(({ key, own }, position) => {
        const stock = values[position] as Value;
        record[key] = own === undefined ? stock : own(index, stock);
      });
      return record;
    },
    writeList: (index, out) => {
      const variant = variantOf(index);
      variant.pieces ??= piecesOf(columns, variant.values).map((piece) => Buffer.from(piece));
      out.bytes(variant.pieces[0] as Uint8Array);
      for (let i = 0; i < ownColumns.length; i++) {
        const { key, own, position } = ownColumns[i] as (typeof ownColumns)[number];
        const value = own(index, variant.values[position] as Value);
        if (typeof value === 'number') out.ascii(String(value));
        else if (value === null || key === 'name') out.text(toJson(value));
        else out.ascii(`"${String(value)}"`);
        out.bytes(variant.pieces[i + 1] as Uint8Array);
      }
    },
    value: (index, key) => {
      const position = positions.get(key);
      if (position === undefined) return undefined;
      const stock = variantOf(index).values[position] as Value;
      return columns[position]?.own?.(index, stock) ?? stock;
    },
  };
}

/** The JSON text of a variant, cut wherever a row's own value belongs. */
function piecesOf(columns: readonly Column[], values: readonly Value[]): string[] {
  const pieces: string[] = [];
  let piece = '{';
  columns.forEach(({ listKey, own }, position) => {
    piece += `${position === 0 ? '' : ','}${JSON.stringify(listKey)}:`;
    if (own === undefined) {
      piece += toJson(values[position]);
    } else {
      pieces.push(piece);
      piece = '';
    }
  });
  pieces.push(`${piece}}`);
  return pieces;
}

/** The documented fields as an answer carries them: one `VAT`, and a price column per price list. */
function expandFields(facts: ModelFacts, world: World): readonly FieldFacts[] {
  const name = nameOf(facts);
  if (name === 'crm.account') return facts.fields.filter(([field]) => field !== 'vat');
  if (name !== 'products.product') return facts.fields;
  const lists = Array.from({ length: world.count('products.pricelist') }, (_, index) => idAt(index));
  return [
    ...facts.fields.filter(([field]) => !field.startsWith('pricelist_')),
    ...lists.flatMap((id): FieldFacts[] => [
      [`pricelist_price_${id}`, 'string', 'text'],
      [`pricelist_currency_${id}`, 'string', 'text'],
    ]),
  ];
}
