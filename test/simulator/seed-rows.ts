/**
 * The seeded rows of one model, made on demand: nothing is stored per row, so a model may have a
 * million of them. A row is a *variant* (one of at most 500 made-up rows) with its own id, times,
 * links and UUID; its JSON text is put together from the variant's pre-serialised pieces.
 */
import type { ByteWriter } from './bytes.ts';
import { type FieldFacts, type ModelFacts, nameOf } from './catalog.ts';
import { customValues, definitionsOf } from './custom-fields.ts';
import { type SimRecord, toJson, type Value } from './json.ts';
import { portrait } from './portraits.ts';
import { hash, randomFrom, uuidFrom } from './random.ts';
import { HISTORY, madeUp, noLinkShare, type World } from './values.ts';

const VARIANTS = 500;
/** After this many ids one is left out, as in a portal where something was deleted long ago. */
const RUN = 37;
/** So many links of a row are its own; the rest comes with its variant. */
const OWN_LINKS = 6;
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
  const createdAt = (index: number): number =>
    HISTORY.from + Math.floor(((index + 0.5) / count) * (HISTORY.to - HISTORY.from - 86_400));
  const updatedAt = (index: number): number => {
    const created = createdAt(index);
    return created + (hash(seed, salt, index, 7) % (HISTORY.to - created));
  };

  const linkTo = (target: number, field: string, position: number): ((index: number) => number) => {
    const none = noLinkShare(field) * 1000;
    return (index) => {
      const roll = hash(seed, salt, index, position + 100);
      return target === 0 || roll % 1000 < none ? 0 : idAt((roll >>> 3) % target);
    };
  };
  let ownLinks = 0;
  /** How a field of a row is computed, or undefined where the variant decides. */
  const ownOf = ([key, documentedType, kind, references]: FieldFacts, position: number): Column['own'] => {
    if (kind === 'id') return idAt;
    if (kind === 'datetime' && CREATED.test(key)) return (index) => world.zone.dateTime(createdAt(index));
    if (kind === 'datetime' && UPDATED.test(key)) return (index) => world.zone.dateTime(updatedAt(index));
    if (key === 'uuid') return (index) => uuidFrom(seed, salt, index);
    if (key === 'name' && count > VARIANTS) return (index, stock) => `${String(stock)} ${idAt(index)}`;
    if (kind !== 'ref' || references === undefined || count <= VARIANTS || ++ownLinks > OWN_LINKS) return undefined;
    const link = linkTo(world.count(references), key, position);
    return documentedType === 'string' ? (index) => String(link(index)) : link;
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
      return overrides[field[0]] ?? fallback;
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
        else if (key === 'name') out.text(toJson(value));
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
