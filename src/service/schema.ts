/** Bringing the schema up to date before a command works with it, or saying who has to. */
import { UsageError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { migrate, schemaState } from '../migrate/migrate.ts';
import { asOwner, ownership } from '../migrate/owner.ts';
import { missingRights } from '../migrate/rights.ts';
import { errorCode, type Sql } from '../postgres/connection.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';

/** What a command that only looks says where there is no mirror. */
export const NOTHING_SET_UP =
  'nothing is set up here: there is no mirror yet. Run `flowlu-mirror serve` or `flowlu-mirror backfill` to make one, ' +
  'or set DATABASE_URL or DATA_DIR to where it is';

/**
 * Migrates where that is due and we have a role that may.
 * @throws UsageError where we have none, where it is due and must not be done, or where the owner's address leads to another database; what the migration throws.
 */
export async function ensureSchema(
  sql: Sql,
  {
    migrateUrl,
    mayMigrate,
    ...options
  }: {
    readonly migrateUrl: string | null;
    readonly zone: string;
    /** False for a command that only looks. */
    readonly mayMigrate: boolean;
    readonly log: Logger;
  },
): Promise<void> {
  const state = await stateOf(sql);
  if (state === 'current') return;
  if (state === 'empty' && !mayMigrate) throw new UsageError(NOTHING_SET_UP);
  if (state === 'behind' && !mayMigrate) {
    throw new UsageError('the schema is of an earlier version; run: flowlu-mirror migrate (`serve` does it by itself)');
  }
  const migrated = await asOwner(sql, migrateUrl, (owner) => migrate(owner, options));
  if (migrated === null) throw new UsageError(await whoMust(sql));
  if (migrateUrl !== null && (await stateOf(sql)) !== 'current') {
    throw new UsageError(
      'the schema is not there although it was migrated: do MIGRATE_DATABASE_URL and DATABASE_URL lead to the same database?',
    );
  }
}

async function stateOf(sql: Sql): ReturnType<typeof schemaState> {
  try {
    return await schemaState(sql);
  } catch (error) {
    const missing = errorCode(error) === SQLSTATE.insufficientPrivilege ? await missingRights(sql) : null;
    if (missing === null) throw error;
    throw new UsageError(`${missing.found}; ${missing.advice}`, { cause: error });
  }
}

async function whoMust(sql: Sql): Promise<string> {
  const { role, owner } = await ownership(sql);
  const who = owner === null ? 'a role that may create schemas' : `the role ${owner}, which owns it,`;
  return (
    `the schema is not up to date, and ${role} may not change it: ${who} must run \`flowlu-mirror migrate\` first. ` +
    'Or set MIGRATE_DATABASE_URL to its address, and this command does so by itself.'
  );
}
