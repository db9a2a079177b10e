/** What PostgreSQL leaves open to everybody: places where a reader of the mirror could store something. */
import type { Queryable, Transaction } from '../postgres/connection.ts';
import { identifier } from '../postgres/quote.ts';

interface Opening {
  readonly name: string;
  /** SQL: whether it is open. */
  readonly isOpen: string;
  /** SQL: whether our role may close it. */
  readonly mayClose: string;
  readonly close: (database: string) => string;
}

/** The one that lets strangers put functions where programs look for theirs. */
export const CREATE_IN_PUBLIC = 'creating in the schema public';

const MAY_STORE = [
  'lo_creat(integer)',
  'lo_create(oid)',
  'lo_from_bytea(oid, bytea)',
  'lo_put(oid, bigint, bytea)',
  'lowrite(integer, bytea)',
].map((signature) => `pg_catalog.${signature}`);

const OPENINGS: readonly Opening[] = [
  {
    name: CREATE_IN_PUBLIC,
    isOpen: `exists (select from pg_namespace where nspname = 'public' and has_schema_privilege('public', oid, 'create'))`,
    mayClose: `exists (select from pg_namespace where nspname = 'public' and pg_has_role(nspowner, 'usage'))`,
    close: () => 'revoke create on schema public from public',
  },
  {
    name: 'temporary tables',
    isOpen: `has_database_privilege('public', current_database(), 'temporary')`,
    mayClose: `exists (select from pg_database where datname = current_database() and pg_has_role(datdba, 'usage'))`,
    close: (database) => `revoke temporary on database ${identifier(database)} from public`,
  },
  {
    name: 'large objects',
    isOpen: `has_function_privilege('public', 'pg_catalog.lo_from_bytea(oid, bytea)', 'execute')`,
    mayClose: `exists (select from pg_proc where oid = 'pg_catalog.lo_from_bytea(oid, bytea)'::regprocedure and pg_has_role(proowner, 'usage'))`,
    close: () => `revoke execute on function ${MAY_STORE.join(', ')} from public`,
  },
];

export interface OpenPlace {
  readonly name: string;
  readonly sql: string;
}

export async function openPlaces(sql: Queryable): Promise<readonly (OpenPlace & { readonly mayClose: boolean })[]> {
  const columns = OPENINGS.flatMap(({ isOpen, mayClose }, n) => [`${isOpen} as open${n}`, `${mayClose} as may${n}`]);
  const [row] = await sql.unsafe(`select current_database() as database, ${columns.join(', ')}`);
  return OPENINGS.flatMap(({ name, close }, n) =>
    row?.[`open${n}`] === true ? [{ name, sql: close(row.database as string), mayClose: row[`may${n}`] === true }] : [],
  );
}

/** Closes what it may, in a database that holds nothing but the mirror; elsewhere other programs may need it. */
export async function closePlaces(tx: Transaction): Promise<void> {
  const [others] = await tx`
    select exists (
      select from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname !~ '^pg_' and n.nspname <> all (${OURS}::text[])
         and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
    ) or exists (select from pg_largeobject_metadata) as present`;
  if (others?.present !== false) return;
  const closing = (await openPlaces(tx)).filter(({ mayClose }) => mayClose);
  if (closing.length > 0) await tx.unsafe(closing.map(({ sql }) => sql).join(';\n'));
}

const OURS = ['information_schema', 'drizzle', 'flowlu', 'flowlu_live', 'flowlu_reports', 'flowlu_history', 'sync'];
