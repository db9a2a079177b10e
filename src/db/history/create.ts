/** What the history needs in the database before its views. */
import type { Transaction } from '../connection.ts';
import { createHistoryFunctions } from './functions.ts';
import { makeMonths } from './partitions.ts';
import { createHistoryTable } from './table.ts';

/** Makes what is missing of the table, its next months and the functions of its views. */
export async function createHistory(tx: Transaction): Promise<void> {
  await createHistoryTable(tx);
  await makeMonths(tx);
  await createHistoryFunctions(tx);
}
