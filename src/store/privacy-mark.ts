/** Which privacy settings all that is stored keeps to: a mark that other settings, or none, make void. */
import type { Sql } from '../postgres/connection.ts';

const KEY = 'privacy';

/** Whether everything stored keeps to the settings of this fingerprint. Where nothing is stored yet, it does. */
export async function keepsTo(sql: Sql, fingerprint: string): Promise<boolean> {
  const [row] = await sql`
    select coalesce(
      (select value #>> '{}' = ${fingerprint} from sync.settings where key = ${KEY}),
      not exists (select from sync.deliveries) and not exists (select from sync.runs)) as keeps`;
  return row?.keeps === true;
}

/** Notes that everything stored keeps to the settings of this fingerprint. */
export async function markKept(sql: Sql, fingerprint: string): Promise<void> {
  await sql`
    insert into sync.settings as s (key, value) values (${KEY}, to_jsonb(${fingerprint}::text))
        on conflict (key) do update set value = excluded.value where s.value <> excluded.value`;
}

/** Notes that from now on things may be stored that keep to no settings. */
export async function unmark(sql: Sql): Promise<void> {
  await sql`delete from sync.settings where key = ${KEY}`;
}
