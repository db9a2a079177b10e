/** Answers `list`: filters, order, pages, and what can be wrong with them. */
import { type ByteWriter, byteWriter } from './bytes.ts';
import { modelFacts } from './catalog.ts';
import type { FaultCheck } from './faults.ts';
import { compareKeys, type Filter, parseFilter, type SortKey, sortKey } from './filters.ts';
import { type Id, type SimRecord, toId, toJson, type Value } from './json.ts';
import type { Portal } from './portal.ts';
import { isPlain, present, presentationOf } from './present.ts';
import type { Table } from './table.ts';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 100;
/** Rows that `limit=0`, the unpaged mode, gives at most. */
const UNPAGED_LIMIT = 100_000;

/** A prime, so that steps of it come to every place of a list whose length is no multiple of it. */
const STRIDE = 7907;

interface Order {
  readonly field: string;
  readonly descending: boolean;
}

/** Rows that match, in order; positions are looked up one by one. */
interface Selection {
  readonly size: number;
  readonly at: (position: number) => Id | undefined;
}

type RowTest = (table: Table, id: Id) => boolean;

function readOrders(query: URLSearchParams, ignored: 'all' | 'non-id' | 'shuffled' | undefined): Order[] {
  const orders: Order[] = [];
  for (const [key, field] of query) {
    const direction = /^order_by\[(asc|desc)\](\[\d*\])?$/.exec(key)?.[1];
    if (direction !== undefined) orders.push({ field, descending: direction === 'desc' });
  }
  if (ignored === 'all' || ignored === 'shuffled') return [];
  return ignored === 'non-id' ? orders.filter(({ field }) => field === 'id') : orders;
}

function readFilters(
  model: string,
  query: URLSearchParams,
  check: FaultCheck,
  dateBounds: 'day' | 'exclusive' | undefined,
): Filter[] {
  const known = new Set(modelFacts(model).fields.map(([name]) => name));
  const ignored = check.value('ignoreFilters', 'all');
  const filters: Filter[] = [];
  for (const [key, raw] of query) {
    const field = /^filter\[([^\]]+)\]$/.exec(key)?.[1];
    if (field === undefined || !(known.has(field) || field.startsWith('cf_'))) continue;
    const filter = parseFilter(model === 'crm.account' && field === 'VAT' ? 'vat' : field, raw, { dateBounds });
    if (filter === undefined || ignored === 'all' || ignored === filter.kind) continue;
    if (ignored !== 'structured' || filter.kind === 'exact') filters.push(filter);
  }
  return filters;
}

function hiddenTests(model: string, query: URLSearchParams, check: FaultCheck): RowTest[] {
  const tests: RowTest[] = [];
  const hidden = check.value('hideRows', []);
  if (hidden !== undefined) {
    const ids = new Set(hidden.map(String));
    tests.push((_, id) => !ids.has(String(id)));
  }
  if (check.hits('hideArchived')) {
    const known = modelFacts(model).fields.map(([name]) => name);
    for (const [field, value] of [
      ['archive_status', '10'],
      ['is_archive', '1'],
      ['is_archived', '1'],
    ] as const) {
      if (!known.includes(field) || query.has(`filter[${field}]`)) continue;
      tests.push((table, id) => String(table.value(id, field)) !== value);
    }
  }
  return tests;
}

/** Ranks (first, one past last) that the id filters leave. */
function rankRange(table: Table, filters: readonly Filter[], end: number): readonly [number, number] {
  let low = 0;
  let high = end;
  for (const { field, above, below } of filters) {
    if (field !== 'id') continue;
    const floor = above === undefined ? undefined : toId(above);
    const ceiling = below === undefined ? undefined : toId(below);
    if (floor !== undefined) low = Math.max(low, table.rankOf(typeof floor === 'bigint' ? floor + 1n : floor + 1));
    if (ceiling !== undefined) high = Math.min(high, table.rankOf(ceiling));
  }
  return [low, Math.max(low, high)];
}

const bare = (filter: Filter): boolean => filter.field === 'id' && (filter.kind === 'more' || filter.kind === 'less');

function* candidates(table: Table, filters: readonly Filter[], low: number, high: number): Iterable<Id> {
  const named = filters.find(({ field, oneOf }) => field === 'id' && oneOf !== undefined)?.oneOf;
  if (named === undefined) {
    for (let rank = low; rank < high; rank++) yield table.at(rank) as Id;
    return;
  }
  for (const id of new Set(named.map(toId))) {
    if (id !== undefined && table.has(id) && table.rankOf(id) >= low && table.rankOf(id) < high) yield id;
  }
}

function walk(
  table: Table,
  filters: readonly Filter[],
  tests: readonly RowTest[],
  orders: readonly Order[],
  low: number,
  high: number,
): Id[] {
  const matching: Id[] = [];
  for (const id of candidates(table, filters, low, high)) {
    if (filters.every(({ field, test }) => test(table.value(id, field))) && tests.every((test) => test(table, id)))
      matching.push(id);
  }
  const keyed = matching.map((id) => ({ id, keys: orders.map(({ field }) => sortKey(table.value(id, field))) }));
  const byId = (a: Id, b: Id): number => (a < b ? -1 : Number(a > b));
  keyed.sort((a, b) => {
    for (const [position, { descending }] of orders.entries()) {
      const compared = compareKeys(a.keys[position] as SortKey, b.keys[position] as SortKey);
      if (compared !== 0) return descending ? -compared : compared;
    }
    // Rows equal in every order asked for come newest first, like rows without any order.
    return -byId(a.id, b.id);
  });
  return keyed.map(({ id }) => id);
}

interface Cached {
  readonly revision: number;
  readonly ids: readonly Id[];
}
const CACHED_QUERIES = 8;
const caches = new WeakMap<Table, Map<string, Cached>>();

/** Remembers a few walks per table, so that paging through a filtered list walks the table once. */
function cachedWalk(table: Table, key: string, compute: () => Id[]): readonly Id[] {
  const cache = caches.get(table) ?? new Map<string, Cached>();
  caches.set(table, cache);
  const known = cache.get(key);
  if (known !== undefined && known.revision === table.revision()) return known.ids;
  const ids = compute();
  cache.delete(key);
  cache.set(key, { revision: table.revision(), ids });
  const oldest = cache.keys().next().value;
  if (cache.size > CACHED_QUERIES && oldest !== undefined) cache.delete(oldest);
  return ids;
}

function select(model: string, table: Table, query: URLSearchParams, check: FaultCheck): Selection {
  const dateBounds = check.value('dateBounds', 'day');
  const filters = readFilters(model, query, check, dateBounds);
  const ignored = check.value('ignoreOrder', 'all');
  const orders = readOrders(query, ignored);
  const tests = hiddenTests(model, query, check);
  const cut = check.value('cutListing', 0.5);
  const end = cut === undefined ? table.count() : Math.floor(table.count() * cut);
  const [low, high] = rankRange(table, filters, end);
  const first = orders[0];
  if (tests.length === 0 && filters.every(bare) && (first === undefined || first.field === 'id')) {
    const size = high - low;
    if (ignored === 'shuffled') return { size, at: (position) => table.at(low + ((position * STRIDE) % size)) };
    const descending = first?.descending ?? true;
    return { size, at: (position) => table.at(descending ? high - 1 - position : low + position) };
  }
  const key =
    [...query].filter(([name]) => /^(filter|order_by)\[/.test(name)).join('&') +
    JSON.stringify([low, high, tests.length]);
  // Faults change what a query means, so their outcome belongs to the key as well.
  const meaning = `${key}|${filters.map(({ field, kind }) => field + kind).join()}|${orders.map(({ field }) => field).join()}`;
  const compute = (): Id[] => walk(table, filters, tests, orders, low, high);
  const ids = tests.length > 0 || dateBounds !== undefined ? compute() : cachedWalk(table, meaning, compute);
  return { size: ids.length, at: (position) => ids[position] };
}

function pageOf(query: URLSearchParams, check: FaultCheck): { readonly page: number; readonly limit: number } {
  const asked = Number(query.get('limit') ?? DEFAULT_LIMIT);
  const cap = check.value('limitCap', 50) ?? MAX_LIMIT;
  const page = Math.max(1, Math.floor(Number(query.get('page') ?? 1)) || 1);
  const fixed = check.value('ignoreLimit', 25);
  if (fixed !== undefined) return { page, limit: fixed };
  if (asked === 0) return { page: 1, limit: UNPAGED_LIMIT };
  return { page, limit: Math.min(Number.isInteger(asked) && asked > 0 ? asked : DEFAULT_LIMIT, cap) };
}

/** The `customfields` array that `?customfields=1` adds. */
function describedFields(portal: Portal, model: string, record: SimRecord): Value {
  const definitions = portal.table('customfields.fields');
  return Object.keys(record).flatMap((key): Value[] => {
    const id = toId(/^cf_(\d+)$/.exec(key)?.[1]);
    const definition = id === undefined ? undefined : definitions.get(id);
    if (definition === undefined) return [];
    const { name = '', alias = null, type = '', api_use_alias = 0 } = definition;
    const value = record[key] ?? '';
    return [{ id: String(id), title: name, alias, api_use_alias: String(api_use_alias), type, value, model }];
  });
}

/** Writes one entity as list or get spells it; false, and nothing written, for a row that is gone. */
type EntityWriter = (id: Id, out: ByteWriter) => boolean;

function entityWriter(
  portal: Portal,
  model: string,
  query: URLSearchParams,
  check: FaultCheck,
  method: 'list' | 'get',
): EntityWriter {
  const table = portal.table(model);
  const how = presentationOf(check, method, portal.aliases(model, 'api'));
  const fields = query.get('fields')?.split(',');
  const described = query.get('customfields') === '1';
  const fast = method === 'list' && fields === undefined && !described && isPlain(how);
  return (id, out) => {
    if (fast && table.writeSeed(id, out)) return true;
    const record = table.get(id);
    if (record === undefined) return false;
    let shown = present(model, record, how, method);
    if (fields !== undefined) shown = Object.fromEntries(Object.entries(shown).filter(([key]) => fields.includes(key)));
    out.text(toJson(described ? { ...shown, customfields: describedFields(portal, model, record) } : shown));
    return true;
  };
}

/** The body of a get answer, or undefined when there is no such row. */
export function getBody(
  portal: Portal,
  model: string,
  id: Id,
  query: URLSearchParams,
  check: FaultCheck,
): Buffer | undefined {
  const out = byteWriter();
  const asItems = check.hits('getAsItems');
  out.text(asItems ? '{"response":{"total":1,"total_result":1,"page":1,"count":1,"items":[' : '{"response":');
  if (!entityWriter(portal, model, query, check, 'get')(id, out)) return undefined;
  out.text(asItems ? ']}}' : '}');
  return out.take();
}

/** The rows that one list answer holds. */
export interface Page {
  readonly ids: readonly Id[];
  readonly number: number;
  /** Rows that match. */
  readonly size: number;
}

export function pageFor(portal: Portal, model: string, query: URLSearchParams, check: FaultCheck): Page {
  const selection = select(model, portal.table(model), query, check);
  const { page, limit } = pageOf(query, check);
  const start = check.hits('repeatFirstPage') ? 0 : (page - 1) * limit;
  const lacking = check.value('shortPage', 1) ?? 0;
  const end = Math.max(start, Math.min(start + limit, selection.size) - lacking);
  const ids = Array.from({ length: end - start }, (_, index) => selection.at(start + index) as Id);
  return { ids, number: page, size: selection.size };
}

/** The body of a list answer. */
export function listBody(
  portal: Portal,
  model: string,
  query: URLSearchParams,
  check: FaultCheck,
  { ids: all, number, size }: Page,
): Buffer {
  const table = portal.table(model);
  const emptied = check.value('emptyList', -1);
  const ids = emptied === undefined ? all : [];
  const surplus = check.value('surplusTotal', 37) ?? 0;
  const wrong = emptied !== undefined && emptied >= 0 ? emptied : check.value('wrongTotal', 7);
  const head: Record<string, number> = {};
  const whole = table.count() + surplus;
  if (!check.hits('omitTotal')) head.total = wrong ?? whole;
  if (!check.hits('omitTotalResult')) {
    head.total_result = wrong ?? (check.hits('wholeTotals') ? whole : size + surplus);
  }

  const out = byteWriter();
  const asObject = check.hits('itemsAsObject');
  const write = entityWriter(portal, model, query, check, 'list');
  const open = JSON.stringify({ ...head, page: number, count: ids.length }).slice(0, -1);
  out.text(`{"response":${open},"items":${asObject ? '{' : '['}`);
  for (const [position, id] of ids.entries()) {
    out.text(`${position === 0 ? '' : ','}${asObject ? `"${position}":` : ''}`);
    write(id, out);
  }
  out.text(asObject ? '}}}' : ']}}');
  return out.take();
}
