/** What a verification finds: where a row of the mirror and a record of the portal disagree. Pure. */

import type { JsonObject } from '../core/json.ts';
import type { Micros } from '../core/time.ts';
import { rowVersion } from '../merge/rule/fold.ts';
import type { MirrorTable, StoredRow } from '../mirror-rows/rows.ts';
import { differingFields } from '../record/differences.ts';
import { recordFields, type Shape } from '../record/record.ts';
import { compareVersions, credible, versionOf } from '../record/version.ts';
import type { Zone } from '../record/zone.ts';

export const FINDING_KINDS = ['missing', 'extra', 'stale', 'differing'] as const;

export type FindingKind =
  /** The portal has it; the mirror does not, or holds it as deleted. */
  | 'missing'
  /** Live in the mirror; the portal does not have it. */
  | 'extra'
  /** The portal's version is newer. */
  | 'stale'
  /** Other content, or typed columns that disagree with the record. */
  | 'differing';

export interface Difference {
  readonly kind: FindingKind;
  /** Fields whose meaning differs between the records. */
  readonly fields: readonly string[];
  /** Columns of the row that disagree with its own record. */
  readonly columns: readonly string[];
}

export interface Finding extends Difference {
  readonly id: string;
}

/** A finding that may still be a change in progress. */
export interface Candidate extends Finding {
  /** The compared fields: those in the list; null for all. */
  readonly compared: readonly string[] | null;
  /** Suspected because it was not listed, which an incomplete list explains as well. */
  readonly suspected: boolean;
}

/** A record as the portal returned it. */
export interface Told {
  readonly record: JsonObject;
  readonly observedAt: Micros;
  readonly compared: readonly string[] | null;
}

export interface CompareContext {
  readonly table: MirrorTable;
  readonly shape: Shape;
  readonly zone: Zone;
}

/** The names by which a listed record is compared: a key missing from a list is no difference. */
export function namesOf(shape: Shape, record: JsonObject): readonly string[] {
  return Object.keys(recordFields(shape, record));
}

/** How the mirror's row disagrees with the portal's record, or null. */
export function compareRow(row: StoredRow | null, told: Told, context: CompareContext): Difference | null {
  if (row === null || row.deletedAt !== null) return { kind: 'missing', fields: [], columns: [] };
  const { table, shape, zone } = context;
  const theirs = credible(versionOf(table.model, told.record, zone), told.observedAt);
  const ours = rowVersion(row.record, row.observedAt, { model: table.model, zone });
  const fields = differingFields(shape, row.record, told.record, told.compared);
  if ((compareVersions(theirs, ours) ?? 0) > 0) return { kind: 'stale', fields, columns: [] };
  return fields.length === 0 ? null : { kind: 'differing', fields, columns: [] };
}

/** Candidates of one model, up to a limit; beyond it they are only counted. */
export interface Candidates {
  add(candidate: Candidate): void;
  /** Counts candidates that were found but not passed on. */
  miss(count: number): void;
  /** Drops the suspected ones: the list without them turned out to prove nothing. */
  dropSuspected(): void;
  room(): number;
  taken(): readonly Candidate[];
  /** Candidates beyond the limit. */
  missed(): number;
}

export function createCandidates(max: number): Candidates {
  const byId = new Map<string, Candidate>();
  let missed = 0;
  return {
    add(candidate) {
      if (byId.size < max || byId.has(candidate.id)) byId.set(candidate.id, candidate);
      else missed += 1;
    },
    miss: (count) => {
      missed += count;
    },
    dropSuspected() {
      for (const { id, suspected } of [...byId.values()]) if (suspected) byId.delete(id);
    },
    room: () => max - byId.size,
    taken: () => [...byId.values()],
    missed: () => missed,
  };
}
