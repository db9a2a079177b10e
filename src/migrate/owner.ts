/** Who may change the schema: the role that owns it, and nobody else. */
import { connect, type Queryable, type Sql } from '../postgres/connection.ts';
import { quoted, roleOf, WRITER } from './roles.ts';

export interface Ownership {
  readonly role: string;
  /** The role that has to be granted to a login for it to write rows of this mirror, and of no other. */
  readonly writer: string;
  readonly owner: string | null;
  /** Whether our role may create, alter and drop what belongs to the mirror. */
  readonly may_define: boolean;
  /** Whether it is one of those that may write rows here, by the group of this database or of all. */
  readonly is_writer: boolean;
  /** Whether it may read the views, as analysts do, and nothing of the ledger. */
  readonly is_reader: boolean;
}

/** What to say to a role that may not do its work. A reader's address is a mix-up: to grant it more would be a mistake. */
export function wrongRole({ role, owner, writer, is_reader }: Ownership): {
  readonly found: string;
  readonly advice: string;
} {
  if (!is_reader) {
    const found = `the database role ${role} may not read the mirror`;
    return { found, advice: `as the owner of the mirror or an administrator: grant ${writer} to ${role}` };
  }
  return {
    found: `this is the database address of a reader: ${role} may read the views of the mirror and nothing else`,
    advice: `in DATABASE_URL, use the address of ${owner}, which owns the mirror, or of a login that may write (docs/operators.md)`,
  };
}

export async function ownership(sql: Queryable): Promise<Ownership> {
  const [here] = await sql`select current_database() as name`;
  const own = roleOf(WRITER, here?.name as string);
  const [row] = await sql`
    select current_user as role, max(pg_get_userbyid(nspowner)) as owner,
           coalesce(bool_or(pg_has_role(current_user, nspowner, 'usage')),
                    has_database_privilege(current_database(), 'create')) as may_define,
           exists (select from pg_roles where rolname in (${WRITER}, ${own})
                      and pg_has_role(current_user, oid, 'usage')) as is_writer,
           -- A copy of a database has no group of its own.
           coalesce((select rolname from pg_roles where rolname in (${WRITER}, ${own}) order by rolname = ${WRITER} limit 1),
                    ${own}) as writer,
           coalesce((select bool_and(has_schema_privilege(oid, 'usage') = (nspname = 'flowlu_live'))
                       from pg_namespace where nspname in ('flowlu_live', 'sync')), false) as is_reader
      from pg_namespace where nspname = 'flowlu'`;
  const { is_reader, writer, ...facts } = row as unknown as Ownership;
  return { ...facts, is_reader: is_reader && !facts.may_define && !facts.is_writer, writer: quoted(writer) };
}

/**
 * Does work that changes the schema, as a role that may: that of `migrateUrl`, else our own. Everything made in it
 * belongs to the owner, so a service that may only write cannot touch it afterwards.
 * @returns null, with nothing done, where neither may.
 */
export async function asOwner<T>(
  sql: Sql,
  migrateUrl: string | null,
  work: (owner: Sql) => Promise<T>,
): Promise<{ readonly done: T } | null> {
  if (migrateUrl === null) return (await ownership(sql)).may_define ? { done: await work(sql) } : null;
  const owner = connect(migrateUrl, { applicationName: 'flowlu-mirror migrate', max: 1 });
  try {
    return { done: await work(owner) };
  } finally {
    await owner.end({ timeout: 5 });
  }
}
