/**
 * The writer of mirror rows. Every observation, by webhook or API, is written here.
 *
 * Within the caller's transaction it locks the rows in a fixed order, folds the observations through the rule and
 * writes the changes set by set. Since only existing rows can be locked, new rows of two transactions may collide; the
 * server then rejects the later one, which must run again.
 */
import { splitName } from '../catalog/name.ts';
import { TooHeavyError } from '../core/heavy.ts';
import type { Micros } from '../core/time.ts';
import { readDelivery } from '../delivery/delivery.ts';
import {
  insertRows,
  type KnownRow,
  lockRows,
  type MirrorTable,
  type RowToWrite,
  updateRows,
} from '../mirror-rows/rows.ts';
import {
  allAnswers,
  isConnectionError,
  isPassing,
  isRetryable,
  LastFlight,
  type Transaction,
} from '../postgres/connection.ts';
import { coerceRecord } from '../record/coerce.ts';
import { compareIds } from '../record/id.ts';
import { type Shape, UNKNOWN_SHAPE } from '../record/record.ts';
import { versionOf } from '../record/version.ts';
import type { Zone } from '../record/zone.ts';
import { type EarlierEntry, findEarlier, readBody } from '../store/deliveries/ledger.ts';
import { clearDoubts, raiseDoubts } from '../store/doubts.ts';
import { appendChanges, type HistoryEntry } from '../store/history.ts';
import { BlockedError } from './blocked.ts';
import { changesOf } from './rule/changes.ts';
import { type FoldContext, type Folded, fold, mayTie, rowVersion } from './rule/fold.ts';
import type { Earlier, Observation, Row, Verdict } from './rule/observation.ts';
import type { WebhookTexts } from './rule/spelling.ts';

export interface Subject {
  readonly table: MirrorTable;
  readonly entityId: string;
  /** Its row, if the caller has just read it: it need not be sent again. */
  readonly known?: KnownRow;
}

export interface Observed extends Subject {
  readonly observation: Observation;
}

export interface WriterContext {
  readonly zone: Zone;
  /** What a table's records are compared by; by default the catalogue's fields alone. */
  readonly shapeOf?: (table: MirrorTable) => Shape;
  readonly settleGrace: Micros;
  /** Whether every change is kept in the history; true if absent. */
  readonly keepsHistory?: boolean;
  /** How the portal's webhooks spell texts, if known; `learn` is called when an observation shows it. */
  readonly texts?: { known(): WebhookTexts; learn(shown: WebhookTexts): void };
  /** Called for each field whose value did not fit its column. */
  readonly onInvalidValue?: (model: string, field: string) => void;
}

export function shapeOf(table: MirrorTable, context: Pick<WriterContext, 'shapeOf'>): Shape {
  return context.shapeOf?.(table) ?? table.model ?? UNKNOWN_SHAPE;
}

export interface Batch {
  readonly subjects: readonly Subject[];
  /** In their order. May still be pending while the subjects are locked. */
  readonly observed: readonly Observed[] | Promise<readonly Observed[]>;
  /** Ids of the ledger entries that the observations come from, if the ledger already has them. */
  readonly applying?: readonly string[];
}

/**
 * Writes observations in three steps: locks their subjects, applies the rule, and sends all writes at once, so that the
 * commit can follow without waiting. That takes two round trips, and a third if versions tie and the ledger must be
 * read.
 * @param alongside writes more in the same transaction, given one verdict per observation. It must send its statements
 * before it first waits; its result is returned.
 * @throws an error that `isRetryable` recognizes if another transaction was faster; run the transaction again
 */
export async function writeObservations<T>(
  tx: Transaction,
  { subjects, observed, applying = [] }: Batch,
  context: WriterContext,
  alongside: (verdicts: readonly Verdict[]) => T | Promise<T>,
): Promise<LastFlight<T>> {
  const [seen, locked] = await allAnswers([observed, lockSubjects(tx, subjects, context)]);
  const { groups, verdicts } = await judge(tx, locked, seen, applying);
  const answers = allAnswers([write(tx, groups, context), (async () => alongside(verdicts))()]);
  return new LastFlight(answers.then(([, answer]) => answer));
}

interface LockedGroup {
  readonly table: MirrorTable;
  readonly fold: FoldContext;
  readonly rows: ReadonlyMap<string, Row>;
}

/** Rows locked until the transaction ends, by the name of their table. */
type Locked = ReadonlyMap<string, LockedGroup>;

/** Locks tables by name, and the rows of each by id, so that all transactions lock in the same order. */
async function lockSubjects(tx: Transaction, subjects: readonly Subject[], context: WriterContext): Promise<Locked> {
  const tables = new Map<string, { readonly table: MirrorTable; readonly own: Map<string, KnownRow | undefined> }>();
  for (const { table, entityId, known } of subjects) {
    const group = tables.get(table.name) ?? { table, own: new Map<string, KnownRow | undefined>() };
    tables.set(table.name, group);
    group.own.set(entityId, known);
  }
  const inOrder = [...tables.values()].sort((a, b) => (a.table.name < b.table.name ? -1 : 1));
  const groups = await Promise.all(inOrder.map(({ table, own }) => lockGroup(tx, table, own, context, inOrder.length)));
  return new Map(groups.map((group) => [group.table.name, group]));
}

/** Names the model in a temporary error, so that the others need not wait for it. */
function naming<T>(table: MirrorTable, answer: Promise<T>): Promise<T> {
  return answer.catch((error: unknown) => {
    const isWait = isPassing(error) && !isConnectionError(error) && !isRetryable(error);
    throw isWait ? new BlockedError(table, error) : error;
  });
}

async function lockGroup(
  tx: Transaction,
  table: MirrorTable,
  own: ReadonlyMap<string, KnownRow | undefined>,
  context: WriterContext,
  tables: number,
): Promise<LockedGroup> {
  const shape = shapeOf(table, context);
  const texts = context.texts?.known() ?? null;
  const foldContext = { model: table.model, shape, zone: context.zone, settleGrace: context.settleGrace, texts };
  const known = new Map([...own].flatMap(([id, row]) => (row === undefined ? [] : [[id, row] as const])));
  const stored = await naming(table, lockRows(tx, table, [...own.keys()], known, tables));
  const rows = stored.map((row): [string, Row] => [
    row.id,
    { ...row, version: rowVersion(row.record, row.observedAt, foldContext) },
  ]);
  return { table, fold: foldContext, rows: new Map(rows) };
}

interface Entity {
  readonly id: string;
  readonly seen: { readonly position: number; readonly observation: Observation }[];
}

interface FoldedGroup extends LockedGroup {
  readonly entities: readonly Entity[];
  readonly results: ReadonlyMap<string, Folded>;
}

/** Applies the rule to the locked rows: one verdict per observation. Reads the ledger only if versions may tie. */
async function judge(
  tx: Transaction,
  locked: Locked,
  observed: readonly Observed[],
  applying: readonly string[],
): Promise<{ readonly groups: readonly FoldedGroup[]; readonly verdicts: readonly Verdict[] }> {
  const seen = entitiesByTable(observed);
  const room = { bytes: observed.length === 1 ? Number.POSITIVE_INFINITY : MAX_READ_BYTES };
  const groups = await Promise.all(
    [...locked.values()].map((group) => foldGroup(tx, group, seen.get(group.table.name) ?? [], applying, room)),
  );
  const verdicts = new Map(groups.flatMap(verdictsByPosition));
  return { groups, verdicts: observed.map((_, position) => verdicts.get(position) as Verdict) };
}

function entitiesByTable(observed: readonly Observed[]): ReadonlyMap<string, readonly Entity[]> {
  const tables = new Map<string, Map<string, Entity>>();
  for (const [position, { table, entityId, observation }] of observed.entries()) {
    const entities = tables.get(table.name) ?? new Map<string, Entity>();
    tables.set(table.name, entities);
    const entity = entities.get(entityId) ?? { id: entityId, seen: [] };
    entities.set(entityId, entity);
    entity.seen.push({ position, observation });
  }
  return new Map([...tables].map(([name, entities]) => [name, [...entities.values()]]));
}

async function foldGroup(
  tx: Transaction,
  group: LockedGroup,
  entities: readonly Entity[],
  applying: readonly string[],
  room: { bytes: number },
): Promise<FoldedGroup> {
  const observations = ({ seen }: Entity) => seen.map(({ observation }) => observation);
  const tied = entities.filter((entity) => mayTie(group.rows.get(entity.id) ?? null, observations(entity)));
  const earlier = tied.length === 0 ? new Map<string, Earlier[]>() : await loadEarlier(tx, group, tied, applying);
  const results = new Map<string, Folded>();
  for (const entity of entities) {
    const row = group.rows.get(entity.id) ?? null;
    let known: readonly Earlier[] = earlier.get(entity.id) ?? [];
    let folded = fold(row, observations(entity), known, group.fold);
    // Ends, since each iteration reads one more of the earlier deliveries.
    for (let needs = folded.needs; needs !== undefined; needs = folded.needs) {
      const body = (await readBody(tx, needs)) ?? '';
      room.bytes -= body.length;
      if (room.bytes < 0) throw new TooHeavyError('ties need too many bodies at a time');
      // A body stored before there were limits may exceed them.
      const record = readDelivery(body)?.announcement?.current ?? null;
      known = known.map((one) => (one.unread === needs ? { ...one, record, unread: null } : one));
      folded = fold(row, observations(entity), known, group.fold);
    }
    results.set(entity.id, folded);
  }
  return { ...group, entities, results };
}
/** Bytes of earlier bodies that the ties of a batch may need. Those of a single observation always fit. */
const MAX_READ_BYTES = 2 * 2 ** 20;

/** Called after locking the rows, so that it includes what another replica has just recorded about them. */
async function loadEarlier(
  tx: Transaction,
  group: LockedGroup,
  entities: readonly Entity[],
  applying: readonly string[],
): Promise<ReadonlyMap<string, Earlier[]>> {
  const { module, model } = splitName(group.table.name);
  const ids = entities.map(({ id }) => id);
  const entries = await findEarlier(tx, { module, model }, ids, applying);
  const earlier = new Map<string, Earlier[]>();
  // The ledger returns the newest first; the rule needs the order of arrival.
  for (const entry of entries.reverse()) {
    const known = earlier.get(entry.entityId) ?? [];
    earlier.set(entry.entityId, known);
    known.push(earlierOf(entry, group.fold.zone));
  }
  return earlier;
}

function earlierOf(entry: EarlierEntry, zone: Zone): Earlier {
  return {
    link: { from: entry.fromHash, to: entry.toHash },
    version: entry.version === null ? null : { at: entry.version, order: zone.orderOf(entry.version) },
    record: null,
    unread: entry.unapplied,
  };
}

/** Writes set by set. All statements are sent before the first wait. */
async function write(tx: Transaction, groups: readonly FoldedGroup[], context: WriterContext): Promise<void> {
  for (const { results } of groups) for (const { texts } of results.values()) if (texts) context.texts?.learn(texts);
  await allAnswers([
    ...groups.flatMap((group) => writeGroup(tx, group, context)),
    raiseDoubts(tx, groups.flatMap(doubtsOf)),
    clearDoubts(tx, groups.flatMap(settledBy)),
    appendChanges(tx, context.keepsHistory === false ? [] : groups.flatMap(historyOf)),
  ]);
}

function writeGroup(tx: Transaction, group: FoldedGroup, context: WriterContext): readonly Promise<void>[] {
  const inserts: RowToWrite[] = [];
  const updates: RowToWrite[] = [];
  for (const [id, { row }] of group.results) {
    if (row === null) continue;
    (group.rows.has(id) ? updates : inserts).push(rowToWrite(id, row, group, context));
  }
  // A transaction that inserts the same rows waits at the first of them, so there is no deadlock.
  inserts.sort((a, b) => compareIds(a.id, b.id));
  return [insertRows(tx, group.table, inserts), updateRows(tx, group.table, updates)].map((written) =>
    naming(group.table, written),
  );
}

function rowToWrite(id: string, row: Row, group: LockedGroup, context: WriterContext): RowToWrite {
  const { columns, invalid } = coerceRecord(group.fold.shape, row.record, group.fold.zone);
  for (const field of invalid) context.onInvalidValue?.(group.table.name, field);
  const version = versionOf(group.fold.model, row.record, group.fold.zone);
  return { ...row, id, columns, version: version?.at ?? null };
}

function historyOf(group: FoldedGroup): HistoryEntry[] {
  return group.entities.flatMap(({ id, seen }) => {
    const folded = group.results.get(id);
    if (folded === undefined || folded.row === null) return [];
    const observations = seen.map(({ observation }) => observation);
    const changes = changesOf(group.rows.get(id) ?? null, observations, folded, group.fold);
    return changes.map((change) => ({ ...change, model: group.table.name, entityId: id }));
  });
}

function doubtsOf(group: FoldedGroup) {
  return [...group.results].flatMap(([entityId, { verdicts }]) => {
    const reason = verdicts.findLast(({ doubt }) => doubt !== null)?.doubt ?? null;
    return reason === null ? [] : [{ model: group.table.name, entityId, reason }];
  });
}

/** Entities whose state the API has given without contradiction. */
function settledBy(group: FoldedGroup) {
  return group.entities.flatMap(({ id, seen }) =>
    seen.flatMap(({ observation }, index) => {
      const verdict = group.results.get(id)?.verdicts[index];
      // A reading overtaken by something newer settles nothing.
      const plain = verdict?.doubt === null && verdict.decision !== 'ignored' && tellsAll(observation);
      return plain ? [{ model: group.table.name, entityId: id, observedAt: observation.observedAt }] : [];
    }),
  );
}

/** A `get` returns the whole record; a list may leave out the very field in doubt. */
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
