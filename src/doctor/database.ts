/** Whether the database can hold the mirror. */

import type { Config } from '../config/index.ts';
import { CREATE_IN_PUBLIC, openPlaces } from '../migrate/closing.ts';
import { type DatabaseFacts, databaseFacts } from '../migrate/health.ts';
import { schemaState } from '../migrate/migrate.ts';
import { ownership } from '../migrate/owner.ts';
import { farReachingLogins, unlimitedReaders } from '../migrate/reader-logins.ts';
import { areViewsCurrent } from '../migrate/refresh.ts';
import { causeOf } from '../postgres/causes.ts';
import type { Sql } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import { causeNow } from '../status/facts.ts';
import { tryWrite } from '../store/deliveries/ledger.ts';
import { type Check, fail, messageOf, namesOf, ok, type Report, warn } from './check.ts';

const VERSION_MIN = 140_000;
const SKEW_MAX_MS = 5_000;
/** Transactions that look for a pooler: enough for it to hand out several of its connections. */
const POOLER_PROBES = 40;
const SLOWER = 'it is slower; PgBouncer from 1.21 on keeps them with max_prepared_statements; else add ?prepare=false';

const FORGETS = 'when its machine stops, the server may lose what it has committed, and may not start again';
const KEEPS = 'switch it on in postgresql.conf; acknowledged webhooks are kept only where commits are';

/** Looks at the database; false when it cannot be worked with. */
export async function checkDatabase(sql: Sql, displayUrl: string, report: Report): Promise<boolean> {
  let facts: DatabaseFacts;
  try {
    facts = await databaseFacts(sql);
  } catch (error) {
    const { cause, remedy } = causeOf(error);
    report(fail('database', `${cause} (${displayUrl}: ${messageOf(error)})`, remedy));
    return false;
  }
  report(ok('database', `${displayUrl}, answers in ${facts.round_trip_ms} ms`));
  report(checkVersion(facts));
  report(checkEncoding(facts));
  report(checkClock(facts));
  if (facts.careless.length > 0) report(warn('durability', `${facts.careless.join(' and ')} off: ${FORGETS}`, KEEPS));
  report(checkRights(facts, (await ownership(sql)).writer));
  for (const place of await openPlaces(sql)) {
    if (place.name === CREATE_IN_PUBLIC)
      report(warn('schema public', 'everybody may create in it', `as an administrator: ${place.sql}`));
  }
  const isCurrent = await checkSchema(sql, report);
  if (isCurrent) {
    await checkReaders(sql, report);
    await checkReach(sql, report);
  }
  return isCurrent && (await checkWriting(sql, report));
}

/**
 * Writes and commits a row, and does so with prepared statements on several connections, which some poolers forget. False
 * where nothing can be written: the portal is then looked at without the mirror.
 */
async function checkWriting(sql: Sql, report: Report): Promise<boolean> {
  const name = 'writing';
  try {
    await tryWrite(sql);
  } catch (error) {
    const { cause, remedy } = await causeNow(sql, error);
    report(fail(name, `${cause}: ${messageOf(error)}`, remedy));
    return false;
  }
  const asked = Array.from({ length: POOLER_PROBES }, () =>
    transact(sql, (tx) => tx`select ${'probe'}::text as probe`),
  );
  await Promise.allSettled(asked);
  if (sql.options.prepare) report(ok(name, 'a row was written and committed; prepared statements are kept'));
  else
    report(
      warn(name, 'works, without prepared statements: a pooler in front of the database does not keep them', SLOWER),
    );
  return true;
}

function checkVersion({ version, version_number }: DatabaseFacts): Check {
  const name = 'database version';
  return version_number >= VERSION_MIN
    ? ok(name, `PostgreSQL ${version}`)
    : fail(name, `PostgreSQL ${version}`, 'the mirror needs 14 or later');
}

function checkEncoding({ encoding }: DatabaseFacts): Check {
  if (encoding === 'UTF8') return ok('encoding', encoding);
  return fail('encoding', encoding, 'create the database with: encoding UTF8 template template0');
}

function checkClock({ clock_skew_ms }: DatabaseFacts): Check {
  const seconds = Math.abs(clock_skew_ms) / 1_000;
  if (seconds * 1_000 <= SKEW_MAX_MS) return ok('clock', "the database's and this machine's agree");
  const side = clock_skew_ms > 0 ? 'ahead of' : 'behind';
  return warn(
    'clock',
    `the database is ${seconds.toFixed(1)} s ${side} this machine`,
    'the mirror goes by the database; synchronise both, or times in logs and in tables will not match',
  );
}

function checkRights(facts: DatabaseFacts, writer: string): Check {
  const { role, may_create_schemas, may_create_roles, has_reader, has_writer, may_write, owns_schema } = facts;
  if (owns_schema === false) {
    if (may_write) return ok('rights', `${role} may read and write rows, as ${writer}; the owner migrates`);
    return fail(
      'rights',
      `${role} neither owns the schema flowlu nor may write into it`,
      `as the owner or an administrator: grant ${writer} to ${role}`,
    );
  }
  if (!may_create_schemas && owns_schema === null) {
    return fail(
      'rights',
      `${role} may not create schemas`,
      `as an administrator: grant create on database … to ${role}`,
    );
  }
  if (!(has_reader && has_writer) && !may_create_roles) {
    return warn(
      'rights',
      `${role} may not create the roles flowlu_reader and flowlu_writer`,
      'migrate prints what an administrator has to run',
    );
  }
  return ok('rights', `${role} may do all that is needed`);
}

async function checkSchema(sql: Sql, report: Report): Promise<boolean> {
  const state = await schemaState(sql).catch((error: unknown) => messageOf(error));
  switch (state) {
    case 'current':
      report(ok('schema', 'current'));
      return true;
    case 'empty':
      report(
        warn(
          'schema',
          'not there yet',
          'run: flowlu-mirror migrate (serve, backfill and the others that write do it by themselves)',
        ),
      );
      return false;
    case 'behind':
      report(
        warn(
          'schema',
          'of an earlier version',
          'run: flowlu-mirror migrate (serve, backfill and the others that write do it by themselves)',
        ),
      );
      return false;
    case 'newer':
      report(fail('schema', 'of a later version than this program', 'run the newer version of flowlu-mirror'));
      return false;
    default:
      report(fail('schema', `cannot be read: ${state}`, 'check the rights of the database role'));
      return false;
  }
}

/** Whether views follow the custom fields; where nobody here may change views, only `migrate` makes them do so. */
export async function checkViews(sql: Sql, { database, flowlu }: Config, report: Report): Promise<void> {
  const isLeft = database.migrateUrl === null && !(await ownership(sql)).may_define;
  if (!isLeft || (await areViewsCurrent(sql, flowlu.timezone))) return;
  const found = 'custom fields have changed since the views were made, and this role may not change views';
  report(warn('views', found, 'as the owner run: flowlu-mirror migrate; or set MIGRATE_DATABASE_URL'));
}

/** A login of the server-wide roles reads or writes every mirror of the server, which few mean. */
async function checkReach(sql: Sql, report: Report): Promise<void> {
  const logins = await farReachingLogins(sql);
  if (logins.length === 0) return;
  report(
    warn(
      'reach of logins',
      `flowlu_reader or flowlu_writer lets ${namesOf(logins)} into every mirror of this server`,
      'unless that is meant, grant the roles that end in the name of the database instead, and revoke these',
    ),
  );
}

/** Analysts' logins without a limit: PostgreSQL takes none from the role flowlu_reader. */
async function checkReaders(sql: Sql, report: Report): Promise<void> {
  const logins = await unlimitedReaders(sql);
  if (logins.length === 0) {
    report(ok('readers', 'every login with flowlu_reader has a statement time-out'));
    return;
  }
  report(
    warn(
      'readers',
      `no statement time-out: ${namesOf(logins)}`,
      'run: flowlu-mirror reader <login>, or as an administrator: alter role … set statement_timeout',
    ),
  );
}
