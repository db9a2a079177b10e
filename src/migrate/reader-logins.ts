/** Logins of analysts and their tools: members of the database's readers with limits of their own. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { errorCode, type Queryable, type Sql } from '../postgres/connection.ts';
import { identifier, literal } from '../postgres/quote.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { transact } from '../postgres/transact.ts';
import { readSettings } from '../store/settings.ts';
import { applyRoles, GROUPS, quoted, READER, roleOf } from './roles.ts';

/** The login cannot be made or limited; the message says why. */
export class ReaderLoginError extends Error {
  override readonly name = 'ReaderLoginError';
  /** SQL that an administrator can run instead, where that is all that is missing. */
  readonly adminSql: string | null;

  constructor(message: string, adminSql: string | null = null, options?: ErrorOptions) {
    super(message, options);
    this.adminSql = adminSql;
  }
}

export interface ReaderRequest {
  /** Lower-case name, so that nobody has to quote it. */
  readonly login: string;
  readonly statementTimeout_ms: number;
  readonly renewPassword?: boolean;
}

export interface GrantedReader {
  readonly created: boolean;
  /** The new password, told this once; null where the login keeps the one it has. */
  readonly password: string | null;
}

const LOGIN = /^(?!pg_)[a-z_][a-z0-9_]{0,62}$/;
/** Names that would be taken for an administrator's, or that are of our own roles, in whatever database. */
const TAKEN = /^(?:postgres|flowlu_(?:reader|writer)(?:_.*)?)$/;
/** An open transaction keeps vacuum from its work, and migrations waiting. */
const IDLE_IN_TRANSACTION_MAX_MS = 600_000;
/** Connections of one login: BI tools open fifteen, and one login must not take all that the server has. */
const CONNECTIONS_MAX = 20;

/**
 * Makes sure of a login that may read the mirror and nothing else, within limits.
 *
 * The limits stand on the login, in this database: PostgreSQL takes settings from the role that logs in, never from
 * a role it is a member of, so they would do nothing on `flowlu_reader`.
 * @throws ReaderLoginError when the name is unfit, is that of an administrator, or our role may not do this.
 */
export async function grantReader(sql: Sql, request: ReaderRequest): Promise<GrantedReader> {
  const { login, renewPassword = false } = request;
  if (!LOGIN.test(login)) {
    throw new ReaderLoginError(
      `${JSON.stringify(login)} is no name for a login: lower-case letters, digits and _, beginning with a letter, not with pg_`,
    );
  }
  const [found] = await sql<{ database: string; us: string; superuser: boolean | null; reader: boolean }[]>`
    select current_database() as database, current_user as us,
           (select rolsuper from pg_roles where rolname = ${login}) as superuser,
           exists (select from pg_auth_members m join pg_roles g on g.oid = m.roleid join pg_roles r on r.oid = m.member
                    where r.rolname = ${login} and g.rolname ~ ${`^${READER}(_|$)`}) as reader`;
  const { database = '', us = '', superuser = null, reader = false } = found ?? {};
  const zone = await portalZone(sql);
  if (login === us || TAKEN.test(login) || superuser === true) {
    throw new ReaderLoginError(`${login} is the mirror's own role or an administrator: choose another name`);
  }
  const created = superuser === null;
  if (!(created || reader)) {
    throw new ReaderLoginError(
      `the role ${login} exists and was not made by this command: choose another name; or, if it is to read the mirror, run first, as an administrator: grant ${await readerRole(sql, database)} to ${login}`,
    );
  }
  const password = created || renewPassword ? randomBytes(18).toString('base64url') : null;
  const verifier = password === null ? null : scramVerifier(password);
  try {
    await transact(sql, async (tx) => {
      await applyRoles(tx);
      const readers = await readerRole(tx, database);
      await tx.unsafe(statementsFor(request, database, readers, zone, created, verifier).join(';\n'));
    });
  } catch (error) {
    if (errorCode(error) !== SQLSTATE.insufficientPrivilege) throw error;
    const readers = await readerRole(sql, database);
    const statements = statementsFor(request, database, readers, zone, created, null);
    const adminSql = `${statements.join(';\n')};\n\\password ${login}`;
    throw new ReaderLoginError(`the role ${us} may not do this: an administrator must`, adminSql, { cause: error });
  }
  return { created, password };
}

/** The role of this database's readers; that of all mirrors' where nobody could make one. */
async function readerRole(sql: Queryable, database: string): Promise<string> {
  const own = roleOf(READER, database);
  const [row] = await sql`select exists (select from pg_roles where rolname = ${own}) as is_there`;
  return row?.is_there === true ? own : READER;
}

/** The zone of the portal where the server knows it; null too for a role that may not look. */
async function portalZone(sql: Sql): Promise<string | null> {
  try {
    const { timezone = '' } = await readSettings(sql, 'timezone');
    const [row] = await sql<{ name: string }[]>`select name from pg_timezone_names where name = ${timezone}`;
    return row?.name ?? null;
  } catch (error) {
    if (errorCode(error) !== SQLSTATE.insufficientPrivilege) throw error;
    return null;
  }
}

function statementsFor(
  { login, statementTimeout_ms }: ReaderRequest,
  database: string,
  readers: string,
  zone: string | null,
  create: boolean,
  verifier: string | null,
): readonly string[] {
  const role = identifier(login);
  const password = verifier === null ? '' : ` password ${literal(verifier)}`;
  const limit = `alter role ${role} in database ${identifier(database)} set`;
  return [
    `${create ? 'create' : 'alter'} role ${role} login${password} connection limit ${CONNECTIONS_MAX}`,
    `grant ${quoted(readers)} to ${role}`,
    `${limit} statement_timeout = ${statementTimeout_ms}`,
    `${limit} idle_in_transaction_session_timeout = ${IDLE_IN_TRANSACTION_MAX_MS}`,
    // Against mistakes; what keeps a reader from writing is that it has no right to.
    `${limit} default_transaction_read_only = on`,
    // So that psql lists the views for analysts, and nobody needs a prefix.
    `${limit} search_path = flowlu_reports, flowlu_live, flowlu_history`,
    // Compiling a view's many expressions takes seconds, and running them does not.
    `${limit} jit = off`,
    // So that moments show by the clock of the portal; the ready-made views go by it in any case.
    ...(zone === null ? [] : [`${limit} timezone = ${literal(zone)}`]),
  ];
}

/** Logins that may read the mirror by membership and have no time-out for their statements in this database. */
export async function unlimitedReaders(sql: Queryable): Promise<readonly string[]> {
  const [here] = await sql<{ name: string }[]>`select current_database() as name`;
  const rows = await sql<{ login: string }[]>`
    select r.rolname as login
      from pg_roles r
     where exists (
         select from pg_roles reader
          where reader.rolname in (${READER}, ${roleOf(READER, here?.name ?? '')}) and pg_has_role(r.oid, reader.oid, 'usage')
       )
       and r.rolcanlogin and not r.rolsuper and r.rolname <> current_user
       and not exists (
         select from pg_db_role_setting s, unnest(s.setconfig) as setting
          where s.setrole in (0, r.oid)
            and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
            and setting ~ '^statement_timeout=' and setting !~ '^statement_timeout=0$'
       )
     order by 1`;
  return rows.map(({ login }) => login);
}

/** Logins that reach mirrors in other databases of the server too, since their role is that of all mirrors. */
export async function farReachingLogins(sql: Queryable): Promise<readonly string[]> {
  const databases = await sql<{ name: string }[]>`
    select datname as name from pg_database where not datistemplate and datname <> current_database()`;
  const ties = GROUPS.flatMap((group) => databases.map(({ name }) => ({ group, own: roleOf(group, name) })));
  const rows = await sql<{ login: string }[]>`
    select distinct r.rolname as login
      from unnest(${ties.map(({ group }) => group)}::text[], ${ties.map(({ own }) => own)}::text[]) as tie(group_name, own)
      join pg_roles g on g.rolname = tie.group_name
      join pg_roles o on o.rolname = tie.own and pg_has_role(g.oid, o.oid, 'usage')
      join pg_roles r on r.rolcanlogin and not r.rolsuper and pg_has_role(r.oid, g.oid, 'usage')
     order by 1`;
  return rows.map(({ login }) => login);
}

const SCRAM_ITERATIONS = 4_096;

/** What PostgreSQL stores of a password (RFC 5803), made here so that the password is in no statement and no log. */
function scramVerifier(password: string): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, SCRAM_ITERATIONS, 32, 'sha256');
  const keyOf = (label: string) => createHmac('sha256', salted).update(label).digest();
  const stored = createHash('sha256').update(keyOf('Client Key')).digest();
  const [saltText, storedText, serverText] = [salt, stored, keyOf('Server Key')].map((bytes) =>
    bytes.toString('base64'),
  );
  return `SCRAM-SHA-256$${SCRAM_ITERATIONS}:${saltText}$${storedText}:${serverText}`;
}
