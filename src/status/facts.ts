/** The facts that the mirror's health is judged by: a few cheap statements, one after another. */
import { models as catalogued } from '../catalog/index.ts';
import { TimeoutError, withTimeout } from '../core/wait.ts';
import { schemaState } from '../migrate/migrate.ts';
import type { Sql } from '../postgres/connection.ts';
import { type ArrivalFacts, arrivalFacts } from '../store/deliveries/reports.ts';
import { type DoubtFacts, doubtFacts } from '../store/doubts.ts';
import { type GrantStatus, grantStatus } from '../store/grant.ts';
import { type FirstReading, firstReading, type UnreadModel, unreadModels } from '../store/listings.ts';
import { type KeyRefusal, keyRefusal } from '../store/measurements.ts';
import { type Comparison, lastComparison } from '../store/runs.ts';
import { type CatchUpError, catchUpErrors } from '../store/watermarks.ts';
import { type Assessment, assess, type Situation } from './findings.ts';
import { span } from './words.ts';

/** What the settings lead one to expect. */
export interface Expectations {
  /** Whether the settings name a right to read the portal. */
  readonly hasApi: boolean;
  /** 0: comparing by itself is off. */
  readonly compareEvery_s: number;
  /** 0: off. */
  readonly sweepEvery_s: number;
  /** Names of the models that are mirrored. */
  readonly models: readonly string[];
  /** Why deliveries cannot be stored, as the last batches have proven; null while they can. */
  readonly notAccepting?: () => NotAccepting | null;
}

export interface NotAccepting {
  readonly since: string | null;
  readonly cause: string;
  readonly remedy: string;
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
  readonly compared: Comparison;
  /** Null once every model has been read once. */
  readonly firstReading: FirstReading | null;
}

/** Reads them. */
export async function readFacts(sql: Sql, expected: Expectations): Promise<Facts> {
  const { hasApi, compareEvery_s, notAccepting } = expected;
  const listable = new Set(catalogued.filter((model) => model.listable).map(({ name }) => name));
  const deliveries = await arrivalFacts(sql);
  return {
    now: deliveries.now,
    hasApi,
    compareEvery_s,
    notAccepting: notAccepting?.() ?? null,
    deliveries,
    refusal: await keyRefusal(sql),
    grant: await grantStatus(sql),
    compared: await lastComparison(sql),
    firstReading: await firstReading(
      sql,
      expected.models.filter((name) => listable.has(name)),
    ),
    unread: await unreadModels(sql),
    errors: await catchUpErrors(sql),
    doubts: await doubtFacts(sql),
  };
}

const ANSWER_MAX_MS = 3_000;
/** Whoever asks, and however many: the database is asked so often at most. */
const KEPT_MS = 3_000;

export type Health = Assessment & { readonly situation: Situation };

/** One reading of the health for all who ask. Never throws: a database that is away is a finding. */
export function createHealth(sql: Sql, expected: Expectations): () => Promise<Health> {
  let awaySince: string | null = null;
  const read = async (): Promise<Health> => {
    const situation: Situation = await withTimeout(situationOf(sql, expected), ANSWER_MAX_MS).catch((error: Error) => ({
      kind: 'away',
      problem: error instanceof TimeoutError ? `nothing within ${span(ANSWER_MAX_MS / 1_000)}` : error.message,
      since: awaySince ?? new Date().toISOString(),
    }));
    awaySince = situation.kind === 'away' ? situation.since : null;
    return { ...assess(situation), situation };
  };
  return shared(read, KEPT_MS);
}

async function situationOf(sql: Sql, expected: Expectations): Promise<Situation> {
  const schema = await schemaState(sql);
  return schema === 'current' ? { kind: 'there', facts: await readFacts(sql, expected) } : { kind: 'unfit', schema };
}

/** One result for all who ask at once, kept for a while. */
export function shared<T>(read: () => Promise<T>, keptMs: number): () => Promise<T> {
  let reading: Promise<T> | null = null;
  let keptUntilMs = 0;
  return () => {
    if (reading !== null && performance.now() < keptUntilMs) return reading;
    keptUntilMs = Number.POSITIVE_INFINITY;
    const started = read();
    reading = started;
    const keep = (ms: number) => {
      keptUntilMs = performance.now() + ms;
    };
    started.then(
      () => keep(keptMs),
      () => keep(0),
    );
    return started;
  };
}
