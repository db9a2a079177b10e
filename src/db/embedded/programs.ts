/** Programs that the server's user can run: those of the package, or a copy where it can reach them. */
import { chmod, copyFile, mkdir, readdir, readFile, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { DatabaseLog } from '../../migrate/log.ts';
import { errorCode } from '../../postgres/errors.ts';
import { cannotReach, closedDirectory } from './account.ts';
import { CACHE_BASES, isRootsOwn, usableBases } from './base.ts';
import { type Account, type Binaries, EmbeddedDatabaseError, installationHint, run } from './binaries.ts';
import { acquireLock } from './lock.ts';

const TRY_MAX_MS = 30_000;

/**
 * The programs themselves if the account can run them; else a copy, made once per version and shared.
 * @param bases where the copy may lie.
 * @throws EmbeddedDatabaseError when they do not run at all, or there is no place for a copy.
 */
export async function runnableBy(
  account: Account,
  binaries: Binaries,
  options: { readonly log: DatabaseLog; readonly signal?: AbortSignal | undefined; readonly bases?: readonly string[] },
): Promise<Binaries> {
  if (account === null || !(await isRefused(binaries, account))) return binaries;
  const original = dirname(dirname(binaries.postgres));
  const { code, output } = await run(binaries.postgres, ['--version'], { account: null, timeoutMs: TRY_MAX_MS });
  if (code !== 0) {
    throw new EmbeddedDatabaseError(`the PostgreSQL in ${original} does not run${installationHint(output)}: ${output}`);
  }
  const name = await copyName(original);
  let cause: unknown;
  for await (const base of usableBases(options.bases ?? CACHE_BASES, account)) {
    const copy = join(base, name);
    const release = await acquireLock(`${copy}.lock`, options.signal);
    try {
      const copied = below(copy, binaries);
      if (await isUsable(copied, account)) return copied;
      await copyWhole(original, copy);
      if (await isUsable(copied, account)) {
        options.log.info({ copy, original }, `PostgreSQL was copied to where the user ${account.name} can run it`);
        return copied;
      }
      await rm(copy, { recursive: true, force: true }); // Its file system may not allow programs at all.
    } catch (error) {
      cause = error; // No space, perhaps; the next one may have some.
    } finally {
      await release();
    }
  }
  throw cannotReach(account, original, await closedDirectory(account, dirname(binaries.postgres)), cause);
}

/** True when the account may not get at the programs or their libraries; other failures are not ours to cure. */
async function isRefused({ postgres }: Binaries, account: Account): Promise<boolean> {
  try {
    const { code, output } = await run(postgres, ['--version'], { account, timeoutMs: TRY_MAX_MS });
    return code !== 0 && output.includes('Permission denied');
  } catch (error) {
    return error instanceof EmbeddedDatabaseError && errorCode(error.cause) === 'EACCES';
  }
}

/** True for a copy that is there, that only root can have made, and that runs: one cut short does not. */
async function isUsable(copied: Binaries, account: Account): Promise<boolean> {
  for (const program of [copied.initdb, copied.pg_ctl, copied.postgres]) {
    if (!(await isRootsOwn(program))) return false;
    const tried = await run(program, ['--version'], { account, timeoutMs: TRY_MAX_MS }).catch(() => null);
    // An empty file runs as well, and says nothing.
    if (tried?.code !== 0 || !tried.output.includes('PostgreSQL')) return false;
  }
  return true;
}

function below(root: string, { initdb, pg_ctl, postgres }: Binaries): Binaries {
  const at = (program: string) => join(root, 'bin', basename(program));
  return { initdb: at(initdb), pg_ctl: at(pg_ctl), postgres: at(postgres) };
}

async function copyName(original: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(original, '..', 'package.json'), 'utf8')) as { version: string };
  return `postgres-${version}-${process.platform}-${process.arch}`;
}

/** Under the lock: the copy appears whole under its name or not at all. */
async function copyWhole(original: string, copy: string): Promise<void> {
  const draft = `${copy}.new`;
  await rm(draft, { recursive: true, force: true });
  try {
    await copyDirectory(original, draft);
    await chmod(draft, 0o755);
    await rm(copy, { recursive: true, force: true });
    await rename(draft, copy);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Copies with rights of its own, whatever those of the original: everybody reads, only root writes. */
async function copyDirectory(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 }); // Closed until its files have their rights.
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isSymbolicLink()) await symlink(await readlink(source), target);
    else if (entry.isDirectory()) {
      await copyDirectory(source, target);
      await chmod(target, 0o755);
    } else {
      await copyFile(source, target);
      await chmod(target, ((await stat(source)).mode & 0o100) === 0 ? 0o644 : 0o755);
    }
  }
}
