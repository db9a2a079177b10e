/**
 * Incremental catch-up: reads what changed in the portal since the watermark, in the cheapest way it supports.
 *
 * Flowlu may silently ignore a filter or an order, so no way is trusted until the returned rows confirm it: none may
 * lie outside the request, and a row that the mirror knows to belong there must be among them.
 */

import type { Model } from '../catalog/types.ts';
import type { JsonObject } from '../core/json.ts';
import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from '../core/time.ts';
import { FlowluError, NotFoundError, unanswered } from '../flowlu/errors.ts';
import { listPages } from '../listing/listing.ts';
import { newestRow } from '../mirror-rows/reads.ts';
import { mirrorTableOf } from '../mirror-rows/rows.ts';
import { databaseClock } from '../postgres/clock.ts';
import { transact } from '../postgres/transact.ts';
import { idOf } from '../record/id.ts';
import { versionOf } from '../record/version.ts';
import { measure } from '../store/measurements.ts';
import {
  confirmIncrement,
  findWatermark,
  rememberStrategy,
  type Strategy,
  type Watermark,
} from '../store/watermarks.ts';
import type { ListingDeps } from './deps.ts';
import { NOTHING } from './listing.ts';
import { knownMeasures } from './measures.ts';
import { addCounts, type PageCounts, writePages } from './page.ts';

/** How far before the watermark reading begins, for changes that became visible late. */
const OVERLAP = 10 * 60 * MICROS_PER_SECOND;
/** How long a working strategy is used before a better one is tried again. */
const STRATEGY_TTL = MICROS_PER_DAY;
/** Maximum number of pages read newest first. If more has changed, a full listing is better. */
const MAX_NEWEST_PAGES = 500;
const PAGE_SIZE = 100;

export interface Increment {
  readonly strategy: Strategy;
  readonly counts: PageCounts & { readonly requests: number };
}

/** The portal's answers did not confirm the strategy, or it refuses the request. */
class NotHonouredError extends Error {
  override readonly name = 'NotHonouredError';
}

const WAYS = {
  interval: { read: readInterval, fact: 'date_filter' },
  newest: { read: readNewest, fact: 'newest_first' },
} as const;

/**
 * Catches up one model. Null if only a full reading can (`reread`), which is then remembered.
 * @throws FlowluError, ListingError, the signal's reason
 */
export async function catchUp(deps: ListingDeps, model: Model, signal: AbortSignal): Promise<Increment | null> {
  const watermark = await findWatermark(deps.sql, model.name);
  if (watermark === null || watermark.version === null || model.version === null) return null;
  const fence = await databaseClock(deps.sql);
  // A watermark in the hour that the portal's zone repeats stands for all of that hour: changes in its second pass are
  // dated before those in its first.
  const since = deps.writer.zone.orderOf(watermark.version) - OVERLAP;
  const ways = strategiesToTry(watermark, fence);
  for (const strategy of ways) {
    const { read, fact } = WAYS[strategy];
    try {
      const { counts, ids } = await read(deps, { model, field: model.version, since }, signal);
      await requireCheckRow(deps, model, since, fence, ids, signal);
      await confirmIncrement(deps.sql, model, fence, strategy, strategy !== watermark.strategy);
      await measure(deps.sql, model.name, { [fact]: 'honoured' });
      return { strategy, counts };
    } catch (error) {
      const isRefused = error instanceof FlowluError && (await isQuestionRefused(deps, model, error, signal));
      if (!isRefused && !(error instanceof NotHonouredError)) throw error;
      await measure(deps.sql, model.name, { [fact]: isRefused ? 'refused' : 'ignored' });
    }
  }
  if (ways.length > 0) await rememberStrategy(deps.sql, model.name, 'reread');
  return null;
}

/** Whether the portal fails only because of the order or the filter: a plain page then succeeds. */
async function isQuestionRefused(deps: ListingDeps, model: Model, error: FlowluError, signal: AbortSignal) {
  if (error.kind === 'invalid_request' || error.kind === 'validation') return true;
  if (!error.mayBeTooMuch) return false;
  const { bearableSize } = await knownMeasures(deps.sql, model.name);
  const plain = deps.client.list(model, { limit: bearableSize ?? PAGE_SIZE, page: 1 }, signal, 'once');
  return (await plain.catch(unanswered)) !== null;
}

/** The remembered strategy first; every day the better ones are tried again. */
function strategiesToTry({ strategy, strategyCheckedAt }: Watermark, now: Micros): readonly ('interval' | 'newest')[] {
  const remembered = strategyCheckedAt !== null && strategyCheckedAt > now - STRATEGY_TTL ? strategy : null;
  if (remembered === 'reread') return [];
  return remembered === 'newest' ? ['newest'] : ['newest', 'interval'];
}

interface Question {
  readonly model: Model;
  /** The version field. */
  readonly field: string;
  readonly since: Micros;
}

interface Found {
  readonly counts: PageCounts & { readonly requests: number };
  readonly ids: ReadonlySet<string>;
}

/** A date interval on the version field, in whole days and one day early, since neither time nor zone is reliable. */
async function readInterval(deps: ListingDeps, { model, field, since }: Question, signal: AbortSignal): Promise<Found> {
  const start = new Date((since - MICROS_PER_DAY) / 1_000).toISOString().slice(0, 10);
  const known = await knownMeasures(deps.sql, model.name);
  const filters = { [field]: { start_date: start } };
  const pages = listPages(deps.client, model, { filters, known, heals: false, signal });
  const found = collect(deps, model);
  for (;;) {
    const next = await pages.next();
    if (next.done) {
      if (!next.value.complete) throw new NotHonouredError(next.value.reason ?? 'the listing is not complete');
      return found.result(next.value.requests);
    }
    const tooOld = next.value.items.some((record) => {
      const version = versionOf(model, record, deps.writer.zone);
      return version !== null && version.at < since - 3 * MICROS_PER_DAY;
    });
    if (tooOld) throw new NotHonouredError('rows outside of the interval came back');
    await found.add(next.value.items, next.value.observedAt);
  }
}

/** Pages read before the first complete reading of a model. */
const FIRST_PAGES = 10;

/** The newest rows of a model never read, if the portal sorts by time of change; otherwise few or none. */
export async function readNewestRows(deps: ListingDeps, model: Model, signal: AbortSignal): Promise<Found['counts']> {
  const question = { model, field: model.version ?? '', since: Number.NEGATIVE_INFINITY };
  try {
    return (await readNewest(deps, question, signal, FIRST_PAGES)).counts;
  } catch (error) {
    const isOrder =
      error instanceof NotHonouredError || (error instanceof FlowluError && error.kind !== 'unauthorized');
    if (!isOrder) throw error;
    return NOTHING;
  }
}

/** Newest first, until a whole page lies before `since`, or for `pages` pages. */
async function readNewest(
  deps: ListingDeps,
  { model, field, since }: Question,
  signal: AbortSignal,
  pages = MAX_NEWEST_PAGES,
): Promise<Found> {
  const found = collect(deps, model);
  const { bearableSize } = await knownMeasures(deps.sql, model.name);
  const limit = bearableSize ?? PAGE_SIZE;
  let requests = 0;
  let before = Number.POSITIVE_INFINITY;
  for (let page = 1; page <= pages; page += 1) {
    const orderBy = { field, direction: 'desc' } as const;
    const answer = await deps.client.list(model, { limit, page, orderBy }, signal, 'brief');
    requests += answer.requests;
    const orders = answer.items.map(
      (record) => versionOf(model, record, deps.writer.zone)?.order ?? Number.NEGATIVE_INFINITY,
    );
    // Rows that change meanwhile move to the front and push others back, which causes repeats but no gaps.
    if (!answer.ordered || orders.some((order, index) => order > (orders[index - 1] ?? before))) {
      if (page === 1 || !isDescending(orders)) throw new NotHonouredError('rows do not come newest first');
    }
    const known = found.size();
    await found.add(answer.items, answer.observedAt);
    // Some portals repeat a page endlessly. Rows that changed meanwhile push others back, but hardly a whole page.
    if (answer.items.length > 0 && found.size() === known) throw new NotHonouredError('the portal repeats its pages');
    before = orders.at(-1) ?? Number.NEGATIVE_INFINITY;
    if (before < since || answer.items.length === 0) return found.result(requests);
    if (answer.items.length < limit && answer.total !== null && answer.total <= found.size())
      return found.result(requests);
  }
  if (pages < MAX_NEWEST_PAGES) return found.result(requests);
  throw new NotHonouredError('too much has changed for reading newest first');
}

function isDescending(orders: readonly number[]): boolean {
  return orders.every((order, index) => index === 0 || order <= (orders[index - 1] as number));
}

function collect(deps: ListingDeps, model: Model) {
  const ids = new Set<string>();
  let counts: PageCounts = { read: 0, written: 0, unchanged: 0, missed: 0 };
  return {
    size: () => ids.size,
    async add(records: readonly JsonObject[], observedAt: Micros) {
      const items = records.flatMap((record) => {
        const id = idOf(record);
        return id === null ? [] : [{ id, record }];
      });
      for (const { id } of items) ids.add(id);
      const table = mirrorTableOf(model);
      const added = await transact(deps.sql, (tx) =>
        writePages(tx, table, [{ items, observedAt }], deps.writer, (counts) => counts),
      );
      counts = addCounts(counts, added);
    },
    result: (requests: number): Found => ({ counts: { ...counts, requests }, ids }),
  };
}

/** The newest row that the mirror knows must be among the returned rows, unless it has been deleted meanwhile. */
async function requireCheckRow(
  deps: ListingDeps,
  model: Model,
  since: Micros,
  fence: Micros,
  ids: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<void> {
  const checkRow = await newestRow(deps.sql, model, fence);
  if (checkRow === null || checkRow.version < since || ids.has(checkRow.id)) return;
  try {
    const { record } = await deps.client.get(model, checkRow.id, signal);
    const version = versionOf(model, record, deps.writer.zone);
    if (version === null || version.at < since) return;
  } catch (error) {
    if (error instanceof NotFoundError) return;
    throw error;
  }
  throw new NotHonouredError('a row that changed lately did not come back');
}
