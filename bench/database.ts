/** The server that everything is measured on: the product's own embedded PostgreSQL, every commit on disk. */
import { mkdtemp, readFile, realpath, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbedded } from '../src/embedded/server.ts';
import { connect, type Sql } from '../src/postgres/connection.ts';

export interface BenchDatabase {
  readonly directory: string;
  /** The mirror's database; the limits are taken in a schema of their own beside it. */
  readonly url: string;
  readonly peerUrl: string;
  readonly sql: Sql;
  readonly version: string;
  /** The server's first process. */
  readonly pid: number;
  readonly settings: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** Beside what the embedded server has anyway; the same for every side. */
const SETTINGS = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  max_connections: 200,
  // Checkpoints come between two measures, not in the middle of one.
  max_wal_size: '8GB',
  checkpoint_timeout: '1h',
  // It would come in the middle of one measure and not of another; tables are vacuumed between them where that matters.
  autovacuum: 'off',
} as const;

/** File systems that live in memory, where a flush costs nothing. */
const MEMORY_FILE_SYSTEMS = new Set([0x0102_1994, 0x8584_58f6]);

/** Connections for sixty-four clients and a few more. */
const MAX_CONNECTIONS = 70;

/** Starts a server with empty databases. */
export async function openDatabase(): Promise<BenchDatabase> {
  const directory = await mkdtemp(join(await diskDirectory(), 'flowlu-mirror-bench-'));
  const embedded = await openEmbedded({ directory, settings: SETTINGS });
  const sql = connect(embedded.url, { applicationName: 'flowlu-mirror bench', max: MAX_CONNECTIONS });
  // The peer's migrations hand its tables to a role of this name.
  await sql`create role postgres`;
  await sql`create database peer`;
  const peerUrl = new URL(embedded.url);
  peerUrl.pathname = '/peer';
  const names = ['server_version', 'shared_buffers', 'wal_level', ...Object.keys(SETTINGS)];
  const rows = await sql`select name, current_setting(name) as value from unnest(${names}::text[]) as n(name)`;
  const settings = Object.fromEntries(rows.map((row) => [row.name as string, row.value as string]));
  // As root, the data may lie elsewhere, behind a link.
  const data = await realpath(join(directory, 'postgres'));
  return {
    directory,
    url: embedded.url,
    peerUrl: peerUrl.href,
    sql,
    version: settings.server_version ?? '',
    pid: Number.parseInt(await readFile(join(data, 'postmaster.pid'), 'utf8'), 10),
    settings,
    async close() {
      await sql.end({ timeout: 5 });
      await embedded.close();
      await rm(data, { recursive: true, force: true });
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function diskDirectory(): Promise<string> {
  for (const directory of [tmpdir(), '/var/tmp']) {
    if (!MEMORY_FILE_SYSTEMS.has((await statfs(directory)).type)) return directory;
  }
  throw new Error('set TMPDIR to a directory on a disk: a flush to memory costs nothing and measures nothing');
}

/** Position of the log, in bytes. */
export async function walPosition(sql: Sql): Promise<number> {
  const [row] = await sql`select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::text as at`;
  return Number(row?.at);
}

/** Rows that were ever inserted, updated or deleted in the mirror, once the sessions that did it have ended. */
export async function mirrorWrites(sql: Sql): Promise<number> {
  const [row] = await sql`
    select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::text as writes
      from pg_stat_user_tables where schemaname = 'flowlu'`;
  return Number(row?.writes);
}

/** Seconds that the newest run took, on the database's clock: without the start of its process. */
export async function lastRunSeconds(sql: Sql): Promise<number> {
  const [row] = await sql`
    select extract(epoch from finished_at - started_at)::text as seconds from sync.runs order by id desc limit 1`;
  return Number(row?.seconds);
}
