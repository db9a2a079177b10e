/** The health of the mirror: read and judged once for all callers. */
import { TimeoutError, withTimeout } from '../core/time.ts';
import type { RecordHealth } from '../intake/record-health.ts';
import { schemaState } from '../migrate/migrate.ts';
import { type Cause, causeOf } from '../postgres/causes.ts';
import { errorCode, isConnectionError, type Sql } from '../postgres/connection.ts';
import { catalogueHolders, lockHolders } from '../postgres/locks.ts';
import { LEDGER, tryWrite } from '../store/deliveries/ledger.ts';
import { type Expectations, readFacts } from './facts.ts';
import { type Assessment, assess, type Situation } from './findings.ts';
import { kept, single } from './shared.ts';

const SILENT: Cause = { cause: 'the database does not answer', remedy: 'look at the server and at DATABASE_URL' };

const ANSWER_MAX_MS = 3_000;
/** Longest search for what blocked the reading; health checks give up after four seconds. */
const LOOK_MAX_MS = 700;
/** The database is read at most this often, whatever the number of callers. */
const KEPT_MS = 3_000;

export type Health = Assessment & { readonly situation: Situation };

/** Reads the health once for all callers. Never throws: an unavailable database is a finding. */
export function createHealth(sql: Sql, expected: Expectations): () => Promise<Health> {
  const { recording } = expected;
  let awaySince: string | null = null;
  const facts = single(() => situationOf(sql, expected));
  const locks = single(() => lockHolders(sql, LEDGER));
  const catalogueLocks = single(() => catalogueHolders(sql));
  const proof = single(async () => recording !== null && (await isProven(sql, recording)));

  /** Why the facts could not be read. If deliveries can still be recorded, the database is available. */
  async function hindrance(error: unknown): Promise<Situation> {
    const isLate = error instanceof TimeoutError || errorCode(error) === 'ETIMEDOUT';
    const soon = <T>(look: () => Promise<T>, otherwise: T) => withTimeout(look(), LOOK_MAX_MS).catch(() => otherwise);
    const [held, catalogues, isRecording] = await Promise.all([
      isLate ? soon(locks, []) : [],
      isLate ? soon(catalogueLocks, []) : [],
      (isLate || !isConnectionError(error)) && soon(proof, false),
    ]);
    const cause = isLate ? (recording?.trouble() ?? SILENT) : causeOf(error);
    const holders = [...held, ...catalogues];
    if (holders.length > 0)
      return { kind: 'locked', locks: holders, isRecording: recording === null ? null : isRecording };
    if (isRecording) return { kind: 'unread', cause };
    return { kind: 'away', cause: cause.cause, remedy: cause.remedy, since: awaySince ?? new Date().toISOString() };
  }

  const read = async (): Promise<Health> => {
    const situation = await withTimeout(facts(), ANSWER_MAX_MS).catch(hindrance);
    awaySince = situation.kind === 'away' ? situation.since : null;
    return { ...assess(situation), situation };
  };
  const recall = kept(read, KEPT_MS);
  let last: Health | null = null;
  return async () => {
    if (last === null || !expected.isAsleep()) last = await recall();
    return last;
  };
}

/** Whether deliveries are recorded: one was while the facts were awaited, or a test succeeds now. */
async function isProven(sql: Sql, recording: RecordHealth): Promise<boolean> {
  if (recording.trouble() !== null) return false;
  const last = recording.lastSuccessAt();
  if (last === null || Date.now() - Date.parse(last) > ANSWER_MAX_MS) await tryWrite(sql);
  return true;
}

async function situationOf(sql: Sql, expected: Expectations): Promise<Situation> {
  const schema = await schemaState(sql);
  return schema === 'current' ? { kind: 'there', facts: await readFacts(sql, expected) } : { kind: 'unfit', schema };
}
