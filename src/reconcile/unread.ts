/** Rows that no list returns: sought with what the mirror knows, read into it, and named if they cannot be read. */
import type { Model } from '../catalog/types.ts';
import { MICROS_PER_MS } from '../core/time.ts';
import type { Unread, UnreadRows } from '../listing/listing.ts';
import { candidatesFor, createUnreadReader, freeIds, type UnreadReader } from '../listing/unread.ts';
import { findUnlisted, linkedIds, liveIds } from '../mirror-rows/reads.ts';
import { mirrorTableOf } from '../mirror-rows/rows.ts';
import { transact } from '../postgres/transact.ts';
import { compareIds, idOf } from '../record/id.ts';
import { lastFact, measure } from '../store/measurements.ts';
import type { ListingDeps } from './deps.ts';
import { type PageCounts, writePages } from './page.ts';

/** Names kept in a report. */
const MAX_NAMED = 20;
/** Ids requested in one listing of a portal without an order. */
const MAX_ASKED = 200;

/** The sentence of a report about rows that could not be read, or null. */
export function sentenceOn(unreadable: readonly string[]): string | null {
  if (unreadable.length === 0) return null;
  const more = unreadable.length > MAX_NAMED ? ', …' : '';
  return `these break every list that contains them and cannot be read: ${unreadable.slice(0, MAX_NAMED).join(', ')}${more}`;
}

/** The sentence of a report about a listing that may lack more than the unreadable rows. */
export function incompleteness(reason: string, unreadable: readonly string[]): string {
  const names = sentenceOn(unreadable);
  return names === null ? reason : `${reason}; ${names}`;
}

/** The names of unread rows, for a person. */
export function unreadNames({ ids, gaps, unplaced }: Unread): readonly string[] {
  const names = [...ids, ...gaps.map(nameOf)];
  if (unplaced === null || unplaced.count === 0) return names;
  const asked = unplaced.asked.toSorted(compareIds);
  const where = `under any of ${asked.length} ids from ${asked[0]} to ${asked.at(-1)}`;
  return [...names, `${rowsOf(unplaced.count)} not found ${where} that no list names`];
}

function nameOf({ previousId, nextId, count }: UnreadRows): string {
  const rows = rowsOf(count);
  if (previousId !== null && nextId !== null) return `${rows} listed between the ids ${previousId} and ${nextId}`;
  if (previousId !== null) return `${rows} listed after id ${previousId}`;
  return nextId === null ? `${rows} of unknown id` : `${rows} listed before id ${nextId}`;
}

const rowsOf = (count: number): string => (count === 1 ? 'a row' : `${count} rows`);

/** Reads rows that no list returns into the mirror, and reports what was written. */
export function unreadIntoMirror(
  { sql, client, writer }: ListingDeps,
  model: Model,
  before: Unread | null,
  count: (written: PageCounts) => void,
): UnreadReader {
  const keep: Parameters<typeof createUnreadReader>[2] = async ({ record, observedAt }) => {
    const page = { items: [{ id: idOf(record) as string, record }], observedAt };
    count(await transact(sql, (tx) => writePages(tx, mirrorTableOf(model), [page], writer, (counts) => counts)));
  };
  return createUnreadReader(client, model, keep, (from, to) => liveIds(sql, model, from, to), before);
}

/**
 * After the last page, if rows are missing and their neighbours are unknown: requests unlisted rows that the mirror
 * holds, some that others link to, and unused ids, different ones each time. If one does not exist, nothing is
 * concluded about the mirror's row.
 * @param listed ids of all existing rows
 */
export async function readUnplaced(
  { sql }: ListingDeps,
  model: Model,
  reader: UnreadReader,
  listed: () => Promise<readonly string[]>,
  signal: AbortSignal,
) {
  const missing = reader.missing();
  if (missing === 0) return { requests: 0, ids: [] };
  const max = Math.min(MAX_ASKED, candidatesFor(missing));
  const named = new Set(await listed());
  const anyTime = { after: null, upTo: null, observedAt: Date.now() * MICROS_PER_MS };
  const held = await findUnlisted(sql, model, { ...anyTime, listed: [...named] }, max);
  const linked = (await linkedIds(sql, model, Math.floor(max / 2))).filter((id) => !named.has(id));
  const known = [...held.ids, ...linked].slice(0, max);
  let last = await lastFact(sql, model.name, 'free_ids_asked_up_to');
  function* ids() {
    yield* known;
    let left = max - known.length;
    for (const id of freeIds(named, last)) {
      if (known.includes(id)) continue;
      if (left === 0) return;
      left -= 1;
      last = id;
      yield id;
    }
  }
  const found = await reader.readUnplaced(ids(), signal);
  await measure(sql, model.name, { free_ids_asked_up_to: last });
  return found;
}
