/** Rows that break every list that contains them: named where that can be found out, and read singly where that works. */

import type { Model } from '../catalog/types.ts';
import type { JsonObject } from '../core/json.ts';
import type { Micros } from '../core/time.ts';
import type { FlowluClient } from '../flowlu/client.ts';
import { FlowluError, NotFoundError } from '../flowlu/errors.ts';
import type { ListingPage, UnreadRows } from '../flowlu/listing.ts';
import { transact } from '../postgres/transact.ts';
import { idOf } from '../record/id.ts';
import { mirrorTableOf } from '../store/mirror-rows/rows.ts';
import type { ListingDeps } from './deps.ts';
import { writePages } from './page.ts';

/** Names kept in a report. */
const MAX_NAMED = 20;
/** Ids asked for singly in vain, at most, to fill one gap. */
const MAX_CANDIDATES = 25;

/** What a report says of rows that could not be read, or null. */
export function sentenceOn(unreadable: readonly string[]): string | null {
  if (unreadable.length === 0) return null;
  const more = unreadable.length > MAX_NAMED ? ', …' : '';
  return `these break every list that contains them and cannot be read: ${unreadable.slice(0, MAX_NAMED).join(', ')}${more}`;
}

/** Takes a row that was read singly. */
type Keep = (row: FoundRows['read'][number]) => Promise<void>;

/** Takes them into the mirror. */
export function intoMirror({ sql, writer }: ListingDeps, model: Model): Keep {
  return async ({ record, observedAt }) => {
    const page = { items: [{ id: idOf(record) as string, record }], observedAt };
    await transact(sql, (tx) => writePages(tx, mirrorTableOf(model), [page], writer, () => null));
  };
}

/** Follows the pages of a listing and reads what they lack singly, where that works. */
export function createUnreadReader(client: FlowluClient, model: Model, keep: Keep) {
  const unreadable: string[] = [];
  /** A keyset meets the rows at the end of a page again, and a listing that goes back those of its pages. */
  const met = new Set<string>();
  let lastId: string | null = null;

  return {
    unreadable: (): readonly string[] => unreadable,
    async read({ items, unread, mode }: ListingPage, signal: AbortSignal): Promise<{ read: number; requests: number }> {
      let [read, requests] = [0, 0];
      const ids = items.map((item) => idOf(item) as string);
      const direction = directionOf(lastId === null ? ids : [lastId, ...ids]);
      const from = lastId;
      lastId = ids.at(-1) ?? lastId;
      for (const gap of unread) {
        const known = { ...gap, previousId: gap.previousId ?? from };
        const found = await findUnread(client, model, known, direction, met, signal);
        // By page numbers, the next page begins after the rows that this one ends with.
        if (mode === 'pages' && gap.nextId === null) lastId = found.lastId ?? lastId;
        unreadable.push(...found.unreadable);
        for (const one of found.read) await keep(one);
        requests += found.requests;
        read += found.read.length;
      }
      return { read, requests };
    },
  };
}

interface FoundRows {
  /** Rows that could be read singly. */
  readonly read: readonly { readonly record: JsonObject; readonly observedAt: Micros }[];
  /** The others, as a person would name them. */
  readonly unreadable: readonly string[];
  /** The last of them all. */
  readonly lastId: string | null;
  readonly requests: number;
}

/** Where the ids of a page go: up, down, or neither. */
function directionOf(ids: readonly string[]): 1 | -1 | 0 {
  const steps = ids.slice(1).map((id, index) => (BigInt(id) > BigInt(ids[index] as string) ? 1 : -1));
  return steps.length > 0 && steps.every((step) => step === steps[0]) ? (steps[0] as 1 | -1) : 0;
}

/**
 * Looks for rows in the gap between two listed ones.
 * @param met rows found in gaps before; they count here, too, but are handed out once. Added to.
 */
async function findUnread(
  client: FlowluClient,
  model: Model,
  gap: UnreadRows,
  direction: 1 | -1 | 0,
  met: Set<string>,
  signal: AbortSignal,
): Promise<FoundRows> {
  const read: { record: JsonObject; observedAt: Micros }[] = [];
  const unreadable: string[] = [];
  const found: string[] = [];
  let requests = 0;
  for (const id of candidates(gap, direction)) {
    if (found.length === gap.count) break;
    const isNew = !met.has(id);
    const row = isNew ? await readSingly(client, model, id, signal) : null;
    requests += isNew ? 1 : 0;
    if (row === 'absent') continue;
    if (row === 'refused') break;
    if (row === 'broken') unreadable.push(id);
    else if (row !== null) read.push(row);
    found.push(id);
    met.add(id);
  }
  const missing = gap.count - found.length;
  if (missing > 0) unreadable.push(`${missing === 1 ? 'a row' : `${missing} rows`} ${placeOf(gap)}`);
  return { read, unreadable, lastId: found.at(-1) ?? null, requests };
}

async function readSingly(client: FlowluClient, model: Model, id: string, signal: AbortSignal) {
  try {
    return await client.get(model, id, signal, 'brief');
  } catch (error) {
    if (!(error instanceof FlowluError) || error.kind === 'unauthorized') throw error;
    if (error instanceof NotFoundError) return 'absent';
    // Without single reads nothing more can be found out.
    return error.mayBeTooMuch ? 'broken' : 'refused';
  }
}

/** Ids between the neighbours, nearest to the row before first; of a gap at the end of a page, those that follow. */
function candidates({ previousId, nextId, count }: UnreadRows, direction: 1 | -1 | 0): readonly string[] {
  if (direction === 0) return [];
  const step = BigInt(direction);
  const start = previousId === null ? null : BigInt(previousId) + step;
  const end = nextId === null ? null : BigInt(nextId);
  const length = MAX_CANDIDATES + count;
  const first = start ?? (end === null ? null : end - step * BigInt(length));
  if (first === null) return [];
  const ids = Array.from({ length }, (_, index) => first + step * BigInt(index));
  return ids.filter((id) => id > 0n && (end === null || (end - id) * step > 0n)).map(String);
}

function placeOf({ previousId, nextId }: UnreadRows): string {
  if (previousId !== null && nextId !== null) return `listed between ${previousId} and ${nextId}`;
  if (previousId !== null) return `listed after ${previousId}`;
  return nextId === null ? 'of unknown id' : `listed before ${nextId}`;
}
