/** The health of the mirror: one reading and one judgement for all who ask. */
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
/** How long it is looked for what has kept the reading; who checks the health gives up after four seconds. */
const LOOK_MAX_MS = 700;
/** Whoever asks, and however many: the database is asked so often at most. */
const KEPT_MS = 3_000;

export type Health = Assessment & { readonly situation: Situation };

/** One reading of the health for all who ask. Never throws: a database that is away is a finding. */
export function createHealth(sql: Sql, expected: Expectations): () => Promise<Health> {
  const { recording } = expected;
  let awaySince: string | null = null;
  const facts = single(() => situationOf(sql, expected));
  const locks = single(() => lockHolders(sql, LEDGER));
  const catalogueLocks = single(() => catalogueHolders(sql));
  const proof = single(async () => recording !== null && (await isProven(sql, recording)));

  /** Why the facts could not be read; where deliveries are recorded all the same, the database is there. */
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

/** Whether deliveries are recorded: one has been while the facts were waited for, or is now. */
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
