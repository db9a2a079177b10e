/**
 * The roles beside the owner: one that analysts are given, one that the service works with.
 *
 * Both are groups without a login. What each may do stands in one table; nothing else is granted anywhere.
 */

import { errorCode, savepoint, type Transaction } from '../postgres/connection.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';

/** One line of rights: on every table of a schema, those to come included, or on one table alone. */
interface Rights {
  readonly role: string;
  readonly schema: string;
  readonly table?: string;
  readonly privileges: readonly string[];
}

/** Role without a login that may read the mirror, and nothing else. */
export const READER = 'flowlu_reader';
const WRITER = 'flowlu_writer';

const RIGHTS: readonly Rights[] = [
  { role: READER, schema: 'flowlu', privileges: ['select'] },
  { role: READER, schema: 'flowlu_live', privileges: ['select'] },
  { role: READER, schema: 'flowlu_reports', privileges: ['select'] },
  { role: READER, schema: 'flowlu_history', privileges: ['select'] },
  // Rows of the mirror are never deleted, but for those that leave the common table for one of their own.
  { role: WRITER, schema: 'flowlu', privileges: ['select', 'insert', 'update'] },
  { role: WRITER, schema: 'flowlu', table: 'uncatalogued', privileges: ['delete'] },
  { role: WRITER, schema: 'flowlu_live', privileges: ['select'] },
  { role: WRITER, schema: 'flowlu_reports', privileges: ['select'] },
  { role: WRITER, schema: 'flowlu_history', privileges: ['select'] },
  { role: WRITER, schema: 'sync', privileges: ['select', 'insert', 'update', 'delete'] },
];

/** Raised by the server when another database of the cluster made the role a moment ago. */
const ALREADY_THERE: readonly string[] = [SQLSTATE.duplicateObject, SQLSTATE.uniqueViolation];

/** The statements that grant a line of rights; `owner` is who will own the tables to come. */
function grants({ role, schema, table, privileges }: Rights, owner: string): readonly string[] {
  const list = privileges.join(', ');
  const usage = `grant usage on schema ${schema} to ${role}`;
  if (table !== undefined) return [usage, `grant ${list} on ${schema}.${table} to ${role}`];
  return [
    usage,
    `grant ${list} on all tables in schema ${schema} to ${role}`,
    `alter default privileges for role ${owner} in schema ${schema} grant ${list} on tables to ${role}`,
  ];
}

const script = (statements: readonly string[]) => `${[...new Set(statements)].join(';\n')};`;

/** What an administrator has to run in the mirror's database where its owner may not create these roles. */
export function rolesScript(owner: string, roles: readonly string[] = [READER, WRITER]): string {
  return script([
    ...roles.map((role) => `create role ${role} nologin`),
    ...RIGHTS.filter(({ role }) => roles.includes(role)).flatMap((rights) => grants(rights, owner)),
  ]);
}

/**
 * Makes sure of the roles and of their rights, and writes nothing where they are in place.
 * @returns null, or, where our role may not create roles, the SQL for an administrator.
 */
export async function applyRoles(tx: Transaction): Promise<string | null> {
  const missing: string[] = [];
  for (const role of [READER, WRITER]) if (!(await createRole(tx, role))) missing.push(role);
  const due: string[] = [];
  for (const rights of RIGHTS) {
    if (missing.includes(rights.role) || (await isGranted(tx, rights))) continue;
    due.push(...grants(rights, 'current_user'));
  }
  if (due.length > 0) await tx.unsafe(script(due));
  if (missing.length === 0) return null;
  const [us] = await tx<{ name: string }[]>`select quote_ident(current_user) as name`;
  return rolesScript(us?.name ?? 'current_user', missing);
}

async function isGranted(tx: Transaction, { role, schema, table, privileges }: Rights): Promise<boolean> {
  const wanted = [...privileges];
  const [check] = await tx<{ granted: boolean }[]>`
    select has_schema_privilege(${role}::text, ${schema}::text, 'usage') and not exists (
      select from pg_class c, unnest(${wanted}::text[]) as p(name)
       where c.relnamespace = ${schema}::text::regnamespace and c.relkind in ('r', 'v', 'p')
         and c.relname = coalesce(${table ?? null}::text, c.relname)
         and not has_table_privilege(${role}::text, c.oid, p.name)
    ) and (${table !== undefined}::boolean or not exists (
      select from unnest(${wanted}::text[]) as p(name)
       where not exists (
             select from pg_default_acl d, aclexplode(d.defaclacl) as acl
              where d.defaclrole = (select oid from pg_roles where rolname = current_user)
                and d.defaclnamespace = ${schema}::text::regnamespace and d.defaclobjtype = 'r'
                and acl.grantee = (select oid from pg_roles where rolname = ${role})
                and acl.privilege_type = upper(p.name))
    )) as granted`;
  return check?.granted === true;
}

/** False where the role is missing and we may not create it. */
async function createRole(tx: Transaction, role: string): Promise<boolean> {
  const [found] = await tx<{ present: boolean }[]>`
    select exists (select from pg_roles where rolname = ${role}) as present`;
  if (found?.present === true) return true;
  try {
    await savepoint(tx, async (inner) => {
      await inner.unsafe(`create role ${role} nologin`);
    });
    return true;
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (ALREADY_THERE.includes(code)) return true;
    if (code === SQLSTATE.insufficientPrivilege) return false;
    throw error;
  }
}
