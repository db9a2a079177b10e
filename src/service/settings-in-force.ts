/**
 * The portal's zone and whether changes are kept: facts of the mirror, which `serve`, `backfill` and `rebuild` write. Where
 * there are rows, another zone is taken from a `rebuild` of all of them alone.
 * Every other command goes by what the database says, whatever the shell that it was started from.
 */
import type { Config } from '../config/index.ts';
import type { Logger } from '../core/log.ts';
import { asOwner } from '../migrate/owner.ts';
import { hasRows } from '../mirror-rows/reads.ts';
import { errorCode, type Queryable, type Sql } from '../postgres/connection.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { type HistorySettings, noteHistorySettings, storedHistorySettings } from '../store/settings.ts';

export function configuredSettings({ flowlu, history }: Pick<Config, 'flowlu' | 'history'>): HistorySettings {
  return { timezone: flowlu.timezone, keeps: history.keeps };
}

export type OtherZone = NonNullable<ReturnType<typeof otherZone>>;

/** What to say where the environment names another zone than the mirror; null where they agree, or the mirror has none yet. */
export function otherZone(zone: string, stored: string | undefined) {
  if (stored === undefined || stored === zone) return null;
  return {
    /** Of the mirror. */
    zone: stored,
    found: `FLOWLU_TIMEZONE says ${zone}, the mirror was filled with ${stored}`,
    advice: `set FLOWLU_TIMEZONE=${stored}; or, where that was wrong, run with the right one: flowlu-mirror rebuild`,
  };
}

/** The same, where there are rows: those of two zones would lie hours apart, so only what derives all again may change it. */
export async function otherZoneOfRows(sql: Sql, { timezone }: HistorySettings): Promise<OtherZone | null> {
  const other = otherZone(timezone, (await storedHistorySettings(sql)).timezone);
  return other !== null && (await hasRows(sql)) ? other : null;
}

/** Notes the settings of the environment; where only the owner may change those of the database, as the owner or not at all. */
export async function defineSettings(
  sql: Sql,
  configured: HistorySettings,
  migrateUrl: string | null,
  log: Logger,
): Promise<HistorySettings> {
  try {
    await noteHistorySettings(sql, configured);
  } catch (error) {
    if (errorCode(error) !== SQLSTATE.insufficientPrivilege) throw error;
    if (migrateUrl === null) {
      log.warn('only the owner of the mirror may change its time zone: set MIGRATE_DATABASE_URL for one start');
      return settingsInForce(sql, configured, log);
    }
    await asOwner(sql, migrateUrl, (owner) => noteHistorySettings(owner, configured));
  }
  return configured;
}

const onOrOff = (keeps: boolean) => (keeps ? 'on' : 'off');

/** The settings of the database, with one warning where the environment says otherwise; the environment's where it has none. */
export async function settingsInForce(
  sql: Queryable,
  configured: HistorySettings,
  log: Logger,
): Promise<HistorySettings> {
  const inForce = { ...configured, ...(await storedHistorySettings(sql)) };
  const history = `HISTORY is ${onOrOff(configured.keeps)} here and ${onOrOff(inForce.keeps)} in the mirror`;
  const zone = `FLOWLU_TIMEZONE is ${configured.timezone} here and ${inForce.timezone} in the mirror`;
  const differing = [
    ...(inForce.timezone === configured.timezone ? [] : [`${zone} (rebuild changes it)`]),
    ...(inForce.keeps === configured.keeps ? [] : [`${history} (serve and backfill change it)`]),
  ];
  if (differing.length > 0) log.warn(`${differing.join(', ')}; the mirror goes on as it is`);
  return inForce;
}
