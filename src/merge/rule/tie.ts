/**
 * Ties: an announced state whose version does not show whether the row is older.
 *
 * Flowlu's versions have one-second resolution and many models have none, so ties are common. They are ordered by
 * content: each delivery leads `from` one state `to` the next, and the deliveries of one version form a path if none is
 * missing or repeated. Otherwise only the API knows, and the row becomes doubtful.
 */
import { groupBy } from '../../core/group.ts';
import { contains, contentHash, mergeRecords, type Shape } from '../../record/record.ts';
import { compareVersions, type Version } from '../../record/version.ts';
import type { Decision } from '../../store/deliveries/ledger.ts';
import type { Announced, Earlier, Link, NextRow, Row, Surroundings, Verdict } from './observation.ts';

const REVISITED = 'deliveries of one version return to an earlier state, or may, so their order cannot be told';
const UNLINKED = 'two states of one version, and nothing tells which came last';

export function judgeTie(row: Row, seen: Announced, around: Surroundings): Verdict {
  const { shape } = around;
  const others = around.earlier.filter((earlier) => sameVersion(earlier.version, seen.version));
  const seenBefore = others.some((earlier) => sameLink(earlier.link, seen.link));
  const self: Earlier = { link: seen.link, version: seen.version, record: seen.record };
  const moves = distinct([...others, self]).filter(({ link }) => link.from !== link.to);
  const revisited = mayReturnToAState(moves) ? REVISITED : null;

  if (contains(shape, row.record, seen.record)) return keep('duplicate', revisited);
  // Applied late, from the ledger: the API was read after the announcement, so it included the change.
  if (row.source === 'api' && row.observedAt > seen.observedAt) return keep('stale');
  if (seenBefore) return keep('stale', 'a delivery seen before, while the row has moved on');
  if (seen.previous !== null && contains(shape, row.record, seen.previous)) {
    return take(row, seen, revisited === null ? followFrom(self, moves) : self, revisited, around);
  }
  if (revisited === null && moves.some(({ link }) => link.to === row.hash)) {
    const last = lastOfPath(moves);
    if (last?.link.to === row.hash) return keep('stale');
    if (last !== null) return take(row, seen, last, null, around);
  }
  // Without versions the newest arrival is the best guess; with equal ones the present row is as good.
  const doubt = revisited ?? UNLINKED;
  const isNewest = row.version === null && seen.observedAt >= row.observedAt;
  return isNewest ? take(row, seen, self, doubt, around) : keep('kept', doubt);
}

/** Applies the state of the chosen delivery, or the observation's own state if that record is not available. */
function take(row: Row, seen: Announced, chosen: Earlier | null, doubt: string | null, around: Surroundings): Verdict {
  const record = chosen?.record ?? null;
  const needs = record === null && typeof chosen?.unread === 'string' ? { needs: chosen.unread } : {};
  return {
    ...needs,
    decision: 'updated',
    row: announcedRow(row, record === null ? seen : { ...seen, record }, around.shape),
    doubt: doubt ?? (record === null ? UNLINKED : null),
  };
}

/** Where a creation leads from: the known absence of a state, unlike an unknown state. */
const BIRTH = '00000000-0000-0000-0000-000000000000';

/**
 * How a payload connects to the deliveries before and after it, as needed for ties.
 * @param isBirth true for a creation, before which there was no state
 */
export function linkOf(
  shape: Surroundings['shape'],
  record: Announced['record'],
  previous: Announced['previous'],
  isBirth: boolean,
): Link {
  const from = previous === null ? (isBirth ? BIRTH : null) : contentHash(shape, previous);
  return { from, to: contentHash(shape, record) };
}

function sameVersion(a: Version, b: Version): boolean {
  return a === null || b === null ? a === b : compareVersions(a, b) === 0;
}

function sameLink(a: Link, b: Link): boolean {
  return a.from === b.from && a.to === b.to;
}

/** The first of each link. */
function distinct(earlier: readonly Earlier[]): readonly Earlier[] {
  const byLink = groupBy(earlier, ({ link }) => `${link.from} ${link.to}`);
  return [...byLink.values()].flatMap(([first]) => first ?? []);
}

/** False only if the deliveries show that each state of the version occurred once. */
function mayReturnToAState(links: readonly Earlier[]): boolean {
  // A state with unknown predecessor may be one that came back; among others its place is uncertain.
  if (links.length > 1 && links.some(({ link }) => link.from === null)) return true;
  const entered = new Set(links.map(({ link }) => link.to));
  const left = successors(links);
  if (entered.size < links.length || left.size < links.length) return true;
  // States entered and left once form paths and circles, and only paths have a beginning.
  const onPaths = links
    .filter(({ link }) => !entered.has(link.from as string))
    .flatMap((start) => pathFrom(start, left));
  return onPaths.length < links.length;
}

/** The delivery that leads on from each state, for states that are left once. */
function successors(links: readonly Earlier[]): ReadonlyMap<string | null, Earlier> {
  return new Map(links.map((one) => [one.link.from, one]));
}

/** From `start` to the last delivery that follows; here states are entered and left once and form no circle. */
function pathFrom(start: Earlier, left: ReadonlyMap<string | null, Earlier>): readonly Earlier[] {
  const path = [start];
  for (let next = left.get(start.link.to); next !== undefined && path.length <= left.size; ) {
    path.push(next);
    next = left.get(next.link.to);
  }
  return path;
}

function followFrom(start: Earlier, links: readonly Earlier[]): Earlier | null {
  return pathFrom(start, successors(links)).at(-1) ?? null;
}

/** The end of the path that all links together form; null if they do not form one. */
function lastOfPath(links: readonly Earlier[]): Earlier | null {
  const entered = new Set(links.map(({ link }) => link.to));
  const starts = links.filter(({ link }) => !entered.has(link.from as string));
  const first = starts[0];
  return first === undefined || starts.length > 1 ? null : followFrom(first, links);
}

export function write(decision: Decision, row: NextRow, doubt: string | null = null): Verdict {
  return { decision, row, doubt };
}

export function keep(decision: Decision, doubt: string | null = null): Verdict {
  return { decision, row: null, doubt };
}

/** The row after an announced state. Fields that it lacks keep their stored value. */
export function announcedRow(row: Row | null, seen: Announced, shape: Shape): NextRow {
  return {
    record: row === null ? seen.record : mergeRecords(shape, row.record, seen.record),
    observedAt: seen.observedAt,
    source: 'webhook',
    deletedAt: null,
  };
}
