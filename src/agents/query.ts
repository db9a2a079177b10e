/**
 * One query of an agent, by a login that may only read. What keeps the mirror safe is that login; the rest bounds what a query
 * may cost: a read-only transaction that is rolled back, a cursor, which takes a single query and nothing else, limits on rows,
 * bytes and time, and a connection of its own, so that nothing is left of it.
 */
import { UsageError } from '../core/errors.ts';
import { READER, roleOf } from '../migrate/roles.ts';
import { connect, errorCode, type Queryable, type Sql, transaction } from '../postgres/connection.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';

export interface QueryLimits {
  readonly rows: number;
  readonly time_ms: number;
}

/** How to reach the mirror as a reader; `renew` gives the login another password, where it is ours. */
export interface ReaderAddress {
  url: string;
  readonly renew?: () => Promise<string>;
}

export interface Answer {
  /** One JSON object for each row, as text: numbers keep all their digits. */
  readonly rows: readonly string[];
  /** Why there are not all of them; null where there are. */
  readonly cut: string | null;
}

/** The most that an answer holds, and a row of it. */
const ANSWER_MAX_CHARACTERS = 200_000;
const ROW_MAX_CHARACTERS = 20_000;
const FETCHED_AT_A_TIME = 50;
const SEARCH_PATH = 'flowlu_reports, flowlu_live, flowlu_history';

/** @throws UsageError unless the login of this address may read the mirror and nothing else. */
export async function requireReader(address: ReaderAddress): Promise<void> {
  await withConnection(address, async (sql) => {
    const [here] = await sql<{ database: string }[]>`select current_database() as database`;
    const [found] = await sql<{ login: string; powers: string[] }[]>`
      select current_user as login, array(
        select 'an administrator' from pg_roles me
         where me.rolname = session_user
           and (me.rolsuper or me.rolcreaterole or me.rolcreatedb or me.rolreplication or me.rolbypassrls)
         union all
        select 'a member of ' || r.rolname from pg_roles r
         where r.rolname <> all (array[session_user::text, ${READER}, ${roleOf(READER, here?.database ?? '')}])
           and pg_has_role(session_user, r.oid, 'member')
         union all
        select 'able to write ' || c.oid::regclass from pg_class c
         where c.relnamespace::regnamespace::text ~ '^(sync|flowlu)' and c.relkind in ('r', 'v', 'p')
           and has_table_privilege(session_user, c.oid, 'insert, update, delete, truncate')
         union all
        select 'able to create in ' || n.nspname from pg_namespace n
         where has_schema_privilege(session_user, n.oid, 'create')) as powers`;
    if (found !== undefined && found.powers.length > 0) {
      throw new UsageError(
        `the login ${found.login} may do more than read (${found.powers.slice(0, 3).join(', ')}): make one with \`flowlu-mirror reader\``,
      );
    }
  });
}

/** @throws what the server says of the query. */
export function runQuery(address: ReaderAddress, text: string, limits: QueryLimits): Promise<Answer> {
  return withConnection(address, async (sql) => {
    let outcome: Answer | { readonly error: unknown } = { error: new Error('the query did not run') };
    const done = new Error('rolled back');
    const options = { readOnly: true, statementTimeoutMs: limits.time_ms, lockTimeoutMs: limits.time_ms };
    const work = async (tx: Queryable): Promise<never> => {
      outcome = await fetchRows(tx, text, limits).catch((error: unknown) => ({ error }));
      throw done;
    };
    await transaction(sql, options, work).catch((error: unknown) => {
      if (error !== done) throw error;
    });
    if ('error' in outcome) throw outcome.error;
    return outcome;
  });
}

/** The extended protocol takes one statement; the driver uses it where it is told that a text is not simple. */
const ONE_STATEMENT: object = { prepare: false, simple: false };

async function fetchRows(tx: Queryable, text: string, { rows: most, time_ms }: QueryLimits): Promise<Answer> {
  const ends = performance.now() + time_ms;
  await tx.unsafe(`set local search_path = ${SEARCH_PATH}; set local jit = off`);
  await tx.unsafe(
    `declare answer no scroll cursor for
     select case when length(j.row) <= ${ROW_MAX_CHARACTERS} then j.row
                 else json_build_object('left_out', length(j.row) || ' characters: ask for fewer columns')::text end as row
       from (select to_jsonb(q)::text as row from (${text.replace(/;\s*$/, '')}\n) q) j`,
    [],
    ONE_STATEMENT,
  );
  const rows: string[] = [];
  for (let characters = 0; ; ) {
    const found = await tx.unsafe<{ row: string }[]>(`fetch ${FETCHED_AT_A_TIME} from answer`);
    for (const { row } of found) {
      if (rows.length === most) return { rows, cut: `only the first ${most} rows are shown` };
      characters += row.length;
      if (characters > ANSWER_MAX_CHARACTERS) return { rows, cut: `only the first ${rows.length} rows fit` };
      rows.push(row);
    }
    if (found.length < FETCHED_AT_A_TIME) return { rows, cut: null };
    if (performance.now() > ends) return { rows, cut: `only the rows of the first ${time_ms / 1_000} s are shown` };
  }
}

/** Other processes that use the same login give it other passwords. */
const RENEWALS_MAX = 3;

async function withConnection<T>(address: ReaderAddress, work: (sql: Sql) => Promise<T>): Promise<T> {
  for (let renewals = 0; ; renewals += 1) {
    const sql = connect(address.url, { applicationName: 'flowlu-mirror mcp', max: 1, asLogin: true });
    try {
      return await work(sql);
    } catch (error) {
      const isStale = errorCode(error) === SQLSTATE.invalidPassword;
      if (!isStale || address.renew === undefined || renewals === RENEWALS_MAX) throw error;
      address.url = await address.renew();
    } finally {
      await sql.end({ timeout: 1 });
    }
  }
}
