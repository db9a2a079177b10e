/**
 * Derives what the history keeps of an entity from the writer's verdicts. Pure.
 *
 * Not every write is a change at the source: a row first met through the API was not created by it, a record spelt
 * differently means the same, and a reading that shows more fields of the same version adds knowledge, but nothing
 * happened.
 */
import { type Patch, patchBetween } from '../../record/differences.ts';
import { mergeRecords } from '../../record/record.ts';
import { compareVersions } from '../../record/version.ts';
import type { Change, ChangePath, Prior } from '../../store/history.ts';
import { type FoldContext, type Folded, rowVersion } from './fold.ts';
import type { Observation, Row } from './observation.ts';

type Context = Pick<FoldContext, 'model' | 'shape' | 'zone'>;

const UNKNOWN: Prior = { priorVersion: null, priorObservedAt: null };

/** The changes by which `row` (null: unknown entity) became the result of the fold, in order of acceptance. */
export function changesOf(
  row: Row | null,
  seen: readonly Observation[],
  folded: Folded,
  context: Context,
): readonly Change[] {
  const changes: Change[] = [];
  let held = row;
  for (const [index, now] of folded.rows.entries()) {
    if (now === null) continue;
    const observation = seen[index] as Observation;
    changes.push(...(held === null ? firstSight(now, observation, context) : step(held, now, observation, context)));
    held = now;
  }
  return changes;
}

function step(held: Row, now: Row, seen: Observation, { shape }: Context): readonly Change[] {
  const path = pathOf(seen);
  const patch = held.record === now.record ? null : patchBetween(shape, held.record, now.record);
  const isNoChange = patch === null || (path !== 'webhook' && isSameTime(held, now) && !patch.changesValues);
  if (now.deletedAt !== null) return deletion(held, now, path, patch);
  if (held.deletedAt !== null) {
    // A version from before the deletion does not say when the record came back.
    const version = now.version !== null && now.version.at > held.deletedAt ? now.version.at : null;
    return [{ ...change('revived', now, path, priorOf(held), patch), version }];
  }
  return isNoChange ? [] : [change('updated', now, path, priorOf(held), patch)];
}

/** A deletion also contains the last state, which may be new to the mirror. */
function deletion(held: Row, now: Row, path: ChangePath, patch: Patch | null): readonly Change[] {
  const told = patch === null || (isSameTime(held, now) && !patch.changesValues) ? null : patch;
  if (told === null) return [deleted(now, path, priorOf(held))];
  return [change('updated', now, path, priorOf(held), told), deleted(now, path, priorOf(now))];
}

/** The first observation of an entity. What the API returns existed before, so it is no change. */
function firstSight(now: Row, seen: Observation, context: Context): readonly Change[] {
  if (seen.says === 'deleted') return [deleted(now, 'webhook', toldBefore(seen.previous, now, context))];
  if (seen.says !== 'announced') return [];
  const { previous } = seen;
  if (previous === null && seen.link.from !== null) return [change('created', now, 'webhook', UNKNOWN, null)];
  // Fields that the webhook leaves out are assumed not to have changed.
  const before = previous === null ? null : mergeRecords(context.shape, now.record, previous);
  const patch = before === null ? null : patchBetween(context.shape, before, now.record);
  return [change('updated', now, 'webhook', toldBefore(previous, now, context), patch)];
}

function toldBefore(previous: Row['record'] | null, now: Row, context: Context): Prior {
  const version = previous === null ? null : rowVersion(previous, now.observedAt, context);
  return { ...UNKNOWN, priorVersion: version?.at ?? null };
}

function change(kind: Change['kind'], now: Row, path: ChangePath, prior: Prior, patch: Patch | null): Change {
  const { version, observedAt } = now;
  const { before = null, after = null } = patch ?? {};
  return { kind, version: version?.at ?? null, observedAt, path, before, after, ...prior };
}

/** The version of a deleted record is that of its last state; only the observation says when it was deleted. */
function deleted(now: Row, path: ChangePath, prior: Prior): Change {
  return { ...change('deleted', now, path, prior, null), version: null };
}

function priorOf(row: Row): Prior {
  return { priorVersion: row.version?.at ?? null, priorObservedAt: row.observedAt };
}

function pathOf(seen: Observation): ChangePath {
  if (seen.says === 'present') return seen.whole ? 'get' : 'list';
  return seen.says === 'absent' ? 'get' : 'webhook';
}

function isSameTime(a: Row, b: Row): boolean {
  return compareVersions(a.version, b.version) === 0;
}
