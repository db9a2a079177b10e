/** PostgreSQL refuses to run as root: which user runs it instead, and where that user can reach its files. */
import { randomUUID } from 'node:crypto';
import { chmod, lstat, mkdir, readlink, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../postgres/errors.ts';
import { type Account, EmbeddedDatabaseError, run } from './process.ts';

const USER = 'postgres';
const CREATE: readonly (readonly [command: string, ...args: string[]])[] = [
  ['useradd', '--system', '--user-group', '--no-create-home', '--shell', '/bin/false', USER],
  ['adduser', '-S', '-D', '-H', USER], // busybox
];

/** As root: where things are put that this user cannot reach where they belong. Only root can write there. */
const ELSEWHERE = '/var/lib/flowlu-mirror';

export const isRoot = (): boolean => process.getuid?.() === 0;

/**
 * As an ordinary user: ourselves. As root: the owner of the data directory, or for a new one the user `postgres`, who is
 * created when missing.
 * @throws EmbeddedDatabaseError when there is no such user and none can be created.
 */
export async function serverAccount(data: string): Promise<Account> {
  if (!isRoot()) return null;
  const owner = await stat(data).catch(() => null);
  if (owner !== null && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid, name: `uid ${owner.uid}` };
  for (const [command, ...args] of [['true'] as const, ...CREATE]) {
    await run(command, args, { account: null });
    const { output } = await run('id', [USER], { account: null });
    const [, uid, gid] = /uid=(\d+)\S* gid=(\d+)/.exec(output) ?? [];
    if (uid !== undefined) return { uid: Number(uid), gid: Number(gid), name: USER };
  }
  throw new EmbeddedDatabaseError(
    `PostgreSQL does not run as root, and the system user "${USER}" could not be created: create it, run as an ordinary user, or set DATABASE_URL`,
  );
}

/**
 * Where the data are: `postgres` in our directory. As root, where the account cannot reach that, it is a link to a
 * place that it can.
 * @throws EmbeddedDatabaseError when the account cannot reach the database that exists.
 */
export async function dataDirectory(directory: string, account: Account): Promise<string> {
  const data = join(directory, 'postgres');
  if (account === null) return data;
  const found = await lstat(data).catch(() => null);
  // Somebody else's link could lead root anywhere.
  if (found?.isSymbolicLink() && found.uid === 0) return await readlink(data);
  if (await canEnter(account, directory)) return data;
  if (found !== null) throw cannotReach(account, data);
  await symlink(join(await elsewhere(account, directory), randomUUID()), data).catch((error: unknown) => {
    if (errorCode(error) !== 'EEXIST') throw error; // Another process was faster.
  });
  return await readlink(data);
}

export async function canEnter(account: Account, directory: string): Promise<boolean> {
  return (await run('/bin/sh', ['-c', 'cd -- "$0"', directory], { account })).ok;
}

/** The directory for what the account cannot reach where it is. */
export async function elsewhere(account: NonNullable<Account>, unreachable: string): Promise<string> {
  try {
    await mkdir(ELSEWHERE, { recursive: true });
    await chmod(ELSEWHERE, 0o711); // Whatever the umask.
    return ELSEWHERE;
  } catch (cause) {
    throw cannotReach(account, unreachable, cause);
  }
}

export function cannotReach(account: NonNullable<Account>, path: string, cause?: unknown): EmbeddedDatabaseError {
  return new EmbeddedDatabaseError(
    `PostgreSQL does not run as root, and the user it runs as (${account.name}) cannot reach ${path}: ` +
      'use a directory that is open to others, such as one below /opt or /srv, run as an ordinary user, or set DATABASE_URL',
    { cause },
  );
}
