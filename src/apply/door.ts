/**
 * The door: the only writer of mirror rows. Whatever was observed, by webhook or by API, comes through here.
 *
 * Within the caller's transaction it locks the rows concerned in one fixed order, folds the observations through the
 * rule and writes what changed, set by set. New rows of two transactions may collide; the later one then starts anew
 * (`RaceLostError`), since only rows that exist can be locked.
 */

import { coerceRecord } from '../catalog/coerce.ts';
import type { Micros } from '../catalog/instant.ts';
import { splitName } from '../catalog/name.ts';
import { type Shape, UNKNOWN_SHAPE } from '../catalog/record.ts';
import { versionOf } from '../catalog/version.ts';
import type { Zone } from '../catalog/zone.ts';
import type { Transaction } from '../db/connection.ts';
import { clearDoubts, raiseDoubts } from '../db/doubtful.ts';
import { insertRows, lockRows, type RowToWrite, type Shelf, updateRows } from '../db/mirror-rows.ts';
import { findKin } from '../intake/ledger.ts';
import { type FoldContext, type Folded, fold, mayTie, rowVersion } from './fold.ts';
import { kinOf } from './kin.ts';
import type { Kin, Observation, Row, Verdict } from './observation.ts';

/** One observation of one entity. */
export interface Sighting {
  readonly shelf: Shelf;
  readonly entityId: string;
  readonly observation: Observation;
}

export interface DoorContext {
  readonly zone: Zone;
  /** What a shelf's records are compared by; the catalogue's fields alone when left out. */
  readonly shapeOf?: (shelf: Shelf) => Shape;
  readonly settleGrace: Micros;
  /** Called for each field whose value did not fit its column. */
  readonly onMisfit?: (model: string, field: string) => void;
}

/** What a shelf's records are compared by. */
export function shapeOf(shelf: Shelf, context: Pick<DoorContext, 'shapeOf'>): Shape {
  return context.shapeOf?.(shelf) ?? shelf.model ?? UNKNOWN_SHAPE;
}

/** Another transaction inserted one of the rows first; run the transaction again. */
export class RaceLostError extends Error {
  override readonly name = 'RaceLostError';
}

/**
 * Lets sightings in, in their order; returns one verdict for each.
 * @param applying ids of ledger entries that these sightings come from and that the ledger already holds
 * @throws RaceLostError when the transaction must be run again.
 */
export async function admit(
  tx: Transaction,
  sightings: readonly Sighting[],
  context: DoorContext,
  applying: readonly string[] = [],
): Promise<readonly Verdict[]> {
  const groups = groupByShelf(sightings);
  const locked = await Promise.all(groups.map((group) => lockGroup(tx, group, context)));
  const folded = await Promise.all(locked.map((group) => foldGroup(tx, group, applying)));
  await Promise.all(folded.map((group) => writeGroup(tx, group, context)));
  await raiseDoubts(tx, folded.flatMap(doubtsOf));
  await clearDoubts(tx, folded.flatMap(settledBy));
  const verdicts = new Map(folded.flatMap(verdictsByPosition));
  return sightings.map((_, position) => verdicts.get(position) as Verdict);
}

interface Entity {
  readonly id: string;
  readonly seen: { readonly position: number; readonly observation: Observation }[];
}

interface Group {
  readonly shelf: Shelf;
  readonly entities: readonly Entity[];
}

/** Sightings by shelf and entity, both in a fixed order: every transaction takes its locks the same way round. */
function groupByShelf(sightings: readonly Sighting[]): readonly Group[] {
  const shelves = new Map<string, { shelf: Shelf; entities: Map<string, Entity> }>();
  for (const [position, { shelf, entityId, observation }] of sightings.entries()) {
    const group = shelves.get(shelf.name) ?? { shelf, entities: new Map<string, Entity>() };
    shelves.set(shelf.name, group);
    const entity = group.entities.get(entityId) ?? { id: entityId, seen: [] };
    group.entities.set(entityId, entity);
    entity.seen.push({ position, observation });
  }
  return [...shelves.values()]
    .sort((a, b) => (a.shelf.name < b.shelf.name ? -1 : 1))
    .map(({ shelf, entities }) => ({ shelf, entities: [...entities.values()] }));
}

interface LockedGroup extends Group {
  readonly fold: FoldContext;
  readonly rows: ReadonlyMap<string, Row>;
}

async function lockGroup(tx: Transaction, group: Group, context: DoorContext): Promise<LockedGroup> {
  const { shelf, entities } = group;
  const shape = shapeOf(shelf, context);
  const foldContext = { model: shelf.model, shape, zone: context.zone, settleGrace: context.settleGrace };
  const stored = await lockRows(
    tx,
    shelf,
    entities.map(({ id }) => id),
  );
  const rows = stored.map((row): [string, Row] => [
    row.id,
    { ...row, version: rowVersion(row.record, row.observedAt, foldContext) },
  ]);
  return { ...group, fold: foldContext, rows: new Map(rows) };
}

interface FoldedGroup extends LockedGroup {
  readonly results: ReadonlyMap<string, Folded>;
}

async function foldGroup(tx: Transaction, group: LockedGroup, applying: readonly string[]): Promise<FoldedGroup> {
  const observations = ({ seen }: Entity) => seen.map(({ observation }) => observation);
  const tied = group.entities.filter((entity) => mayTie(group.rows.get(entity.id) ?? null, observations(entity)));
  const kin = tied.length === 0 ? new Map<string, Kin[]>() : await loadKin(tx, group, tied, applying);
  const results = group.entities.map((entity): [string, Folded] => [
    entity.id,
    fold(group.rows.get(entity.id) ?? null, observations(entity), kin.get(entity.id) ?? [], group.fold),
  ]);
  return { ...group, results: new Map(results) };
}

/** Asked for after the rows are locked, so that what another replica has just recorded about them is in it. */
async function loadKin(
  tx: Transaction,
  group: LockedGroup,
  entities: readonly Entity[],
  applying: readonly string[],
): Promise<ReadonlyMap<string, Kin[]>> {
  const { module, model } = splitName(group.shelf.name);
  const ids = entities.map(({ id }) => id);
  const entries = await findKin(tx, { module, model }, ids, applying);
  const kin = new Map<string, Kin[]>();
  // The ledger answers newest first; the rule wants the order of arrival.
  for (const entry of entries.reverse()) {
    kin.set(entry.entityId, [...(kin.get(entry.entityId) ?? []), kinOf(entry, group.fold.zone)]);
  }
  return kin;
}

async function writeGroup(tx: Transaction, group: FoldedGroup, context: DoorContext): Promise<void> {
  const inserts: RowToWrite[] = [];
  const updates: RowToWrite[] = [];
  for (const [id, { row }] of group.results) {
    if (row === null) continue;
    (group.rows.has(id) ? updates : inserts).push(rowToWrite(id, row, group, context));
  }
  const [inserted] = await Promise.all([insertRows(tx, group.shelf, inserts), updateRows(tx, group.shelf, updates)]);
  if (inserted < inserts.length) throw new RaceLostError(`rows of ${group.shelf.name} were inserted meanwhile`);
}

function rowToWrite(id: string, row: Row, group: LockedGroup, context: DoorContext): RowToWrite {
  const { columns, misfits } = coerceRecord(group.fold.shape, row.record, group.fold.zone);
  for (const field of misfits) context.onMisfit?.(group.shelf.name, field);
  const version = versionOf(group.fold.model, row.record, group.fold.zone);
  return { ...row, id, columns, version: version?.at ?? null };
}

function doubtsOf(group: FoldedGroup) {
  return [...group.results].flatMap(([entityId, { verdicts }]) => {
    const reason = verdicts.findLast(({ doubt }) => doubt !== null)?.doubt ?? null;
    return reason === null ? [] : [{ model: group.shelf.name, entityId, reason }];
  });
}

/** Entities of which the API has said, without contradiction, how they stand. */
function settledBy(group: FoldedGroup) {
  return group.entities.flatMap(({ id, seen }) =>
    seen.flatMap(({ observation }, index) => {
      const verdict = group.results.get(id)?.verdicts[index];
      // A reading that something newer overtook settles nothing.
      const plain = verdict?.doubt === null && verdict.decision !== 'ignored' && tellsAll(observation);
      return plain ? [{ model: group.shelf.name, entityId: id, observedAt: observation.observedAt }] : [];
    }),
  );
}

/** A `get` speaks of the whole record; a list may leave out the very field that is in doubt. */
function tellsAll(observation: Observation): boolean {
  return observation.says === 'absent' || (observation.says === 'present' && observation.whole);
}

function verdictsByPosition(group: FoldedGroup): [number, Verdict][] {
  return group.entities.flatMap(({ id, seen }) =>
    (group.results.get(id)?.verdicts ?? []).map((verdict, index): [number, Verdict] => [
      seen[index]?.position ?? -1,
      verdict,
    ]),
  );
}
