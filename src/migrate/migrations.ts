/** The migrations this program brings, the ones a database has had, and what that makes of it. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { isMissing, type Queryable, within } from '../postgres/connection.ts';

/** One step of the schema, as drizzle-kit generated it. */
export interface Migration {
  /** File name without its ending, e.g. `0000_mirror`. */
  readonly tag: string;
  /** When it was generated, in Unix milliseconds: its identity, since it never changes. */
  readonly made_ms: number;
  readonly hash: string;
  readonly sql: string;
}

/**
 * - `empty`: never migrated.
 * - `behind`: this program brings migrations that the database has not had.
 * - `current`: in step.
 * - `newer`: the database has had migrations that this program does not know.
 */
export type SchemaState = 'empty' | 'behind' | 'current' | 'newer';

// src/migrate/migrations.ts and dist/migrate/migrations.js lie equally deep, so one path serves both.
const FOLDER = fileURLToPath(new URL('../../drizzle', import.meta.url));

/** A probe that gets no answer should say so soon. */
const READ_MAX_MS = 10_000;

/** What a database of an unreleased version needs in place of the first migration. */
export interface Takeover {
  /** The `made_ms` of migrations that such a database may have had. */
  readonly made: ReadonlySet<number>;
  readonly sql: string;
}

let known: readonly Migration[] | undefined;
let taken: Takeover | undefined;

/** Read once. */
export function takeover(): Takeover {
  taken ??= readTakeover(`${FOLDER}/takeover.sql`);
  return taken;
}

function readTakeover(file: string): Takeover {
  const sql = readFileSync(file, 'utf8');
  return { made: new Set([...sql.matchAll(/^-- {3}(\d+) /gm)].map(([, made]) => Number(made))), sql };
}

/** The program's own migrations, oldest first. Read once. */
export function knownMigrations(): readonly Migration[] {
  known ??= readFolder(FOLDER);
  return known;
}

function readFolder(folder: string): readonly Migration[] {
  const journal = JSON.parse(readFileSync(`${folder}/meta/_journal.json`, 'utf8')) as {
    readonly entries: readonly { readonly tag: string; readonly when: number }[];
  };
  const tags = new Map(journal.entries.map((entry) => [entry.when, entry.tag]));
  return readMigrationFiles({ migrationsFolder: folder }).map((file) => ({
    tag: tags.get(file.folderMillis) ?? String(file.folderMillis),
    made_ms: file.folderMillis,
    hash: file.hash,
    sql: file.sql.join('\n'),
  }));
}

/** The `made_ms` of each migration the database has had, or null where it was never migrated. */
export async function appliedMigrations(sql: Queryable): Promise<readonly number[] | null> {
  const query = sql<{ created_at: string }[]>`
    select created_at from drizzle.__drizzle_migrations order by created_at`;
  const rows = await within(query, READ_MAX_MS);
  return rows.length === 0 ? null : rows.map((row) => Number(row.created_at));
}

/** Compares what was applied with what this program brings and takes over. Pure. */
export function compareMigrations(
  applied: readonly number[] | null,
  ours: readonly Migration[],
  unreleased: ReadonlySet<number>,
): SchemaState {
  if (applied === null) return 'empty';
  const brought = ours.map((migration) => migration.made_ms);
  if (applied.some((made) => !brought.includes(made) && !unreleased.has(made))) return 'newer';
  return brought.every((made) => applied.includes(made)) ? 'current' : 'behind';
}

/**
 * How the database's schema stands to this program. One statement: cheap enough for a readiness probe.
 * @throws the driver's error when the database is away, TimeoutError when it does not answer.
 */
export async function schemaState(sql: Queryable): Promise<SchemaState> {
  try {
    return compareMigrations(await appliedMigrations(sql), knownMigrations(), takeover().made);
  } catch (error) {
    if (isMissing(error)) return 'empty';
    throw error;
  }
}
