/** Which portal a mirror belongs to. Rows of two portals in one database could never be separated again. */
import { withTimeout } from '../core/time.ts';
import { isMissing, type Sql } from '../postgres/connection.ts';
import { claimSetting, correction, readSettings } from './settings.ts';

const ANSWER_MAX_MS = 10_000;

/** The database mirrors another portal than the one in the settings. */
export class OtherPortalError extends Error {
  override readonly name = 'OtherPortalError';
}

/** Binds the mirror to a portal the first time and checks it from then on. @throws OtherPortalError */
export async function claimPortal(sql: Sql, baseUrl: string): Promise<void> {
  const portal = new URL(baseUrl).host;
  refuseOther(await claimSetting(sql, 'portal', portal), portal);
}

/** The portal that the mirror belongs to; null before its first request, or if there is no mirror. */
export async function boundPortal(sql: Sql): Promise<string | null> {
  try {
    return (await withTimeout(readSettings(sql, 'portal'), ANSWER_MAX_MS)).portal ?? null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Checks without binding, for commands that only read. @throws OtherPortalError */
export async function requirePortal(sql: Sql, baseUrl: string): Promise<void> {
  const portal = new URL(baseUrl).host;
  refuseOther((await boundPortal(sql)) ?? portal, portal);
}

function refuseOther(bound: string, portal: string): void {
  if (bound === portal) return;
  throw new OtherPortalError(
    `this database mirrors ${bound}, but the settings name ${portal}. Use another database for it, ` +
      `or, if the portal has moved, run: ${correction('portal', portal)}`,
  );
}
