/** Finds the candidates of a verification in a complete listing or in a sample, in bounded memory. */

import type { Model } from '../catalog/types.ts';
import type { JsonObject } from '../core/json.ts';
import { readAhead } from '../core/prefetch.ts';
import type { Micros } from '../core/time.ts';
import { FlowluError } from '../flowlu/errors.ts';
import { type ListingPage, listPages } from '../listing/listing.ts';
import { createUnreadReader } from '../listing/unread.ts';
import { read } from '../merge/settle.ts';
import { countRows, findUnlisted, type IdRange, liveIds, randomLiveIds } from '../mirror-rows/reads.ts';
import { mirrorTableOf } from '../mirror-rows/rows.ts';
import { compareIds, idOf } from '../record/id.ts';
import { comparePage } from './compare-page.ts';
import type { ListingDeps } from './deps.ts';
import { type Candidates, type CompareContext, namesOf, type Told } from './findings.ts';
import { knownMeasures } from './measures.ts';
import { incompleteness, readUnplaced, sentenceOn, unreadNames } from './unread.ts';

/** Rows read singly at a time; the budget limits their pace. */
export const READS_AT_A_TIME = 10;
const PAGE_SIZE = 100;

export interface Search {
  readonly deps: ListingDeps;
  readonly model: Model;
  readonly context: CompareContext;
  readonly candidates: Candidates;
  /** The database's clock when the search began. */
  readonly startedAt: Micros;
  readonly onStep: (step: { readonly rows: number; readonly requests: number; readonly total: number | null }) => void;
  readonly signal: AbortSignal;
}

/** Why not all rows were compared, or null. */
export type Shortcoming = string | null;

/** Pages that wait to be compared. */
const PAGES_AHEAD = 2;

export async function searchAll(search: Search): Promise<Shortcoming> {
  const { deps, model, candidates, startedAt, signal } = search;
  const known = await knownMeasures(deps.sql, model.name);
  const groups = readAhead(listPages(deps.client, model, { known, signal }), PAGES_AHEAD);
  const walk = createWalk(search);
  const compare = async ({ record, observedAt }: { readonly record: JsonObject; readonly observedAt: Micros }) => {
    await compareListed(search, [record], observedAt, null);
    walk.single(idOf(record) as string);
  };
  const singly = createUnreadReader(deps.client, model, compare, (from, to) => liveIds(deps.sql, model, from, to));
  let requests = 0;
  for (;;) {
    const next = await groups.next();
    if (!next.done) {
      for (const page of next.value) {
        requests += 1;
        await compareListed(search, page.items, page.observedAt, page.total);
        const { requests: more } = await singly.read(page, signal);
        if (more > 0) search.onStep({ rows: 0, requests: more, total: null });
        await walk.page(page);
      }
      continue;
    }
    const { requests: more } = await readUnplaced(deps, model, singly, async () => walk.listed(), signal);
    search.onStep({ rows: 0, requests: next.value.requests - requests + more, total: null });
    const unreadable = unreadNames(singly.unread());
    if (next.value.complete) return (await walk.end(startedAt)) ?? sentenceOn(unreadable);
    // Unlisted rows may merely have been missed.
    candidates.dropSuspected();
    return incompleteness(next.value.reason ?? 'the listing is not complete', unreadable);
  }
}

async function compareListed(
  search: Search,
  items: readonly JsonObject[],
  observedAt: Micros,
  total: number | null,
): Promise<void> {
  const { deps, context, candidates } = search;
  const told = new Map(
    items.map((record): [string, Told] => [
      idOf(record) as string,
      { record, observedAt, compared: namesOf(context.shape, record) },
    ]),
  );
  for (const finding of await comparePage(deps, context, told)) {
    candidates.add({ ...finding, compared: told.get(finding.id)?.compared ?? [], suspected: false });
  }
  search.onStep({ rows: told.size, requests: 1, total });
}

/** With more rows and no order, a verification does not look for extra rows in the mirror; a sweep does. */
const MAX_REMEMBERED_IDS = 2_000_000;

/** Follows a listing to find the mirror's rows that it lacks. */
function createWalk({ deps, model, candidates }: Search) {
  let last: string | null = null;
  let lastAt: Micros | null = null;
  let isKeyset = true;
  const seen = new Set<string>();
  /** Time of the first request. Rows learnt later are not suspects. */
  let firstAt: Micros | null = null;
  const singles: string[] = [];

  const findUnnamed = async (range: IdRange) => {
    const named = { ...range, listed: [...range.listed, ...singles] };
    const { ids, count } = await findUnlisted(deps.sql, model, named, Math.max(1, candidates.room()));
    for (const id of ids) {
      candidates.add({ id, kind: 'extra', fields: [], columns: [], compared: null, suspected: true });
    }
    candidates.miss(count - ids.length);
  };

  return {
    /** Notes a row that no list returns and that was read singly. */
    single(id: string): void {
      singles.push(id);
    },
    listed: () => [...seen, ...singles],
    async page({ items, mode, cursor, observedAt }: ListingPage): Promise<void> {
      const ids = items.map((record) => idOf(record) as string);
      // A listing that switches to page numbers begins again, or continues after its first page.
      if (last === null || mode === 'pages') for (const id of ids) if (seen.size < MAX_REMEMBERED_IDS) seen.add(id);
      firstAt ??= observedAt;
      lastAt = observedAt;
      if (mode === 'pages') {
        if (isKeyset) candidates.dropSuspected();
        isKeyset = false;
        return;
      }
      if (cursor.mode !== 'keyset') return;
      await findUnnamed({ after: last, upTo: cursor.lastId, listed: ids, observedAt });
      last = cursor.lastId;
    },
    async end(startedAt: Micros): Promise<Shortcoming> {
      if (isKeyset) {
        await findUnnamed({ after: last, upTo: null, listed: [], observedAt: lastAt ?? startedAt });
        return null;
      }
      if (seen.size >= MAX_REMEMBERED_IDS) {
        return 'the portal lists in no order and has too many rows to tell which ones the mirror has in excess';
      }
      await findUnnamed({ after: null, upTo: null, listed: [...seen], observedAt: firstAt ?? startedAt });
      return null;
    },
  };
}

/**
 * Reads half the rows singly, and the others from anywhere in a list, where the mirror may lack some; or the whole list
 * where that takes no more requests.
 */
export async function searchSample(search: Search, size: number): Promise<Shortcoming> {
  const { deps, model, signal } = search;
  const live = await countRows(deps.sql, mirrorTableOf(model), 'live');
  const single = model.gettable ? Math.min(live, Math.floor(size / 2)) : 0;
  if (live <= (single + 1) * PAGE_SIZE) return await searchAll(search);
  const ids = (await randomLiveIds(deps.sql, model, single)).sort(compareIds);
  let shortcoming: Shortcoming = null;
  for (let start = 0; start < ids.length && shortcoming === null; start += READS_AT_A_TIME) {
    const part = ids.slice(start, start + READS_AT_A_TIME);
    shortcoming = (await Promise.all(part.map((id) => compareOne(search, id)))).find((why) => why !== null) ?? null;
  }
  const { order: sorting } = await knownMeasures(deps.sql, model.name);
  const order = sorting === 'refused' ? {} : { orderBy: { field: 'id', direction: 'asc' } as const };
  const page = 1 + Math.floor(Math.random() * Math.max(1, Math.ceil(live / PAGE_SIZE)));
  let left = size - ids.length;
  for (const wanted of new Set([page, 1])) {
    const answer = await deps.client.list(model, { limit: PAGE_SIZE, page: wanted, ...order }, signal);
    const others = answer.items.filter((record) => ![null, ...ids].includes(idOf(record)));
    const chosen = shuffled(others).slice(0, left);
    await compareListed(search, chosen, answer.observedAt, null);
    left -= chosen.length;
    if (left === 0) break;
  }
  return shortcoming;
}

/** Compares one row with the result of `get`; returns why that was not possible, or null. */
async function compareOne(search: Search, id: string): Promise<Shortcoming> {
  const { deps, context, candidates, signal } = search;
  try {
    const observation = await read(deps, context.table, id, signal);
    search.onStep({ rows: 1, requests: 1, total: null });
    if (observation.says !== 'present') {
      candidates.add({ id, kind: 'extra', fields: [], columns: [], compared: null, suspected: false });
      return null;
    }
    const { record, observedAt } = observation;
    const told = new Map([[id, { record, observedAt, compared: null }]]);
    for (const finding of await comparePage(deps, context, told)) {
      candidates.add({ ...finding, compared: null, suspected: false });
    }
    return null;
  } catch (error) {
    if (!(error instanceof FlowluError) || error.kind === 'unauthorized') throw error;
    return `single records cannot be read: ${error.message}`;
  }
}

function shuffled<T>(items: readonly T[]): readonly T[] {
  return items
    .map((item) => ({ item, rank: Math.random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}
