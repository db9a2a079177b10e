/** Whether the mirror can be written just now. */
import type { Sql } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import { tryAppend } from './deliveries/ledger.ts';
import { writeSetting } from './settings.ts';

const LIMITS = { statementTimeoutMs: 3_000, lockTimeoutMs: 2_000 };

/** Writes a row and commits it, as recording a delivery does. @throws what recording a delivery would fail with. */
export async function tryWrite(sql: Sql): Promise<void> {
  await transact(
    sql,
    async (tx) => {
      await tryAppend(tx);
      await writeSetting(tx, 'tried_at', new Date().toISOString());
    },
    LIMITS,
  );
}
