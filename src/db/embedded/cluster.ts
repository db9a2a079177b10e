/** One PostgreSQL data directory: create it, start it, find it running, stop it. */
import { chown, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode } from '../../postgres/errors.ts';
import { type Account, type Binaries, EmbeddedDatabaseError, installationHint, run } from './binaries.ts';
import { isAlive } from './lock.ts';

/** A data directory with what is needed to run it. */
export interface Cluster {
  readonly data: string;
  readonly account: Account;
  readonly binaries: Binaries;
}

/** Settings of PostgreSQL, as they stand in its configuration file. */
export type ServerSettings = Readonly<Record<string, string | number>>;

const INIT_MAX_MS = 180_000;
/** Replaying the log after a crash can take minutes. */
const START_MAX_SECONDS = 300;
const STOP_MAX_SECONDS = 60;
/** Processes of a killed server need a moment to notice; until then its shared memory is in use. */
const START_ATTEMPTS = 20;
const ATTEMPT_DELAY_MS = 500;
const LOG_MAX_BYTES = 1_000_000;
const PREFERRED_PORT = 54_329;

const DEFAULTS: ServerSettings = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  password_encryption: 'scram-sha-256',
  shared_buffers: '128MB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // Clients are told of their own errors; the log keeps what concerns the server.
  log_min_messages: 'log',
  log_checkpoints: 'off',
  jit: 'off',
};

const logFile = ({ data }: Cluster) => join(data, 'server.log');

/** True when the directory holds a database. */
export async function isInitialised({ data }: Cluster): Promise<boolean> {
  const file = await stat(join(data, 'PG_VERSION')).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return null;
    throw new EmbeddedDatabaseError(
      `${data} belongs to another user: run as that user, give it to yours, or set DATABASE_URL`,
      { cause: error },
    );
  });
  return file !== null;
}

/** Creates the data directory; it appears whole under its name or not at all. */
export async function initialise(cluster: Cluster, user: string, password: string): Promise<void> {
  const { data, account, binaries } = cluster;
  const draft = `${data}.new`;
  const passwordFile = join(dirname(data), 'password.tmp');
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  try {
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    if (account !== null) {
      await chown(draft, account.uid, account.gid);
      await chown(passwordFile, account.uid, account.gid);
    }
    const args = [
      `--pgdata=${draft}`,
      `--username=${user}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // Built into the server, so that it does not depend on the locales of the machine.
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
    ];
    const { code, output } = await run(binaries.initdb, args, { account, timeoutMs: INIT_MAX_MS });
    if (code !== 0) {
      throw new EmbeddedDatabaseError(
        `the database could not be created in ${data}${installationHint(output)}: ${output}`,
      );
    }
    await rename(draft, data);
  } finally {
    await rm(passwordFile, { force: true });
    await rm(draft, { recursive: true, force: true });
  }
}

/** Port of a server that runs, starts or died on the directory, or null where its file says nothing. */
export async function recordedServer({
  data,
}: Cluster): Promise<{ readonly pid: number; readonly port: number } | null> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n');
  const [pid, port] = [Number(lines[0]), Number(lines[3])];
  return pid > 0 && port > 0 ? { pid, port } : null;
}

/**
 * Starts the server and waits until it takes connections.
 * @param port the one to use, or null for any free one.
 * @returns the port it listens on.
 * @throws EmbeddedDatabaseError with the tail of the server's log.
 */
export async function start(cluster: Cluster, port: number | null, settings: ServerSettings): Promise<number> {
  const { data, account, binaries } = cluster;
  await rotateLog(cluster);
  let chosen = await choosePort(port ?? PREFERRED_PORT);
  for (let attempt = 1; ; attempt += 1) {
    await writeSettings(cluster, { ...DEFAULTS, ...settings, port: chosen });
    const args = ['start', '-s', '-w', '-t', String(START_MAX_SECONDS), '-D', data, '-l', logFile(cluster)];
    const { code, output } = await run(binaries.pg_ctl, args, { account, timeoutMs: (START_MAX_SECONDS + 30) * 1000 });
    if (code === 0) return chosen;
    const log = await logTail(cluster);
    if (attempt === START_ATTEMPTS || !(await mayStartLater(cluster, log))) {
      throw new EmbeddedDatabaseError(`the embedded PostgreSQL in ${data} did not start: ${output}\n${log}`);
    }
    chosen = await choosePort(chosen);
    await delay(ATTEMPT_DELAY_MS);
  }
}

/** Recognises the passing reasons for a refused start, and clears away the file of a server long dead. */
async function mayStartLater(cluster: Cluster, log: string): Promise<boolean> {
  if (/Address already in use|shared memory block .* is still in use/i.test(log)) return true;
  if (!/lock file "postmaster.pid" already exists/.test(log)) return false;
  const recorded = await recordedServer(cluster);
  // After a restart of the machine or container, the dead server's process id may be anybody's.
  if (recorded !== null && isAlive(recorded.pid) && !(await isPostgres(recorded.pid))) {
    await rm(join(cluster.data, 'postmaster.pid'), { force: true });
  }
  return true;
}

async function isPostgres(pid: number): Promise<boolean> {
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => null);
  if (name !== null) return name.startsWith('postgres');
  const { code, output } = await run('ps', ['-o', 'comm=', '-p', String(pid)], { account: null, timeoutMs: 10_000 });
  return code !== 0 || output.includes('postgres');
}

/** Stops the server; open transactions roll back. */
export async function stop(cluster: Cluster): Promise<void> {
  const { data, account, binaries } = cluster;
  const args = ['stop', '-s', '-w', '-t', String(STOP_MAX_SECONDS), '-m', 'fast', '-D', data];
  const { code, output } = await run(binaries.pg_ctl, args, { account, timeoutMs: (STOP_MAX_SECONDS + 30) * 1000 });
  if (code !== 0 && (await recordedServer(cluster)) !== null) {
    throw new EmbeddedDatabaseError(`the embedded PostgreSQL in ${data} did not stop: ${output}`);
  }
}

async function writeSettings({ data, account }: Cluster, settings: ServerSettings): Promise<void> {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'`);
  const text = `# Written by flowlu-mirror at every start; for settings of your own use ALTER SYSTEM.\n${lines.join('\n')}\n`;
  const file = join(data, 'postgresql.conf');
  await rm(`${file}.new`, { force: true });
  // Never through a link: as root we would write wherever the server's user wants us to.
  const draft = await open(`${file}.new`, 'wx', 0o600);
  try {
    await draft.writeFile(text);
    if (account !== null) await draft.chown(account.uid, account.gid);
  } finally {
    await draft.close();
  }
  await rename(`${file}.new`, file);
}

async function rotateLog(cluster: Cluster): Promise<void> {
  const size = (await stat(logFile(cluster)).catch(() => null))?.size ?? 0;
  if (size > LOG_MAX_BYTES) await rename(logFile(cluster), `${logFile(cluster)}.1`);
}

const TAIL_BYTES = 2_000;

async function logTail(cluster: Cluster): Promise<string> {
  const file = await open(logFile(cluster)).catch(() => null);
  if (file === null) return '';
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(TAIL_BYTES),
      0,
      TAIL_BYTES,
      Math.max(0, size - TAIL_BYTES),
    );
    return buffer.toString('utf8', 0, bytesRead).trim();
  } finally {
    await file.close();
  }
}

/** The wanted port if nobody has it, else one that the system gives. */
async function choosePort(wanted: number): Promise<number> {
  return (await tryPort(wanted)) ?? (await tryPort(0)) ?? wanted;
}

function tryPort(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : null));
    });
  });
}
