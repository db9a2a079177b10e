/** Which privacy settings all that is stored keeps to: a mark that other settings, or none, make void. */
import type { Sql } from '../postgres/connection.ts';
import { hasDeliveries } from './deliveries/reports.ts';
import { hasRuns } from './runs.ts';
import { deleteSetting, readSettings, writeSetting } from './settings.ts';

/** Whether everything stored keeps to the settings of this fingerprint. Where nothing is stored yet, it does. */
export async function keepsTo(sql: Sql, fingerprint: string): Promise<boolean> {
  const { privacy } = await readSettings(sql, 'privacy');
  if (privacy !== undefined) return privacy === fingerprint;
  return !(await hasDeliveries(sql)) && !(await hasRuns(sql));
}

/** Notes that everything stored keeps to the settings of this fingerprint. */
export const markKept = (sql: Sql, fingerprint: string): Promise<void> => writeSetting(sql, 'privacy', fingerprint);

/** Notes that from now on things may be stored that keep to no settings. */
export const unmark = (sql: Sql): Promise<void> => deleteSetting(sql, 'privacy');
