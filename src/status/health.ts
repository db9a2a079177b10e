/** The health of the mirror: one reading and one judgement for all who ask. */
import { TimeoutError, withTimeout } from '../core/time.ts';
import { schemaState } from '../migrate/migrate.ts';
import { type Cause, causeOf } from '../postgres/causes.ts';
import type { Sql } from '../postgres/connection.ts';
import { type Expectations, readFacts } from './facts.ts';
import { type Assessment, assess, type Situation } from './findings.ts';
import { kept } from './shared.ts';

const SILENT: Cause = { cause: 'the database does not answer', remedy: 'look at the server and at DATABASE_URL' };

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
      ...(error instanceof TimeoutError ? SILENT : causeOf(error)),
      since: awaySince ?? new Date().toISOString(),
    }));
    awaySince = situation.kind === 'away' ? situation.since : null;
    return { ...assess(situation), situation };
  };
  return kept(read, KEPT_MS);
}

async function situationOf(sql: Sql, expected: Expectations): Promise<Situation> {
  const schema = await schemaState(sql);
  return schema === 'current' ? { kind: 'there', facts: await readFacts(sql, expected) } : { kind: 'unfit', schema };
}
