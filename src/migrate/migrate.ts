/** Brings a database to this program's schema, comments, views and roles. */
import type { Logger } from '../core/log.ts';
import { connect, errorCode, type Sql, savepoint, type Transaction } from '../postgres/connection.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { transact } from '../postgres/transact.ts';
import { allViews } from '../reports/all.ts';
import { CODE_LABELS } from '../reports/codes.ts';
import { fillDealStates } from '../store/deal-states.ts';
import { createHistoryTable } from '../tables/history.ts';
import { applyStorage } from '../tables/storage.ts';
import { KEEPER } from '../views/deal-states.ts';
import { createHistoryFunctions } from '../views/history-functions.ts';
import { settleLiveFacts } from '../views/live-facts.ts';
import { closePlaces } from './closing.ts';
import { applyComments } from './comments.ts';
import { makeFirstMonths } from './history-partitions.ts';
import {
  compareMigrations,
  forgetUnreleased,
  hasJournal,
  knownMigrations,
  type Migration,
  noteMigration,
  takeJournal,
  takeover,
} from './migrations.ts';
import { type Ownership, ownership, wrongRole } from './owner.ts';
import { applyPublication, type PublicationReport } from './publication.ts';
import { applyRoles } from './roles.ts';
import { applyViews, dropViews, type KeptView } from './views.ts';

export { schemaState } from './migrations.ts';

export class NewerDatabaseError extends Error {
  override readonly name = 'NewerDatabaseError';
}

/** The migration could not be done; the database is as it was. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

export interface MigrationReport {
  /** Tags of the migrations that were applied now, oldest first. */
  readonly applied: readonly string[];
  /** Views that could not be brought up to date because somebody's own view stands on them. */
  readonly keptViews: readonly KeptView[];
  /** SQL that an administrator must run because this role may not; null when nothing is missing. */
  readonly adminSql: string | null;
  readonly publication: PublicationReport | null;
  readonly duration_ms: number;
}

export interface MigrateOptions {
  readonly log?: Pick<Logger, 'info' | 'warn'>;
  /** Create the publication for logical replication; one that exists is completed in any case. */
  readonly publication?: boolean;
  /** IANA name of the portal's zone, for date-times of custom fields in a database that has not been told it. */
  readonly zone?: string;
}

/** One process at a time migrates or makes views. Who may not write the ledger cannot take this lock. */
const LOCK = 'lock table sync.migrations in share update exclusive mode';
const LOCK_WAIT_MS = 120_000;
/** How long a statement may wait for a table that others use: longer would stall them behind us. */
const TABLE_WAIT_MS = 15_000;
const STATEMENT_MAX_MS = 600_000;

/** Migrations that PostgreSQL refuses while a view stands on the table. */
const RESHAPES_TABLES = /\b(drop column|set data type|drop table)\b/i;

/**
 * Migrates, all in one transaction: it is done or the database is as it was. Several processes may
 * call it together, also through a transaction pooler: they queue, and the later ones find nothing to do.
 * @throws NewerDatabaseError when the database knows migrations that this program does not.
 * @throws MigrationError with the server's error as cause.
 */
export async function migrate(target: string | Sql, options: MigrateOptions = {}): Promise<MigrationReport> {
  const { log, zone, publication = false } = options;
  const started = performance.now();
  const sql =
    typeof target === 'string' ? connect(target, { applicationName: 'flowlu-mirror migrate', max: 1 }) : target;
  try {
    const limits = { byKey: false, statementTimeoutMs: STATEMENT_MAX_MS, lockTimeoutMs: LOCK_WAIT_MS };
    const outcome = await transact(sql, (tx) => migrateLocked(tx, zone, publication), limits);
    const report = { ...outcome, duration_ms: Math.round(performance.now() - started) };
    log?.info({ applied: report.applied, duration_ms: report.duration_ms }, 'database schema is current');
    for (const view of report.keptViews) log?.warn(view, 'view keeps columns that should go or change');
    if (report.adminSql !== null) log?.warn({ sql: report.adminSql }, 'an administrator must run this SQL');
    return report;
  } catch (error) {
    throw await explain(error, sql);
  } finally {
    if (typeof target === 'string') await sql.end({ timeout: 5 });
  }
}

async function migrateLocked(
  tx: Transaction,
  zone: string | undefined,
  publish: boolean,
): Promise<Omit<MigrationReport, 'duration_ms'>> {
  // Held by the transaction, not by the session, so a pooler cannot strand it. Without a journal, whoever makes one first wins.
  if (await hasJournal(tx)) await tx.unsafe(LOCK);
  await tx.unsafe(`set local lock_timeout = ${TABLE_WAIT_MS}`);
  const { isEmpty, pending } = await pendingMigrations(tx);
  // A database that has had none has no views either, nor the table that lists them.
  const reshapes = !isEmpty && pending.some(({ sql }) => RESHAPES_TABLES.test(sql));
  const grants = reshapes ? await dropViews(tx) : undefined;
  for (const migration of pending) await applyMigration(tx, migration);
  await applyStorage(tx);
  await createHistory(tx);
  await tx.unsafe(CODE_LABELS);
  const views = allViews(await settleLiveFacts(tx, zone));
  const keptViews = await applyViews(tx, views, grants);
  await applyComments(tx, views, keptViews);
  const adminSql = await applyRoles(tx);
  await closePlaces(tx);
  const publication = await applyPublication(tx, publish);
  return { applied: pending.map(({ tag }) => tag), keptViews, adminSql, publication };
}

/** Makes what is missing of the table, its first months and the functions of its views. */
async function createHistory(tx: Transaction): Promise<void> {
  const [found] = await tx`select to_regclass('sync.history') is not null as present`;
  if (found?.present !== true) {
    await createHistoryTable(tx);
    await makeFirstMonths(tx);
  }
  await tx.unsafe('drop index if exists sync.history_stages, sync.history_first');
  await createHistoryFunctions(tx, KEEPER);
  await fillDealStates(tx);
}

/** As `migrate` takes it, but where another process has it: false. */
export async function trySchemaLock(tx: Transaction): Promise<boolean> {
  if (!(await hasJournal(tx))) return false;
  try {
    await savepoint(tx, (inner) => inner.unsafe(`${LOCK} nowait`));
    return true;
  } catch (error) {
    if (errorCode(error) !== SQLSTATE.lockNotAvailable) throw error;
    return false;
  }
}

async function pendingMigrations(
  tx: Transaction,
): Promise<{ readonly isEmpty: boolean; readonly pending: readonly Migration[] }> {
  const ours = knownMigrations();
  const applied = await takeJournal(tx);
  const { made, sql } = takeover();
  if (compareMigrations(applied, ours, made) === 'newer')
    throw new NewerDatabaseError(newerMessage(applied ?? [], ours));
  const pending = ours.filter(({ made_ms }) => !applied?.includes(made_ms));
  if (!applied?.some((one) => made.has(one))) return { isEmpty: applied === null, pending };
  // A database of an unreleased version has most of what the first migration makes.
  await forgetUnreleased(tx);
  return { isEmpty: false, pending: pending.map((one) => (one === ours[0] ? { ...one, sql } : one)) };
}

async function applyMigration(tx: Transaction, migration: Migration): Promise<void> {
  await tx.unsafe(migration.sql);
  await noteMigration(tx, migration);
}

function newerMessage(applied: readonly number[], ours: readonly Migration[]): string {
  const day = (made: number | undefined) => new Date(made ?? 0).toISOString().slice(0, 10);
  const last = ours.at(-1);
  return (
    `the database is newer than this program: its schema has ${applied.length} migrations, the last of ${day(applied.at(-1))}; ` +
    `this program knows ${ours.length}, the last ${last?.tag} of ${day(last?.made_ms)}. Run the newer version of flowlu-mirror.`
  );
}

const STANDS_ON =
  "somebody's own view stands on a column that this version changes: REASON. Drop that view, run migrate, create it again.";

/** What the server's refusals come to. */
const REFUSALS: Readonly<Record<string, string>> = {
  [SQLSTATE.insufficientPrivilege]:
    'the database role may not do this: REASON. It must own the database or have CREATE on it (grant create on database … to …).',
  [SQLSTATE.lockNotAvailable]: 'another session held a lock for too long; nothing was changed, run migrate again',
  [SQLSTATE.dependentObjectsStillExist]: STANDS_ON,
  // "cannot alter type of a column used by a view or rule"
  [SQLSTATE.featureNotSupported]: STANDS_ON,
};

async function explain(error: unknown, sql: Sql): Promise<unknown> {
  const words = REFUSALS[errorCode(error) ?? ''];
  if (words === undefined) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const isRight = errorCode(error) === SQLSTATE.insufficientPrivilege;
  const mixUp = isRight ? mixUpOf(await ownership(sql)) : null;
  return new MigrationError(mixUp ?? words.replace('REASON', () => reason), { cause: error });
}

/** Where the mirror is somebody else's, no right is missing: the address is the wrong one. */
function mixUpOf(own: Ownership): string | null {
  const { found, advice } = wrongRole(own);
  if (own.is_reader) return `${found}; ${advice}`;
  if (own.owner === null || own.may_define) return null;
  return `${own.role} may not change the mirror: use the address of ${own.owner}, which owns it`;
}
