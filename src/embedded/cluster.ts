/** One PostgreSQL data directory: create it, start it, stop it. */
import { randomBytes, randomInt } from 'node:crypto';
import { chown, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode } from '../postgres/errors.ts';
import { type Account, EmbeddedDatabaseError, failure, run } from './process.ts';

export interface Cluster {
  readonly data: string;
  readonly account: Account;
  readonly programs: string;
}

export type ServerSettings = Readonly<Record<string, string | number>>;

export const USER = 'flowlu';

const INIT_MAX_MS = 180_000;
/** Replaying the log after a crash can take minutes. */
const START_MAX_SECONDS = 300;
const STOP_MAX_MS = 60_000;
const STOP_POLL_MS = 50;
const [PID_LINE, PORT_LINE] = [0, 3];
/** What a program may take beyond the limit that it was given itself. */
const PATIENCE_MS = 30_000;
const LOG_MAX_BYTES = 1_000_000;
const LOG_FILE = 'server.log';
const PREFERRED_PORT = 54_329;

const DEFAULTS: ServerSettings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  shared_buffers: '128MB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // Clients are told of their own errors; the log keeps what concerns the server.
  log_min_messages: 'log',
  log_checkpoints: 'off',
  jit: 'off',
};

const passwordFile = (data: string) => join(data, 'flowlu-mirror.password');

/**
 * The superuser's password. It is made with the database and kept in its directory, so there is never one without the other.
 * @param settings for a new database, in addition to ours.
 */
export async function passwordOf(cluster: Cluster, settings: ServerSettings, signal?: AbortSignal): Promise<string> {
  return (await readPassword(cluster)) ?? (await initialise(cluster, settings, signal));
}

async function readPassword({ data }: Cluster): Promise<string | null> {
  return await readFile(passwordFile(data), 'utf8').catch((cause: unknown) => {
    if (errorCode(cause) === 'ENOENT') return null;
    const why = `${data} belongs to another user: run as that user, set DATA_DIR to another directory, or set DATABASE_URL`;
    throw new EmbeddedDatabaseError(why, { cause });
  });
}

/** Creates the data directory. It appears complete or not at all; of several processes that try, one succeeds. */
async function initialise(cluster: Cluster, settings: ServerSettings, signal?: AbortSignal): Promise<string> {
  const { data } = cluster;
  const [home, drafts] = [dirname(data), `${basename(data)}.new-`];
  let draft: string | undefined;
  try {
    draft = await mkdtemp(join(home, drafts));
    const password = await fill(draft, cluster, settings, signal);
    await rename(join(draft, 'data'), data);
    // Processes that were killed in the middle of this have left theirs.
    const left = (await readdir(home)).filter((name) => name.startsWith(drafts));
    await Promise.all(left.map((name) => rm(join(home, name), { recursive: true, force: true })));
    return password;
  } catch (cause) {
    // Another process may have been faster, and has then removed this draft.
    const password = await readPassword(cluster);
    if (password !== null) return password;
    signal?.throwIfAborted();
    throw failure(`no database could be created in ${home}`, cause);
  } finally {
    if (draft !== undefined) await rm(draft, { recursive: true, force: true });
  }
}

async function fill(
  draft: string,
  { account, programs }: Cluster,
  settings: ServerSettings,
  signal?: AbortSignal,
): Promise<string> {
  const [password, file] = [randomBytes(24).toString('base64url'), join(draft, 'password')];
  await writeFile(file, password, { mode: 0o600 });
  if (account !== null) for (const path of [draft, file]) await chown(path, account.uid, account.gid);
  const args = [
    '--pgdata=data',
    `--username=${USER}`,
    '--pwfile=password',
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // Built into the server, so that it does not depend on the locales of the machine.
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--locale=C',
    ...Object.entries({ ...DEFAULTS, ...settings }).map(([name, value]) => `--set=${name}=${value}`),
  ];
  const options = { account, cwd: draft, timeoutMs: INIT_MAX_MS, signal };
  const { ok, output } = await run(join(programs, 'initdb'), args, options);
  if (!ok) throw new Error(output);
  await rename(file, passwordFile(join(draft, 'data')));
  return password;
}

/** Port of a server that runs, starts, stops or died on the directory, or null when there is none. */
export const recordedPort = async (cluster: Cluster): Promise<number | null> => await recorded(cluster, PORT_LINE);

async function recorded({ data }: Cluster, line: number): Promise<number | null> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '');
  return Number(text.split('\n')[line]) || null;
}

async function lastPort({ data }: Cluster): Promise<number | null> {
  const command = await readFile(join(data, 'postmaster.opts'), 'utf8').catch(() => '');
  return Number(/"-p" "(\d+)"/.exec(command)?.[1]) || null;
}

/**
 * Starts the server and waits until it takes connections. PostgreSQL itself makes sure that no second one starts.
 * @returns 'later' when another process starts or stops it, or one that was killed has not quite gone.
 * @throws EmbeddedDatabaseError when it will not start; the signal's reason, and then it is not started.
 */
export async function start(
  cluster: Cluster,
  wantedPort: number | null,
  signal?: AbortSignal,
): Promise<'started' | 'port taken' | 'later'> {
  const { data, account, programs } = cluster;
  const log = join(data, LOG_FILE);
  const size = async () => (await stat(log).catch(() => null))?.size ?? 0;
  if ((await size()) > LOG_MAX_BYTES) await rename(log, `${log}.1`).catch(() => {});
  const [logged, pid] = [await size(), await recorded(cluster, PID_LINE)];
  const port = wantedPort ?? (await lastPort(cluster)) ?? PREFERRED_PORT;
  // From within, since pg_ctl puts paths into double quotes for a shell.
  const args = ['start', '-s', '-w', '-t', `${START_MAX_SECONDS}`, '-D', '.', '-l', LOG_FILE, '-o', `-p ${port}`];
  const timeoutMs = START_MAX_SECONDS * 1_000 + PATIENCE_MS;
  const { ok, output } = await run(join(programs, 'pg_ctl'), args, { account, cwd: data, timeoutMs, signal });
  if (ok) return 'started';
  if (signal?.aborted) {
    // An interrupted pg_ctl tells its server to stop, and does not wait for it.
    if ((await recorded(cluster, PID_LINE)) !== pid) await stop(cluster);
    throw signal.reason;
  }
  const words = (await readFile(log).catch(() => Buffer.alloc(0))).subarray(logged).toString('utf8');
  if (words.includes('Address already in use')) return 'port taken';
  // The file is empty for a moment before its server has written into it.
  const isUnderWay = /lock file "postmaster.pid"|shared memory block .* is still in use|PID file .* is empty/;
  if (isUnderWay.test(`${words}\n${output}`)) return 'later';
  throw failure(`the embedded PostgreSQL in ${data} did not start`, `${words}\n${output}`);
}

/** Stops the server; open transactions roll back. */
export async function stop(cluster: Cluster, mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
  const { data, account, programs } = cluster;
  const pid = await recorded(cluster, PID_LINE);
  const deadline = Date.now() + STOP_MAX_MS;
  const args = ['stop', '-s', '-W', '-m', mode, '-D', '.'];
  const { output } = await run(join(programs, 'pg_ctl'), args, { account, cwd: data });
  // pg_ctl would also wait for the end of a server that another process has started since.
  while (pid !== null && (await recorded(cluster, PID_LINE)) === pid) {
    if (Date.now() > deadline) throw failure(`the embedded PostgreSQL in ${data} did not stop`, output);
    await delay(STOP_POLL_MS);
  }
}

export const anotherPort = (): number => PREFERRED_PORT + randomInt(1, 1_000);
