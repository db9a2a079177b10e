/** The database that comes along: a real PostgreSQL below a directory of ours, shared by our processes. */
import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, mkdir, readFile, realpath, rename, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type DatabaseLog, silent } from '../migrate/log.ts';
import { connect, errorCode, isConnectionError, type Sql } from '../postgres/connection.ts';
import { isRoot, serverAccount } from './embedded/account.ts';
import { EmbeddedDatabaseError, findBinaries } from './embedded/binaries.ts';
import {
  type Cluster,
  initialise,
  isInitialised,
  recordedServer,
  type ServerSettings,
  start,
  stop,
} from './embedded/cluster.ts';
import { dataDirectory } from './embedded/home.ts';
import { acquireLock } from './embedded/lock.ts';
import { runnableBy } from './embedded/programs.ts';

export { EmbeddedDatabaseError } from './embedded/binaries.ts';

export interface EmbeddedOptions {
  /** Where everything lies or is linked from, usually `.flowlu-mirror`. Created where missing. */
  readonly directory: string;
  readonly log?: DatabaseLog;
  /** Settings of PostgreSQL beside ours, e.g. `{ fsync: 'off' }` in tests. Used only when this call starts the server. */
  readonly settings?: ServerSettings;
  /** Ends the waiting for another process that is starting or stopping the server. */
  readonly signal?: AbortSignal;
}

export interface EmbeddedDatabase {
  /** Connection string, password included, for this machine. */
  readonly url: string;
  /** False when the server ran already. */
  readonly started: boolean;
  /** Leaves the server; the last of our processes to leave stops it. End your pools first. */
  close(): Promise<void>;
}

/** What the file beside the data directory remembers between runs. */
interface Access {
  readonly password: string;
  readonly port: number | null;
}

const USER = 'flowlu';
const DATABASE = 'flowlu';
/** Every process of ours keeps one connection of this name: the sign by which the last one knows itself. */
const KEEPER = 'flowlu-mirror keeper';
const ADOPT_MAX_MS = 300_000;
const POLL_MS = 200;
/** How long a pool that was just ended may still show on the server. */
const LEAVING_MAX_MS = 1_000;
const REVIVE_DELAYS_MS = [200, 1_000, 3_000, 10_000, 30_000];

const lockFile = (directory: string) => join(directory, 'postgres.lock');

const urlOf = ({ password }: Access, port: number, database: string) =>
  `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`;

/**
 * Makes sure that the server runs, adopting one that a sibling process or a killed predecessor left
 * running, and that our database is in it. Should the server die meanwhile, it is started again.
 * @throws EmbeddedDatabaseError when it cannot run here; the message says what to do.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const directory = await prepare(options.directory);
  const { log = silent, signal } = options;
  const account = await serverAccount(join(directory, 'postgres'));
  const binaries = await runnableBy(account, await findBinaries(), { log, signal });

  const name = `${KEEPER} ${randomUUID().slice(0, 8)}`;
  const release = await acquireLock(lockFile(directory), signal);
  try {
    const data = await dataDirectory(directory, { account, binaries }, { log });
    const cluster: Cluster = { data, account, binaries };
    const access = await readAccess(directory, cluster);
    const { port, started } = await ensureRunning(cluster, directory, access, options.settings ?? {});
    await ensureDatabase(urlOf(access, port, 'postgres'));
    log.info({ port, started, directory }, 'embedded PostgreSQL is running');
    const url = urlOf(access, port, DATABASE);
    const leave = await keep(url, name, (leaving) =>
      revive(cluster, { ...access, port }, { ...options, directory, signal: leaving }),
    );
    let closed: Promise<void> | undefined;
    const close = async () => {
      await leave();
      await stopIfLast(cluster, url, name, lockFile(directory), log);
    };
    return {
      url,
      started,
      close: () => {
        closed ??= close();
        return closed;
      },
    };
  } finally {
    await release();
  }
}

async function prepare(wanted: string): Promise<string> {
  // As root, the server's user must pass through; what is secret in it has its own rights.
  const mode = isRoot() ? 0o711 : 0o700;
  const directory = resolve(wanted);
  await mkdir(directory, { recursive: true, mode });
  if (isRoot() && (await stat(directory)).uid === 0) await chmod(directory, mode);
  return await realpath(directory);
}

/** Reads the password and port, or makes them up for a new database. */
async function readAccess(directory: string, cluster: Cluster): Promise<Access> {
  const file = join(directory, 'connection.json');
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return null;
    throw new EmbeddedDatabaseError(`${file} cannot be read: run as the user who made it, or set DATABASE_URL`, {
      cause: error,
    });
  });
  if (text !== null) return JSON.parse(text) as Access;
  if (await isInitialised(cluster)) {
    throw new EmbeddedDatabaseError(
      `${file} is missing, and without its password the database beside it cannot be opened`,
    );
  }
  const access = { password: randomBytes(24).toString('base64url'), port: null };
  await writeAccess(directory, access);
  return access;
}

async function writeAccess(directory: string, access: Access): Promise<void> {
  const file = join(directory, 'connection.json');
  await writeFile(`${file}.new`, `${JSON.stringify(access, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** Under the lock: finds the server running or starts it. */
async function ensureRunning(cluster: Cluster, directory: string, access: Access, settings: ServerSettings) {
  if (!(await isInitialised(cluster))) await initialise(cluster, USER, access.password);
  const recorded = await recordedServer(cluster);
  if (recorded !== null && (await isOurs(cluster, urlOf(access, recorded.port, 'postgres')))) {
    return { port: recorded.port, started: false };
  }
  const port = await start(cluster, access.port, settings);
  if (port !== access.port) await writeAccess(directory, { ...access, port });
  return { port, started: true };
}

/** True when the server at the address serves this directory; waits for one that is still starting. */
async function isOurs({ data }: Cluster, url: string): Promise<boolean> {
  const deadline = Date.now() + ADOPT_MAX_MS;
  while (Date.now() < deadline) {
    const answer = await ask(url, 'flowlu-mirror probe', async (sql) => {
      const [row] = await sql<{ at: string }[]>`select current_setting('data_directory') as at`;
      return row?.at;
    }).catch((error: unknown) => {
      if (errorCode(error) === '57P03') return 'starting';
      // Nobody there, or somebody else's server on a port that ours had once.
      if (isConnectionError(error) || /^(28|3D)/.test(errorCode(error) ?? '')) return undefined;
      throw error;
    });
    if (answer !== 'starting') return answer !== undefined && answer === (await realpath(data));
    await delay(POLL_MS);
  }
  throw new EmbeddedDatabaseError(`the embedded PostgreSQL in ${data} is still starting; try again later`);
}

async function ensureDatabase(url: string): Promise<void> {
  await ask(url, 'flowlu-mirror setup', async (sql) => {
    const found = await sql`select from pg_database where datname = ${DATABASE}`;
    if (found.count === 0) await sql.unsafe(`create database ${DATABASE}`);
  });
}

async function ask<T>(url: string, applicationName: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = connect(url, { applicationName, max: 1, connectTimeoutSeconds: 10 });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/**
 * Holds the connection that says we are here.
 * @param onLost called when the server has closed it; its signal fires when we leave.
 */
async function keep(
  url: string,
  name: string,
  onLost: (signal: AbortSignal) => Promise<void>,
): Promise<() => Promise<void>> {
  const leaving = new AbortController();
  let reviving: Promise<void> | undefined;
  const onClose = () => {
    if (leaving.signal.aborted || reviving !== undefined) return;
    reviving = onLost(leaving.signal)
      .then(async () => {
        await sql`select 1`;
      })
      .catch(() => {}) // Given up, or leaving; either has been logged.
      .finally(() => {
        reviving = undefined;
      });
  };
  const sql = connect(url, { applicationName: name, max: 1, maxLifetimeSeconds: 0, onClose });
  await sql`select 1`;
  return async () => {
    leaving.abort();
    await reviving;
    await sql.end({ timeout: 5 });
  };
}

/** Starts a server that died under us, a bounded number of times. The port must stay: others know it by now. */
async function revive(
  cluster: Cluster,
  access: Access & { readonly port: number },
  options: EmbeddedOptions & { readonly directory: string; readonly signal: AbortSignal },
): Promise<void> {
  const { directory, log = silent, settings = {}, signal } = options;
  for (const wait_ms of REVIVE_DELAYS_MS) {
    await delay(wait_ms, undefined, { ref: false, signal });
    const release = await acquireLock(lockFile(directory), signal);
    try {
      const { port, started } = await ensureRunning(cluster, directory, access, settings);
      if (started) log.warn({ port }, 'embedded PostgreSQL had stopped and was started again');
      if (port !== access.port) log.warn({ port }, 'its port was taken: restart this process to use the new one');
      return;
    } catch (error) {
      log.warn({ err: error }, 'embedded PostgreSQL cannot be started again');
    } finally {
      await release();
    }
  }
}

async function stopIfLast(cluster: Cluster, url: string, name: string, lock: string, log: DatabaseLog): Promise<void> {
  const release = await acquireLock(lock);
  try {
    const others = await ask(url, 'flowlu-mirror leaving', (sql) => waitForOthers(sql, name)).catch(
      (error: unknown) => {
        if (isConnectionError(error)) return null; // Somebody stopped the server before us.
        throw error;
      },
    );
    if (others !== 0) return;
    await stop(cluster);
    log.info({}, 'embedded PostgreSQL stopped');
  } finally {
    await release();
  }
}

/** How many other clients of ours are connected, after those that are just leaving have left. */
async function waitForOthers(sql: Sql, name: string): Promise<number> {
  const deadline = Date.now() + LEAVING_MAX_MS;
  for (;;) {
    const [row] = await sql<{ keepers: number; clients: number }[]>`
      select count(*) filter (where application_name like ${`${KEEPER}%`})::int as keepers, count(*)::int as clients
      from pg_stat_activity
      where application_name like 'flowlu-mirror%' and application_name <> ${name} and pid <> pg_backend_pid()`;
    const { keepers = 0, clients = 0 } = row ?? {};
    if (clients === 0 || keepers > 0 || Date.now() > deadline) return clients;
    await delay(POLL_MS);
  }
}
