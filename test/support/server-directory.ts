/** Where the servers of tests keep their data. */
import { chmod, mkdtemp, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MEMORY = '/dev/shm';
/** Several times what all of them together have needed. */
const ROOM_BYTES = 4 * 2 ** 30;

/**
 * A new directory, passable for the account of a server. In memory where there is plenty of it: a database is a thousand
 * files, and some file systems take a second for them. Nothing may be asked of it that only a disk can give.
 */
export async function serverDirectory(name: string): Promise<string> {
  const directory = await mkdtemp(join((await hasRoom()) ? MEMORY : tmpdir(), `flowlu-mirror-${name}-`));
  await chmod(directory, 0o711);
  return directory;
}

async function hasRoom(): Promise<boolean> {
  if (process.env.TEST_SERVERS_ON_DISK === '1' || process.availableMemory() < ROOM_BYTES) return false;
  return await statfs(MEMORY).then(
    ({ bavail, bsize }) => bavail * bsize >= ROOM_BYTES,
    () => false,
  );
}
