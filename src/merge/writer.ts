/**
 * The writer of mirror rows. Every observation, by webhook or API, is written here.
 *
 * Within the caller's transaction it locks the rows in a fixed order, folds the observations through the rule and
 * writes the changes set by set. Since only existing rows can be locked, new rows of two transactions may collide; the
 * server then rejects the later one, which must run again.
 */
import { splitName } from '../catalog/name.ts';
import { groupBy } from '../core/group.ts';
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
import type { TextSpelling } from './texts.ts';

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
  readonly texts?: TextSpelling;
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

/** The rows of one table, locked until the transaction ends. */
interface Locked {
  readonly table: MirrorTable;
  readonly fold: FoldContext;
  readonly rows: ReadonlyMap<string, Row>;
}

/** Locks tables by name, and the rows of each by id, so that all transactions lock in the same order. */
function lockSubjects(tx: Transaction, subjects: readonly Subject[], context: WriterContext) {
  const tables = [...groupBy(subjects, ({ table }) => table.name)].sort(([a], [b]) => (a < b ? -1 : 1));
  return Promise.all(tables.map(([, own]) => lockTable(tx, own, context, tables.length)));
}

async function lockTable(
  tx: Transaction,
  subjects: readonly Subject[],
  context: WriterContext,
  tables: number,
): Promise<Locked> {
  const { table } = subjects[0] as Subject;
  const { zone, settleGrace } = context;
  const texts = context.texts?.known() ?? null;
  const foldContext = { model: table.model, shape: shapeOf(table, context), zone, settleGrace, texts };
  const ids = new Set(subjects.map(({ entityId }) => entityId));
  const known = new Map(subjects.flatMap(({ entityId, known }) => (known ? [[entityId, known] as const] : [])));
  const stored = await naming(table, lockRows(tx, table, [...ids], known, tables));
  const rows = stored.map((row): [string, Row] => [
    row.id,
    { ...row, version: rowVersion(row.record, row.observedAt, foldContext) },
  ]);
  return { table, fold: foldContext, rows: new Map(rows) };
}

/** Names the model in a temporary error, so that the others need not wait for it. */
function naming<T>(table: MirrorTable, answer: Promise<T>): Promise<T> {
  return answer.catch((error: unknown) => {
    const isWait = isPassing(error) && !isConnectionError(error) && !isRetryable(error);
    throw isWait ? new BlockedError(table, error) : error;
  });
}

interface Entity {
  readonly id: string;
  readonly row: Row | null;
  /** What was observed of it, in order. */
  readonly seen: readonly Observation[];
}

/** The entities of one table, with what became of them. */
interface Judged extends Pick<Locked, 'table' | 'fold'> {
  readonly entities: readonly (Entity & { readonly folded: Folded })[];
}

/** Applies the rule to the locked rows: one verdict per observation. Reads the ledger only if versions may tie. */
async function judge(
  tx: Transaction,
  locked: readonly Locked[],
  observed: readonly Observed[],
  applying: readonly string[],
): Promise<{ readonly groups: readonly Judged[]; readonly verdicts: readonly Verdict[] }> {
  const byTable = groupBy(observed, ({ table }) => table.name);
  const room = { bytes: observed.length === 1 ? Number.POSITIVE_INFINITY : MAX_READ_BYTES };
  const groups = await Promise.all(
    locked.map((group) => judgeTable(tx, group, byTable.get(group.table.name) ?? [], applying, room)),
  );
  const given = new Map(
    groups.map(({ table, entities }) => [
      table.name,
      new Map(entities.map(({ id, folded }) => [id, folded.verdicts.values()])),
    ]),
  );
  const verdicts = observed.map(({ table, entityId }) => given.get(table.name)?.get(entityId)?.next().value as Verdict);
  return { groups, verdicts };
}

async function judgeTable(
  tx: Transaction,
  { table, fold: foldContext, rows }: Locked,
  observed: readonly Observed[],
  applying: readonly string[],
  room: { bytes: number },
): Promise<Judged> {
  const entities = [...groupBy(observed, ({ entityId }) => entityId)].map(([id, own]): Entity => {
    return { id, row: rows.get(id) ?? null, seen: own.map(({ observation }) => observation) };
  });
  const tied = entities.filter(({ row, seen }) => mayTie(row, seen));
  const earlier = await loadEarlier(tx, table, tied, applying, foldContext.zone);
  const judged: (Entity & { folded: Folded })[] = [];
  for (const { id, row, seen } of entities) {
    let known = earlier.get(id) ?? [];
    let folded = fold(row, seen, known, foldContext);
    // Ends, since each iteration reads one more of the earlier deliveries.
    for (let needs = folded.needs; needs !== undefined; needs = folded.needs) {
      const body = (await readBody(tx, needs)) ?? '';
      room.bytes -= body.length;
      if (room.bytes < 0) throw new TooHeavyError('ties need too many bodies at a time');
      // A body stored before there were limits may exceed them.
      const record = readDelivery(body)?.announcement?.current ?? null;
      known = known.map((one) => (one.unread === needs ? { ...one, record, unread: null } : one));
      folded = fold(row, seen, known, foldContext);
    }
    judged.push({ id, row, seen, folded });
  }
  return { table, fold: foldContext, entities: judged };
}
/** Bytes of earlier bodies that the ties of a batch may need. Those of a single observation always fit. */
const MAX_READ_BYTES = 2 * 2 ** 20;

/** Called after locking the rows, so that it includes what another replica has just recorded about them. */
async function loadEarlier(
  tx: Transaction,
  table: MirrorTable,
  entities: readonly Entity[],
  applying: readonly string[],
  zone: Zone,
): Promise<ReadonlyMap<string, readonly Earlier[]>> {
  if (entities.length === 0) return new Map();
  const ids = entities.map(({ id }) => id);
  const entries = await findEarlier(tx, splitName(table.name), ids, applying);
  // The ledger returns the newest first; the rule needs the order of arrival.
  const byEntity = groupBy(entries.reverse(), ({ entityId }) => entityId);
  return new Map([...byEntity].map(([id, own]) => [id, own.map((entry) => earlierOf(entry, zone))]));
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
async function write(tx: Transaction, groups: readonly Judged[], context: WriterContext): Promise<void> {
  for (const { entities } of groups) {
    for (const { folded } of entities) if (folded.texts) context.texts?.learn(folded.texts);
  }
  await allAnswers([
    ...groups.flatMap((group) => writeGroup(tx, group, context)),
    raiseDoubts(tx, groups.flatMap(doubtsOf)),
    clearDoubts(tx, groups.flatMap(settledBy)),
    appendChanges(tx, context.keepsHistory === false ? [] : groups.flatMap(historyOf)),
  ]);
}

function writeGroup(tx: Transaction, group: Judged, context: WriterContext): readonly Promise<void>[] {
  const inserts: RowToWrite[] = [];
  const updates: RowToWrite[] = [];
  for (const { id, row, folded } of group.entities) {
    if (folded.row !== null) (row === null ? inserts : updates).push(rowToWrite(id, folded.row, group, context));
  }
  // A transaction that inserts the same rows waits at the first of them, so there is no deadlock.
  inserts.sort((a, b) => compareIds(a.id, b.id));
  return [insertRows(tx, group.table, inserts), updateRows(tx, group.table, updates)].map((written) =>
    naming(group.table, written),
  );
}

function rowToWrite(id: string, row: Row, { table, fold }: Judged, context: WriterContext): RowToWrite {
  const { columns, invalid } = coerceRecord(fold.shape, row.record, fold.zone);
  for (const field of invalid) context.onInvalidValue?.(table.name, field);
  const version = versionOf(fold.model, row.record, fold.zone);
  return { ...row, id, columns, version: version?.at ?? null };
}

function historyOf({ table, fold, entities }: Judged): HistoryEntry[] {
  return entities.flatMap(({ id, row, seen, folded }) => {
    if (folded.row === null) return [];
    return changesOf(row, seen, folded, fold).map((change) => ({ ...change, model: table.name, entityId: id }));
  });
}

function doubtsOf({ table, entities }: Judged) {
  return entities.flatMap(({ id, folded }) => {
    const reason = folded.verdicts.findLast(({ doubt }) => doubt !== null)?.doubt ?? null;
    return reason === null ? [] : [{ model: table.name, entityId: id, reason }];
  });
}

/** Entities whose state the API has given without contradiction. */
function settledBy({ table, entities }: Judged) {
  return entities.flatMap(({ id, seen, folded }) =>
    seen.flatMap((observation, index) => {
      const verdict = folded.verdicts[index];
      // A reading overtaken by something newer settles nothing.
      const plain = verdict?.doubt === null && verdict.decision !== 'ignored' && tellsAll(observation);
      return plain ? [{ model: table.name, entityId: id, observedAt: observation.observedAt }] : [];
    }),
  );
}

/** A `get` returns the whole record; a list may leave out the very field in doubt. */
function tellsAll(observation: Observation): boolean {
  return observation.says === 'absent' || (observation.says === 'present' && observation.whole);
}
