/** What the portal decides about the live views, as the mirror knows it: its zone, its custom fields and their names. */

import { findModel } from '../catalog/index.ts';
import { errorCode, type Queryable, savepoint, type Transaction } from '../postgres/connection.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { type CustomField, findCustomFields } from '../store/mirror-rows/custom-fields.ts';
import { type CustomColumn, type GivenName, nameColumns } from './custom-columns.ts';
import { type LiveFacts, ownColumns } from './live-columns.ts';

/** Key in `sync.settings`: the zone that the portal was last said to be in. */
const ZONE = 'timezone';

/**
 * The facts as they stand, without changing anything: for whoever describes the views.
 * @param zone as in `settleLiveFacts`; taken to be known to the server.
 */
export async function readLiveFacts(sql: Queryable, zone?: string): Promise<LiveFacts> {
  return (await collect(sql, zone ?? (await storedZone(sql)) ?? 'UTC')).facts;
}

/**
 * The facts, with every custom field given its name and names and zone remembered. Callers hold the lock of `migrate`,
 * so that replicas give no two names.
 * @param zone IANA name of the portal's zone; undefined for the one said before.
 */
export async function settleLiveFacts(tx: Transaction, zone: string | undefined): Promise<LiveFacts> {
  const stored = await storedZone(tx);
  if (zone !== undefined && zone !== stored) {
    await tx`
      insert into sync.settings (key, value) values (${ZONE}, to_jsonb(${zone}::text))
      on conflict (key) do update set value = excluded.value`;
  }
  const said = zone ?? stored ?? 'UTC';
  const { facts, names, before } = await collect(tx, (await knowsZone(tx, said)) ? said : null);
  await storeNames(tx, before, names);
  return facts;
}

interface Collected {
  readonly facts: LiveFacts;
  readonly names: readonly GivenName[];
  readonly before: readonly GivenName[];
}

async function collect(sql: Queryable, zone: string | null): Promise<Collected> {
  const fields = await findCustomFields(sql);
  const before = await readNames(sql);
  const [clock] = await sql<{ now_ms: number }[]>`select extract(epoch from now())::float8 * 1000 as now_ms`;
  const nowMs = Math.round(clock?.now_ms ?? 0);
  const models = new Set([...fields, ...before].map(({ model }) => model));
  const customColumns = new Map<string, readonly CustomColumn[]>();
  const names: GivenName[] = [];
  const ofModel = <T extends CustomField | GivenName>(rows: readonly T[], name: string) =>
    rows.filter(({ model }) => model === name);
  for (const name of models) {
    const model = findModel(name);
    const given = ofModel(before, name);
    if (model === undefined) {
      names.push(...given);
      continue;
    }
    const own = new Set(ownColumns(model).map((column) => column.name));
    const named = nameColumns(ofModel(fields, name), given, own, nowMs);
    customColumns.set(name, named.columns);
    names.push(...named.names);
  }
  return { facts: { zone, customColumns }, names, before };
}

async function storedZone(sql: Queryable): Promise<string | null> {
  const [row] = await sql<{ zone: string }[]>`select value #>> '{}' as zone from sync.settings where key = ${ZONE}`;
  return row?.zone ?? null;
}

/** Zones are data of the server's, which may be older than ours. */
async function knowsZone(tx: Transaction, zone: string): Promise<boolean> {
  try {
    await savepoint(tx, async (inner) => inner`select now() at time zone ${zone}`);
    return true;
  } catch (error) {
    if (errorCode(error) !== SQLSTATE.invalidParameterValue) throw error;
    return false;
  }
}

async function readNames(sql: Queryable): Promise<readonly GivenName[]> {
  const rows = await sql<(Omit<GivenName, 'formerSinceMs'> & { former_since_ms: number | null })[]>`
    select field_id::text as "fieldId", model, name, base, aliases,
           extract(epoch from former_since)::float8 * 1000 as former_since_ms
      from sync.custom_columns order by model, name`;
  return rows.map(({ former_since_ms, ...row }) => ({
    ...row,
    formerSinceMs: former_since_ms === null ? null : Math.round(former_since_ms),
  }));
}

async function storeNames(tx: Transaction, before: readonly GivenName[], names: readonly GivenName[]): Promise<void> {
  const keyed = (rows: readonly GivenName[]) =>
    new Map(rows.map((row) => [JSON.stringify([row.model, row.name]), row]));
  const had = keyed(before);
  const have = keyed(names);
  const same = (a: GivenName, b: GivenName | undefined) =>
    JSON.stringify(ordered(a)) === JSON.stringify(b && ordered(b));
  const changed = [...have].flatMap(([key, row]) => (same(row, had.get(key)) ? [] : [row]));
  const gone = [...had].flatMap(([key, row]) => (have.has(key) ? [] : [row]));
  if (gone.length > 0) {
    await tx`
      delete from sync.custom_columns t using jsonb_to_recordset(${JSON.stringify(gone)}::text::jsonb) as n(model text, name text)
       where t.model = n.model and t.name = n.name`;
  }
  if (changed.length > 0) {
    await tx`
      insert into sync.custom_columns (model, name, field_id, base, aliases, former_since)
      select model, name, "fieldId", base, aliases, to_timestamp("formerSinceMs" / 1000)
        from jsonb_to_recordset(${JSON.stringify(changed)}::text::jsonb)
          as n(model text, name text, "fieldId" bigint, base text, aliases jsonb, "formerSinceMs" float8)
          on conflict (model, name) do update
         set field_id = excluded.field_id, base = excluded.base, aliases = excluded.aliases, former_since = excluded.former_since`;
  }
}

const ordered = (row: GivenName) => [row.fieldId, row.model, row.name, row.base, row.aliases, row.formerSinceMs];
