/** Who may change the schema: the role that owns it, and nobody else. */
import { connect, type Sql } from '../postgres/connection.ts';
import { quoted, roleOf, WRITER } from './roles.ts';

export interface Ownership {
  readonly role: string;
  /** The role that has to be granted to a login for it to write rows of this mirror, and of no other. */
  readonly writer: string;
  readonly owner: string | null;
  /** Whether our role may create, alter and drop what belongs to the mirror. */
  readonly may_define: boolean;
}

export async function ownership(sql: Sql): Promise<Ownership> {
  const [row] = await sql`
    select current_database() as database, current_user as role, max(pg_get_userbyid(nspowner)) as owner,
           coalesce(bool_or(pg_has_role(current_user, nspowner, 'usage')),
                    has_database_privilege(current_database(), 'create')) as may_define
      from pg_namespace where nspname = 'flowlu'`;
  const { database, ...facts } = row as unknown as Ownership & { readonly database: string };
  return { ...facts, writer: quoted(roleOf(WRITER, database)) };
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
