/**
 * Ties: an announced state whose version does not tell whether the row is older.
 *
 * Flowlu's versions have one-second resolution and many models have none, so ties are everyday. What orders them is
 * content: each delivery leads `from` one state `to` the next, and the deliveries of one version form a path when
 * nothing is missing or repeated. Where they do not, only the API knows, and the row becomes doubtful.
 */
import { contains, contentHash } from '../catalog/record.ts';
import { compareVersions, type Version } from '../catalog/version.ts';
import type { Announced, Kin, Link, Row, Surroundings, Verdict } from './observation.ts';
import { announcedRow, keep } from './verdict.ts';

const REVISITED = 'deliveries of one version return to an earlier state, so their order cannot be told';
const UNLINKED = 'two states of one version, and nothing tells which came last';

/** Decides an announced state that ties with a live row. */
export function judgeTie(row: Row, seen: Announced, around: Surroundings): Verdict {
  const { shape } = around;
  const others = around.kin.filter((kin) => sameVersion(kin.version, seen.version));
  const seenBefore = others.some((kin) => sameLink(kin.link, seen.link));
  const self: Kin = { link: seen.link, version: seen.version, record: seen.record };
  const moves = distinct([...others, self]).filter(({ link }) => link.from !== link.to);
  const revisited = returnsToAState(moves, seenBefore) ? REVISITED : null;

  if (contains(shape, row.record, seen.record)) return keep('duplicate', revisited);
  if (seenBefore) return keep('stale', 'a delivery seen before, while the row has moved on');
  if (seen.previous !== null && contains(shape, row.record, seen.previous)) {
    return take(row, seen, revisited === null ? followFrom(self, moves) : self, revisited, around);
  }
  if (revisited === null && moves.some(({ link }) => link.to === row.hash)) {
    const last = lastOfPath(moves);
    if (last?.link.to === row.hash) return keep('stale');
    if (last !== null) return take(row, seen, last, null, around);
  }
  // Without versions the newest arrival is the best guess; with equal ones what stands is as good.
  const doubt = revisited ?? UNLINKED;
  return row.version === null ? take(row, seen, self, doubt, around) : keep('kept', doubt);
}

/** Applies the state that the chosen delivery tells; its own, where the chosen one's record is not at hand. */
function take(row: Row, seen: Announced, chosen: Kin | null, doubt: string | null, around: Surroundings): Verdict {
  const record = chosen?.record ?? null;
  return {
    decision: 'updated',
    row: announcedRow(row, record === null ? seen : { ...seen, record }, around.shape),
    doubt: doubt ?? (record === null ? UNLINKED : null),
  };
}

/** What a tie asks of the ledger: how a payload connects to the deliveries before and after it. */
export function linkOf(
  shape: Surroundings['shape'],
  record: Announced['record'],
  previous: Announced['previous'],
): Link {
  return { from: previous === null ? null : contentHash(shape, previous), to: contentHash(shape, record) };
}

function sameVersion(a: Version, b: Version): boolean {
  return a === null || b === null ? a === b : compareVersions(a, b) === 0;
}

function sameLink(a: Link, b: Link): boolean {
  return a.from === b.from && a.to === b.to;
}

function distinct(kin: readonly Kin[]): readonly Kin[] {
  return kin.filter((one, index) => kin.findIndex((other) => sameLink(one.link, other.link)) === index);
}

/** True when the states of one version cannot have been passed through once each. */
function returnsToAState(links: readonly Kin[], repeated: boolean): boolean {
  const entered = links.map(({ link }) => link.to);
  const left = links.flatMap(({ link }) => (link.from === null || link.from === link.to ? [] : [link.from]));
  if (new Set(entered).size < entered.length || new Set(left).size < left.length) return true;
  // A repeated body without a "before" may be a repetition or a return, if another state lies between.
  if (repeated && links.length > 1 && links.some(({ link }) => link.from === null)) return true;
  return links.some((start) => {
    const end = followFrom(start, links);
    return end === null || (start.link.from !== null && end.link.to === start.link.from);
  });
}

/** The last link reachable from `start`; null when the way leads in a circle. States are entered and left once here. */
function followFrom(start: Kin, links: readonly Kin[]): Kin | null {
  let here = start;
  for (let steps = 0; steps <= links.length; steps += 1) {
    const next = links.find(({ link }) => link.from === here.link.to && link.from !== link.to);
    if (next === undefined) return here;
    here = next;
  }
  return null;
}

/** The end of the path that all links form together; null where they do not form one. */
function lastOfPath(links: readonly Kin[]): Kin | null {
  const starts = links.filter(({ link }) => !links.some((other) => other.link.to === link.from));
  const first = starts[0];
  if (first === undefined || starts.length > 1) return null;
  return followFrom(first, links);
}
