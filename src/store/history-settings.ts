/** What the views of the history need to know of the settings; kept in `sync.settings`, where they find it. */
import type { Queryable, Sql } from '../postgres/connection.ts';

export interface HistorySettings {
  /** IANA zone of the portal, in which past date-times are read. */
  readonly timezone: string;
  /** Whether changes are kept from now on. */
  readonly keeps: boolean;
}

/** The settings as the database has them; what it has not been told yet is missing. */
export async function storedHistorySettings(sql: Queryable): Promise<Partial<HistorySettings>> {
  const rows = await sql<{ key: string; value: string }[]>`
    select key, value #>> '{}' as value from sync.settings where key in ('timezone', 'history_paused')`;
  const stored = new Map(rows.map(({ key, value }) => [key, value]));
  const [timezone, paused] = [stored.get('timezone'), stored.get('history_paused')];
  return { ...(timezone !== undefined && { timezone }), ...(paused !== undefined && { keeps: paused !== 'true' }) };
}

/**
 * Notes the settings, and writes only what differs. After a time in which changes were not kept, states of the past begin
 * anew: what went unseen would be missing from those before.
 */
export async function noteHistorySettings(sql: Sql, { timezone, keeps }: HistorySettings): Promise<void> {
  await sql`
    with wanted (key, value) as (
      select 'timezone', to_jsonb(${timezone}::text)
       union all
      select 'history_paused', to_jsonb(${!keeps}::boolean)
       union all
      select 'history_since', to_jsonb(clock_timestamp())
        from sync.settings where ${keeps} and key = 'history_paused' and value = 'true'
    )
    insert into sync.settings as s (key, value) select key, value from wanted
        on conflict (key) do update set value = excluded.value where s.value <> excluded.value`;
}
