/**
 * The door: the only writer of mirror rows. Whatever was observed, by webhook or by API, comes through here.
 *
 * Within the caller's transaction it locks the rows concerned in one fixed order, folds the observations through the
 * rule and writes what changed, set by set. New rows of two transactions may collide, since only rows that exist can be
 * locked; the server then refuses the later one, which has to run again.
 */

import { coerceRecord } from '../catalog/coerce.ts';
import { compareIds } from '../catalog/id.ts';
import type { Micros } from '../catalog/instant.ts';
import { splitName } from '../catalog/name.ts';
import { type Shape, UNKNOWN_SHAPE } from '../catalog/record.ts';
import { versionOf } from '../catalog/version.ts';
import type { Zone } from '../catalog/zone.ts';
import { allAnswers, isConnectionError, isPassing, isRetryable, type Transaction } from '../db/connection.ts';
import { clearDoubts, raiseDoubts } from '../db/doubtful.ts';
import { appendChanges, type HistoryEntry } from '../db/history/changes.ts';
import { insertRows, type KnownRow, lockRows, type RowToWrite, type Shelf, updateRows } from '../db/mirror-rows.ts';
import { findKin } from '../intake/ledger.ts';
import { BlockedError } from './blocked.ts';
import { changesOf } from './changes.ts';
import { type FoldContext, type Folded, fold, mayTie, rowVersion } from './fold.ts';
import { kinOf } from './kin.ts';
import type { Kin, Observation, Row, Verdict } from './observation.ts';

/** The entity that something was observed of. */
export interface Subject {
  readonly shelf: Shelf;
  readonly entityId: string;
  /** What was read of its row a moment ago, by who has: it need not travel again. */
  readonly known?: KnownRow;
}

/** One observation of one entity. */
export interface Sighting extends Subject {
  readonly observation: Observation;
}

export interface DoorContext {
  readonly zone: Zone;
  /** What a shelf's records are compared by; the catalogue's fields alone when left out. */
  readonly shapeOf?: (shelf: Shelf) => Shape;
  readonly settleGrace: Micros;
  /** Whether every change is kept in the history; it is when left out. */
  readonly keepsHistory?: boolean;
  /** Called for each field whose value did not fit its column. */
  readonly onMisfit?: (model: string, field: string) => void;
}

/** What a shelf's records are compared by. */
export function shapeOf(shelf: Shelf, context: Pick<DoorContext, 'shapeOf'>): Shape {
  return context.shapeOf?.(shelf) ?? shelf.model ?? UNKNOWN_SHAPE;
}

/**
 * Lets sightings in, in their order; returns one verdict for each.
 * @param applying ids of ledger entries that these sightings come from and that the ledger already holds
 * @throws what `isRetryable` knows when another transaction was faster; then it must be run again.
 */
export async function admit(
  tx: Transaction,
  sightings: readonly Sighting[],
  context: DoorContext,
  applying: readonly string[] = [],
): Promise<readonly Verdict[]> {
  const locked = await lockSubjects(tx, sightings, context);
  const judged = await judge(tx, locked, sightings, applying);
  await write(tx, judged, context);
  return judged.verdicts;
}

/** Rows of one shelf, locked. */
interface LockedGroup {
  readonly shelf: Shelf;
  readonly fold: FoldContext;
  readonly rows: ReadonlyMap<string, Row>;
}

/** Rows that stay as they are until the transaction ends, by the name of their shelf. */
export type Locked = ReadonlyMap<string, LockedGroup>;

/**
 * The first step of `admit`, for those who want something else to travel with it: locks what sightings will be about.
 * Shelves by name, and in each shelf rows by id: every transaction takes its locks the same way round.
 */
export async function lockSubjects(
  tx: Transaction,
  subjects: readonly Subject[],
  context: DoorContext,
): Promise<Locked> {
  const shelves = new Map<string, { readonly shelf: Shelf; readonly own: Map<string, KnownRow | undefined> }>();
  for (const { shelf, entityId, known } of subjects) {
    const group = shelves.get(shelf.name) ?? { shelf, own: new Map<string, KnownRow | undefined>() };
    shelves.set(shelf.name, group);
    group.own.set(entityId, known);
  }
  const inOrder = [...shelves.values()].sort((a, b) => (a.shelf.name < b.shelf.name ? -1 : 1));
  const groups = await Promise.all(inOrder.map(({ shelf, own }) => lockGroup(tx, shelf, own, context)));
  return new Map(groups.map((group) => [group.shelf.name, group]));
}

/** Names the model in an error that lies with the moment: the others need not wait for it. */
function naming<T>(shelf: Shelf, answer: Promise<T>): Promise<T> {
  return answer.catch((error: unknown) => {
    const isWait = isPassing(error) && !isConnectionError(error) && !isRetryable(error);
    throw isWait ? new BlockedError(shelf.name, error) : error;
  });
}

async function lockGroup(
  tx: Transaction,
  shelf: Shelf,
  own: ReadonlyMap<string, KnownRow | undefined>,
  context: DoorContext,
): Promise<LockedGroup> {
  const shape = shapeOf(shelf, context);
  const foldContext = { model: shelf.model, shape, zone: context.zone, settleGrace: context.settleGrace };
  const known = new Map([...own].flatMap(([id, row]) => (row === undefined ? [] : [[id, row] as const])));
  const stored = await naming(shelf, lockRows(tx, shelf, [...own.keys()], known));
  const rows = stored.map((row): [string, Row] => [
    row.id,
    { ...row, version: rowVersion(row.record, row.observedAt, foldContext) },
  ]);
  return { shelf, fold: foldContext, rows: new Map(rows) };
}

interface Entity {
  readonly id: string;
  readonly seen: { readonly position: number; readonly observation: Observation }[];
}

interface FoldedGroup extends LockedGroup {
  readonly entities: readonly Entity[];
  readonly results: ReadonlyMap<string, Folded>;
}

/** What sightings amount to, not written yet. */
export interface Judged {
  readonly groups: readonly FoldedGroup[];
  /** One for each sighting. */
  readonly verdicts: readonly Verdict[];
}

/** The second step of `admit`: the rule over what is locked. Asks the ledger only where versions may tie. */
export async function judge(
  tx: Transaction,
  locked: Locked,
  sightings: readonly Sighting[],
  applying: readonly string[],
): Promise<Judged> {
  const seen = entitiesByShelf(sightings);
  const groups = await Promise.all(
    [...locked.values()].map((group) => foldGroup(tx, group, seen.get(group.shelf.name) ?? [], applying)),
  );
  const verdicts = new Map(groups.flatMap(verdictsByPosition));
  return { groups, verdicts: sightings.map((_, position) => verdicts.get(position) as Verdict) };
}

function entitiesByShelf(sightings: readonly Sighting[]): ReadonlyMap<string, readonly Entity[]> {
  const shelves = new Map<string, Map<string, Entity>>();
  for (const [position, { shelf, entityId, observation }] of sightings.entries()) {
    const entities = shelves.get(shelf.name) ?? new Map<string, Entity>();
    shelves.set(shelf.name, entities);
    const entity = entities.get(entityId) ?? { id: entityId, seen: [] };
    entities.set(entityId, entity);
    entity.seen.push({ position, observation });
  }
  return new Map([...shelves].map(([name, entities]) => [name, [...entities.values()]]));
}

async function foldGroup(
  tx: Transaction,
  group: LockedGroup,
  entities: readonly Entity[],
  applying: readonly string[],
): Promise<FoldedGroup> {
  const observations = ({ seen }: Entity) => seen.map(({ observation }) => observation);
  const tied = entities.filter((entity) => mayTie(group.rows.get(entity.id) ?? null, observations(entity)));
  const kin = tied.length === 0 ? new Map<string, Kin[]>() : await loadKin(tx, group, tied, applying);
  const results = entities.map((entity): [string, Folded] => [
    entity.id,
    fold(group.rows.get(entity.id) ?? null, observations(entity), kin.get(entity.id) ?? [], group.fold),
  ]);
  return { ...group, entities, results: new Map(results) };
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
    const known = kin.get(entry.entityId) ?? [];
    kin.set(entry.entityId, known);
    known.push(kinOf(entry, group.fold.zone));
  }
  return kin;
}

/**
 * The last step of `admit`: writes set by set. All of its statements are sent before it first waits, so that a commit
 * may travel behind them (`LastFlight`).
 */
export async function write(tx: Transaction, { groups }: Judged, context: DoorContext): Promise<void> {
  await allAnswers([
    ...groups.flatMap((group) => writeGroup(tx, group, context)),
    raiseDoubts(tx, groups.flatMap(doubtsOf)),
    clearDoubts(tx, groups.flatMap(settledBy)),
    appendChanges(tx, context.keepsHistory === false ? [] : groups.flatMap(historyOf)),
  ]);
}

function writeGroup(tx: Transaction, group: FoldedGroup, context: DoorContext): readonly Promise<void>[] {
  const inserts: RowToWrite[] = [];
  const updates: RowToWrite[] = [];
  for (const [id, { row }] of group.results) {
    if (row === null) continue;
    (group.rows.has(id) ? updates : inserts).push(rowToWrite(id, row, group, context));
  }
  // Whoever inserts the same new rows waits for the other's first one, never in a circle.
  inserts.sort((a, b) => compareIds(a.id, b.id));
  return [insertRows(tx, group.shelf, inserts), updateRows(tx, group.shelf, updates)].map((written) =>
    naming(group.shelf, written),
  );
}

function rowToWrite(id: string, row: Row, group: LockedGroup, context: DoorContext): RowToWrite {
  const { columns, misfits } = coerceRecord(group.fold.shape, row.record, group.fold.zone);
  for (const field of misfits) context.onMisfit?.(group.shelf.name, field);
  const version = versionOf(group.fold.model, row.record, group.fold.zone);
  return { ...row, id, columns, version: version?.at ?? null };
}

function historyOf(group: FoldedGroup): HistoryEntry[] {
  return group.entities.flatMap(({ id, seen }) => {
    const folded = group.results.get(id);
    if (folded === undefined || folded.row === null) return [];
    const observations = seen.map(({ observation }) => observation);
    const changes = changesOf(group.rows.get(id) ?? null, observations, folded, group.fold);
    return changes.map((change) => ({ ...change, model: group.shelf.name, entityId: id }));
  });
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
