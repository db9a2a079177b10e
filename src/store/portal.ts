/** Which portal a mirror belongs to: rows of two portals in one database could never be told apart again. */
import { errorCode, type Sql, within } from '../postgres/connection.ts';

const ANSWER_MAX_MS = 10_000;

/** The database mirrors another portal than the settings name. */
export class OtherPortalError extends Error {
  override readonly name = 'OtherPortalError';
}

/**
 * Binds the mirror to a portal the first time, and checks it ever after.
 * @throws OtherPortalError
 */
export async function claimPortal(sql: Sql, baseUrl: string): Promise<void> {
  const portal = new URL(baseUrl).host;
  const [row] = await sql`
    with bound as (
      insert into sync.settings (key, value) values ('portal', to_jsonb(${portal}::text))
          on conflict (key) do nothing
      returning value)
    select value #>> '{}' as portal from bound
     union all
    select value #>> '{}' from sync.settings where key = 'portal'
     limit 1`;
  refuseOther(row?.portal, portal);
}

/** The portal that the mirror belongs to; null before its first request. */
export async function boundPortal(sql: Sql): Promise<string | null> {
  try {
    const [row] = await within(
      sql`select value #>> '{}' as portal from sync.settings where key = 'portal'`,
      ANSWER_MAX_MS,
    );
    return (row?.portal ?? null) as string | null;
  } catch (error) {
    if (['42P01', '3F000'].includes(errorCode(error) ?? '')) return null;
    throw error;
  }
}

/**
 * Checks the same without binding: for whoever only looks.
 * @throws OtherPortalError
 */
export async function requirePortal(sql: Sql, baseUrl: string): Promise<void> {
  const portal = new URL(baseUrl).host;
  refuseOther((await boundPortal(sql)) ?? portal, portal);
}

function refuseOther(bound: string, portal: string): void {
  if (bound === portal) return;
  throw new OtherPortalError(
    `this database mirrors ${bound}, but the settings name ${portal}. Use another database for it, ` +
      `or, if the portal has moved, run: update sync.settings set value = '"${portal}"' where key = 'portal'`,
  );
}
