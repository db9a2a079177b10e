/** What the portal decides about the live views, as the mirror knows it: its zone, its custom fields and their names. */
import { findModel } from '../catalog/index.ts';
import { errorCode, type Queryable, savepoint, type Transaction } from '../postgres/connection.ts';
import { findCustomFields } from '../store/custom-fields.ts';
import { storedHistorySettings } from '../store/history-settings.ts';
import { type CustomColumn, type GivenName, groupedBy, nameColumns } from './custom-columns.ts';
import { type LiveFacts, ownColumns } from './live-columns.ts';

/**
 * The facts as they stand, without changing anything: for whoever describes the views.
 * @param zone as in `settleLiveFacts`; the one in force is taken to be known to the server.
 */
export async function readLiveFacts(sql: Queryable, zone?: string): Promise<LiveFacts> {
  return (await collect(sql, await zoneInForce(sql, zone))).facts;
}

/**
 * The facts, with every custom field given its name and the names remembered. Callers hold the lock of `migrate`,
 * so that replicas give no two names.
 * @param zone IANA name of the portal's zone, for a database that has not been told it; UTC where it is left out.
 */
export async function settleLiveFacts(tx: Transaction, zone: string | undefined): Promise<LiveFacts> {
  const said = await zoneInForce(tx, zone);
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
  const fieldsOf = groupedBy(fields, ({ model }) => model);
  const namesOf = groupedBy(before, ({ model }) => model);
  for (const name of models) {
    const model = findModel(name);
    const given = namesOf.get(name) ?? [];
    if (model === undefined) {
      names.push(...given);
      continue;
    }
    const own = new Set(ownColumns(model).map((column) => column.name));
    const named = nameColumns(fieldsOf.get(name) ?? [], given, own, nowMs);
    customColumns.set(name, named.columns);
    names.push(...named.names);
  }
  return { facts: { zone, customColumns }, names, before };
}

/** The portal's zone as the database has been told it, else the one given. */
export async function zoneInForce(sql: Queryable, zone = 'UTC'): Promise<string> {
  return (await storedHistorySettings(sql)).timezone ?? zone;
}

/** Zones are data of the server's, which may be older than ours. */
async function knowsZone(tx: Transaction, zone: string): Promise<boolean> {
  try {
    await savepoint(tx, async (inner) => inner`select now() at time zone ${zone}`);
    return true;
  } catch (error) {
    if (errorCode(error) !== '22023') throw error; // invalid_parameter_value
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
