/** What the portal decides about the live views, as the mirror knows it: its zone, its custom fields and their names. */

import { findModel } from '../catalog/index.ts';
import { groupBy } from '../core/group.ts';
import { findCustomFields } from '../mirror-rows/custom-fields.ts';
import { formsOfFields } from '../mirror-rows/extra-fields.ts';
import { errorCode, type Queryable, savepoint, type Transaction } from '../postgres/connection.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { type GivenName, readNames, storeNames } from '../store/custom-columns.ts';
import { listedModels } from '../store/listings.ts';
import { type ExtraField, readSettings, storedHistorySettings, writeSetting } from '../store/settings.ts';
import { type CustomColumn, nameColumns } from './custom-columns.ts';
import { mergeFields } from './extra-models.ts';
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
  await writeSetting(tx, 'extra_fields', facts.extraFields);
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
  const fieldsOf = groupBy(fields, ({ model }) => model);
  const namesOf = groupBy(before, ({ model }) => model);
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
  return { facts: { zone, customColumns, extraFields: await findExtraFields(sql) }, names, before };
}

/** Fields of the models that are read through the API although the catalogue does not know them. */
async function findExtraFields(sql: Queryable): Promise<LiveFacts['extraFields']> {
  const names = (await listedModels(sql)).filter((name) => findModel(name) === undefined).slice(0, MAX_EXTRA_MODELS);
  if (names.length === 0) return {};
  const { extra_fields = {} } = await readSettings(sql, 'extra_fields');
  const fields: Record<string, readonly ExtraField[]> = {};
  for (const name of names) fields[name] = mergeFields(extra_fields[name] ?? [], await formsOfFields(sql, name));
  return fields;
}
const MAX_EXTRA_MODELS = 100;

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
    if (errorCode(error) !== SQLSTATE.invalidParameterValue) throw error;
    return false;
  }
}
