/** Rows that break every list that contains them: named where that can be found out, and read singly where that works. */

import type { Model } from '../catalog/types.ts';
import type { Micros } from '../core/instant.ts';
import type { JsonObject } from '../core/json.ts';
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
/** Ids asked for singly to find one row. */
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
  let lastId: string | null = null;

  return {
    unreadable: (): readonly string[] => unreadable,
    async read({ items, unread }: ListingPage, signal: AbortSignal): Promise<{ read: number; requests: number }> {
      let [read, requests] = [0, 0];
      const ids = items.map((item) => idOf(item) as string);
      const direction = directionOf(lastId === null ? ids : [lastId, ...ids]);
      for (const gap of unread) {
        const known = { ...gap, previousId: gap.previousId ?? lastId };
        const found = await findUnread(client, model, known, direction, signal);
        unreadable.push(...found.unreadable);
        for (const one of found.read) await keep(one);
        requests += found.requests;
        read += found.read.length;
      }
      lastId = ids.at(-1) ?? lastId;
      return { read, requests };
    },
  };
}

interface FoundRows {
  /** Rows that could be read singly. */
  readonly read: readonly { readonly record: JsonObject; readonly observedAt: Micros }[];
  /** The others, as a person would name them. */
  readonly unreadable: readonly string[];
  readonly requests: number;
}

/** Where the ids of a page go: up, down, or neither. */
function directionOf(ids: readonly string[]): 1 | -1 | 0 {
  const steps = ids.slice(1).map((id, index) => (BigInt(id) > BigInt(ids[index] as string) ? 1 : -1));
  return steps.length > 0 && steps.every((step) => step === steps[0]) ? (steps[0] as 1 | -1) : 0;
}

/** Looks for rows in the gap between two listed ones. */
async function findUnread(
  client: FlowluClient,
  model: Model,
  gap: UnreadRows,
  direction: 1 | -1 | 0,
  signal: AbortSignal,
): Promise<FoundRows> {
  const read: { record: JsonObject; observedAt: Micros }[] = [];
  const unreadable: string[] = [];
  let requests = 0;
  for (const id of candidates(gap, direction)) {
    if (read.length + unreadable.length === gap.count) break;
    try {
      requests += 1;
      read.push(await client.get(model, id, signal, 'brief'));
    } catch (error) {
      if (!(error instanceof FlowluError) || error.kind === 'unauthorized') throw error;
      if (error instanceof NotFoundError) continue;
      // Without single reads nothing more can be found out.
      if (!error.mayBeTooMuch) break;
      unreadable.push(id);
    }
  }
  const missing = gap.count - read.length - unreadable.length;
  if (missing > 0) unreadable.push(`${missing === 1 ? 'a row' : `${missing} rows`} ${placeOf(gap)}`);
  return { read, unreadable, requests };
}

/** Ids between the neighbours, nearest to the row before first; of a gap at the end of a page, those that follow. */
function candidates({ previousId, nextId }: UnreadRows, direction: 1 | -1 | 0): readonly string[] {
  if (direction === 0) return [];
  const step = BigInt(direction);
  const start = previousId === null ? null : BigInt(previousId) + step;
  const end = nextId === null ? null : BigInt(nextId);
  const first = start ?? (end === null ? null : end - step * BigInt(MAX_CANDIDATES));
  if (first === null) return [];
  const ids = Array.from({ length: MAX_CANDIDATES }, (_, index) => first + step * BigInt(index));
  return ids.filter((id) => id > 0n && (end === null || (end - id) * step > 0n)).map(String);
}

function placeOf({ previousId, nextId }: UnreadRows): string {
  if (previousId !== null && nextId !== null) return `listed between ${previousId} and ${nextId}`;
  if (previousId !== null) return `listed after ${previousId}`;
  return nextId === null ? 'of unknown id' : `listed before ${nextId}`;
}
