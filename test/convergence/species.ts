/**
 * The models that histories play in: a state's meaning, the ways in which Flowlu spells it, and what the mirror must
 * hold of it. An oracle of its own: nothing here asks the product how values are read.
 */
import type { Json, JsonObject } from '../../src/core/json.ts';

/** What a record means, whatever the spelling. */
export interface State {
  readonly name: string;
  readonly flag: boolean;
  /** Link to another record; null where there is none. */
  readonly link: number | null;
  readonly amount: string | null;
  readonly custom: string;
  readonly mergedTo: number | null;
  /** Portal's wall clock at the last change. */
  readonly changed: string;
}

/** `changed` can be left out of webhooks, too; it is no key of its own here, since its name is the version's. */
export type Aspect = keyof State;
export type Path = 'webhook' | 'list' | 'get';

export interface Species {
  /** `module.model`. */
  readonly name: string;
  /** False for models that the catalogue does not know. */
  readonly catalogued: boolean;
  /** The version field, as records name it; null where there is none. */
  readonly version: string | null;
  /** Key of each aspect that the model has, and how the value looks on each path. */
  readonly keys: Partial<Record<Exclude<Aspect, 'changed'>, Key>>;
}

interface Key {
  /** Name in a record, by path. */
  readonly names: Readonly<Record<Path, string>>;
  /** Typed column; null for custom fields and models without a table of their own. */
  readonly column: string | null;
  readonly kind: 'text' | 'flag' | 'link' | 'decimal';
  /** Some spellings of the same value; which one comes depends on the path and on chance. */
  readonly loose: boolean;
}

function key(name: string, kind: Key['kind'], more: Partial<Key> = {}): Key {
  return { names: { webhook: name, list: name, get: name }, column: name, kind, loose: true, ...more };
}

/** A custom field: webhooks name it by its alias, the API by its id. */
function custom(id: number, alias: string): Key {
  const byId = `cf_${id}`;
  return { names: { webhook: `cf_${alias}`, list: byId, get: byId }, column: null, kind: 'text', loose: false };
}

/** A key of a model that the catalogue does not know: one spelling, since its meaning is not known. */
const plain = (name: string, kind: Key['kind']): Key => key(name, kind, { column: null, loose: false });

export const CUSTOM_FIELDS: readonly JsonObject[] = [
  { id: 3, name: 'Region', type: 'smalltext', alias: 'region', module: 'crm', model: 'account', active: 1 },
  { id: 4, name: 'Tier', type: 'smalltext', alias: 'tier', module: 'fin', model: 'invoice_item', active: 1 },
];

export const SPECIES: readonly Species[] = [
  {
    name: 'crm.account',
    catalogued: true,
    version: 'updated_date',
    keys: {
      name: key('vat', 'text', { names: { webhook: 'VAT', list: 'VAT', get: 'vat' }, loose: false }),
      flag: key('active', 'flag'),
      link: key('owner_id', 'link'),
      amount: key('organization_revenue', 'decimal'),
      custom: custom(3, 'region'),
      mergedTo: key('merged_to', 'link'),
    },
  },
  {
    name: 'crm.lead',
    catalogued: true,
    version: 'updated_date',
    keys: { name: key('name', 'text'), amount: key('budget', 'decimal'), mergedTo: key('merged_to_id', 'link') },
  },
  {
    name: 'products.product',
    catalogued: true,
    version: 'updated',
    keys: { name: key('name', 'text'), flag: key('taxable', 'flag'), link: key('category_id', 'link') },
  },
  {
    name: 'crm.loss_reason',
    catalogued: true,
    version: null,
    keys: { name: key('name', 'text'), flag: key('active', 'flag') },
  },
  {
    name: 'fin.invoice_item',
    catalogued: true,
    version: null,
    keys: {
      name: key('name', 'text'),
      amount: key('unit_price', 'decimal'),
      link: key('unit_id', 'link'),
      custom: custom(4, 'tier'),
    },
  },
  {
    name: 'zoo.animal',
    catalogued: false,
    version: 'updated_at',
    keys: { name: plain('name', 'text'), link: plain('cage', 'link') },
  },
  { name: 'zoo.cage', catalogued: false, version: null, keys: { name: plain('name', 'text') } },
];

/** Keys that one path carries; a webhook leaves out what its scope does not allow. */
export function spell(
  species: Species,
  id: number,
  state: State,
  path: Path,
  omit: readonly Aspect[] = [],
): JsonObject {
  const entries = aspectsOf(species)
    .filter(([aspect]) => !omit.includes(aspect))
    .map(([aspect, { names, kind, loose }]): [string, Json] => [
      names[path],
      SPELLINGS[kind][loose ? path : 'get'](state[aspect]),
    ]);
  const tellsVersion = species.version !== null && !omit.includes('changed');
  const version = tellsVersion ? [[species.version as string, state.changed] as const] : [];
  return Object.fromEntries([['id', path === 'webhook' ? String(id) : id] as const, ...entries, ...version]);
}

const SPELLINGS: Readonly<Record<Key['kind'], Readonly<Record<Path, (value: unknown) => Json>>>> = {
  text: { webhook: String, list: String, get: String },
  flag: { webhook: Boolean, list: (value) => (value ? '1' : '0'), get: (value) => (value ? 1 : 0) },
  link: { webhook: (value) => String(value ?? ''), list: (value) => Number(value ?? 0), get: (value) => value as Json },
  decimal: {
    webhook: (value) => (value === null ? null : `${value}.00`),
    list: (value) => (value === null ? '' : Number(value)),
    get: (value) => value as Json,
  },
};

/** What a mirror row of the species must hold. */
export interface Held {
  readonly record: JsonObject;
  /** Typed columns as JSON. */
  readonly columns: JsonObject;
}

/** Every way in which a mirror row tells something else than the state; empty when it is true to it. */
export function differences(
  species: Species,
  id: number,
  state: State,
  held: Held,
  wallOf: (instant: string) => string,
  told: readonly Aspect[] | null,
): string[] {
  const aspects = aspectsOf(species).filter(([aspect]) => told === null || told.includes(aspect));
  const known = new Set(['id', species.version ?? 'id', ...aspects.flatMap(([, { names }]) => Object.values(names))]);
  const found: string[] = [];
  const expect = (what: string, actual: unknown, expected: unknown) => {
    if (actual !== expected) found.push(`${what} is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
  };
  expect('id', String(held.record.id), String(id));
  for (const [aspect, { names, kind, column }] of aspects) {
    const spellings = [...new Set(Object.values(names))].filter((name) => Object.hasOwn(held.record, name));
    if (spellings.length !== 1) found.push(`${aspect} stands in the record ${spellings.length} times`);
    expect(`_record.${aspect}`, canonical(kind, held.record[spellings[0] ?? '']), canonical(kind, state[aspect]));
    if (column !== null) expect(column, canonical(kind, held.columns[column]), canonical(kind, state[aspect]));
  }
  if (species.version !== null && (told === null || told.includes('changed'))) {
    expect('_record version', held.record[species.version], state.changed);
    expect('_version', wallOf(String(held.columns._version)), state.changed);
    if (species.catalogued) expect(species.version, wallOf(String(held.columns[species.version])), state.changed);
  }
  if (told === null) {
    const foreign = Object.keys(held.record).filter((name) => !known.has(name));
    if (foreign.length > 0) found.push(`the record has ${foreign.join(', ')} beside`);
  }
  return found;
}

/** One form for all spellings of a value; written anew here, so that a mistake of the product's does not agree with itself. */
function canonical(kind: Key['kind'], value: unknown): string {
  const word = value === null || value === undefined ? '' : String(value);
  switch (kind) {
    case 'flag':
      return ['1', 'true'].includes(word) ? 'yes' : 'no';
    case 'link':
      return word === '' || word === '0' ? 'none' : word;
    case 'decimal':
      return word === '' ? 'none' : String(Number(word));
    case 'text':
      return word;
  }
}

export function aspectsOf(species: Species): readonly (readonly [Exclude<Aspect, 'changed'>, Key])[] {
  return Object.entries(species.keys) as [Exclude<Aspect, 'changed'>, Key][];
}
