/** Whether the mirror can be written just now. */
import type { Sql } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import { tryAppend } from './deliveries/ledger.ts';

const LIMITS = { statementTimeoutMs: 3_000, lockTimeoutMs: 2_000 };

/** Writes a row and commits it, as recording a delivery does. @throws what recording a delivery would fail with. */
export async function tryWrite(sql: Sql): Promise<void> {
  // Nothing that others may hold at the same time: their wait would be taken for the cause.
  await transact(sql, tryAppend, LIMITS);
}
