/** One model, listed through the API from where the last run stopped to its end, page by page into the mirror. */
import type { DoorContext } from '../apply/door.ts';
import { transact } from '../apply/transact.ts';
import { idOf } from '../catalog/id.ts';
import type { Micros } from '../catalog/instant.ts';
import type { Model } from '../catalog/types.ts';
import type { Sql, Transaction } from '../db/connection.ts';
import {
  advanceListing,
  beginListing,
  claimListing,
  findOpenListing,
  finishListing,
  type ListingCounts,
  type ListingKey,
  type ListingKind,
  type ListingOutcome,
  type ListingPosition,
  type OpenListing,
} from '../db/listings.ts';
import { confirmListing, findWatermark } from '../db/watermarks.ts';
import type { FlowluClient } from '../flowlu/client.ts';
import { FlowluError, ListingError } from '../flowlu/errors.ts';
import { type ListingPage, listPages } from '../flowlu/listing.ts';
import { mergePage } from './page.ts';
import { readAhead } from './prefetch.ts';

/** What listing models needs. */
export interface ListingDeps {
  readonly sql: Sql;
  readonly client: FlowluClient;
  readonly door: DoorContext;
}

/** Told as a listing goes on. */
export interface ListingObserver {
  /** `total`: rows still to come, where the portal says. */
  modelStarted(model: string, total: number | null): void;
  /** `step`: what this step added. */
  modelAdvanced(model: string, step: ListingCounts): void;
  modelFinished(report: ListingReport): void;
}

/** How the listing of one model ended; counts are those of this run. */
export interface ListingReport {
  readonly model: string;
  readonly outcome: ListingOutcome;
  readonly reason: string | null;
  readonly counts: ListingCounts;
  readonly seconds: number;
}

const NOT_LISTABLE = 'the API has no list of it; webhooks fill it';
const NOTHING: ListingCounts = { read: 0, written: 0, unchanged: 0, requests: 0 };

/** A listing to be made. */
export interface ListingTask {
  readonly kind: ListingKind;
  readonly model: Model;
  readonly runId: string;
  /** Starts from the beginning even where an earlier run left a position. */
  readonly afresh?: boolean;
  /** More to do in the transaction of each page; `after` is the position before it. */
  readonly onPage?: (tx: Transaction, page: ListedPage, after: ListingPosition | null) => Promise<void>;
}

/** A page as it was written. */
export interface ListedPage {
  readonly ids: readonly string[];
  readonly position: ListingPosition;
  readonly observedAt: Micros;
}

/**
 * Lists one model into the mirror.
 * @throws what ends the whole run: a lost database, a refused key, the signal's reason.
 */
export async function listModel(
  deps: ListingDeps,
  task: ListingTask,
  observer: ListingObserver,
  signal: AbortSignal,
): Promise<ListingReport> {
  const { model } = task;
  const key = keyOf(task);
  const startedAt = performance.now();
  const open = task.afresh === true ? null : await findOpenListing(deps.sql, key.kind, model.name);
  const fence = open === null ? await beginListing(deps.sql, key) : open.fence;
  if (open !== null) await claimListing(deps.sql, key);
  let counts = NOTHING;
  const step = (added: ListingCounts) => {
    counts = addCounts(counts, added);
    observer.modelAdvanced(model.name, added);
  };
  const ending = await listPagesInto(deps, { ...task, open, fence }, observer, step, signal).catch(endingOf);
  await finishListing(deps.sql, key, ending.outcome, ending.reason);
  if (ending.outcome === 'complete') await confirmListing(deps.sql, model, fence);
  const report = { model: model.name, ...ending, counts, seconds: (performance.now() - startedAt) / 1_000 };
  observer.modelFinished(report);
  return report;
}

function keyOf({ kind, model, runId }: ListingTask): ListingKey {
  return { kind, model: model.name, runId };
}

interface Ending {
  readonly outcome: ListingOutcome;
  readonly reason: string | null;
}

interface Target extends ListingTask {
  /** What an earlier run left to go on with. */
  readonly open: OpenListing | null;
  /** A moment before the first request. */
  readonly fence: Micros;
}

async function listPagesInto(
  deps: ListingDeps,
  target: Target,
  observer: ListingObserver,
  step: (added: ListingCounts) => void,
  signal: AbortSignal,
): Promise<Ending> {
  const { model, open } = target;
  if (!model.listable) return { outcome: 'skipped', reason: NOT_LISTABLE };
  const pages = readAhead(
    listPages(deps.client, model, { cursor: open?.position ?? undefined, seenBefore: open?.counts.read, signal }),
  );
  let state = open;
  let requests = 0;
  for (;;) {
    const next = await pages.next();
    if (next.done) {
      const { complete, reason } = next.value;
      // Beside one request a page there are probes and repeated attempts.
      step({ ...NOTHING, requests: next.value.requests - requests });
      return complete
        ? { outcome: 'complete', reason: null }
        : { outcome: 'incomplete', reason: reason ?? 'rows may have been missed' };
    }
    if (requests === 0) observer.modelStarted(model.name, next.value.total);
    requests += 1;
    const written = await writePage(deps, target, state, next.value);
    state = written.state;
    step(written.added);
  }
}

/** Writes a page's rows and the position after them in one transaction. */
async function writePage(deps: ListingDeps, target: Target, before: OpenListing | null, page: ListingPage) {
  const { model, open, fence, onPage } = target;
  const items = page.items.map((record) => ({ id: idOf(record) as string, record }));
  return transact(deps.sql, async (tx) => {
    const merged = await mergePage(tx, { name: model.name, model }, { items, observedAt: page.observedAt }, deps.door);
    const added = { ...merged, requests: 1 };
    const state = {
      position: page.cursor,
      counts: addCounts(before?.counts ?? NOTHING, added),
      // A resumed listing is told what is left; only the first answer of a fresh one tells the whole.
      total: before?.total ?? (open?.position ? null : page.total),
      fence,
    };
    const listed = { ids: items.map(({ id }) => id), position: page.cursor, observedAt: page.observedAt };
    await onPage?.(tx, listed, before?.position ?? null);
    await advanceListing(tx, keyOf(target), state);
    return { state, added };
  });
}

function addCounts(a: ListingCounts, b: ListingCounts): ListingCounts {
  return {
    read: a.read + b.read,
    written: a.written + b.written,
    unchanged: a.unchanged + b.unchanged,
    requests: a.requests + b.requests,
  };
}

/** How an error ends the listing of its model; rethrown when it ends the whole run. */
function endingOf(error: unknown): Ending {
  if (error instanceof ListingError) return { outcome: 'failed', reason: error.message };
  if (!(error instanceof FlowluError) || error.kind === 'unauthorized') throw error;
  return { outcome: isRefusal(error) ? 'skipped' : 'failed', reason: error.message };
}

/** True when the portal does not let us read the model at all: it lacks the module, or the key lacks the right. */
export function isRefusal({ kind }: FlowluError): boolean {
  return ['forbidden', 'unknown_method', 'unknown_module', 'not_found'].includes(kind);
}

/** Why a refusal is worth a look: a model that is not there at all is none of the mirror's business. */
export async function guardRefusal(sql: Sql, { model, outcome, reason }: ListingReport): Promise<string | null> {
  const known = outcome === 'skipped' && reason !== NOT_LISTABLE && (await findWatermark(sql, model)) !== null;
  return known ? `refused, though it was listed before: ${reason}` : null;
}
