/** The facts from which the health is judged, read by a few cheap statements in one transaction. */
import { models as catalogued } from '../catalog/index.ts';
import type { RecordHealth } from '../intake/record-health.ts';
import { type Cause, causeOf, STANDBY_AWAITED } from '../postgres/causes.ts';
import { errorCode, isConnectionError, type Queryable, type Sql, transaction } from '../postgres/connection.ts';
import { holderWords, type LockHolder, lockHolders, standbyAwaitedSince } from '../postgres/locks.ts';
import { readOnlyCause } from '../postgres/read-only.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { type Interceptor, interceptors } from '../postgres/triggers.ts';
import { tryWrite } from '../store/deliveries/ledger.ts';
import { type ArrivalFacts, arrivalFacts } from '../store/deliveries/reports.ts';
import { type DoubtFacts, doubtFacts } from '../store/doubts.ts';
import { type GrantStatus, grantStatus } from '../store/grant.ts';
import { type FirstReading, firstReading, heldRows, type UnreadModel, unreadModels } from '../store/listings.ts';
import { type Counted, type PortalTrouble, portalTroubles, readCounts } from '../store/measurements.ts';
import { hasRuns, lastRuns, type RunKind } from '../store/runs.ts';
import { readAhead } from '../store/schedule.ts';
import { type CatchUpError, catchUpErrors, lastAgreement } from '../store/watermarks.ts';

/** What the settings require. */
export interface Expectations {
  /** Whether the settings allow access to the portal. */
  readonly hasApi: boolean;
  /** The client id if the portal is read by OAuth, which requires a login; otherwise null. */
  readonly oauthClient: string | null;
  /** 0 if automatic comparing is off. */
  readonly compareEvery_s: number;
  readonly models: readonly string[];
  /** The service's settings name another zone than that of the rows; null if they agree, and in commands. */
  readonly otherZone: { readonly found: string; readonly advice: string } | null;
  /** How recording deliveries goes in this process; null if it records none. */
  readonly recording: RecordHealth | null;
  /** How long `serve` leaves the database alone when nothing comes in; 0 if it never does. */
  readonly sleep_s: number;
  /** Whether the database is being left alone now. The last known health is then the answer. */
  readonly isAsleep: () => boolean;
}

/** Deliveries cannot be recorded: the last batches failed, or the server says so. */
export interface NotAccepting extends Cause {
  /** Null if nobody has tried. */
  readonly since: string | null;
}

export interface Facts extends Pick<Expectations, 'hasApi' | 'oauthClient' | 'compareEvery_s' | 'otherZone'> {
  /** By the database's clock, like all times here. */
  readonly now: string;
  readonly notAccepting: NotAccepting | null;
  readonly locks: readonly LockHolder[];
  readonly interceptors: readonly Interceptor[];
  /** Models that were last read at a time that is now in the future. */
  readonly readAhead: Awaited<ReturnType<typeof readAhead>>;
  /** A change dated after it was received. */
  readonly changeAhead: PortalTrouble | null;
  readonly refusal: PortalTrouble | null;
  /** All requests have failed for a while. */
  readonly silence: PortalTrouble | null;
  readonly grant: GrantStatus | null;
  readonly deliveries: ArrivalFacts;
  readonly doubts: DoubtFacts;
  readonly refused: readonly Counted[];
  readonly misfits: readonly Counted[];
  readonly unread: readonly UnreadModel[];
  readonly held: Awaited<ReturnType<typeof heldRows>>;
  readonly errors: readonly CatchUpError[];
  /** Whether the mirror has ever been compared with the portal, and how long ago a model last was; null for never. */
  readonly compared: { readonly isCompared: boolean; readonly age_s: number | null };
  /** Null before it begins, if it could not begin, and once every model has been read. */
  readonly firstReading: ReportedReading | null;
}

export interface ReportedReading extends FirstReading {
  /** Whether a process is continuing it. */
  readonly goesOn: boolean;
}

const COMPARING: readonly RunKind[] = ['backfill', 'reconcile', 'sweep'];
/** Latest runs among which comparing ones are sought. */
const LOOKED_AT = 50;
/** After a run has ended or failed, a service begins the next one sooner than this. */
const NEXT_RUN_MS = 120_000;

export async function readFacts(sql: Sql, expected: Expectations): Promise<Facts> {
  const { hasApi, oauthClient, compareEvery_s, otherZone, recording } = expected;
  const listable = new Set(catalogued.filter((model) => model.listable).map(({ name }) => name));
  const facts = await transaction(sql, { readOnly: true, readsFirst: true }, async (tx) => {
    const deliveries = await arrivalFacts(tx);
    const compared = await readComparison(tx);
    const { refused = null, unanswered = null, ahead = null } = await portalTroubles(tx);
    return {
      now: deliveries.now,
      hasApi,
      oauthClient,
      compareEvery_s,
      otherZone,
      notAccepting: (await awaited(tx)) ?? (recording === null ? await foreseen(tx) : null),
      locks: await lockHolders(tx),
      interceptors: await interceptors(tx),
      readAhead: await readAhead(tx, expected.models),
      changeAhead: ahead,
      deliveries,
      // What became of an earlier key does not matter to a login.
      refusal: oauthClient === null ? refused : null,
      silence: hasApi ? unanswered : null,
      grant: await grantStatus(tx),
      compared,
      firstReading: await readFirst(
        tx,
        expected.models.filter((name) => listable.has(name)),
        { now: deliveries.now, age_s: compared.age_s },
      ),
      unread: await unreadModels(tx),
      held: await heldRows(tx),
      errors: await catchUpErrors(tx),
      doubts: await doubtFacts(tx),
      refused: await readCounts(tx, 'refused'),
      misfits: await readCounts(tx, 'misfit'),
    };
  });
  // This may write, and uses another connection.
  return recording === null || facts.notAccepting !== null
    ? facts
    : { ...facts, notAccepting: await proven(sql, recording) };
}

async function readComparison(sql: Queryable): Promise<Facts['compared']> {
  const age_s = await lastAgreement(sql);
  return { isCompared: age_s !== null || (await hasRuns(sql, COMPARING)), age_s };
}

/** The first reading. Before its first listing: null unless a run is in progress, none failed, nothing was compared. */
async function readFirst(
  sql: Queryable,
  models: readonly string[],
  { now, age_s }: { readonly now: string; readonly age_s: number | null },
): Promise<ReportedReading | null> {
  const reading = await firstReading(sql, models);
  if (reading === null || (reading.since === null && age_s !== null)) return null;
  const runs = (await lastRuns(sql, LOOKED_AT)).filter(({ kind }) => COMPARING.includes(kind as RunKind));
  const [last] = runs;
  if (reading.since === null && (last === undefined || runs.some(({ status }) => status === 'failed'))) return null;
  const isBetween =
    ['done', 'failed', 'differences'].includes(last?.status ?? '') &&
    Date.parse(now) - Date.parse(last?.finished_at ?? '') < NEXT_RUN_MS;
  const goesOn = isBetween || runs.some(({ status }) => status === 'running');
  return { ...reading, left_s: goesOn ? reading.left_s : null, goesOn };
}

/** No commit ends without its standby, so nobody needs to try one. */
async function awaited(sql: Queryable): Promise<NotAccepting | null> {
  const since = await standbyAwaitedSince(sql);
  return since === null ? null : { ...STANDBY_AWAITED, since };
}

/** What prevents recording deliveries; null if nothing does, as proven by writing a row. */
async function proven(sql: Sql, recording: RecordHealth): Promise<NotAccepting | null> {
  const trouble = recording.trouble();
  if (trouble === null) return null;
  // Without traffic nobody else would notice that the trouble is over.
  const error = await tryWrite(sql).then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error !== null) return { ...(await causeNow(sql, error)), since: trouble.since };
  recording.succeeded();
  return null;
}

/** The cause of a failed call: for a lock, with its holder and what ends it; for an awaited standby, that. */
export async function causeNow(sql: Sql, error: unknown): Promise<Cause> {
  const found = causeOf(error);
  if (errorCode(error) !== SQLSTATE.lockNotAvailable) {
    const isAwaited = isConnectionError(error) && (await standbyAwaitedSince(sql, true).catch(() => null)) !== null;
    return isAwaited ? STANDBY_AWAITED : found;
  }
  const holders = await lockHolders(sql, 'sync.').catch(() => []);
  return holders.length === 0 ? found : { ...found, remedy: holders.map(holderWords).join('; ') };
}

/** For a process that records no deliveries: whether the server refuses writes. */
async function foreseen(sql: Queryable): Promise<NotAccepting | null> {
  const cause = await readOnlyCause(sql);
  return cause && { ...cause, since: null };
}
