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
  /** Rows read up to the cursor. Without it, a resumed listing cannot compare its count with a total of the whole. */
  readonly readBefore?: number | undefined;
  /** Rows up to the cursor that could not be read. */
  readonly unread?: Unread | null;
  /** Ids seen up to a cursor of pages; without them nothing is proven. */
  readonly seen?: SeenIds | undefined;
  /** Lists only matching rows. The caller must check whether the portal honours the filters. */
  readonly filters?: Readonly<Record<string, Filter>>;
  /** Results of earlier listings, which need not be found out again. */
  readonly known?: Partial<ListingMeasures> | undefined;
  /** Rows per request, 1 to 100. */
  readonly pageSize?: number;
  /** False if the filters may be what is refused: a page that fails is then not read around. Defaults to true. */
  readonly heals?: boolean;
  /** How many rows the caller holds. Called if none come; unless null, rows are sought after an empty first page. */
  readonly held?: (() => Promise<number | null>) | undefined;
  readonly signal: AbortSignal;
  /** Limit on requests, including failed attempts; by default it follows from the portal's count. */
  readonly maxRequests?: number;
}

/** Rows that no list returns, and the ids listed before and after them. */
export interface UnreadRows {
  readonly count: number;
  readonly previousId: string | null;
  readonly nextId: string | null;
  readonly why: string;
}

/** What remains after a search among all ids that no list contains. */
export interface Unplaced {
  readonly count: number;
  /** Ids that were requested. */
  readonly asked: readonly string[];
}

/** Rows that were not read and where they lie, with which a resumed listing continues. */
export interface Unread {
  /** Rows that exist and also fail singly. */
  readonly ids: readonly string[];
  readonly gaps: readonly UnreadRows[];
  readonly unplaced: Unplaced | null;
  /** How many rows these are. */
  readonly rows: number;
  /** Rows after the last listed one, which a resumed keyset meets again, and those of them that were found. */
  readonly again: { readonly rows: number; readonly ids: readonly string[] };
  readonly direction: Direction | null;
  readonly isOrdered: boolean;
}

/** Whether the ids of a listing go up, down, or neither. */
export type Direction = 1 | -1 | 0;

/** Rows of one answer. A row may come again in a later page; every record has an id of digits. */
export interface ListingPage {
  readonly items: readonly JsonObject[];
  /** Rows that belong here and cannot be listed. */
  readonly unread: readonly UnreadRows[];
  /** A moment no later than the sending. */
  readonly observedAt: Micros;
  /** Resumes after this page. */
  readonly cursor: ListingCursor;
  /** The portal's count for this request, or null. In keyset mode, of what was left, including this page. */
  readonly total: number | null;
  readonly mode: ListingCursor['mode'];
  /** How many of its rows this listing, or the one that it continues, had not brought before. */
  readonly fresh: number;
  /** The listing begins with it, perhaps for the second time: the rows before it will all come again. */
  readonly isFirst: boolean;
}

/** What a listing has shown about the portal; null if it did not find out. */
export interface ListingMeasures {
  /** Rows per page that the portal grants. */
  readonly pageSize: number | null;
  /** Rows per page above which the portal fails; null if it does not fail. */
  readonly bearableSize: number | null;
  /** Whether rows came in the requested order of ids; `refused` if requesting it is an error. */
  readonly order: 'honoured' | 'ignored' | 'refused' | null;
  /** The same for the filter on ids. */
  readonly idFilter: 'honoured' | 'ignored' | 'refused' | null;
}

export interface ListingSummary {
  /**
   * True if every row that existed throughout the listing was seen or is known to be unreadable; for a resumed keyset,
   * every row after the cursor. In pages mode the proof is a count with one blind spot: a row deleted and another
   * created between the same two pages cancel out. So a row that a listing lacks is only a suspect.
   */
  readonly complete: boolean;
  readonly reason?: string;
  /** The mode in which the listing ended. */
  readonly mode: ListingCursor['mode'];
  /** Including failed attempts. */
  readonly requests: number;
  /** Whether the portal counted the rows. Without a count, no rows look the same as one row that breaks its lists. */
  readonly isCounted: boolean;
  readonly measured: ListingMeasures;
}
