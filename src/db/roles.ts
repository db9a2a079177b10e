/** The role that analysts are given: reads the mirror, nothing else. */
import { errorCode, savepoint, type Transaction } from './connection.ts';

/** Role without a login that may read the mirror, and nothing else. */
export const READER = 'flowlu_reader';

/** Schemas whose tables and views the role may read, also those to come. */
const READABLE = ['flowlu', 'flowlu_live', 'flowlu_reports', 'flowlu_history'] as const;
const READABLE_LIST = READABLE.join(', ');

/** All that the role needs; `owner` is who will own the tables to come. */
const grants = (owner: string) => `grant usage on schema ${READABLE_LIST} to ${READER};
grant select on all tables in schema ${READABLE_LIST} to ${READER};
alter default privileges for role ${owner} in schema ${READABLE_LIST} grant select on tables to ${READER};`;

/** Raised by the server when another database of the cluster made the role a moment ago. */
const ALREADY_THERE = ['42710', '23505'];

/**
 * Makes sure of the role and of its rights, and writes nothing where they are in place.
 * @returns null, or, where our role may not create roles, the SQL for an administrator.
 */
export async function applyRoles(tx: Transaction): Promise<string | null> {
  if (!(await createReader(tx))) {
    const [us] = await tx<{ name: string }[]>`select quote_ident(current_user) as name`;
    return `create role ${READER} nologin;\n${grants(us?.name ?? 'current_user')}`;
  }
  const [check] = await tx<{ missing: boolean }[]>`
    select exists (
      select from unnest(${[...READABLE]}::text[]) as name where not has_schema_privilege(${READER}, name, 'usage')
    ) or exists (
      select from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = any(${[...READABLE]}::text[]) and c.relkind in ('r', 'v')
        and not has_table_privilege(${READER}, c.oid, 'select')
    ) or ${READABLE.length} <> (
      select count(*) from pg_default_acl, aclexplode(defaclacl) as acl
      where defaclrole = (select oid from pg_roles where rolname = current_user)
        and defaclnamespace in (select oid from pg_namespace where nspname = any(${[...READABLE]}::text[]))
        and acl.grantee = (select oid from pg_roles where rolname = ${READER}) and acl.privilege_type = 'SELECT'
    ) as missing`;
  if (check?.missing !== false) await tx.unsafe(grants('current_user'));
  return null;
}

/** False where the role is missing and we may not create it. */
async function createReader(tx: Transaction): Promise<boolean> {
  const [found] = await tx<{ present: boolean }[]>`
    select exists (select from pg_roles where rolname = ${READER}) as present`;
  if (found?.present === true) return true;
  try {
    await savepoint(tx, async (inner) => {
      await inner.unsafe(`create role ${READER} nologin`);
    });
    return true;
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (ALREADY_THERE.includes(code)) return true;
    if (code === '42501') return false;
    throw error;
  }
}
