/** Whether the database can hold the mirror. */
import type { Config } from '../config/index.ts';
import { CREATE_IN_PUBLIC, openPlaces } from '../migrate/closing.ts';
import { type DatabaseFacts, databaseFacts } from '../migrate/health.ts';
import type { SchemaState } from '../migrate/migrations.ts';
import { type Ownership, ownership } from '../migrate/owner.ts';
import { farReachingLogins, unlimitedReaders } from '../migrate/reader-logins.ts';
import { areViewsCurrent } from '../migrate/refresh.ts';
import { type MissingRights, missingRights } from '../migrate/rights.ts';
import { type Sql, within } from '../postgres/connection.ts';
import { transact } from '../postgres/transact.ts';
import { UNNAMED_CODES } from '../reports/codes.ts';
import { createHealth } from '../status/health.ts';
import { obstaclesOf } from '../status/obstacles.ts';
import { tryWrite } from '../store/deliveries/ledger.ts';
import { type Check, checkOf, fail, namesOf, ok, type Report, warn } from './check.ts';

const VERSION_MIN = 140_000;
const SKEW_MAX_MS = 5_000;
/** Transactions that look for a pooler: enough for it to hand out several of its connections. */
const POOLER_PROBES = 40;
const SLOWER = 'it is slower; PgBouncer from 1.21 on keeps them with max_prepared_statements; else add ?prepare=false';

const FORGETS = 'when its machine stops, the server may lose what it has committed, and may not start again';
const KEEPS = 'switch it on in postgresql.conf; acknowledged webhooks are kept only where commits are';

/** For whether the database can be read, which no setting decides. */
const NOTHING_EXPECTED = {
  hasApi: false,
  oauthClient: null,
  compareEvery_s: 0,
  models: [],
  otherZone: null,
  recording: null,
  sleep_s: 0,
  isAsleep: () => false,
};

/** @returns whether the mirror can be read and written */
export async function checkDatabase(sql: Sql, displayUrl: string, report: Report): Promise<boolean> {
  const { situation, findings } = await createHealth(sql, NOTHING_EXPECTED)();
  if (situation.kind === 'hindered') {
    for (const finding of findings)
      report({ ...checkOf(finding), name: 'database', found: `${finding.sentence} (${displayUrl})` });
    return false;
  }
  const facts = await databaseFacts(sql);
  report(ok('database', `${displayUrl}, answers in ${facts.round_trip_ms} ms`));
  report(checkVersion(facts));
  report(checkEncoding(facts));
  report(checkClock(facts));
  if (facts.careless.length > 0) report(warn('durability', `${facts.careless.join(' and ')} off: ${FORGETS}`, KEEPS));
  const missing = await missingRights(sql);
  report(checkRights(facts, await ownership(sql), missing));
  for (const place of await openPlaces(sql)) {
    if (place.name === CREATE_IN_PUBLIC)
      report(warn('schema public', 'everybody may create in it', `as an administrator: ${place.sql}`));
  }
  if (missing?.stopsWebhooks === true) return false;
  const schema = SCHEMA[situation.kind === 'unfit' ? situation.schema : 'current'];
  report(schema);
  if (schema.status !== 'ok') return false;
  report(await checkReaders(sql));
  const reach = await checkReach(sql);
  if (reach !== null) report(reach);
  const writing = await checkWriting(sql);
  report(writing);
  return writing.status !== 'fail';
}

/** Writes and commits a row, and does so with prepared statements on several connections, which some poolers forget. */
async function checkWriting(sql: Sql): Promise<Check> {
  const name = 'writing';
  try {
    await tryWrite(sql);
  } catch (error) {
    const [found] = await obstaclesOf(sql, error, { isWriting: true });
    return fail(name, found?.sentence ?? '', found?.remedy ?? '');
  }
  const asked = Array.from({ length: POOLER_PROBES }, () =>
    transact(sql, (tx) => tx`select ${'probe'}::text as probe`),
  );
  await Promise.allSettled(asked);
  if (sql.options.prepare) return ok(name, 'a row was written and committed; prepared statements are kept');
  return warn(name, 'works, without prepared statements: a pooler in front of the database does not keep them', SLOWER);
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
  const advice = 'the mirror goes by the database; synchronise both, or times in logs and in tables will not match';
  return warn('clock', `the database is ${seconds.toFixed(1)} s ${side} this machine`, advice);
}

function checkRights(facts: DatabaseFacts, ownership: Ownership, missing: MissingRights | null): Check {
  const { may_create_roles, has_reader, has_writer } = facts;
  const { role, owner, may_define } = ownership;
  const name = 'rights';
  if (missing !== null) return fail(name, missing.found, missing.advice);
  if (owner !== null && !may_define) {
    return ok(name, `${role} may read and write rows, as ${ownership.writer}; the owner migrates`);
  }
  if (!may_define) {
    return fail(name, `${role} may not create schemas`, `as an administrator: grant create on database … to ${role}`);
  }
  if (!(has_reader && has_writer) && !may_create_roles) {
    const found = `${role} may not create the roles flowlu_reader and flowlu_writer`;
    return warn(name, found, 'migrate prints what an administrator has to run');
  }
  return ok(name, `${role} may do all that is needed`);
}

const MIGRATE = 'run: flowlu-mirror migrate (serve, backfill and the others that write do it by themselves)';
const SCHEMA: Readonly<Record<SchemaState, Check>> = {
  current: ok('schema', 'current'),
  empty: warn('schema', 'not there yet', MIGRATE),
  behind: warn('schema', 'of an earlier version', MIGRATE),
  newer: fail('schema', 'of a later version than this program', 'run the newer version of flowlu-mirror'),
};

/** Whether views follow the custom fields; where nobody here may change views, only `migrate` makes them do so. */
export async function checkViews(sql: Sql, { database, flowlu }: Config, report: Report): Promise<void> {
  const isLeft = database.migrateUrl === null && !(await ownership(sql)).may_define;
  if (!isLeft || (await areViewsCurrent(sql, flowlu.timezone))) return;
  const found = 'custom fields have changed since the views were made, and this role may not change views';
  report(warn('views', found, 'as the owner run: flowlu-mirror migrate; or set MIGRATE_DATABASE_URL'));
}

/** A login of the server-wide roles reads or writes every mirror of the server, which few mean. */
async function checkReach(sql: Sql): Promise<Check | null> {
  const logins = await farReachingLogins(sql);
  if (logins.length === 0) return null;
  const found = `flowlu_reader or flowlu_writer lets ${namesOf(logins)} into every mirror of this server`;
  const advice = 'unless that is meant, grant the roles that end in the name of the database instead, and revoke these';
  return warn('reach of logins', found, advice);
}

/** Analysts' logins without a limit: PostgreSQL takes none from the role flowlu_reader. */
async function checkReaders(sql: Sql): Promise<Check> {
  const logins = await unlimitedReaders(sql);
  if (logins.length === 0) return ok('readers', 'every login with flowlu_reader has a statement time-out');
  const advice = 'run: flowlu-mirror reader <login>, or as an administrator: alter role … set statement_timeout';
  return warn('readers', `no statement time-out: ${namesOf(logins)}`, advice);
}

const LOOK_MAX_MS = 10_000;

/** Whether the ready-made views can tell what the portal's numbers mean: codes without a word, invoices that no view counts. */
export async function checkNumbers(sql: Sql, report: Report): Promise<void> {
  const codes = await within(sql.unsafe<{ code: string }[]>(UNNAMED_CODES), LOOK_MAX_MS);
  const howTo =
    'look them up in the portal, then insert into flowlu_reports.code_labels (model, field, code, label, counts_as); its comments say how';
  if (codes.length === 0) report(ok('codes', 'every code that amounts depend on has a word'));
  else report(warn('codes', `without a word: ${namesOf(codes.map(({ code }) => code))}`, howTo));
  const [row] = await within(
    sql<{ uncounted: number; rule: string }[]>`
      select (select count(*)::int from flowlu_reports.invoices
               where not is_issued and total > 0 and due_date < (select in_force::date from flowlu_reports.definitions where term = 'today')) as uncounted,
             (select in_force from flowlu_reports.definitions where term = 'issued') as rule`,
    LOOK_MAX_MS,
  );
  const { uncounted = 0, rule = '' } = row ?? {};
  if (uncounted === 0) return report(ok('invoices', `${rule}; every invoice past due is counted`));
  const found = `${rule}; ${uncounted} past due are not issued by that rule and in no view of what is owed`;
  const advice =
    "if they were sent to customers: insert into flowlu_reports.code_labels values ('fin.invoice', 'status_id', 10, 'new', 'issued')";
  report(warn('invoices', found, advice));
}
