/** Files named by people: why one cannot be used, in words, and whether one could be created. */
import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user has no right to it',
  EISDIR: 'it is a directory',
  ENOENT: 'it does not exist',
  ENOSPC: 'its disk is full',
  ENOTDIR: 'a part of its path is no directory',
  EPERM: 'this user has no right to it',
  EROFS: 'its file system is read-only',
};

/** Why a file cannot be used, without the path that the system's message repeats. */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === undefined ? message : (REASONS[code] ?? code);
}

/** Why a file or directory cannot be written, or created there; null if it can. */
export function hindranceOfWriting(path: string): string | null {
  try {
    accessSync(path, constants.W_OK);
    return null;
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT' && dirname(path) !== path;
    return isMissing ? hindranceOfWriting(dirname(path)) : `${path}: ${reasonOf(error)}`;
  }
}
