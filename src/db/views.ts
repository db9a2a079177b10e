/** Brings the views of schema `flowlu_live` up to date without pulling them from under their users. */
import { createHash } from 'node:crypto';
import { errorCode, savepoint, type Transaction } from './connection.ts';
import { dataDictionary } from './dictionary.ts';
import { liveViews, type View } from './live.ts';
import { identifier } from './quote.ts';

/** A view that had to stay as it was. */
export interface KeptView {
  /** Its name in schema `flowlu_live`. */
  readonly view: string;
  readonly reason: string;
}

/** Statements that give a dropped view's readers their rights back, by view. */
export type SavedGrants = ReadonlyMap<string, readonly string[]>;

/** What stands in the database now. */
interface StandingView {
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

/** Key in `sync.settings`: view → hash of the SQL that made it. Also tells our views from other people's. */
const HASHES = 'views';
/** In place of the hash of a view that could not be brought up to date: ours, and to be tried again. */
const OUTDATED = '';

const nameOf = (view: string) => `flowlu_live.${identifier(view)}`;
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
  return { sql: `create or replace view ${nameOf(view.name)} as select ${columns.join(', ')} from ${view.from}`, drop };
}

/**
 * Creates, extends and, where nothing else helps, re-creates our views; touches none that is already right.
 * @param grants rights of views that were dropped before the migrations.
 * @returns the views that had to stay as they were because something depends on them.
 */
export async function applyViews(tx: Transaction, grants: SavedGrants = new Map()): Promise<readonly KeptView[]> {
  await tx.unsafe('create schema if not exists flowlu_live');
  const standing = await standingViews(tx);
  const hashes = await storedHashes(tx);
  const next: Record<string, string> = {};
  const kept: KeptView[] = [];
  const batch: string[] = [];
  for (const view of [...liveViews(), dataDictionary()]) {
    const { sql, drop } = planView(view, standing.get(view.name));
    const hash = hashOf(sql);
    next[view.name] = hash;
    const complete = standing.get(view.name)?.columns.length === view.columns.length;
    if (!drop && complete && hashes[view.name] === hash) continue;
    if (!drop) {
      batch.push(sql, ...(grants.get(view.name) ?? []));
      continue;
    }
    const reason = await dropThen(tx, view.name, [sql, ...((await grantsOf(tx, [view.name])).get(view.name) ?? [])]);
    if (reason !== null) kept.push({ view: view.name, reason });
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
  const rows = await tx<{ name: string; columns: StandingView['columns'] }[]>`
    select c.relname as name, json_agg(json_build_object(
      'name', a.attname,
      'type', replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz')
    ) order by a.attnum) as columns
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = to_regnamespace('flowlu_live') and c.relkind = 'v'
    group by c.relname`;
  return new Map(rows.map((row) => [row.name, row]));
}

async function grantsOf(tx: Transaction, views: readonly string[]): Promise<SavedGrants> {
  const rows = await tx<{ view: string; statements: string[] }[]>`
    select c.relname as view, array_agg(format(
      'grant %s on flowlu_live.%I to %s%s', acl.privilege_type, c.relname,
      case acl.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(acl.grantee)) end,
      case when acl.is_grantable then ' with grant option' else '' end
    )) as statements
    from pg_class c, aclexplode(c.relacl) as acl
    where c.relnamespace = to_regnamespace('flowlu_live') and c.relname = any(${[...views]}::text[]) and acl.grantee <> c.relowner
    group by c.relname`;
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
