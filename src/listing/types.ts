/** What a listing hands out, and where it can be taken up again. */

import type { JsonObject } from '../core/json.ts';
import type { Micros } from '../core/time.ts';
import type { Filter } from '../flowlu/url.ts';
import type { SeenIds } from '../record/seen-ids.ts';

/** Where to resume. `page` is the next one to read, of `size` rows. */
export type ListingCursor =
  | { readonly mode: 'keyset'; readonly lastId: string }
  | { readonly mode: 'pages'; readonly page: number; readonly size: number };

export interface ListingOptions {
  readonly cursor?: ListingCursor | undefined;
  /** Rows read up to the cursor: without it, a resumed listing cannot hold a total of the whole against its count. */
  readonly readBefore?: number | undefined;
  /** Rows up to the cursor that could not be read. */
  readonly unread?: Unread | null;
  /** Ids seen up to a cursor of pages; without them nothing is proven. */
  readonly seen?: SeenIds | undefined;
  /** Lists only what meets these conditions; whether the portal honours them is for the caller to check. */
  readonly filters?: Readonly<Record<string, Filter>>;
  /** What earlier listings have shown, so that it need not be found out again. */
  readonly known?: Partial<ListingMeasures> | undefined;
  /** Rows to ask for per request, 1 to 100. */
  readonly pageSize?: number;
  /** False where the conditions may be what is refused: then a page that fails is not read around. Defaults to true. */
  readonly heals?: boolean;
  /** How many rows the caller holds, asked where none come: unless null, some are looked for behind a first page without any. */
  readonly held?: (() => Promise<number | null>) | undefined;
  readonly signal: AbortSignal;
  /** Bound on the requests of this listing, failed attempts included; else one that follows from the portal's count. */
  readonly maxRequests?: number;
}

/** Rows that every list fails to bring, and the ids listed before and after them. */
export interface UnreadRows {
  readonly count: number;
  readonly previousId: string | null;
  readonly nextId: string | null;
  readonly why: string;
}

/** What a search under all ids that no list names has left over. */
export interface Unplaced {
  readonly count: number;
  /** Ids that were asked for. */
  readonly asked: readonly string[];
}

/** Rows that were not read, and what tells where they lie: a listing that is resumed goes on with it. */
export interface Unread {
  /** Those that are there, and fail singly, too. */
  readonly ids: readonly string[];
  readonly gaps: readonly UnreadRows[];
  readonly unplaced: Unplaced | null;
  /** How many rows these are. */
  readonly rows: number;
  /** Rows behind the last listed one, which a keyset that goes on there meets again, and those of them that were found. */
  readonly again: { readonly rows: number; readonly ids: readonly string[] };
  readonly direction: Direction | null;
  readonly isOrdered: boolean;
}

/** Where the ids of a listing go: up, down, or neither. */
export type Direction = 1 | -1 | 0;

/** Rows of one answer. A row may come again in a later page; every record has an id of digits. */
export interface ListingPage {
  readonly items: readonly JsonObject[];
  /** Rows that belong here and cannot be listed. */
  readonly unread: readonly UnreadRows[];
  /** Moment not later than the sending. */
  readonly observedAt: Micros;
  /** Resumes after this page. */
  readonly cursor: ListingCursor;
  /** What the portal claims to match this request, or null. In keyset mode that is what was left, this page included. */
  readonly total: number | null;
  readonly mode: ListingCursor['mode'];
}

/** What a listing has shown of the portal; null where it did not come to it. */
export interface ListingMeasures {
  /** Rows on a page that the portal grants. */
  readonly pageSize: number | null;
  /** Rows on a page beyond which the portal fails; null where it does not. */
  readonly bearableSize: number | null;
  /** Whether rows came in the order of their ids when asked to; `refused` where asking is an error. */
  readonly order: 'honoured' | 'ignored' | 'refused' | null;
  /** The same of the filter on ids. */
  readonly idFilter: 'honoured' | 'ignored' | 'refused' | null;
}

/** What a listing amounts to. */
export interface ListingSummary {
  /**
   * True when every row that existed throughout the listing was seen or is known to be unreadable; of a resumed
   * keyset, every row after the cursor. In pages mode the proof is a count, which has one blind spot: a row deleted and
   * another one created between the same two pages cancel out. So a row that a listing lacks is a suspect, never yet a
   * deleted row.
   */
  readonly complete: boolean;
  /** Why not complete. */
  readonly reason?: string;
  /** The mode that the listing ended in. */
  readonly mode: ListingCursor['mode'];
  /** Requests spent, failed attempts included. */
  readonly requests: number;
  /** Whether the portal has counted the rows: without that, nothing tells no rows from one row that breaks its lists. */
  readonly isCounted: boolean;
  readonly measured: ListingMeasures;
}
