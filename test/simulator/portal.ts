/** A company's portal: its rows, and every way in which they change. */
import { type ModelFacts, modelFacts, models, nameOf } from './catalog.ts';
import { definitionsOf } from './custom-fields.ts';
import { type Faults, faultCheck } from './faults.ts';
import { type Id, type SimRecord, toId, type Value } from './json.ts';
import { madeUpPatch, madeUpRecord, RANDOM_MODELS } from './mutations.ts';
import { between, chance, hash, pick, type Random, randomFrom } from './random.ts';
import { idAt, seedRows } from './seed-rows.ts';
import { spreadRows } from './spread.ts';
import { createTable, type Table } from './table.ts';
import { historyUntil, type World } from './values.ts';
import { zoneClock } from './zone.ts';

export type Action = 'create' | 'update' | 'delete';

/** One thing that happened to one entity; the portal's own log, never lossy. */
export interface Change {
  /** 1, 2, 3 … without gaps. */
  readonly seq: number;
  readonly action: Action;
  readonly module: string;
  readonly model: string;
  /** `module.model`. */
  readonly name: string;
  readonly id: string;
  readonly current: SimRecord | null;
  readonly previous: SimRecord | null;
  /** Unix milliseconds by the portal's clock. */
  readonly at: number;
}

export interface PortalOptions {
  readonly seed: number;
  readonly rows: number;
  readonly rowsPerModel?: Readonly<Record<string, number>> | undefined;
  readonly timeZone: string;
  readonly uglyText: number;
  readonly asSeen: boolean;
  readonly clock: () => Date;
  readonly faults: Faults;
  readonly historyEnds?: Date | undefined;
}

/** Changes kept in the log; older ones fall off. */
const CHANGES_KEPT = 500_000;
const FIRST_HUGE_ID = 2n ** 53n + 1n;

type AnyId = Id | string;

export interface Portal {
  /** All `module.model` names. */
  readonly models: readonly string[];
  /** Every change since the start, oldest first (the newest 500,000). */
  readonly changes: readonly Change[];
  readonly world: World;
  /** When true, new rows get ids above 2^53. */
  hugeIds: boolean;
  table(model: string): Table;
  /** Current source records in order of id. */
  rows(model: string): Iterable<SimRecord>;
  count(model: string): number;
  get(model: string, id: AnyId): SimRecord | undefined;
  /** Makes up what `partial` leaves out. An explicit `id` must be free. */
  create(model: string, partial?: Readonly<Record<string, Value>>): Change;
  /** Without `partial`, changes something plausible. `keepVersion` leaves the updated time alone. */
  update(
    model: string,
    id: AnyId,
    partial?: Readonly<Record<string, Value>>,
    options?: { keepVersion?: boolean },
  ): Change;
  remove(model: string, id: AnyId): Change;
  /** The second account goes up in the first: it stays listed, with `merged_to`, unless `removeLoser`. */
  merge(winner: AnyId, loser: AnyId, options?: { removeLoser?: boolean }): Change[];
  /** There and back again within one version: A→B→A, `times` steps (default 2). */
  toggle(model: string, id: AnyId, times?: number): Change[];
  /** A plausible change anywhere, or in one of `among`. */
  randomChange(random?: Random, among?: readonly string[]): Change;
  /** `cf_{id}` → `cf_{alias}` for the definitions that say so (or for all, when forced). */
  aliases(model: string, side: 'api' | 'webhook', force?: boolean): ReadonlyMap<string, string>;
  /** Calls `listener` after every change; returns how to stop that. */
  onChange(listener: (change: Change) => void): () => void;
}

export function createPortal(options: PortalOptions): Portal {
  const counts = spreadRows(options.rows, options.rowsPerModel);
  const zone = zoneClock(options.timeZone);
  const { uglyText, asSeen } = options;
  const world: World = {
    zone,
    idAt,
    count: (model) => counts.get(model) ?? 0,
    uglyText,
    asSeen,
    history: historyUntil(options.historyEnds),
  };
  const tables = new Map<string, Table>();
  const changes: Change[] = [];
  const listeners = new Set<(change: Change) => void>();
  const ownRandom = randomFrom(hash(options.seed, 0x6d75));
  let seq = 0;

  const table = (name: string): Table => {
    let known = tables.get(name);
    if (known === undefined) {
      const facts = modelFacts(name);
      known = createTable(seedRows(facts, models.indexOf(facts), options.seed, world));
      tables.set(name, known);
    }
    return known;
  };

  const now = (): string => zone.dateTime(Math.floor(options.clock().getTime() / 1000));

  const idOf = (model: string, raw: AnyId): Id => {
    const id = toId(raw);
    if (id === undefined) throw new Error(`not an id of ${model}: ${String(raw)}`);
    return id;
  };

  const existing = (model: string, raw: AnyId): readonly [Id, SimRecord] => {
    const id = idOf(model, raw);
    const record = table(model).get(id);
    if (record === undefined) throw new Error(`${model} ${String(id)} does not exist`);
    return [id, record];
  };

  const record = (
    facts: ModelFacts,
    action: Action,
    id: Id,
    previous: SimRecord | null,
    current: SimRecord | null,
  ): Change => {
    const { module, model } = facts;
    const at = options.clock().getTime();
    const change: Change = {
      seq: ++seq,
      action,
      module,
      model,
      name: nameOf(facts),
      id: String(id),
      current,
      previous,
      at,
    };
    changes.push(change);
    if (changes.length > CHANGES_KEPT) changes.splice(0, CHANGES_KEPT / 10);
    for (const listener of listeners) listener(change);
    return change;
  };

  const portal: Portal = {
    models: models.map(nameOf),
    changes,
    world,
    hugeIds: false,
    table,
    count: (model) => table(model).count(),
    get: (model, id) => table(model).get(idOf(model, id)),
    rows: function* (model) {
      const source = table(model);
      let last: Id = 0;
      for (;;) {
        // By id, not by rank, so that changes during the walk neither repeat nor skip a row.
        const id = source.at(source.rankOf(typeof last === 'bigint' ? last + 1n : last + 1));
        if (id === undefined) return;
        last = id;
        const row = source.get(id);
        if (row !== undefined) yield renamed(row, portal.aliases(model, 'api'));
      }
    },
    create: (model, partial = {}) => {
      const facts = modelFacts(model);
      const id = partial.id === undefined ? nextId(table(model), portal.hugeIds) : idOf(model, partial.id as AnyId);
      if (table(model).has(id)) throw new Error(`${model} ${String(id)} exists already`);
      const made = madeUpRecord(facts, id, ownRandom, world, now(), definitionsOf(model, world));
      const current = { ...made, ...partial, id };
      table(model).put(id, current);
      return record(facts, 'create', id, null, current);
    },
    update: (model, rawId, partial, { keepVersion = false } = {}) => {
      const facts = modelFacts(model);
      const [id, previous] = existing(model, rawId);
      const patch = partial ?? madeUpPatch(facts, previous, ownRandom, world, definitionsOf(model, world));
      const versionKey = facts.updated ?? ('updated_date' in previous ? 'updated_date' : undefined);
      const frozen =
        keepVersion || faultCheck(options.faults, { model, method: 'get' }, ownRandom).hits('frozenVersion');
      const version = versionKey === undefined || frozen ? {} : { [versionKey]: now() };
      const current: SimRecord = { ...previous, ...version, ...patch };
      table(model).put(id, current);
      return record(facts, 'update', id, previous, current);
    },
    remove: (model, rawId) => {
      const [id, previous] = existing(model, rawId);
      table(model).remove(id);
      return record(modelFacts(model), 'delete', id, previous, null);
    },
    merge: (winner, loser, { removeLoser = false } = {}) => {
      const [winnerId] = existing('crm.account', winner);
      const [loserId, lost] = existing('crm.account', loser);
      return [
        portal.update('crm.account', winnerId, { phone2: lost.phone ?? '' }),
        portal.update('crm.account', loserId, { merged_to: winnerId, active: 0 }),
        ...(removeLoser ? [portal.remove('crm.account', loserId)] : []),
      ];
    },
    toggle: (model, rawId, times = 2) => {
      const [id, start] = existing(model, rawId);
      const key = ['active', 'status', 'description', 'name', 'role', 'type'].find((candidate) => candidate in start);
      if (key === undefined) throw new Error(`${model} has nothing to toggle`);
      const other = typeof start[key] === 'number' ? (start[key] === 1 ? 0 : 1) : `${String(start[key])} (toggled)`;
      const first = portal.update(model, id, { [key]: other });
      const states = [start[key] as Value, other];
      const rest = Array.from({ length: Math.max(0, times - 1) }, (_, step) =>
        portal.update(model, id, { [key]: states[step % 2] as Value }, { keepVersion: true }),
      );
      return [first, ...rest];
    },
    randomChange: (random = ownRandom, among) => {
      const model = among === undefined ? weighted(random, counts) : pick(random, among);
      const source = table(model);
      const roll = random();
      if (source.count() === 0 || roll < 0.2) return portal.create(model);
      // A third of the changes meets the newest rows, as in life.
      const rank = chance(random, 0.33)
        ? source.count() - 1 - between(random, 0, 4)
        : between(random, 0, source.count() - 1);
      const id = source.at(Math.max(0, rank)) as Id;
      if (roll < 0.32) return portal.remove(model, id);
      return portal.update(model, id, undefined, { keepVersion: chance(random, 0.05) });
    },
    aliases: (model, side, force = false) => aliasesOf(table('customfields.fields'), model, side, force),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return portal;
}

function nextId(table: Table, huge: boolean): Id {
  const highest = table.maxId();
  if (typeof highest === 'bigint') return highest + 1n;
  return huge || highest >= Number.MAX_SAFE_INTEGER ? FIRST_HUGE_ID : highest + 1;
}

/** A model drawn by size, small ones never out of reach. */
function weighted(random: Random, counts: ReadonlyMap<string, number>): string {
  const weightOf = (name: string): number => Math.sqrt(counts.get(name) ?? 0) + 1;
  let ticket = random() * RANDOM_MODELS.reduce((sum, name) => sum + weightOf(name), 0);
  for (const name of RANDOM_MODELS) {
    ticket -= weightOf(name);
    if (ticket <= 0) return name;
  }
  return pick(random, RANDOM_MODELS);
}

/** The record with some of its keys renamed; the same object when there is nothing to rename. */
export function renamed(record: SimRecord, names: ReadonlyMap<string, string>): SimRecord {
  if (names.size === 0) return record;
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [names.get(key) ?? key, value]));
}

const aliasCache = new WeakMap<Table, { revision: number; maps: Map<string, ReadonlyMap<string, string>> }>();

function aliasesOf(fields: Table, model: string, side: 'api' | 'webhook', force: boolean): ReadonlyMap<string, string> {
  let cache = aliasCache.get(fields);
  if (cache === undefined || cache.revision !== fields.revision()) {
    cache = { revision: fields.revision(), maps: new Map() };
    aliasCache.set(fields, cache);
  }
  const key = `${model} ${side} ${force}`;
  let names = cache.maps.get(key);
  if (names === undefined) {
    names = readAliases(fields, model, force ? undefined : `${side}_use_alias`);
    cache.maps.set(key, names);
  }
  return names;
}

/** Definitions beyond this many are not looked at. */
const DEFINITIONS_READ = 10_000;

function readAliases(fields: Table, model: string, switchKey: string | undefined): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (let rank = 0; rank < Math.min(fields.count(), DEFINITIONS_READ); rank++) {
    const row = fields.get(fields.at(rank) as Id);
    if (row === undefined || `${String(row.module)}.${String(row.model)}` !== model || !row.alias) continue;
    if (switchKey !== undefined && Number(row[switchKey]) !== 1) continue;
    names.set(`cf_${String(row.id)}`, `cf_${String(row.alias)}`);
    names.set(`cf_${String(row.id)}_value`, `cf_${String(row.alias)}_value`);
  }
  return names;
}
