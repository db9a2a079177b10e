/** The migrations this program brings, the ones a database has had, and what that makes of it. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { plainArrayLiteral } from '../postgres/arrays.ts';
import { isMissing, type Queryable, type Transaction, within } from '../postgres/connection.ts';

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

let known: readonly Migration[] | undefined;
let taken: { readonly made: ReadonlySet<number>; readonly sql: string } | undefined;

const read = (file: string) => readFileSync(`${FOLDER}/${file}`, 'utf8');

/**
 * What a database of an unreleased version needs in place of the first migration.
 * @returns as `made` the `made_ms` of migrations that such a database may have had.
 */
export function takeover() {
  if (taken !== undefined) return taken;
  const sql = read('takeover.sql');
  taken = { made: new Set([...sql.matchAll(/^-- {3}(\d+) /gm)].map(([, made]) => Number(made))), sql };
  return taken;
}

/** The program's own migrations, oldest first. Read once. */
export function knownMigrations(): readonly Migration[] {
  if (known !== undefined) return known;
  const { entries } = JSON.parse(read('meta/_journal.json')) as { entries: readonly { tag: string; when: number }[] };
  known = entries.map(({ tag, when }) => {
    const sql = read(`${tag}.sql`);
    return { tag, made_ms: when, hash: createHash('sha256').update(sql).digest('hex'), sql };
  });
  return known;
}

/**
 * The journal: which migrations the database has had. Ours alone; the one of drizzle is shared by all programs that use
 * it. Whoever may write rows of this schema may still not write here.
 */
const JOURNAL = `
  create table sync.migrations (
    made_ms bigint primary key, hash text not null, applied_at timestamptz not null default clock_timestamp());
  comment on table sync.migrations is 'Migrations of the schema that this database has had';
  alter table sync.migrations enable row level security;
  create policy readable on sync.migrations for select using (true)`;

export async function hasJournal(sql: Queryable): Promise<boolean> {
  const [row] = await sql`select to_regclass('sync.migrations') is not null as is_there`;
  return row?.is_there === true;
}

/** The `made_ms` of each migration the database has had, or null where it was never migrated. */
async function appliedMigrations(sql: Queryable): Promise<readonly number[] | null> {
  const query = sql<{ made_ms: string }[]>`select made_ms from sync.migrations order by made_ms`;
  const rows = await within(query, READ_MAX_MS);
  return rows.length === 0 ? null : rows.map((row) => Number(row.made_ms));
}

/** Whether the mirror is one of an earlier version, which kept its migrations in the journal that drizzle shares. */
async function hasSharedJournal(sql: Queryable): Promise<boolean> {
  const [row] = await sql`
    select to_regnamespace('sync') is not null and to_regnamespace('flowlu') is not null
           and to_regclass('drizzle.__drizzle_migrations') is not null as is_there`;
  return row?.is_there === true;
}

/** What the database has had; lines of ours are taken over from the shared journal, other programs' are left alone. */
export async function takeJournal(tx: Transaction): Promise<readonly number[] | null> {
  if (!(await hasJournal(tx))) {
    if (!(await hasSharedJournal(tx))) return null;
    await tx.unsafe(JOURNAL);
    const made = [...knownMigrations().map(({ made_ms }) => made_ms), ...takeover().made];
    const ours = plainArrayLiteral(made.map(String));
    await tx`
      insert into sync.migrations (made_ms, hash)
      select distinct on (created_at) created_at, hash from drizzle.__drizzle_migrations
       where created_at = any(${ours}::bigint[]) order by created_at, id`;
  }
  return appliedMigrations(tx);
}

/** Notes that a migration was applied. The first one makes the schema that the journal lies in. */
export async function noteMigration(tx: Transaction, { made_ms, hash }: Migration): Promise<void> {
  if (!(await hasJournal(tx))) await tx.unsafe(JOURNAL);
  await tx`insert into sync.migrations (made_ms, hash) values (${made_ms}, ${hash})`;
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
    if (!isMissing(error)) throw error;
    return (await hasSharedJournal(sql)) ? 'behind' : 'empty';
  }
}

export async function forgetUnreleased(tx: Transaction): Promise<void> {
  await tx`delete from sync.migrations where made_ms in ${tx([...takeover().made])}`;
}
