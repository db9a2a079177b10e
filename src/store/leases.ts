/** Leases: who does work that only one replica may do. They run out by themselves when their holder dies. */
import type { Queryable, Sql } from '../postgres/connection.ts';

/** Takes or renews a lease; false while another holder has it. */
export async function takeLease(sql: Sql, name: string, holder: string, seconds: number): Promise<boolean> {
  const rows = await sql`
    insert into sync.leases as l (name, holder, expires_at)
    values (${name}, ${holder}, clock_timestamp() + ${seconds} * interval '1 second')
        on conflict (name) do update
       set holder = excluded.holder, expires_at = excluded.expires_at
     where l.holder = excluded.holder or l.expires_at < clock_timestamp()
    returning true`;
  return rows.length > 0;
}

export async function releaseLease(sql: Sql, name: string, holder: string): Promise<void> {
  await sql`delete from sync.leases where name = ${name} and holder = ${holder}`;
}

export async function leaseHolder(sql: Sql, name: string): Promise<string | null> {
  const [row] = await sql`select holder from sync.leases where name = ${name} and expires_at >= clock_timestamp()`;
  return (row?.holder ?? null) as string | null;
}

/** All leases that have not run out. */
export async function heldLeases(
  sql: Queryable,
): Promise<readonly { readonly name: string; readonly holder: string }[]> {
  const rows = await sql`select name, holder from sync.leases where expires_at >= clock_timestamp()`;
  return rows as unknown as readonly { readonly name: string; readonly holder: string }[];
}
