/** What the mirror learns (observations), what it holds (rows), and what it concludes (verdicts). */
import type { JsonObject } from '../../core/json.ts';
import type { Micros } from '../../core/time.ts';
import type { Shape } from '../../record/record.ts';
import type { Version } from '../../record/version.ts';
import type { Decision } from '../../store/deliveries/ledger.ts';

export interface Row {
  readonly record: JsonObject;
  /** The source's last-change time, as far as it can be believed. */
  readonly version: Version;
  readonly observedAt: Micros;
  readonly source: Source;
  readonly deletedAt: Micros | null;
  readonly hash: string;
}

/** `erased`: nothing is held but the id, on a privacy request; only the API can bring such an entity back. */
export type Source = 'webhook' | 'api' | 'erased';

/** A webhook says how the entity stands after a change. */
export interface Announced {
  readonly says: 'announced';
  readonly record: JsonObject;
  /** The entity before the change, or null where the webhook does not tell. */
  readonly previous: JsonObject | null;
  readonly version: Version;
  readonly observedAt: Micros;
  /** Identifies the change among the entity's deliveries. */
  readonly link: Link;
}

/** A webhook says that the entity was deleted. */
export interface Deleted {
  readonly says: 'deleted';
  readonly previous: JsonObject | null;
  readonly version: Version;
  readonly observedAt: Micros;
}

/** A webhook speaks of the entity in words the mirror does not know. */
export interface Unclear {
  readonly says: 'unclear';
  readonly reason: string;
  readonly observedAt: Micros;
}

/** The API lists or returns the entity. */
export interface Present {
  readonly says: 'present';
  readonly record: JsonObject;
  readonly version: Version;
  /** The moment before the request was sent. */
  readonly observedAt: Micros;
  /** True when the record is whole (`get`), false where keys may be left out (`list`). */
  readonly whole: boolean;
  /** True for a read that was made to settle a doubt. */
  readonly settling: boolean;
}

/** The API answered that the entity does not exist. Never concluded from a list alone. */
export interface Absent {
  readonly says: 'absent';
  readonly observedAt: Micros;
}

export type Observation = Announced | Deleted | Unclear | Present | Absent;

/** Content hashes that tell how one delivery connects to others: `from` one state, null where it is not told, `to` the next. */
export interface Link {
  readonly from: string | null;
  readonly to: string;
}

/** A delivery about the same entity that the ledger remembers. */
export interface Earlier {
  readonly link: Link;
  readonly version: Version;
  /** The announced record, where it may still have to be applied; null where it was, or has not been read. */
  readonly record: JsonObject | null;
  /** Under which id the ledger has the record, where it may have to be applied. */
  readonly unread?: string | null;
}

export interface Verdict {
  readonly decision: Decision;
  /** The row to hold from now on, or null to leave it as it is. */
  readonly row: NextRow | null;
  /** Why only the API can tell what is right, or null where nothing is in doubt. */
  readonly doubt: string | null;
  /** The id of an earlier delivery whose record has to be read first; then this is no verdict yet. */
  readonly needs?: string;
}

/** A row to write; its version and hash follow from the record. */
export type NextRow = Omit<Row, 'version' | 'hash'>;

/** What the rule needs to know besides the row and the observation. */
export interface Surroundings {
  readonly shape: Shape;
  /** Other deliveries about the entity that the ledger remembers; only ties ask for them. */
  readonly earlier: readonly Earlier[];
  /** How long a settled reading must lie after the row's own observation to overrule its version. */
  readonly settleGrace: Micros;
}
