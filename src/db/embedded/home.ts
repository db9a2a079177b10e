/** Where the database lives: in our directory, or behind a link where the server's user cannot reach that. */
import { randomUUID } from 'node:crypto';
import { lstat, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { DatabaseLog } from '../../migrate/log.ts';
import { cannotReach, closedDirectory } from './account.ts';
import { createPassage, STATE_BASES, usableBases } from './base.ts';
import { type Cluster, recordedServer, stop } from './cluster.ts';

/** A database that nothing links to any more is kept this long: its link may only have been moved. */
const ORPHAN_KEPT_MS = 7 * 86_400_000;

/** Beside a database that lives elsewhere: the directory whose link leads to it. */
const handleFile = (home: string) => join(home, 'handle');
const linkOf = (directory: string) => join(directory, 'postgres');

/**
 * The data directory, under the lock of ours. Usually `postgres` in it. As root, where the account cannot
 * reach that, it is a link to a place of a random name that it can reach: whoever removes the link, or
 * our whole directory, gets a new database as they would without the detour.
 * @param bases where it may live then.
 * @throws EmbeddedDatabaseError when the account can reach none of them, or not the database that exists.
 */
export async function dataDirectory(
  directory: string,
  { account, binaries }: Omit<Cluster, 'data'>,
  options: { readonly log: DatabaseLog; readonly bases?: readonly string[] },
): Promise<string> {
  const { log, bases = STATE_BASES } = options;
  const link = linkOf(directory);
  if (account === null) return link;
  const linked = await followLink(directory, log);
  const closed = await closedDirectory(account, linked === null ? directory : dirname(linked));
  if (closed === null) return linked ?? link;
  if (linked !== null || (await lstat(link).catch(() => null)) !== null) throw cannotReach(account, link, closed);
  for await (const base of usableBases(bases, account)) {
    await clearOrphans(base, { account, binaries }, log);
    const home = join(base, randomUUID());
    const data = join(home, 'postgres');
    await createPassage(home);
    await writeFile(handleFile(home), directory, { mode: 0o600 });
    await symlink(data, link);
    log.info({ data, link }, `the database lives elsewhere: the user ${account.name} cannot pass through ${closed}`);
    return data;
  }
  throw cannotReach(account, directory, closed);
}

/** Where root's link leads, or null where there is none (left). */
async function followLink(directory: string, log: DatabaseLog): Promise<string | null> {
  const link = linkOf(directory);
  const found = await lstat(link).catch(() => null);
  if (!found?.isSymbolicLink() || found.uid !== 0) return null;
  const data = resolve(directory, await readlink(link));
  const home = dirname(data);
  const handle = await readFile(handleFile(home), 'utf8').catch(() => null);
  const isCopy = handle !== null && handle !== directory && (await leadsTo(handle, data));
  if (isCopy || (await stat(home).catch(() => null)) === null) {
    const why = isCopy ? `the directory is a copy of ${handle}` : 'what its link led to is gone';
    log.warn({ directory, data }, `${why}: it gets a new database`);
    await rm(link);
    return null;
  }
  if (handle !== null && handle !== directory) await writeFile(handleFile(home), directory);
  return data;
}

const leadsTo = async (handle: string, data: string) => (await readlink(linkOf(handle)).catch(() => null)) === data;

/** Stops what still serves a database that nothing links to, and removes it when it has been unused for long. */
async function clearOrphans(base: string, how: Omit<Cluster, 'data'>, log: DatabaseLog): Promise<void> {
  for (const name of await readdir(base)) {
    const home = join(base, name);
    const data = join(home, 'postgres');
    const handle = await readFile(handleFile(home), 'utf8').catch(() => null);
    if (handle === null || (await leadsTo(handle, data))) continue;
    try {
      const pid = (await recordedServer({ ...how, data }))?.pid;
      // The process id of a dead server may be anybody's, even another PostgreSQL's.
      const at = await readlink(`/proc/${pid}/cwd`).catch(() => null);
      if (at === data) await stop({ ...how, data });
      const used = await stat(join(data, 'global', 'pg_control')).catch(() => stat(home));
      if (Date.now() - used.mtimeMs < ORPHAN_KEPT_MS) continue;
      await rm(home, { recursive: true, force: true });
      log.info({ data, handle }, 'removed a database that nothing led to any more');
    } catch (err) {
      log.warn({ err, data }, 'cannot clear away a database that nothing leads to any more');
    }
  }
}
