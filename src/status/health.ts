/** The health of the mirror: read and judged once for all callers. */
import { withTimeout } from '../core/time.ts';
import type { RecordHealth } from '../intake/record-health.ts';
import { schemaState } from '../migrate/migrate.ts';
import type { Sql } from '../postgres/connection.ts';
import { tryWrite } from '../store/deliveries/ledger.ts';
import { type Expectations, readFacts } from './facts.ts';
import type { Finding } from './finding.ts';
import { type Assessment, assess, type Situation } from './findings.ts';
import { isLate, isUnexplained, LOOK_MAX_MS, obstaclesOf } from './obstacles.ts';
import { kept, single } from './shared.ts';

const ANSWER_MAX_MS = 2_500;
/** So long after a good look, one that only took too long says nothing new: a busy machine is not a database that is away. */
export const PATIENCE = { ms: 15_000 };
/** The database is read at most this often, whatever the number of callers. */
const KEPT_MS = 3_000;

export type Health = Assessment & { readonly situation: Situation };

/** Reads the health once for all callers. Never throws: an unavailable database is a finding. */
export function createHealth(sql: Sql, expected: Expectations): () => Promise<Health> {
  const { recording } = expected;
  /** What was found when the facts could last be read. */
  let known: readonly Finding[] = [];
  /** When each obstacle was first met, unless it says so itself. */
  let met: ReadonlyMap<Finding['code'], string> = new Map();
  /** When the facts were last asked for. */
  let began = 0;
  /** The last look that told something. */
  let informed: { readonly atMs: number; readonly situation: Situation } | null = null;
  const facts = single(() => situationOf(sql, expected));
  const proof = single(async () => recording !== null && (await isProven(sql, recording, began)));

  /** A lock that nobody holds any more; what waited for it may not have noticed. */
  function isUnlocked(found: readonly Finding[]): boolean {
    const locked = found.filter(({ code }) => code === 'locked');
    return locked.every(({ since }) => since === null) && (met.has('locked') || locked.length > 0);
  }

  /** Why the facts could not be read, and whether deliveries are recorded all the same. */
  async function hindrance(error: unknown, isAgain = false): Promise<Situation> {
    const isThere = withTimeout(proof(), LOOK_MAX_MS).catch(() => false);
    const trouble = recording?.trouble() ?? null;
    // Why webhooks are refused is known better than why this took so long.
    const found = await obstaclesOf(sql, isLate(error) && trouble !== null ? trouble.error : error, { isThere });
    const isRecording = await isThere;
    const isSlow = trouble === null && isUnexplained(found);
    if (isSlow && informed !== null && Date.now() - informed.atMs < PATIENCE.ms) return informed.situation;
    const isFirst = isSlow && recording === null && informed === null;
    if (!isAgain && (isFirst || isUnlocked(found)))
      return await attempt(situationOf(sql, expected), isFirst ? ANSWER_MAX_MS : LOOK_MAX_MS, true);
    const before = met;
    met = new Map(found.map(({ code }) => [code, before.get(code) ?? sinceOf(recording)]));
    const findings = found.map((one) => ({
      ...one,
      since: one.since ?? met.get(one.code) ?? null,
      stops_webhooks: !isRecording,
    }));
    const situation = {
      kind: 'hindered',
      findings: [...findings, ...known.filter(({ code }) => !met.has(code))],
    } as const;
    if (!isSlow) informed = { atMs: Date.now(), situation };
    return situation;
  }

  const attempt = (reading: Promise<Situation>, limitMs: number, isAgain = false): Promise<Situation> =>
    withTimeout(reading, limitMs).catch((error) => hindrance(error, isAgain));

  const read = async (): Promise<Health> => {
    began = Date.now();
    const situation = await attempt(facts(), ANSWER_MAX_MS);
    const assessment = assess(situation);
    if (situation.kind === 'there' && situation !== informed?.situation) {
      informed = { atMs: Date.now(), situation };
      known = assessment.findings.filter(({ severity }) => severity !== 'note');
      met = new Map();
    }
    return { ...assessment, situation };
  };
  const recall = kept(read, KEPT_MS);
  let last: Health | null = null;
  return async () => {
    if (last === null || !expected.isAsleep()) last = await recall();
    return last;
  };
}

/** The first refusal that was noted, or else this one. */
const sinceOf = (recording: RecordHealth | null) => recording?.failingSince() ?? new Date().toISOString();

/** Whether deliveries are recorded: one was since `began` and none has failed since, or a test succeeds now. */
async function isProven(sql: Sql, recording: RecordHealth, began: number): Promise<boolean> {
  if (recording.trouble() !== null) return false;
  const last = recording.lastSuccessAt();
  if (recording.failingSince() !== null || last === null || Date.parse(last) < began) await tryWrite(sql);
  return true;
}

async function situationOf(sql: Sql, expected: Expectations): Promise<Situation> {
  const schema = await schemaState(sql);
  return schema === 'current' ? { kind: 'there', facts: await readFacts(sql, expected) } : { kind: 'unfit', schema };
}
