/** A mark that all stored data complies with certain privacy settings. Other settings, or none, invalidate it. */
import type { Sql } from '../postgres/connection.ts';
import { hasDeliveries } from './deliveries/reports.ts';
import { hasRuns } from './runs.ts';
import { deleteSetting, readSettings, writeSetting } from './settings.ts';

/** Whether all stored data complies with the settings of this fingerprint; true if nothing is stored yet. */
export async function keepsTo(sql: Sql, fingerprint: string): Promise<boolean> {
  const { privacy } = await readSettings(sql, 'privacy');
  if (privacy !== undefined) return privacy === fingerprint;
  return !(await hasDeliveries(sql)) && !(await hasRuns(sql));
}

/** Notes that all stored data complies with the settings of this fingerprint. */
export const markKept = (sql: Sql, fingerprint: string): Promise<void> => writeSetting(sql, 'privacy', fingerprint);

/** Notes that from now on data may be stored that complies with no settings. */
export const unmark = (sql: Sql): Promise<void> => deleteSetting(sql, 'privacy');
