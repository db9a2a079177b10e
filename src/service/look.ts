/** What an idle service asks the database, in one statement: what there is to do that nobody has told this process. */
import type { Sql } from '../postgres/connection.ts';
import { isLateToReadOnly } from '../postgres/read-only.ts';
import { poolOf } from '../postgres/renewal.ts';
import { hasPending } from '../store/deliveries/ledger.ts';
import { hasDueDoubts } from '../store/doubts.ts';

export interface Look {
  /** Deliveries wait that a process has recorded and not applied, perhaps one that is gone. */
  readonly hasPending: boolean;
  /** A doubt has come to its time. */
  readonly hasDueDoubts: boolean;
}

/** Looks for work; where the database has been set to read-only meanwhile, also gives the pool's connections up. */
export async function lookForWork(sql: Sql, blocked: Iterable<string>): Promise<Look> {
  const [row] = await sql`
    select (${hasPending(sql, blocked)}) as "hasPending", (${hasDueDoubts(sql)}) as "hasDueDoubts",
           (${isLateToReadOnly(sql)}) as "isLate"`;
  if (row?.isLate === true) poolOf(sql).leave();
  return row as unknown as Look;
}
