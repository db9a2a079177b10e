/** Running PostgreSQL's programs, and what their failures mean to the user. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The embedded server cannot be prepared, started or stopped; the message says what to do. */
export class EmbeddedDatabaseError extends Error {
  override readonly name = 'EmbeddedDatabaseError';
}

/** The user whom the server runs as; null means as ourselves. */
export type Account = { readonly uid: number; readonly gid: number; readonly name: string } | null;

const OUTPUT_MAX_BYTES = 1_000_000;
const execute = promisify(execFile);

/**
 * Runs a program to its end, or until `timeoutMs` have passed, with an environment that holds nothing of ours.
 * @param options.signal interrupts the program as Ctrl-C does: initdb and pg_ctl then undo what they have begun
 * @returns as `output` everything it wrote, or why it could not be run.
 * @throws the signal's reason, where it has aborted before.
 */
export async function run(
  command: string,
  args: readonly string[],
  options: {
    readonly account: Account;
    readonly timeoutMs?: number;
    readonly cwd?: string;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<{ readonly ok: boolean; readonly output: string }> {
  const { account, timeoutMs = 30_000, cwd = '/', signal } = options; // The account may not be able to enter our own directory.
  signal?.throwIfAborted();
  let interrupt = () => {};
  try {
    const running = execute(command, args, {
      cwd,
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: OUTPUT_MAX_BYTES,
      // PGDATA, PGPORT, PGOPTIONS and the like of the surrounding shell must not reach the server.
      ...(process.platform !== 'win32' && { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC' } }),
      ...(account !== null && { uid: account.uid, gid: account.gid }),
    });
    interrupt = () => running.child.kill('SIGINT');
    signal?.addEventListener('abort', interrupt);
    const { stdout, stderr } = await running;
    return { ok: true, output: `${stdout}${stderr}` };
  } catch (error) {
    const { killed, stdout = '', stderr = '', message } = error as Error & Partial<Record<string, string>>;
    if (killed && signal?.aborted !== true)
      return { ok: false, output: `${command} took longer than ${timeoutMs / 1_000} s` };
    return { ok: false, output: `${stdout}${stderr}`.trim() || message };
  } finally {
    signal?.removeEventListener('abort', interrupt);
  }
}

const ADVICE: readonly (readonly [pattern: RegExp, advice: string])[] = [
  [
    /No space left|ENOSPC|wrote only|Check free disk space|quota exceeded|EDQUOT/i,
    'there is not enough space on its disk (a new database takes about 60 MB): free some, or set DATA_DIR to a directory on another disk',
  ],
  [
    /Read-only file system|EROFS|Permission denied|EACCES|EPERM|Operation not permitted/i,
    'this user may not write there: make it writable, or set DATA_DIR to a directory that is',
  ],
  [/ENOTEMPTY|EEXIST|ENOTDIR/, 'something else is in its place: move it away, or set DATA_DIR to another directory'],
  [/shared librar/, 'its libraries are missing: run "npm rebuild" to finish the installation'],
];

/** One sentence from a failure of a program or of the file system, which may have taken thirty lines to describe it. */
export function failure(what: string, cause: unknown): EmbeddedDatabaseError {
  const text = cause instanceof Error ? cause.message : String(cause);
  const known = ADVICE.find(([pattern]) => pattern.test(text));
  if (known !== undefined) return new EmbeddedDatabaseError(`${what}: ${known[1]}`, { cause });
  const lines = text.trim().split('\n');
  const telling = lines.find((line) => /FATAL|PANIC|error:/.test(line)) ?? lines.at(-1) ?? '';
  const reason = telling.replace(/^.*?(FATAL|PANIC|error): +/, '');
  return new EmbeddedDatabaseError(`${what}: ${reason}. To use another server, set DATABASE_URL`, { cause });
}
