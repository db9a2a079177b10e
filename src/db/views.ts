/** Brings the views for analysts up to date without pulling them from under their users. */
import { createHash } from 'node:crypto';
import { errorCode, savepoint, type Transaction } from './connection.ts';
import { historyViews } from './history/views.ts';
import { liveViews, type View } from './live.ts';
import { identifier } from './quote.ts';

/** A view that had to stay as it was. */
export interface KeptView {
  /** Its name, with the schema where that is not `flowlu_live`. */
  readonly view: string;
  readonly reason: string;
}

/** Statements that give a dropped view's readers their rights back, by view. */
export type SavedGrants = ReadonlyMap<string, readonly string[]>;

/** What stands in the database now. */
interface StandingView {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

/** Key in `sync.settings`: view → hash of the SQL that made it. Also tells our views from other people's. */
const HASHES = 'views';
/** In place of the hash of a view that could not be brought up to date: ours, and to be tried again. */
const OUTDATED = '';

const LIVE = 'flowlu_live';
const SCHEMAS: readonly string[] = [LIVE, 'flowlu_history'];

/** How a view is called in settings and reports. */
const keyOf = ({ schema = LIVE, name }: { readonly schema?: string; readonly name: string }) =>
  schema === LIVE ? name : `${schema}.${name}`;
/** How a view is called in SQL; a model's name holds no dot. */
const nameOf = (key: string) => (key.includes('.') ? key : `${LIVE}.${key}`).split('.').map(identifier).join('.');
const hashOf = (sql: string) => createHash('sha256').update(sql).digest('hex').slice(0, 32);

/**
 * How to bring a standing view to its new shape. `create or replace` may only append columns, so the
 * standing order is kept and new columns go last; only a column that left or changed its type forces a drop.
 */
function planView(view: View, standing: StandingView | undefined): { readonly sql: string; readonly drop: boolean } {
  const wanted = new Map(view.columns.map((column) => [column.name, column]));
  const before = standing?.columns ?? [];
  const drop = before.some(({ name, type }) => wanted.get(name)?.type !== type);
  const names = drop ? wanted.keys() : new Set([...before.map(({ name }) => name), ...wanted.keys()]);
  const columns = [...names].map((name) => {
    const expression = wanted.get(name)?.expression ?? identifier(name);
    return expression === identifier(name) ? expression : `${expression} as ${identifier(name)}`;
  });
  return {
    sql: `create or replace view ${nameOf(keyOf(view))} as select ${columns.join(', ')} from ${view.from}`,
    drop,
  };
}

/**
 * Creates, extends and, where nothing else helps, re-creates our views; touches none that is already right.
 * @param grants rights of views that were dropped before the migrations.
 * @returns the views that had to stay as they were because something depends on them.
 */
export async function applyViews(tx: Transaction, grants: SavedGrants = new Map()): Promise<readonly KeptView[]> {
  await tx.unsafe(SCHEMAS.map((schema) => `create schema if not exists ${schema}`).join(';\n'));
  const standing = await standingViews(tx);
  const hashes = await storedHashes(tx);
  const next: Record<string, string> = {};
  const kept: KeptView[] = [];
  const batch: string[] = [];
  for (const view of [...liveViews(), ...historyViews()]) {
    const key = keyOf(view);
    const { sql, drop } = planView(view, standing.get(key));
    const hash = hashOf(sql);
    next[key] = hash;
    const complete = standing.get(key)?.columns.length === view.columns.length;
    if (!drop && complete && hashes[key] === hash) continue;
    if (!drop) {
      batch.push(sql, ...(grants.get(key) ?? []));
      continue;
    }
    const reason = await dropThen(tx, key, [sql, ...((await grantsOf(tx, [key])).get(key) ?? [])]);
    if (reason !== null) kept.push({ view: key, reason });
  }
  if (batch.length > 0) await tx.unsafe(batch.join(';\n'));
  for (const name of Object.keys(hashes)) {
    if (name in next || !standing.has(name)) continue;
    const reason = await dropThen(tx, name, []);
    if (reason !== null) kept.push({ view: name, reason });
  }
  for (const { view } of kept) next[view] = OUTDATED;
  await storeHashes(tx, hashes, next);
  return kept;
}

/**
 * Takes our views away before migrations that change or remove columns under them; those that
 * something else depends on stay.
 * @returns the rights of the dropped ones, for `applyViews` to restore.
 */
export async function dropViews(tx: Transaction): Promise<SavedGrants> {
  const names = [...(await standingViews(tx)).keys()];
  const ours = await storedHashes(tx);
  const dropped = names.filter((name) => name in ours);
  const grants = await grantsOf(tx, dropped);
  for (const name of dropped) await dropThen(tx, name, []);
  return grants;
}

/** Null when done; the reason when something depends on the view, which then stands as before. */
async function dropThen(tx: Transaction, name: string, then: readonly string[]): Promise<string | null> {
  try {
    await savepoint(tx, async (inner) => {
      await inner.unsafe([`drop view if exists ${nameOf(name)}`, ...then].join(';\n'));
    });
    return null;
  } catch (error) {
    if (errorCode(error) !== '2BP01') throw error; // dependent_objects_still_exist
    const { detail, message } = error as { detail?: string; message: string };
    return `${detail ?? message}; drop what depends on it and run migrate again`;
  }
}

async function standingViews(tx: Transaction): Promise<ReadonlyMap<string, StandingView>> {
  const rows = await tx<{ schema: string; name: string; columns: StandingView['columns'] }[]>`
    select c.relnamespace::regnamespace::text as schema, c.relname as name, json_agg(json_build_object(
      'name', a.attname,
      'type', replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz')
    ) order by a.attnum) as columns
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any(${[...SCHEMAS]}::text[]) and c.relkind = 'v'
    group by c.relnamespace, c.relname`;
  return new Map(rows.map((row) => [keyOf(row), row]));
}

async function grantsOf(tx: Transaction, views: readonly string[]): Promise<SavedGrants> {
  const rows = await tx<{ view: string; statements: string[] }[]>`
    select k.key as view, array_agg(format(
      'grant %s on %I.%I to %s%s', acl.privilege_type, n.nspname, c.relname,
      case acl.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(acl.grantee)) end,
      case when acl.is_grantable then ' with grant option' else '' end
    )) as statements
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace and n.nspname = any(${[...SCHEMAS]}::text[])
    cross join lateral (select case n.nspname when ${LIVE} then '' else n.nspname || '.' end || c.relname) as k(key)
    cross join aclexplode(c.relacl) as acl
    where k.key = any(${[...views]}::text[]) and acl.grantee <> c.relowner
    group by k.key`;
  return new Map(rows.map((row) => [row.view, row.statements]));
}

async function storedHashes(tx: Transaction): Promise<Readonly<Record<string, string>>> {
  const [row] = await tx<{ value: Record<string, string> }[]>`select value from sync.settings where key = ${HASHES}`;
  return row?.value ?? {};
}

async function storeHashes(
  tx: Transaction,
  before: Readonly<Record<string, string>>,
  next: Readonly<Record<string, string>>,
) {
  const same = Object.keys(before).length === Object.keys(next).length;
  if (same && Object.entries(next).every(([name, hash]) => before[name] === hash)) return;
  await tx`
    insert into sync.settings (key, value) values (${HASHES}, ${JSON.stringify(next)}::jsonb)
    on conflict (key) do update set value = excluded.value`;
}
