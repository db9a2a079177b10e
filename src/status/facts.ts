/** The facts that the mirror's health is judged by: a few cheap statements, one after another in one transaction. */
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
import { type PortalTrouble, portalTroubles } from '../store/measurements.ts';
import { hasRuns, lastRuns, type RunKind } from '../store/runs.ts';
import { readAhead } from '../store/schedule.ts';
import { type CatchUpError, catchUpErrors, lastAgreement } from '../store/watermarks.ts';

/** What the settings lead one to expect. */
export interface Expectations {
  /** Whether the settings name a right to read the portal. */
  readonly hasApi: boolean;
  /** The client id where the portal is read by OAuth, null otherwise: then somebody has to be logged in. */
  readonly oauthClient: string | null;
  /** 0: comparing by itself is off. */
  readonly compareEvery_s: number;
  readonly models: readonly string[];
  /** That the settings of the service name another zone than that of the rows; null where they agree, and in commands. */
  readonly otherZone: { readonly found: string; readonly advice: string } | null;
  /** How recording deliveries goes in this process; null in one that records none. */
  readonly recording: RecordHealth | null;
  /** How long it is left alone while nothing comes in; 0 where it never is. */
  readonly sleep_s: number;
  /** Whether the database is left alone just now: what was known before is the answer. */
  readonly isAsleep: () => boolean;
}

/** Deliveries cannot be recorded, as the last batches have proven, or the server says itself. */
export interface NotAccepting extends Cause {
  /** Null where nobody has tried. */
  readonly since: string | null;
}

export interface Facts extends Pick<Expectations, 'hasApi' | 'oauthClient' | 'compareEvery_s' | 'otherZone'> {
  /** By the database's clock, as every moment here. */
  readonly now: string;
  readonly notAccepting: NotAccepting | null;
  readonly locks: readonly LockHolder[];
  readonly interceptors: readonly Interceptor[];
  /** Models that were read by another clock than the database has now. */
  readonly readAhead: Awaited<ReturnType<typeof readAhead>>;
  /** A change that the portal seems to have made before it came. */
  readonly changeAhead: PortalTrouble | null;
  readonly refusal: PortalTrouble | null;
  /** That all requests have failed for a while. */
  readonly silence: PortalTrouble | null;
  readonly grant: GrantStatus | null;
  readonly deliveries: ArrivalFacts;
  readonly doubts: DoubtFacts;
  readonly unread: readonly UnreadModel[];
  readonly held: Awaited<ReturnType<typeof heldRows>>;
  readonly errors: readonly CatchUpError[];
  /** Whether the mirror has been compared with the portal at all, and how long ago a model last was; null for never. */
  readonly compared: { readonly isCompared: boolean; readonly age_s: number | null };
  /** Null before it begins, where it could not begin, and once every model has been read once. */
  readonly firstReading: ReportedReading | null;
}

export interface ReportedReading extends FirstReading {
  /** Whether somebody goes on with it. */
  readonly goesOn: boolean;
}

const COMPARING: readonly RunKind[] = ['backfill', 'reconcile', 'sweep'];
/** Runs among which those that compare are looked for. */
const LOOKED_AT = 50;
/** A service whose run has come to its end, or has failed, begins the next one sooner. */
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
      // What became of a former key is of no matter to a login.
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
    };
  });
  // That may write, and on another connection.
  return recording === null || facts.notAccepting !== null
    ? facts
    : { ...facts, notAccepting: await proven(sql, recording) };
}

async function readComparison(sql: Queryable): Promise<Facts['compared']> {
  const age_s = await lastAgreement(sql);
  return { isCompared: age_s !== null || (await hasRuns(sql, COMPARING)), age_s };
}

/** The first reading; before its first listing begins, that is a run, where none has failed and nothing was compared. */
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

/** No commit ends without its standby, whoever tries: nobody has to. */
async function awaited(sql: Queryable): Promise<NotAccepting | null> {
  const since = await standbyAwaitedSince(sql);
  return since === null ? null : { ...STANDBY_AWAITED, since };
}

/** What keeps deliveries from being recorded; null while nothing does, as a row that is written proves. */
async function proven(sql: Sql, recording: RecordHealth): Promise<NotAccepting | null> {
  const trouble = recording.trouble();
  if (trouble === null) return null;
  // Without traffic nobody else would notice that it is over.
  const error = await tryWrite(sql).then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error !== null) return { ...(await causeNow(sql, error)), since: trouble.since };
  recording.succeeded();
  return null;
}

/** The cause of a failed call; where it is a lock, with who holds it and what ends it, and where it is a standby, that. */
export async function causeNow(sql: Sql, error: unknown): Promise<Cause> {
  const found = causeOf(error);
  if (errorCode(error) !== SQLSTATE.lockNotAvailable) {
    const isAwaited = isConnectionError(error) && (await standbyAwaitedSince(sql, true).catch(() => null)) !== null;
    return isAwaited ? STANDBY_AWAITED : found;
  }
  const holders = await lockHolders(sql, 'sync.').catch(() => []);
  return holders.length === 0 ? found : { ...found, remedy: holders.map(holderWords).join('; ') };
}

/** The same for a process that records none, and only looks. */
async function foreseen(sql: Queryable): Promise<NotAccepting | null> {
  const cause = await readOnlyCause(sql);
  return cause && { ...cause, since: null };
}
