/** `sync.settings`: facts about this mirror, one row for each. Every key has its type here, and only this file reads and writes them. */
import { type Json, stringifyJson } from '../core/json.ts';
import type { FieldForms } from '../mirror-rows/extra-fields.ts';
import type { Queryable } from '../postgres/connection.ts';
import { literal } from '../postgres/quote.ts';

/** A field found in records, the column that shows it, and the forms that its values were seen to have. */
export interface ExtraField extends FieldForms {
  readonly name: string;
}

export interface Settings {
  /** Host of the portal that the mirror belongs to. */
  readonly portal: string;
  /** IANA zone of the portal, in which date-times are read. */
  readonly timezone: string;
  readonly history_paused: boolean;
  /** Before this moment changes may be missing from the history; as PostgreSQL writes it. */
  readonly history_since: string;
  /** Fingerprint of the privacy settings that all that is stored keeps to. */
  readonly privacy: string;
  /** Hash of the SQL that made each view; tells our views from other people's as well. */
  readonly views: Readonly<Record<string, string>>;
  /** Fingerprint of the facts that the views were last made from, and when to try again what could not be changed. */
  readonly live_facts: { readonly print: string; readonly retry_at: string | null };
  /** Fields of models that the catalogue does not know, by model, in the order in which they were found. */
  readonly extra_fields: Readonly<Record<string, readonly ExtraField[]>>;
  /** Hash of the SQL that made the functions of the history. */
  readonly 'history functions': string;
  /** When each webhook secret was last handed in, by its fingerprint. */
  readonly webhook_secrets_used: Readonly<Record<string, string>>;
}

type Key = keyof Settings;

/** Keys that only the owner of the schema may write: it drops and keeps what they name. */
export const OWNERS_KEYS = [
  'views',
  'live_facts',
  'extra_fields',
  'history functions',
] as const satisfies readonly Key[];

/** Keys that others may write as long as nobody has: what is read by them must not change under the owner's views. */
export const FIXED_KEYS = ['timezone'] as const satisfies readonly Key[];

/** The settings of these keys; what has not been stored is missing. */
export async function readSettings<K extends Key>(sql: Queryable, ...keys: K[]): Promise<Partial<Pick<Settings, K>>> {
  const rows = await sql`select key, value from sync.settings where key = any(${keys}::text[])`;
  return Object.fromEntries(rows.map(({ key, value }) => [key, value])) as Partial<Pick<Settings, K>>;
}

/** Stores a setting; writes nothing where it is the same already. */
export async function writeSetting<K extends Key>(sql: Queryable, key: K, value: Settings[K]): Promise<void> {
  await sql`
    insert into sync.settings as s (key, value) values (${key}, ${stringifyJson(value as Json)}::text::jsonb)
        on conflict (key) do update set value = excluded.value where s.value <> excluded.value`;
}

/** Stores a setting where there is none; returns the one that is there then. */
export async function claimSetting<K extends Key>(sql: Queryable, key: K, value: Settings[K]): Promise<Settings[K]> {
  await sql`
    insert into sync.settings (key, value) values (${key}, ${stringifyJson(value as Json)}::text::jsonb)
        on conflict (key) do nothing`;
  return (await readSettings(sql, key))[key] ?? value;
}

export async function deleteSetting(sql: Queryable, key: Key): Promise<void> {
  await sql`delete from sync.settings where key = ${key}`;
}

/** SQL for a setting as text, for views and functions; asked for once a query. */
export const settingAsText = (key: Key) => `(select value #>> '{}' from sync.settings where key = ${literal(key)})`;

/** SQL for a person who has to correct a setting by hand. */
export const correction = <K extends Key>(key: K, value: Settings[K]) =>
  `update sync.settings set value = ${literal(stringifyJson(value as Json))} where key = ${literal(key)}`;

export interface HistorySettings {
  readonly timezone: string;
  readonly keeps: boolean;
}

/** The settings of the history as the database has them; what it has not been told yet is missing. */
export async function storedHistorySettings(sql: Queryable): Promise<Partial<HistorySettings>> {
  const { timezone, history_paused } = await readSettings(sql, 'timezone', 'history_paused');
  return {
    ...(timezone !== undefined && { timezone }),
    ...(history_paused !== undefined && { keeps: !history_paused }),
  };
}

/**
 * Notes the settings of the history, and writes only what differs. After a time in which changes were not kept, states of
 * the past begin again: what went unseen would be missing from those before.
 * @throws the server's insufficient_privilege where only the owner may change what is there
 */
export async function noteHistorySettings(sql: Queryable, { timezone, keeps }: HistorySettings): Promise<void> {
  await sql`
    with wanted (key, value) as (
      select 'timezone', to_jsonb(${timezone}::text)
       where not exists (select from sync.settings where key = 'timezone' and value = to_jsonb(${timezone}::text))
       union all
      select 'history_paused', to_jsonb(${!keeps}::boolean)
       union all
      select 'history_since', to_jsonb(clock_timestamp())
        from sync.settings where ${keeps} and key = 'history_paused' and value = 'true'
    )
    insert into sync.settings as s (key, value) select key, value from wanted
        on conflict (key) do update set value = excluded.value where s.value <> excluded.value`;
}

/** Notes when webhook secrets were handed in; of several replicas the latest counts. Keeps the `most` latest of them. */
export async function noteSecretsUsed(
  sql: Queryable,
  used: Settings['webhook_secrets_used'],
  most: number,
): Promise<void> {
  await sql`
    insert into sync.settings as s (key, value) values ('webhook_secrets_used', ${JSON.stringify(used)}::text::jsonb)
        on conflict (key) do update
       set value = (
             select jsonb_object_agg(newest.name, newest.at)
               from (select used.name, max(used.at) as at
                       from (select * from jsonb_each_text(s.value)
                              union all
                             select * from jsonb_each_text(excluded.value)) as used(name, at)
                      group by used.name
                      order by max(used.at) desc
                      limit ${most}) as newest)`;
}
