/** Brings the views over the mirror up to date without pulling them from under their users. */
import { createHash } from 'node:crypto';
import { isPassing, savepoint, type Transaction } from '../postgres/connection.ts';
import { identifier } from '../postgres/quote.ts';
import { readSettings, type Settings, writeSetting } from '../store/settings.ts';
import type { View } from '../views/view.ts';

/** A view that could not be made as it should be, or not at all. */
export interface KeptView {
  /** Its name, with its schema where that is not `flowlu_live`. */
  readonly view: string;
  /** Columns that should be gone, or have another type, and stay for what depends on the view. */
  readonly columns: readonly string[];
  readonly reason: string;
}

/** Statements that give a dropped view's readers their rights back, by view. */
export type SavedGrants = ReadonlyMap<string, readonly string[]>;

interface StandingView {
  /** As `viewName` gives it. */
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** What stands on it: other views, functions. */
  readonly dependants: readonly string[];
}

const SCHEMAS = ['flowlu_live', 'flowlu_reports', 'flowlu_history'] as const;
/** In place of the hash of a view that should be gone and could not go: ours, and to be tried again. */
const OUTDATED = '';

/** How a view is called in hashes, reports and messages. */
export const viewName = ({ schema, name }: Pick<View, 'schema' | 'name'>) =>
  schema === 'flowlu_live' ? name : `${schema}.${name}`;
/** The name in SQL; those of our views hold no dot. */
const relationOf = (view: string) =>
  (view.includes('.') ? view : `flowlu_live.${view}`).split('.').map(identifier).join('.');
const hashOf = (sql: string) => createHash('sha256').update(sql).digest('hex').slice(0, 32);

/** Columns that stand in the view and should not, or not with their type. */
function surplusOf(view: View, standing: StandingView | undefined): StandingView['columns'] {
  const wanted = new Map(view.columns.map((column) => [column.name, column.type]));
  return (standing?.columns ?? []).filter(({ name, type }) => wanted.get(name) !== type);
}

function lacksColumns(view: View, standing: StandingView | undefined): boolean {
  const had = new Set(standing?.columns.map(({ name }) => name));
  return view.columns.some(({ name }) => !had.has(name));
}

/**
 * The statement that brings a view to its shape. `create or replace` may only append columns, so the standing ones
 * come first, in their order and with their types, surplus ones as the view keeps them; new ones go last.
 */
function statementOf(view: View, before: StandingView['columns']): string {
  const wanted = new Map(view.columns.map((column) => [column.name, column]));
  const standing = before.map(({ name, type }) => {
    const column = wanted.get(name);
    return { name, expression: column?.type === type ? column.expression : view.keep(name, type) };
  });
  const had = new Set(before.map(({ name }) => name));
  const columns = [...standing, ...view.columns.filter(({ name }) => !had.has(name))].map(({ name, expression }) =>
    expression === identifier(name) ? expression : `${expression} as ${identifier(name)}`,
  );
  return `create or replace view ${relationOf(viewName(view))} as ${view.with ?? ''} select ${columns.join(', ')} from ${view.from}`;
}

/**
 * Creates, extends and, where nothing depends on it, re-creates our views; touches none that is already right.
 * @param grants rights of views that were dropped before the migrations.
 * @returns the views that have to keep columns because something depends on them.
 */
export async function applyViews(
  tx: Transaction,
  views: readonly View[],
  grants: SavedGrants = new Map(),
): Promise<readonly KeptView[]> {
  await tx.unsafe(SCHEMAS.map((schema) => `create schema if not exists ${schema}`).join(';\n'));
  const standing = await standingViews(tx);
  const hashes = await storedHashes(tx);
  const next: Record<string, string> = {};
  const kept: KeptView[] = [];
  const due: DueView[] = [];
  for (const view of views) {
    const name = viewName(view);
    const found = standing.get(name);
    const surplus = surplusOf(view, found);
    if (surplus.length > 0) {
      const anew = statementOf(view, []);
      const reason =
        dependence(found) ?? (await dropThen(tx, name, [anew, ...((await grantsOf(tx, [name])).get(name) ?? [])]));
      if (reason === null) {
        next[name] = hashOf(anew);
        continue;
      }
      kept.push({ view: name, columns: surplus.map((column) => column.name), reason });
    }
    const sql = statementOf(view, found?.columns ?? []);
    next[name] = hashOf(sql);
    if (lacksColumns(view, found) || hashes[name] !== next[name])
      due.push({ name, statements: [sql, ...(grants.get(name) ?? [])] });
  }
  const unwanted = Object.keys(hashes).flatMap((name) => (name in next ? [] : (standing.get(name) ?? [])));
  for (const view of [...(await makeViews(tx, due)), ...(await dropUnwanted(tx, unwanted))]) {
    kept.push(view);
    next[view.view] = OUTDATED;
  }
  await writeSetting(tx, 'views', next);
  return kept;
}

interface DueView {
  readonly name: string;
  readonly statements: readonly string[];
}

/** Makes all of them together, or where that fails each by itself; returns those that cannot be made. */
async function makeViews(tx: Transaction, due: readonly DueView[]): Promise<readonly KeptView[]> {
  const all = due.flatMap(({ statements }) => statements);
  if ((await tryStatements(tx, all)) === null) return [];
  const failed: KeptView[] = [];
  for (const { name, statements } of due) {
    const reason = await tryStatements(tx, statements);
    if (reason !== null) failed.push({ view: name, columns: [], reason: `cannot be made: ${reason}` });
  }
  return failed;
}

/** Null when done; the reason when the server refuses, and then nothing is done. What lies with the moment is thrown. */
async function tryStatements(tx: Transaction, statements: readonly string[]): Promise<string | null> {
  if (statements.length === 0) return null;
  try {
    await savepoint(tx, (inner) => inner.unsafe(statements.join(';\n')));
    return null;
  } catch (error) {
    if (isPassing(error)) throw error;
    const { detail, message } = error as { detail?: string; message: string };
    return detail ?? message;
  }
}

/** Drops views that no version wants any more; returns those that something depends on. */
async function dropUnwanted(tx: Transaction, views: readonly StandingView[]): Promise<readonly KeptView[]> {
  const kept: KeptView[] = [];
  for (const view of views) {
    const reason = dependence(view) ?? (await dropThen(tx, view.name, []));
    if (reason !== null) kept.push({ view: view.name, columns: view.columns.map(({ name }) => name), reason });
  }
  return kept;
}

/**
 * Takes our views away before migrations that change or remove columns under them; those that
 * something else depends on stay.
 * @returns the rights of the dropped ones, for `applyViews` to restore.
 */
export async function dropViews(tx: Transaction): Promise<SavedGrants> {
  const ours = await storedHashes(tx);
  const dropped = [...(await standingViews(tx)).keys()].filter((name) => name in ours);
  const grants = await grantsOf(tx, dropped);
  for (const name of dropped) await dropThen(tx, name, []);
  return grants;
}

const ADVICE = 'drop what depends on it and run migrate again';

function dependence(view: StandingView | undefined): string | null {
  if (view === undefined || view.dependants.length === 0) return null;
  return `${view.dependants.join(', ')} depends on view ${view.name}; ${ADVICE}`;
}

/** Null when done; the reason when something depends on the view, or what comes then fails, and all stands as before. */
async function dropThen(tx: Transaction, name: string, then: readonly string[]): Promise<string | null> {
  const reason = await tryStatements(tx, [`drop view if exists ${relationOf(name)}`, ...then]);
  return reason === null ? null : `${reason}; ${ADVICE}`;
}

async function standingViews(tx: Transaction): Promise<ReadonlyMap<string, StandingView>> {
  const rows = await tx<(StandingView & { schema: View['schema'] })[]>`
    select n.nspname as schema, c.relname as name, json_agg(json_build_object(
      'name', a.attname,
      'type', replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz')
    ) order by a.attnum) as columns,
    (
      select coalesce(array_agg(distinct coalesce(r.ev_class::regclass::text, pg_describe_object(d.classid, d.objid, d.objsubid))), '{}')
      from pg_depend d
      left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
      where d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.deptype = 'n'
        and r.ev_class is distinct from c.oid
    ) as dependants
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where n.nspname = any(${[...SCHEMAS]}::text[]) and c.relkind = 'v'
    group by n.nspname, c.oid, c.relname`;
  const views = rows.map(({ schema, ...row }) => ({ ...row, name: viewName({ schema, name: row.name }) }));
  return new Map(views.map((view) => [view.name, view]));
}

async function grantsOf(tx: Transaction, views: readonly string[]): Promise<SavedGrants> {
  const rows = await tx<{ schema: View['schema']; name: string; statements: string[] }[]>`
    select n.nspname as schema, c.relname as name, array_agg(format(
      'grant %s on %I.%I to %s%s', acl.privilege_type, n.nspname, c.relname,
      case acl.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(acl.grantee)) end,
      case when acl.is_grantable then ' with grant option' else '' end
    )) as statements
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    cross join aclexplode(c.relacl) as acl
    where n.nspname = any(${[...SCHEMAS]}::text[]) and acl.grantee <> c.relowner
      and case n.nspname when 'flowlu_live' then c.relname else n.nspname || '.' || c.relname end = any(${[...views]}::text[])
    group by n.nspname, c.relname`;
  return new Map(rows.map((row) => [viewName(row), row.statements]));
}

const storedHashes = async (tx: Transaction): Promise<Settings['views']> =>
  (await readSettings(tx, 'views')).views ?? {};
