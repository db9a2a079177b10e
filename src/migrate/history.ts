/** What the history needs in the database before its views. */
import type { Transaction } from '../postgres/connection.ts';
import { createHistoryTable } from '../tables/history.ts';
import { createHistoryFunctions } from '../views/history-functions.ts';
import { makeFirstMonths } from './history-partitions.ts';

/** Makes what is missing of the table, its first months and the functions of its views. */
export async function createHistory(tx: Transaction): Promise<void> {
  const [found] = await tx`select to_regclass('sync.history') is not null as present`;
  if (found?.present !== true) {
    await createHistoryTable(tx);
    await makeFirstMonths(tx);
  }
  await createHistoryFunctions(tx);
}
