/**
 * The roles beside the owner: one that analysts are given, one that the service works with.
 *
 * Both are groups without a login. What each may do stands in one table; nothing else is granted anywhere. Roles belong
 * to the whole server, so the rights go to roles that bear the name of the database. `flowlu_reader` and `flowlu_writer`
 * are members of those in every database: whoever has them reaches every mirror of the server.
 */
import { createHash } from 'node:crypto';
import { errorCode, savepoint, type Transaction } from '../postgres/connection.ts';
import { identifier, literal } from '../postgres/quote.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { FIXED_KEYS, OWNERS_KEYS } from '../store/settings.ts';

/** One line of rights: on every table of a schema, those to come included, or on one table alone. */
interface Rights {
  readonly role: Group;
  readonly schema: string;
  readonly table?: string;
  readonly privileges: readonly string[];
}

/** Roles without a login: one may read every mirror of the server, one may write the rows of every mirror. */
export const READER = 'flowlu_reader';
export const WRITER = 'flowlu_writer';
export const GROUPS = [READER, WRITER] as const;
type Group = (typeof GROUPS)[number];

/** The role that may do in one database what the group may do in all of them. */
export function roleOf(group: Group, database: string): string {
  const name = `${group}_${database}`;
  const isFit = Buffer.byteLength(name) <= 63;
  return isFit ? name : `${group}_${createHash('sha256').update(database).digest('hex').slice(0, 32)}`;
}

/** In SQL; people read it, too. */
export const quoted = (role: string) => (/^[a-z_][a-z0-9_]*$/.test(role) ? role : identifier(role));

export const RIGHTS: readonly Rights[] = [
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
function grants({ schema, table, privileges }: Rights, role: string, owner: string): readonly string[] {
  const list = privileges.join(', ');
  const to = quoted(role);
  const usage = `grant usage on schema ${schema} to ${to}`;
  if (table !== undefined) return [usage, `grant ${list} on ${schema}.${table} to ${to}`];
  return [
    usage,
    `grant ${list} on all tables in schema ${schema} to ${to}`,
    `alter default privileges for role ${owner} in schema ${schema} grant ${list} on tables to ${to}`,
  ];
}

const script = (statements: readonly string[]) => `${[...new Set(statements)].join(';\n')};`;

/** What an administrator has to run in the mirror's database where its owner may not create these roles. */
export function rolesScript(
  database: string,
  owner: string,
  missing: readonly string[] = GROUPS.flatMap((group) => [group, roleOf(group, database)]),
): string {
  return script([
    ...missing.map((role) => `create role ${quoted(role)} nologin`),
    ...GROUPS.map((group) => `grant ${quoted(roleOf(group, database))} to ${group}`),
    ...RIGHTS.filter(({ role }) => missing.includes(roleOf(role, database))).flatMap((rights) =>
      grants(rights, roleOf(rights.role, database), owner),
    ),
  ]);
}

/**
 * Makes sure of the roles and of their rights, and writes nothing where they are in place.
 * @returns null, or, where our role may not create roles, the SQL for an administrator.
 */
export async function applyRoles(tx: Transaction): Promise<string | null> {
  const [here] = await tx<{ database: string; owner: string }[]>`
    select current_database() as database, quote_ident(current_user) as owner`;
  const { database = '', owner = '' } = here ?? {};
  const missing: string[] = [];
  const due: string[] = [];
  for (const group of GROUPS) {
    const own = roleOf(group, database);
    const hasGroup = await createRole(tx, group);
    const hasOwn = await createRole(tx, own);
    if (!hasGroup) missing.push(group, ...(hasOwn ? [] : [own]));
    if (hasGroup && hasOwn) due.push(...(await ties(tx, group, database)));
    if (!hasGroup && !hasOwn) continue;
    // An owner who may create no role goes by the one that an administrator made for all mirrors of the server.
    const holder = hasOwn ? own : group;
    due.push(...(await grantsDue(tx, group, holder)));
  }
  const [kept] = await tx`
    select exists (select from pg_policies where schemaname = 'sync' and tablename = 'settings' and policyname = ${POLICY}) as stands`;
  if (kept?.stands !== true) due.push(...keepFacts());
  if (due.length > 0) await tx.unsafe(script(due));
  return missing.length === 0 ? null : rolesScript(database, owner, missing);
}

async function grantsDue(tx: Transaction, group: Group, holder: string): Promise<readonly string[]> {
  const due: string[] = [];
  for (const rights of RIGHTS.filter(({ role }) => role === group)) {
    if (!(await isGranted(tx, rights, holder))) due.push(...grants(rights, holder, 'current_user'));
  }
  return due;
}

/** What is due so that the group reaches this database, and its own role gets in. */
async function ties(tx: Transaction, group: Group, database: string): Promise<readonly string[]> {
  const own = roleOf(group, database);
  const [stands] = await tx`
    select pg_has_role(${group}::name, ${own}::name, 'usage') as member,
           has_database_privilege(${own}::name, current_database(), 'connect')
             or not (select pg_has_role(datdba, 'usage') from pg_database where datname = current_database()) as connects`;
  return [
    ...(stands?.member === true ? [] : [`grant ${quoted(own)} to ${group}`]),
    ...(stands?.connects === true ? [] : [`grant connect on database ${identifier(database)} to ${quoted(own)}`]),
  ];
}

const POLICY = 'others change what is theirs';

/** What only the owner may know for certain, since it acts on it, others may read and not write. */
function keepFacts(): readonly string[] {
  const beside = (keys: readonly string[]) => `(key <> all (array[${keys.map(literal).join(', ')}]))`;
  const changed = beside([...OWNERS_KEYS, ...FIXED_KEYS]);
  return [
    'drop policy if exists "everybody reads" on sync.settings',
    'drop policy if exists "facts of others" on sync.settings',
    'create policy "everybody reads" on sync.settings for select using (true)',
    `create policy "others add what is theirs" on sync.settings for insert with check ${beside(OWNERS_KEYS)}`,
    `create policy ${identifier(POLICY)} on sync.settings for update using ${changed} with check ${changed}`,
    `create policy "others forget what is theirs" on sync.settings for delete using ${changed}`,
    'alter table sync.settings enable row level security',
  ];
}

async function isGranted(tx: Transaction, { schema, table, privileges }: Rights, role: string): Promise<boolean> {
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
    await savepoint(tx, (inner) => inner.unsafe(`create role ${quoted(role)} nologin`));
    return true;
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (ALREADY_THERE.includes(code)) return true;
    if (code === SQLSTATE.insufficientPrivilege) return false;
    throw error;
  }
}
