/** Leases: who does work that only one replica may do. They expire if their holder dies. */
import { isAhead } from '../postgres/clock.ts';
import type { Queryable, Sql } from '../postgres/connection.ts';

/** Time from the last renewal to the expiry of a lease: how long others wait after its holder was killed. */
export const LEASE_SECONDS = 45;

/** Takes or renews a lease; false while another holds it. Shortens one too far ahead, which its holder can renew. */
export async function takeLease(sql: Sql, name: string, holder: string, seconds: number): Promise<boolean> {
  const rows = await sql`
    insert into sync.leases as l (name, holder, expires_at)
    values (${name}, ${holder}, clock_timestamp() + ${seconds} * interval '1 second')
        on conflict (name) do update
       set holder = case when l.expires_at < clock_timestamp() then excluded.holder else l.holder end,
           expires_at = excluded.expires_at
     where l.holder = excluded.holder or l.expires_at < clock_timestamp()
        or ${isAhead(sql, 'l.expires_at', seconds)}
    returning l.holder = ${holder} as mine`;
  return rows[0]?.mine === true;
}

export async function releaseLease(sql: Sql, name: string, holder: string): Promise<void> {
  await sql`delete from sync.leases where name = ${name} and holder = ${holder}`;
}

export async function leaseHolder(sql: Sql, name: string): Promise<string | null> {
  const [row] = await sql`select holder from sync.leases where name = ${name} and expires_at >= clock_timestamp()`;
  return (row?.holder ?? null) as string | null;
}

/** All leases that have not expired, except those too far ahead, which only `takeLease` can judge. */
export async function heldLeases(
  sql: Queryable,
): Promise<readonly { readonly name: string; readonly holder: string }[]> {
  const rows =
    await sql`select name, holder from sync.leases where expires_at >= clock_timestamp() and not ${isAhead(sql, 'expires_at', LEASE_SECONDS)}`;
  return rows as unknown as readonly { readonly name: string; readonly holder: string }[];
}
