/** `sync.settings`: facts about this mirror, one row each. Only this file reads and writes them. */
import { type Json, stringifyJson } from '../core/json.ts';
import type { FieldForms } from '../mirror-rows/extra-fields.ts';
import type { Queryable } from '../postgres/connection.ts';
import { literal } from '../postgres/quote.ts';

/** A field found in records, the column that shows it, and the forms of its values. */
export interface ExtraField extends FieldForms {
  readonly name: string;
}

export interface Settings {
  /** Host of the portal that the mirror belongs to. */
  readonly portal: string;
  /** IANA zone of the portal, in which date-times are read. */
  readonly timezone: string;
  readonly history_paused: boolean;
  /** Changes before this time may be missing from the history; as PostgreSQL writes it. */
  readonly history_since: string;
  /** Fingerprint of the privacy settings that all stored data complies with. */
  readonly privacy: string;
  /** Hash of the SQL of each view; also distinguishes our views from other people's. */
  readonly views: Readonly<Record<string, string>>;
  /** Fingerprint of the facts from which the views were last made, and when to retry what could not be changed. */
  readonly live_facts: { readonly print: string; readonly retry_at: string | null };
  /** Fields of models that the catalogue does not know, by model, in the order in which they were found. */
  readonly extra_fields: Readonly<Record<string, readonly ExtraField[]>>;
  /** Hash of the SQL of the history functions. */
  readonly 'history functions': string;
  /** When each webhook secret was last used, by its fingerprint. */
  readonly webhook_secrets_used: Readonly<Record<string, string>>;
}

type Key = keyof Settings;

/** Keys that only the owner of the schema may write, since it drops and keeps what they name. */
export const OWNERS_KEYS = [
  'views',
  'live_facts',
  'extra_fields',
  'history functions',
] as const satisfies readonly Key[];

/** Keys that others may only set if unset: data read with them must not change under the owner's views. */
export const FIXED_KEYS = ['timezone'] as const satisfies readonly Key[];

/** The settings of these keys, without those that are not stored. */
export async function readSettings<K extends Key>(sql: Queryable, ...keys: K[]): Promise<Partial<Pick<Settings, K>>> {
  const rows = await sql`select key, value from sync.settings where key = any(${keys}::text[])`;
  return Object.fromEntries(rows.map(({ key, value }) => [key, value])) as Partial<Pick<Settings, K>>;
}

/** Writes nothing if the setting already has this value. */
export async function writeSetting<K extends Key>(sql: Queryable, key: K, value: Settings[K]): Promise<void> {
  await sql`
    insert into sync.settings as s (key, value) values (${key}, ${stringifyJson(value as Json)}::text::jsonb)
        on conflict (key) do update set value = excluded.value where s.value <> excluded.value`;
}

/** Stores a setting if there is none; returns the stored one. */
export async function claimSetting<K extends Key>(sql: Queryable, key: K, value: Settings[K]): Promise<Settings[K]> {
  await sql`
    insert into sync.settings (key, value) values (${key}, ${stringifyJson(value as Json)}::text::jsonb)
        on conflict (key) do nothing`;
  return (await readSettings(sql, key))[key] ?? value;
}

export async function deleteSetting(sql: Queryable, key: Key): Promise<void> {
  await sql`delete from sync.settings where key = ${key}`;
}

/** SQL for a setting as text, for views and functions. It is evaluated once per query. */
export const settingAsText = (key: Key) => `(select value #>> '{}' from sync.settings where key = ${literal(key)})`;

/** SQL with which a person can correct a setting. */
export const correction = <K extends Key>(key: K, value: Settings[K]) =>
  `update sync.settings set value = ${literal(stringifyJson(value as Json))} where key = ${literal(key)}`;

export interface HistorySettings {
  readonly timezone: string;
  readonly keeps: boolean;
}

/** The settings of the history in the database, without those not stored yet. */
export async function storedHistorySettings(sql: Queryable): Promise<Partial<HistorySettings>> {
  const { timezone, history_paused } = await readSettings(sql, 'timezone', 'history_paused');
  return {
    ...(timezone !== undefined && { timezone }),
    ...(history_paused !== undefined && { keeps: !history_paused }),
  };
}

/**
 * Writes the settings of the history, as far as they differ. After a pause, past states begin again, since earlier ones
 * would lack the changes made during it.
 * @throws the server's insufficient_privilege if only the owner may change a setting
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

/** Notes when webhook secrets were used; of several replicas the latest counts. Keeps the `most` latest. */
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
