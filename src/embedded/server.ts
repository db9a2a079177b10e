/** The database that comes along: a real PostgreSQL in a directory of ours, shared by our processes. */
import { chmod, mkdir, realpath, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../core/log.ts';
import { connect, errorCode, isConnectionError, type Sql } from '../postgres/connection.ts';
import { SQLSTATE } from '../postgres/sqlstates.ts';
import { dataDirectory, isRoot, serverAccount } from './account.ts';
import {
  anotherPort,
  type Cluster,
  passwordOf,
  recordedPort,
  type ServerSettings,
  start,
  stop,
  USER,
} from './cluster.ts';
import { EmbeddedDatabaseError, failure } from './process.ts';
import { findPrograms } from './programs.ts';

export { EmbeddedDatabaseError } from './process.ts';

export interface EmbeddedOptions {
  /** Where the data are, usually `.flowlu-mirror`. Created when missing. */
  readonly directory: string;
  readonly log?: Pick<Logger, 'debug' | 'warn'>;
  /** Settings of PostgreSQL in addition to ours, e.g. `{ fsync: 'off' }` in tests. Used only when this call creates the database. */
  readonly settings?: ServerSettings;
  /** Ends the making of a database, and the waiting for a server that is starting or stopping. */
  readonly signal?: AbortSignal;
}

export type EmbeddedDatabase = Awaited<ReturnType<typeof openEmbedded>>;

const DATABASE = 'flowlu';
/**
 * Key of the advisory lock by which our processes know of each other: shared by all that use the server, taken alone by
 * the last one, which then stops it. PostgreSQL releases it when its holder dies.
 */
const IN_USE = 7_032_026;
/** A server may take minutes to replay its log. */
const BUSY_MAX_MS = 300_000;
const POLL_MS = 250;
const ATTEMPTS = 40;
/** After so many, the process that `postmaster.pid` names is not a server, when nobody listens on its port. */
const STALE_AFTER = 20;
const REVIVE_DELAYS_MS = [200, 1_000, 3_000, 10_000, 30_000];

/**
 * Makes sure that the server is running, adopting one that another process started or a killed one left, and that our
 * database is in it. Should the server die meanwhile, it is started again.
 * @throws EmbeddedDatabaseError when it cannot run here; the message says what to do.
 */
export async function openEmbedded(options: EmbeddedOptions) {
  const { log, signal } = options;
  const account = await serverAccount(join(options.directory, 'postgres'));
  const programs = await findPrograms(account);
  const directory = await prepare(options.directory);
  const cluster = { data: await dataDirectory(directory, account), account, programs };
  const password = await passwordOf(cluster, options.settings ?? {}, signal);
  const urlOf = (port: number, database = 'postgres') => `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`;

  const leaving = new AbortController();
  let reviving = Promise.resolve();
  const onLost = () => {
    if (!leaving.signal.aborted) reviving = revive();
  };
  let member = await enter(cluster, urlOf, { port: null, signal, onLost });
  const { port, started, isShared } = member;
  log?.debug({ port, started, directory }, 'embedded PostgreSQL is running');

  /** Starts a server that died, a bounded number of times. Its port is known to others and should stay. */
  async function revive(): Promise<void> {
    for (const wait_ms of REVIVE_DELAYS_MS) {
      try {
        await delay(wait_ms, undefined, { ref: false, signal: leaving.signal });
        await member.sql.end();
        member = await enter(cluster, urlOf, { port, signal: leaving.signal, onLost });
        if (member.started) log?.warn({ port }, 'embedded PostgreSQL had stopped and was started again');
        if (member.port !== port)
          log?.warn({ port: member.port }, 'its port was taken: restart this process to use the new one');
        return;
      } catch (err) {
        if (leaving.signal.aborted) return;
        log?.warn({ err }, 'embedded PostgreSQL cannot be started again');
      }
    }
  }

  let closed: Promise<void> | undefined;
  async function close(): Promise<void> {
    leaving.abort();
    await reviving;
    try {
      if (await isLast(member.sql)) {
        await stop(cluster);
        log?.debug({}, 'embedded PostgreSQL stopped');
      }
    } finally {
      await member.sql.end();
    }
  }
  return {
    /** Connection string, password included, for this machine. */
    url: urlOf(port, DATABASE),
    started,
    /** True when other processes were using it. */
    isShared,
    /** Leaves the server; the last of our processes to leave stops it. End your pools first. */
    close: () => (closed ??= close()),
  };
}

async function prepare(wanted: string): Promise<string> {
  // As root, the server's user must pass through; what is secret in it has rights of its own.
  const mode = isRoot() ? 0o711 : 0o700;
  const directory = resolve(wanted);
  try {
    await makeDirectory(directory, mode);
    if (isRoot() && (await stat(directory)).uid === 0) await chmod(directory, mode);
    return await realpath(directory);
  } catch (cause) {
    throw failure(`the directory ${directory} cannot be used`, cause);
  }
}

/** Node's own `recursive` never comes back from a path such as /proc/nope, whose parent is there and takes nothing. */
async function makeDirectory(path: string, mode: number): Promise<void> {
  const make = () =>
    mkdir(path, { mode }).catch(async (error: unknown) => {
      if (errorCode(error) !== 'EEXIST' || !(await stat(path)).isDirectory()) throw error;
    });
  await make().catch(async (error: unknown) => {
    if (errorCode(error) !== 'ENOENT' || dirname(path) === path) throw error;
    await makeDirectory(dirname(path), mode);
    await make();
  });
}

/** Joins the server, started where need be: the connection that holds the lock, and what was found when it was taken. */
async function enter(
  cluster: Cluster,
  urlOf: (port: number) => string,
  options: { readonly port: number | null; readonly signal: AbortSignal | undefined; readonly onLost: () => void },
) {
  const { signal, onLost } = options;
  const deadline = Date.now() + BUSY_MAX_MS;
  let [wanted, started] = [options.port, false];
  for (let attempt = 1; attempt <= ATTEMPTS && Date.now() < deadline; ) {
    const port = await recordedPort(cluster);
    const answer = port === null ? 'absent' : await joinServer(cluster, urlOf(port), onLost);
    if (typeof answer === 'object') return { ...answer, port: Number(port), started };
    if (answer !== 'busy') {
      signal?.throwIfAborted(); // Not between starting and joining, or nobody would stop the server.
      if (attempt === STALE_AFTER && answer === 'absent')
        await rm(join(cluster.data, 'postmaster.pid'), { force: true });
      const outcome = await start(cluster, wanted, signal);
      if (outcome === 'port taken') wanted = anotherPort();
      started = outcome === 'started';
      attempt += 1;
      if (outcome !== 'later') continue;
    }
    await delay(POLL_MS, undefined, signal && { signal });
  }
  throw new EmbeddedDatabaseError(
    `the embedded PostgreSQL in ${cluster.data} is still starting or stopping: try again later, or see its server.log`,
  );
}

/**
 * Takes the lock on the server at the address.
 * @returns 'busy' when it is starting or stopping, 'absent' when nobody listens there, 'other' when it is not ours.
 */
async function joinServer({ data }: Cluster, url: string, onLost: () => void) {
  let joined = false;
  const onClose = () => {
    if (joined) onLost();
    joined = false;
  };
  const sql = connect(url, { applicationName: 'flowlu-mirror keeper', max: 1, maxLifetimeSeconds: 0, onClose });
  try {
    const [server] = await sql<{ at: string }[]>`select current_setting('data_directory') as at`;
    if (server?.at !== (await realpath(data))) return 'other';
    const [lock] = await sql<{ taken: boolean }[]>`select pg_try_advisory_lock_shared(${IN_USE}) as taken`;
    if (lock?.taken !== true) return 'busy';
    await ensureDatabase(sql);
    const others = await sql`
      select from pg_locks
       where locktype = 'advisory' and objid = ${IN_USE} and pid <> pg_backend_pid()
         and database = (select oid from pg_database where datname = current_database())`;
    joined = true;
    return { sql, isShared: others.count > 0 };
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (code.startsWith('57P') || code === SQLSTATE.tooManyConnections) return 'busy';
    if (code === 'ECONNREFUSED') return 'absent';
    if (isConnectionError(error) || /^(28|3D)/.test(code)) return 'other';
    throw failure(`the embedded PostgreSQL in ${data} cannot be used`, error);
  } finally {
    if (!joined) await sql.end();
  }
}

/** True when no other process uses the server; none can join any more then. */
async function isLast(sql: Sql): Promise<boolean> {
  try {
    await sql`select pg_advisory_unlock_shared(${IN_USE})`;
    const [lock] = await sql<{ taken: boolean }[]>`select pg_try_advisory_lock(${IN_USE}) as taken`;
    return lock?.taken === true;
  } catch (error) {
    if (isConnectionError(error)) return false; // It has stopped already.
    throw error;
  }
}

async function ensureDatabase(sql: Sql): Promise<void> {
  // Readers of the mirror are to have no way to the lock.
  await sql.unsafe('revoke connect on database postgres from public');
  const found = await sql`select from pg_database where datname = ${DATABASE}`;
  if (found.count > 0) return;
  await sql.unsafe(`create database ${DATABASE}`).catch((error: unknown) => {
    // Another process was faster.
    const isThere = [SQLSTATE.duplicateDatabase, SQLSTATE.uniqueViolation].some((code) => code === errorCode(error));
    if (!isThere) throw error;
  });
}
