/** What the mirror learns (observations), what it holds (rows), and what it concludes (verdicts). */
import type { JsonObject } from '../../core/json.ts';
import type { Micros } from '../../core/time.ts';
import type { StoredRow } from '../../mirror-rows/rows.ts';
import type { Shape } from '../../record/record.ts';
import type { Version } from '../../record/version.ts';
import type { Decision } from '../../store/deliveries/ledger.ts';

export interface Row extends Omit<StoredRow, 'id'> {
  /** The source's time of the last change, if credible. */
  readonly version: Version;
}

/** A webhook with the state after a change. */
export interface Announced {
  readonly says: 'announced';
  readonly record: JsonObject;
  /** The state before the change, or null if the webhook lacks it. */
  readonly previous: JsonObject | null;
  readonly version: Version;
  readonly observedAt: Micros;
  /** Identifies the change among the entity's deliveries. */
  readonly link: Link;
}

export interface Deleted {
  readonly says: 'deleted';
  readonly previous: JsonObject | null;
  readonly version: Version;
  readonly observedAt: Micros;
}

/** A webhook about the entity whose meaning the mirror does not know. */
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
  /** True if the record is whole (`get`), false if keys may be missing (`list`). */
  readonly whole: boolean;
  /** True for a read made to settle a doubt. */
  readonly settling: boolean;
}

/** The API answered that the entity does not exist. Never concluded from a list alone. */
export interface Absent {
  readonly says: 'absent';
  readonly observedAt: Micros;
}

export type Observation = Announced | Deleted | Unclear | Present | Absent;

/** Content hashes that link one delivery to others: of the state before, null if unknown, and of the state after. */
export interface Link {
  readonly from: string | null;
  readonly to: string;
}

/** A delivery about the same entity that is in the ledger. */
export interface Earlier {
  readonly link: Link;
  readonly version: Version;
  /** The announced record, if it may still have to be applied; null if it was applied or is not read yet. */
  readonly record: JsonObject | null;
  /** The ledger's id of the record, if it may have to be applied. */
  readonly unread?: string | null;
}

export interface Verdict {
  readonly decision: Decision;
  /** The row to hold from now on, or null to leave it as it is. */
  readonly row: NextRow | null;
  /** Why only the API can tell what is right, or null without doubt. */
  readonly doubt: string | null;
  /** The id of an earlier delivery whose record must be read first. Until then this is no verdict. */
  readonly needs?: string;
}

/** A row to write. Its version and hash follow from the record. */
export type NextRow = Omit<Row, 'version' | 'hash'>;

/** What the rule needs besides the row and the observation. */
export interface Surroundings {
  readonly shape: Shape;
  /** Other deliveries about the entity in the ledger, only needed for ties. */
  readonly earlier: readonly Earlier[];
  /** How long after the row's own observation a settling read must be made to overrule its version. */
  readonly settleGrace: Micros;
}
