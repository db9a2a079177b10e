/** The facts from which the health is judged, read by a few cheap statements in one transaction. */
import { models as catalogued } from '../catalog/index.ts';
import type { RecordHealth } from '../intake/record-health.ts';
import { type MissingRights, missingRights } from '../migrate/rights.ts';
import { STANDBY_AWAITED } from '../postgres/causes.ts';
import { type Queryable, type Sql, transaction } from '../postgres/connection.ts';
import { type LockHolder, lockHolders, standbyAwaitedSince } from '../postgres/locks.ts';
import { readOnlyCause } from '../postgres/read-only.ts';
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
import type { Finding } from './finding.ts';
import { notAccepting, obstaclesOf } from './obstacles.ts';

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

export interface Facts extends Pick<Expectations, 'hasApi' | 'oauthClient' | 'compareEvery_s' | 'otherZone'> {
  /** By the database's clock, like all times here. */
  readonly now: string;
  /** Why deliveries cannot be recorded: the last batches failed, or a try does. */
  readonly obstacles: readonly Finding[];
  readonly missing: MissingRights | null;
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
  const facts = await transaction(sql, LIMITS, async (tx) => {
    const deliveries = await arrivalFacts(tx);
    const compared = await readComparison(tx);
    const { refused = null, unanswered = null, ahead = null } = await portalTroubles(tx);
    return {
      now: deliveries.now,
      // A command without a key says nothing of the service, which has compared the mirror with the API.
      hasApi: hasApi || (recording === null && compared.isCompared),
      oauthClient,
      compareEvery_s,
      otherZone,
      obstacles: await foreseen(tx, recording === null),
      missing: await missingRights(tx),
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
  if (facts.obstacles.length > 0) return facts;
  // This writes, and uses another connection.
  const since = facts.deliveries.pending_reason === null ? null : facts.deliveries.pending_since;
  return { ...facts, obstacles: await tried(sql, recording, since) };
}

/** A lock ends the reading before its caller gives up. */
const LIMITS = { readOnly: true, readsFirst: true, lockTimeoutMs: 1_000 };

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

/** What the server says of itself, so that nobody needs to try. @param isReader whether nothing is recorded here */
async function foreseen(sql: Queryable, isReader: boolean): Promise<readonly Finding[]> {
  // No commit ends without its standby.
  const since = await standbyAwaitedSince(sql);
  if (since !== null) return [{ ...notAccepting(STANDBY_AWAITED), since }];
  const cause = isReader ? await readOnlyCause(sql) : null;
  return cause === null ? [] : [notAccepting(cause)];
}

/**
 * What prevents recording deliveries; nothing where a row can be written. A process that records some has to be in trouble
 * first; others write a row that does not stay.
 * @param waitsSince since when a delivery could not be applied
 */
async function tried(sql: Sql, recording: RecordHealth | null, waitsSince: string | null): Promise<readonly Finding[]> {
  const trouble = recording?.trouble() ?? null;
  if (recording !== null && trouble === null) return [];
  try {
    // A small row may find the room that a delivery does not.
    if (trouble?.isFresh === true) throw trouble.error;
    await tryWrite(sql, recording !== null);
  } catch (error) {
    return await obstaclesOf(sql, error, { isWriting: true, since: trouble?.since ?? waitsSince });
  }
  // Without traffic nobody else would notice that the trouble is over.
  recording?.succeeded();
  return [];
}
