/** Lists one model through the API into the mirror, page by page, from where the last run stopped to the end. */

import type { Model } from '../catalog/types.ts';
import type { Json } from '../core/json.ts';
import { readAhead } from '../core/prefetch.ts';
import type { Micros } from '../core/time.ts';
import { metered } from '../flowlu/client.ts';
import { FlowluError, isRefusal, ListingError } from '../flowlu/errors.ts';
import { type ListingPage, type ListingSummary, listPages, type Unread } from '../listing/listing.ts';
import { asBefore, surplusOf } from '../listing/surplus.ts';
import { suspectReported } from '../merge/suspects.ts';
import { countRows, newestVersion } from '../mirror-rows/reads.ts';
import { mirrorTableOf } from '../mirror-rows/rows.ts';
import { allAnswers, type Sql, type Transaction } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import { idOf } from '../record/id.ts';
import { createSeenIds, type SeenIds } from '../record/seen-ids.ts';
import { suspectUnlisted } from '../store/doubts.ts';
import { allListedIds, appendListedIds, clearListedIds, listedIds } from '../store/listed-ids.ts';
import {
  ABSENT,
  advanceListing,
  beginListing,
  claimListing,
  findOpenListing,
  finishListing,
  type ListingCounts,
  type ListingKey,
  type ListingKind,
  type ListingOutcome,
  type OpenListing,
  REFUSED,
  unreadModels,
} from '../store/listings.ts';
import { noteListed } from '../store/schedule.ts';
import { confirmListing, findWatermark } from '../store/watermarks.ts';
import type { ListingDeps } from './deps.ts';
import { knownMeasures, noteAhead, noteMeasures } from './measures.ts';
import { addCounts, type PageCounts, writePages } from './page.ts';
import { incompleteness, readUnplaced, sentenceOn, unreadIntoMirror, unreadNames } from './unread.ts';

/** Receives the progress of listings. */
export interface ListingObserver {
  /** `total`: rows still to come, if the portal says. */
  modelStarted(model: string, total: number | null): void;
  /** `step`: what this step added. */
  modelAdvanced(model: string, step: ListingCounts): void;
  modelFinished(report: ListingReport): void;
}

/** How the listing of one model ended; counts are those of this run. */
export interface ListingReport {
  readonly model: string;
  readonly outcome: ListingOutcome;
  /** Why it ended so; for a complete listing, which rows could not be read. */
  readonly reason: string | null;
  /** Rows that no answer of the portal contains. */
  readonly unreadable?: readonly string[];
  readonly counts: ListingCounts;
  readonly seconds: number;
}

export const NOT_LISTABLE = 'the API has no list of it; webhooks fill it';
export const NOTHING: ListingCounts = { read: 0, written: 0, unchanged: 0, missed: 0, requests: 0 };

export interface ListingTask {
  readonly kind: ListingKind;
  readonly model: Model;
  readonly runId: string;
  /** Starts from the beginning even if an earlier run left a position. */
  readonly afresh?: boolean;
}

/**
 * Maximum pages written together and read ahead: enough to make a commit and four round trips cheap per row,
 * and few enough for the memory.
 */
const RANGE_PAGES = 3;

/** Lists one model into the mirror. @throws what ends the run: a lost database, a refused key, the signal's reason */
export async function listModel(
  deps: ListingDeps,
  task: ListingTask,
  observer: ListingObserver,
  signal: AbortSignal,
): Promise<ListingReport> {
  const { model } = task;
  const key: ListingKey = { kind: task.kind, model: model.name, runId: task.runId };
  const startedAt = performance.now();
  const open = task.afresh === true ? null : await findOpenListing(deps.sql, key.kind, model.name);
  const fence = open === null ? await beginListing(deps.sql, key) : open.fence;
  if (open !== null) await claimListing(deps.sql, key);
  if (open === null) await clearListedIds(deps.sql, key);
  let counts = NOTHING;
  const all = { counts: open?.counts ?? NOTHING };
  const step = (added: ListingCounts) => {
    counts = addCounts(counts, added);
    all.counts = addCounts(all.counts, added);
    observer.modelAdvanced(model.name, added);
  };
  const { client, spent } = metered(deps.client);
  const target = { ...task, key, open, fence, all };
  const ending = await listPagesInto({ ...deps, client }, target, observer, step, signal).catch((error) => {
    // An interrupted listing has not failed, whatever error the current request gives: it continues later.
    signal.throwIfAborted();
    return endingOf(error, model);
  });
  // Besides one request per page there are probes, repeated attempts and refusals.
  step({ ...NOTHING, requests: spent() - counts.requests });
  const { found = [], unread = null, surplus = 0, ...told } = ending;
  await transact(deps.sql, (tx) =>
    allAnswers([
      appendListedIds(tx, key, found),
      finishListing(tx, key, {
        ...told,
        counts: all.counts,
        unread: unread as Json,
        unreadRows: (unread?.rows ?? 0) + surplus,
      }),
    ]),
  );
  if (told.outcome === 'complete') {
    await confirmListing(deps.sql, model, fence);
    const missed = task.kind === 'sweep' ? all.counts.missed : 0;
    const newest = await newestVersion(deps.sql, model);
    await noteAhead(deps.sql, model.name, newest, fence + (performance.now() - startedAt) * 1_000);
    const { requests, read: rows } = all.counts;
    await noteListed(deps.sql, model.name, { fence, requests, rows, missed, newest });
  }
  if (told.outcome === 'skipped' && told.reason?.startsWith(ABSENT)) await suspectReported(deps, model, fence);
  // A sweep still has to compare them with the mirror.
  if (task.kind !== 'sweep') await clearListedIds(deps.sql, key);
  const report = { model: model.name, ...told, counts, seconds: (performance.now() - startedAt) / 1_000 };
  observer.modelFinished(report);
  return report;
}

export interface Ending extends Pick<ListingReport, 'outcome' | 'reason' | 'unreadable'> {
  /** Rows that the portal always counts and does not list. */
  readonly surplus?: number;
  readonly unread?: Unread;
  /** Rows found after the last page. */
  readonly found?: readonly string[];
}

interface Target extends ListingTask {
  readonly key: ListingKey;
  /** The listing of an earlier run to continue. */
  readonly open: OpenListing | null;
  /** A moment before the first request. */
  readonly fence: Micros;
  /** What was read, by earlier runs as well. */
  readonly all: { counts: ListingCounts };
}

async function listPagesInto(
  deps: ListingDeps,
  target: Target,
  observer: ListingObserver,
  step: (added: ListingCounts) => void,
  signal: AbortSignal,
): Promise<Ending> {
  const { key, model, open, all } = target;
  if (!model.listable) return { outcome: 'skipped', reason: NOT_LISTABLE };
  const known = await knownMeasures(deps.sql, model.name);
  const cursor = open?.position ?? undefined;
  const before = (open?.unread ?? null) as Unread | null;
  const seen = cursor?.mode === 'pages' ? await seenBefore(deps.sql, key) : undefined;
  const resumed = { cursor, seen, readBefore: open?.counts.read, unread: before };
  let counting: Promise<number> | null = null;
  // Counting a large model takes long, and few listings need it.
  const held = async () => {
    counting ??= countRows(deps.sql, mirrorTableOf(model), 'live');
    const rows = await counting;
    return rows > 0 || target.kind === 'backfill' ? rows : null;
  };
  const pages = listPages(deps.client, model, { ...resumed, known, held, signal });
  const ranges = readAhead(pages, RANGE_PAGES);
  const singly = unreadIntoMirror(deps, model, before, (written) => step({ ...written, requests: 0 }));
  let state = open;
  for (;;) {
    const next = await ranges.next();
    if (next.done) {
      const listed = () => allListedIds(deps.sql, key);
      const { ids, requests } = await readUnplaced(deps, model, singly, listed, signal);
      step({ ...NOTHING, requests });
      const ending = await concluded(deps, model, next.value, unreadNames(singly.unread()), state !== null);
      return { ...ending, unread: singly.unread(), found: ids };
    }
    const pages = next.value;
    if (state === open) observer.modelStarted(model.name, rowsToCome(pages[0] as ListingPage, open));
    if (pages.some(({ isFirst }) => isFirst)) {
      // What earlier runs have read comes again.
      all.counts = { ...NOTHING, requests: all.counts.requests };
      state = null;
    }
    const there: string[] = [];
    for (const page of pages) {
      const { ids, requests } = await singly.read(page, signal);
      there.push(...ids);
      step({ ...NOTHING, requests });
    }
    const unread = singly.unread() as unknown as Json;
    const written = await writeRange(deps, target, { state, unread }, pages, there);
    state = written.state;
    step(written.added);
  }
}

/** By the portal's count, which by page numbers is one of the whole model. */
function rowsToCome({ total, mode, isFirst }: ListingPage, open: OpenListing | null): number | null {
  const before = mode === 'pages' && !isFirst ? (open?.counts.read ?? 0) : 0;
  return total === null ? null : Math.max(0, total - before);
}

/** @param hasRows whether any page was listed */
async function concluded(
  { sql }: ListingDeps,
  model: Model,
  { complete, reason, measured, isCounted }: ListingSummary,
  unreadable: readonly string[],
  hasRows: boolean,
): Promise<Ending> {
  await noteMeasures(sql, model.name, measured);
  if (!hasRows && !isCounted && (await countRows(sql, mirrorTableOf(model), 'live')) > 0) {
    return { outcome: 'incomplete', reason: 'the portal lists no row any more, and counts none' };
  }
  if (complete) return { outcome: 'complete', reason: sentenceOn(unreadable), unreadable };
  const surplus = unreadable.length === 0 ? surplusOf(reason) : null;
  if (surplus !== null) {
    const last = (await unreadModels(sql)).find((unread) => unread.model === model.name);
    if (surplusOf(last?.reason) === surplus)
      return { outcome: 'complete', reason: asBefore(surplus), unreadable, surplus };
  }
  const told = incompleteness(reason ?? 'rows may have been missed', unreadable);
  return { outcome: 'incomplete', reason: told, unreadable };
}

async function seenBefore(sql: Sql, key: ListingKey): Promise<SeenIds> {
  const seen = createSeenIds();
  for await (const ids of listedIds(sql, key)) for (const id of ids) seen.add(id);
  return seen;
}

/**
 * Writes the rows of pages and the position after them in one transaction.
 * @param before the state before them, and the unread rows after them
 * @param there ids of rows among them that were read singly
 */
async function writeRange(
  deps: ListingDeps,
  target: Target,
  before: { readonly state: OpenListing | null; readonly unread: Json },
  listed: readonly ListingPage[],
  there: readonly string[],
) {
  const { key, kind, model, fence, all } = target;
  const [first, last] = [listed[0] as ListingPage, listed.at(-1) as ListingPage];
  const pages = listed.map(({ items, observedAt }) => ({
    observedAt,
    items: items.map((record) => ({ id: idOf(record) as string, record })),
  }));
  const ids = [...pages.flatMap(({ items }) => items.map(({ id }) => id)), ...there];
  const upTo = last.cursor;
  const after = before.state?.position ?? null;
  const table = mirrorTableOf(model);
  const record = async (tx: Transaction, written: PageCounts) => {
    // Rows that come again, as those of the page before a cut do, have been counted.
    const read = listed.reduce((sum, { fresh }) => sum + fresh, 0);
    const unchanged = Math.max(0, read - written.written);
    const added = { ...written, read, unchanged, requests: pages.length };
    const state = {
      position: upTo,
      counts: addCounts(all.counts, added),
      // A resumed listing gets the number of rows left; only the first answer of a new one gives the whole.
      total: before.state?.total ?? (first.isFirst ? first.total : null),
      fence,
      unread: before.unread,
    };
    const statements = [advanceListing(tx, key, state)];
    // A listing that switches to page numbers begins again, but does not yield its first page again.
    if (upTo.mode === 'pages' || after === null) statements.push(appendListedIds(tx, key, ids));
    if (kind === 'sweep' && upTo.mode === 'keyset') {
      const lower = after?.mode === 'keyset' ? after.lastId : null;
      const range = { after: lower, upTo: upTo.lastId, listed: ids, observedAt: first.observedAt };
      statements.push(suspectUnlisted(tx, model, range));
    }
    await allAnswers(statements);
    return { state, added };
  };
  return transact(deps.sql, (tx) => writePages(tx, table, pages, deps.writer, (written) => record(tx, written)));
}

/** How an error ends the reading of its model; rethrown if it ends the whole run. */
export function endingOf(error: unknown, model: Model): Ending {
  if (error instanceof ListingError) return { outcome: 'failed', reason: error.message };
  if (!(error instanceof FlowluError) || error.kind === 'unauthorized') throw error;
  return { outcome: isRefusal(error) ? 'skipped' : 'failed', reason: reasonOf(error, model) };
}

/** The reason for a report: whether the portal lacks the model, or the key lacks the right. */
function reasonOf(error: FlowluError, { edition }: Model): string {
  if (!isRefusal(error)) return error.problem;
  // Portals also answer an unknown method with "access denied".
  const isLacking = error.kind !== 'forbidden' || (edition !== 'flowlu' && edition !== 'expected' && error.code === 30);
  return isLacking ? `${ABSENT} (${error.problem})` : `${REFUSED}${error.problem}`;
}

/** Why a refusal needs attention. A model that never existed in the portal needs none. */
export async function guardRefusal(sql: Sql, { model, outcome, reason }: ListingReport): Promise<string | null> {
  const known = outcome === 'skipped' && reason !== NOT_LISTABLE && (await findWatermark(sql, model)) !== null;
  return known ? `refused, though it was listed before: ${reason}` : null;
}
