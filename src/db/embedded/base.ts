/** Directories of root's own, for what lies where the server's user cannot get at it. */
import { access, chmod, constants, lstat, mkdir, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from '../../postgres/errors.ts';
import { closedDirectory } from './account.ts';
import type { Account } from './binaries.ts';

/** For programs: may be emptied at any time. */
export const CACHE_BASES = ['/var/cache', '/var/lib', '/opt', '/srv'].map((path) => `${path}/flowlu-mirror`);
/** For databases: lasts. */
export const STATE_BASES = ['/var/lib', '/opt', '/srv'].map((path) => `${path}/flowlu-mirror`);

/** Everybody passes through, only root writes and looks around. */
const PASSAGE = 0o711;
const WRITABLE_BY_OTHERS = 0o022;

/** Those of the directories that can be used, created where missing, by their real paths. */
export async function* usableBases(bases: readonly string[], account: Account): AsyncGenerator<string> {
  for (const wanted of bases) {
    const base = await open(wanted, account);
    if (base !== null) yield base;
  }
}

async function open(wanted: string, account: Account): Promise<string | null> {
  try {
    await createPassage(wanted).catch((error: unknown) => {
      if (errorCode(error) !== 'EEXIST') throw error;
    });
    const base = await realpath(wanted);
    await access(base, constants.W_OK); // Root is refused here where the file system is read-only.
    return (await isRootsOwn(base)) && (await closedDirectory(account, base)) === null ? base : null;
  } catch {
    return null;
  }
}

/** Creates a directory to pass through, whatever the umask. */
export async function createPassage(path: string): Promise<void> {
  await mkdir(path);
  await chmod(path, PASSAGE);
}

/**
 * True when nobody but root can have put there what lies at the path: it and every directory above it
 * belong to root and nobody else may write. What fails this must not be executed.
 */
export async function isRootsOwn(path: string): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    const found = await lstat(at).catch(() => null);
    if (found === null || found.uid !== 0 || (found.mode & WRITABLE_BY_OTHERS) !== 0) return false;
    if (at === dirname(at)) return true;
  }
}
