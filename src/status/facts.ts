/** The facts that the mirror's health is judged by: a few cheap statements, one after another. */
import { models as catalogued } from '../catalog/index.ts';
import type { RecordHealth } from '../intake/record-health.ts';
import { type Cause, causeOf } from '../postgres/causes.ts';
import type { Sql } from '../postgres/connection.ts';
import { type ArrivalFacts, arrivalFacts } from '../store/deliveries/reports.ts';
import { type DoubtFacts, doubtFacts } from '../store/doubts.ts';
import { type GrantStatus, grantStatus } from '../store/grant.ts';
import { type FirstReading, firstReading, type UnreadModel, unreadModels } from '../store/listings.ts';
import { type KeyRefusal, keyRefusal } from '../store/measurements.ts';
import { hasRuns } from '../store/runs.ts';
import { tryWrite } from '../store/try-write.ts';
import { type CatchUpError, catchUpErrors, lastAgreement } from '../store/watermarks.ts';

/** What the settings lead one to expect. */
export interface Expectations {
  /** Whether the settings name a right to read the portal. */
  readonly hasApi: boolean;
  /** 0: comparing by itself is off. */
  readonly compareEvery_s: number;
  readonly models: readonly string[];
  /** How recording deliveries goes in this process; null in one that records none. */
  readonly recording: RecordHealth | null;
}

/** Deliveries cannot be recorded, as the last batches have proven. */
export interface NotAccepting extends Cause {
  readonly since: string;
}

export interface Facts extends Pick<Expectations, 'hasApi' | 'compareEvery_s'> {
  /** By the database's clock, as every moment here. */
  readonly now: string;
  readonly notAccepting: NotAccepting | null;
  readonly refusal: KeyRefusal | null;
  readonly grant: GrantStatus | null;
  readonly deliveries: ArrivalFacts;
  readonly doubts: DoubtFacts;
  readonly unread: readonly UnreadModel[];
  readonly errors: readonly CatchUpError[];
  /** Whether the mirror has been compared with the portal at all, and how long ago a model last was; null for never. */
  readonly compared: { readonly isCompared: boolean; readonly age_s: number | null };
  /** Null once every model has been read once. */
  readonly firstReading: FirstReading | null;
}

export async function readFacts(sql: Sql, expected: Expectations): Promise<Facts> {
  const { hasApi, compareEvery_s, recording } = expected;
  const listable = new Set(catalogued.filter((model) => model.listable).map(({ name }) => name));
  const deliveries = await arrivalFacts(sql);
  return {
    now: deliveries.now,
    hasApi,
    compareEvery_s,
    notAccepting: recording === null ? null : await proven(sql, recording),
    deliveries,
    refusal: await keyRefusal(sql),
    grant: await grantStatus(sql),
    compared: await readComparison(sql),
    firstReading: await firstReading(
      sql,
      expected.models.filter((name) => listable.has(name)),
    ),
    unread: await unreadModels(sql),
    errors: await catchUpErrors(sql),
    doubts: await doubtFacts(sql),
  };
}

async function readComparison(sql: Sql): Promise<Facts['compared']> {
  const age_s = await lastAgreement(sql);
  return { isCompared: age_s !== null || (await hasRuns(sql, ['backfill', 'reconcile', 'sweep'])), age_s };
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
  if (error !== null) return { ...causeOf(error), since: trouble.since };
  recording.succeeded();
  return null;
}
