/** PostgreSQL refuses to run as root: whom it runs as instead, and whether they can get at the files. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Account, EmbeddedDatabaseError, run } from './binaries.ts';

const USER = 'postgres';
const TIMEOUT_MS = 30_000;

/** True when we are root, who must hand the server to somebody else. */
export const isRoot = (): boolean => process.getuid?.() === 0;

/**
 * Whom the server runs as. As an ordinary user: ourselves. As root: the owner of the data directory if
 * it exists already, else the system user `postgres`, who is created where missing.
 * @throws EmbeddedDatabaseError when there is no such user and none can be created.
 */
export async function serverAccount(dataDirectory: string): Promise<Account> {
  if (!isRoot()) return null;
  const owner = await stat(dataDirectory).catch(() => null);
  if (owner !== null && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid, name: `uid ${owner.uid}` };
  return (await lookUp()) ?? (await create());
}

async function lookUp(): Promise<Account> {
  const options = { account: null, timeoutMs: TIMEOUT_MS };
  const [uid, gid] = await Promise.all([run('id', ['-u', USER], options), run('id', ['-g', USER], options)]);
  if (uid.code !== 0 || gid.code !== 0) return null;
  return { uid: Number(uid.output), gid: Number(gid.output), name: USER };
}

async function create(): Promise<Account> {
  const options = { account: null, timeoutMs: TIMEOUT_MS };
  const attempts: readonly (readonly [string, readonly string[]])[] = [
    ['useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/bin/false', USER]],
    ['adduser', ['-S', '-D', '-H', USER]], // busybox
  ];
  for (const [command, args] of attempts) {
    await run(command, args, options).catch(() => null);
    const account = await lookUp();
    if (account !== null) return account;
  }
  throw new EmbeddedDatabaseError(
    `PostgreSQL does not run as root and the system user "${USER}" could not be created: create it, run as an ordinary user, or set DATABASE_URL`,
  );
}

/** The first directory on the way to `path` that the account may not pass through, or null. */
export async function closedDirectory(account: Account, path: string): Promise<string | null> {
  if (account === null) return null;
  const reached = await run('/bin/sh', ['-c', 'cd -- "$0"', path], { account, timeoutMs: TIMEOUT_MS });
  if (reached.code === 0) return null;
  const way = [path];
  for (let at = path; at !== dirname(at); at = dirname(at)) way.unshift(dirname(at));
  for (const step of way) {
    const { mode, uid, gid } = await stat(step);
    const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
    if (((mode >> shift) & 1) === 0) return step;
  }
  return path;
}

/** The error for what can neither be reached nor moved elsewhere. */
export function cannotReach(
  account: NonNullable<Account>,
  path: string,
  closed: string | null,
  cause?: unknown,
): EmbeddedDatabaseError {
  return new EmbeddedDatabaseError(
    `PostgreSQL does not run as root, and the user it runs as (${account.name}) cannot ${closed === null ? '' : `pass through ${closed} to `}reach ${path}. ` +
      'Use a directory that is open to others, such as one below /opt or /srv, run as an ordinary user, or set DATABASE_URL.',
    { cause },
  );
}
