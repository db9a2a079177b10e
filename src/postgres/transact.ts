/** Transactions that lost a race run again, a bounded number of times. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  isRetryable,
  type LastFlight,
  type Sql,
  type Transaction,
  type TransactionOptions,
  transaction,
} from './connection.ts';

const MAX_ATTEMPTS = 12;
const MAX_PAUSE_MS = 250;

/** Runs `work` in a transaction, again when another one got in its way, or a pooler has lost its prepared statements. */
export async function transact<T>(
  sql: Sql,
  work: (tx: Transaction) => Promise<T | LastFlight<T>>,
  options: TransactionOptions = {},
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await transaction(sql, { byKey: true, ...options }, work);
    } catch (error) {
      if (attempt >= MAX_ATTEMPTS || !isRetryable(error)) throw error;
      // Randomly spread, so that two transactions do not meet again at once.
      await sleep(Math.random() * Math.min(MAX_PAUSE_MS, 2 ** attempt));
    }
  }
}
