/**
 * The mirror's only rule: what a row becomes when something is learnt about its entity. Pure, and the same for
 * webhooks, lists, single reads, replays and repairs. See "Merge rules" in `docs/invariants.md`.
 */
import { contains, contentHash, hasAlias, mergeRecords, type Shape } from '../../record/record.ts';
import { compareVersions } from '../../record/version.ts';
import type {
  Absent,
  Announced,
  Deleted,
  NextRow,
  Observation,
  Present,
  Row,
  Surroundings,
  Verdict,
} from './observation.ts';
import { announcedRow, judgeTie, keep, write } from './tie.ts';

/** Decides what becomes of `row` (null: unknown entity) after `seen`. */
export function decide(row: Row | null, seen: Observation, around: Surroundings): Verdict {
  if (row?.source === 'erased' && isUnconfirmed(seen)) return keep('erased');
  switch (seen.says) {
    case 'announced':
      return decideAnnounced(row, seen, around);
    case 'deleted':
      return decideDeleted(row, seen, around.shape);
    case 'unclear':
      return keep('kept', seen.reason);
    case 'present':
      return decidePresent(row, seen, around);
    case 'absent':
      return decideAbsent(row, seen);
    default:
      return seen satisfies never;
  }
}

/** Webhooks are unconfirmed: only the API knows whether an erased entity exists again. */
function isUnconfirmed({ says }: Observation): boolean {
  return says === 'announced' || says === 'deleted' || says === 'unclear';
}

function decideAnnounced(row: Row | null, seen: Announced, around: Surroundings): Verdict {
  if (row === null) return write('inserted', announcedRow(null, seen, around.shape));
  const order = compareVersions(seen.version, row.version);
  if (row.deletedAt !== null) {
    if (order === null) return keep('kept', 'announced after its deletion, and no version tells which came last');
    if (order <= 0) return keep('stale');
    return write('revived', announcedRow(row, seen, around.shape), 'announced with a newer version than its deletion');
  }
  if (order !== null && order > 0) return write('updated', announcedRow(row, seen, around.shape));
  if (order !== null && order < 0) return keep('stale');
  return judgeTie(row, seen, around);
}

function decideDeleted(row: Row | null, seen: Deleted, shape: Shape): Verdict {
  if (row === null) return tombstone(seen.previous ?? {}, seen, 'webhook');
  if (row.deletedAt !== null) return keep('duplicate');
  const order = compareVersions(row.version, seen.version);
  if (order !== null && order > 0) return keep('kept', 'announced as deleted, but the row is newer');
  // The "previous" state in a deletion is the entity's last state: the same as the row's, or newer.
  return tombstone(mergeRecords(shape, row.record, seen.previous ?? {}), seen, 'webhook');
}

function decidePresent(row: Row | null, seen: Present, around: Surroundings): Verdict {
  if (row === null) return write('inserted', presentRow(null, seen, around.shape));
  const readAfter = seen.observedAt > row.observedAt;
  if (row.deletedAt !== null) {
    return readAfter ? write('revived', presentRow(row, seen, around.shape)) : keep('ignored');
  }
  const order = compareVersions(seen.version, row.version);
  if (seen.settling && seen.observedAt >= row.observedAt + around.settleGrace) return refresh(row, seen, around.shape);
  if (readAfter) {
    if (order !== null && order < 0) return keep('kept', 'the API answers with an older version than a webhook told');
    return refresh(row, seen, around.shape);
  }
  if (order !== null && order > 0) return refresh(row, seen, around.shape);
  if (order === null || order < 0) return keep('ignored');
  return agrees(row, seen, around.shape)
    ? keep('unchanged')
    : keep('kept', 'a reading and a webhook that crossed tell different content for one version');
}

function decideAbsent(row: Row | null, seen: Absent): Verdict {
  // The record exists on neither side: the API and the mirror agree.
  if (row === null || row.deletedAt !== null) return keep('unchanged');
  if (seen.observedAt <= row.observedAt) return keep('ignored');
  return tombstone(row.record, seen, 'api');
}

function tombstone(record: Row['record'], { observedAt }: Observation, source: Row['source']): Verdict {
  return write('tombstoned', { record, observedAt, source, deletedAt: observedAt });
}

/** Adopts the API's state, writing only if that changes something. A single read also confirms a webhook's state. */
function refresh(row: Row, seen: Present, shape: Shape): Verdict {
  const isKnown = agrees(row, seen, shape) && !(seen.settling && row.source === 'webhook');
  return isKnown ? keep('unchanged') : write('updated', presentRow(row, seen, shape));
}

function agrees(row: Row, seen: Present, shape: Shape): boolean {
  if (hasAlias(shape, row.record, seen.record)) return false;
  return seen.whole ? contentHash(shape, seen.record) === row.hash : contains(shape, row.record, seen.record);
}

function presentRow(row: Row | null, seen: Present, shape: Shape): NextRow {
  return {
    record: row === null || seen.whole ? seen.record : mergeRecords(shape, row.record, seen.record),
    observedAt: seen.observedAt,
    source: 'api',
    deletedAt: null,
  };
}
