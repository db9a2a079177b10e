import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canEnter } from '../../src/embedded/account.ts';
import { failure, run } from '../../src/embedded/process.ts';
import { openEmbedded } from '../../src/embedded/server.ts';
import { migrate } from '../../src/migrate/migrate.ts';
import { connect, redactUrl } from '../../src/postgres/connection.ts';
import { openDatabase } from '../../src/service/database.ts';
import { until } from '../support/eventually.ts';
import { serverDirectory } from '../support/server-directory.ts';

const settings = { fsync: 'off' };
const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const OWNER = fileURLToPath(new URL('../support/embedded-owner.ts', import.meta.url));

let home: string;
let directory: string;
const children = new Set<ChildProcess>();

beforeAll(async () => {
  home = await serverDirectory('embedded');
  directory = await mkdtemp(join(home, `flowlu mirror's "embedded" $HOME \`-`));
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await (await openEmbedded({ directory, settings })).close();
  await rm(home, { recursive: true, force: true });
}, 60_000);

/** Starts another process that opens the same database. */
function spawnOwner(options: SpawnOptions = {}): ChildProcess {
  const args = ['--import', 'tsx', OWNER, directory];
  const child = spawn(process.execPath, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  return child;
}

/** Starts another process that opens the same database, and waits until it has. */
async function startOwner(): Promise<{ child: ChildProcess; url: string; started: boolean }> {
  const child = spawnOwner();
  child.stderr?.pipe(process.stderr);
  const [line] = (await once(createInterface({ input: child.stdout as Readable }), 'line', {
    signal: AbortSignal.timeout(60_000),
  })) as [string];
  return { child, ...(JSON.parse(line) as { url: string; started: boolean }) };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
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

const postmaster = async () =>
  Number((await readFile(join(directory, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0]);

describe('the embedded database', () => {
  it('starts, keeps its rows between runs, and stops when it is closed', async () => {
    const first = await openEmbedded({ directory, settings });
    expect(first.started).toBe(true);
    await query(first.url, 'create table public.kept as select 42 as answer');
    await first.close();
    await expect(query(first.url, 'select 1 as answer')).rejects.toThrow(/ECONNREFUSED/);
    const second = await openEmbedded({ directory, settings });
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'select answer from public.kept')).toBe(42);
    await second.close();
  });

  it('listens on this machine only, in UTF-8 and UTC, and asks for its password', async () => {
    const server = await openEmbedded({ directory, settings });
    const facts = await query<string>(
      server.url,
      `select concat_ws(' ', current_setting('listen_addresses'), current_setting('unix_socket_directories') = '',
        current_setting('server_encoding'), current_setting('timezone'), lower('Ä')) as answer`,
    );
    expect(facts).toBe('127.0.0.1 t UTF8 UTC ä');
    const wrong = new URL(server.url);
    wrong.password = 'guess';
    await expect(query(wrong.href, 'select 1 as answer')).rejects.toMatchObject({ code: '28P01' });
    expect((await stat(join(directory, 'postgres', 'flowlu-mirror.password'))).mode & 0o777).toBe(0o600);
    await server.close();
  });

  it('adopts the server that a killed process has left running', async () => {
    const { child, url, started } = await startOwner();
    expect(started).toBe(true);
    const before = await postmaster();
    await end(child, 'SIGKILL');
    const server = await openEmbedded({ directory, settings });
    expect(server).toMatchObject({ url, started: false, isShared: false });
    expect(await postmaster()).toBe(before);
    await server.close();
    await expect(postmaster()).rejects.toThrow(/ENOENT/);
  });

  it('is stopped by the last process to leave', async () => {
    const owner = await startOwner();
    const guest = await openEmbedded({ directory, settings });
    expect(guest).toMatchObject({ started: false, isShared: true });
    await end(owner.child, 'SIGTERM');
    expect(await query(guest.url, 'select 1 as answer')).toBe(1);
    await guest.close();
    await expect(postmaster()).rejects.toThrow(/ENOENT/);
  });

  it('is started once when several processes come at the same moment', async () => {
    const owners = await Promise.all([startOwner(), startOwner(), startOwner()]);
    expect(owners.filter(({ started }) => started).length).toBe(1);
    expect(new Set(owners.map(({ url }) => url)).size).toBe(1);
    await Promise.all(owners.map(({ child }) => end(child, 'SIGTERM')));
    await expect(postmaster()).rejects.toThrow(/ENOENT/);
  });

  it('is created once when several processes come at the same moment, one of which is killed', async () => {
    const [used, other] = [directory, await mkdtemp(join(tmpdir(), 'flowlu-mirror-embedded-'))];
    directory = other;
    const victim = spawnOwner();
    await until(async () => (await readdir(other)).some((name) => name.includes('.new-')));
    const owners = [startOwner(), startOwner()];
    await end(victim, 'SIGKILL');
    const opened = await Promise.all(owners);
    expect(new Set(opened.map(({ url }) => url)).size).toBe(1);
    expect(await query(opened[0]?.url ?? '', 'select 1 as answer')).toBe(1);
    await Promise.all(opened.map(({ child }) => end(child, 'SIGTERM')));
    expect(await readdir(other)).toEqual(['postgres']);
    await rm(other, { recursive: true });
    directory = used;
  });

  it('keeps what comes while the last process leaves', async () => {
    const first = await openEmbedded({ directory, settings });
    const [second] = await Promise.all([openEmbedded({ directory, settings }), first.close()]);
    expect(await query(second.url, 'select 1 as answer')).toBe(1);
    await second.close();
    await expect(postmaster()).rejects.toThrow(/ENOENT/);
  });

  it('waits for a server that has not yet written who it is, and starts one where none does', async () => {
    await writeFile(join(directory, 'postgres', 'postmaster.pid'), '');
    const server = await openEmbedded({ directory, settings });
    expect(await query(server.url, 'select 1 as answer')).toBe(1);
    await server.close();
  });

  it('starts again after its server was killed while nobody was there', async () => {
    const { child, url } = await startOwner();
    await query(url, 'create table public.survived as select 7 as answer');
    await end(child, 'SIGKILL');
    process.kill(await postmaster(), 'SIGKILL');
    const server = await openEmbedded({ directory, settings });
    expect(server.started).toBe(true);
    expect(await query(server.url, 'select answer from public.survived')).toBe(7);
    await server.close();
  });

  it('brings its server back when it dies under a running process', async () => {
    const server = await openEmbedded({ directory, settings });
    const before = await postmaster();
    process.kill(before, 'SIGKILL');
    await until(async () => !isAlive(before) && (await query(server.url, 'select 1 as answer').catch(() => 0)) === 1);
    expect(await postmaster()).not.toBe(before);
    await server.close();
    await expect(postmaster()).rejects.toThrow(/ENOENT/);
  });

  it('is not misled by the file of a dead server whose process id is somebody else’s by now', async () => {
    const { child } = await startOwner();
    await end(child, 'SIGKILL');
    const dead = await postmaster();
    process.kill(dead, 'SIGKILL');
    await until(async () => !isAlive(dead));
    const file = join(directory, 'postgres', 'postmaster.pid');
    const lines = (await readFile(file, 'utf8')).split('\n');
    await writeFile(file, [process.pid, ...lines.slice(1)].join('\n'));
    const server = await openEmbedded({ directory, settings });
    expect(server.started).toBe(true);
    await server.close();
  });

  it('takes another port when somebody has taken its own', async () => {
    const first = await openEmbedded({ directory, settings });
    await first.close();
    const port = Number(new URL(first.url).port);
    const squatter = createServer().listen(port, '127.0.0.1');
    await once(squatter, 'listening');
    const second = await openEmbedded({ directory, settings });
    expect(Number(new URL(second.url).port)).not.toBe(port);
    expect(await query(second.url, 'select answer from public.kept')).toBe(42);
    await second.close();
    squatter.close();
  });

  it('is what openDatabase opens without a URL', async () => {
    const database = await openDatabase({ url: null, dataDir: directory });
    expect(database.embedded).toBe(true);
    expect(database.displayUrl).toBe(redactUrl(database.url));
    expect(database.displayUrl).not.toContain(new URL(database.url).password);
    await database.close();
  });

  it('migrates without the right to create roles and says what an administrator must run', async () => {
    const server = await openEmbedded({ directory, settings });
    await query(server.url, `create role plain login password 'only-here'`);
    await query(server.url, 'create database owned owner plain');
    const url = new URL(server.url);
    url.pathname = '/owned';
    const asAdministrator = url.href;
    url.username = 'plain';
    url.password = 'only-here';
    const report = await migrate(url.href);
    expect(report.adminSql).toMatch(/create role flowlu_reader nologin/);
    await query(asAdministrator, report.adminSql ?? '');
    expect((await migrate(url.href)).adminSql).toBeNull();
    expect(
      await query(
        asAdministrator,
        `select has_table_privilege('flowlu_reader', 'flowlu_live.crm_account', 'select') as answer`,
      ),
    ).toBe(true);
    await server.close();
  });
});

/** Why a process of its own cannot open the database in the directory. */
async function refusal(inDirectory: string, options: SpawnOptions = {}): Promise<string> {
  const before = directory;
  directory = inDirectory;
  const child = spawnOwner(options);
  directory = before;
  let output = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    output += chunk.toString('utf8');
  });
  await once(child, 'close');
  return /EmbeddedDatabaseError: (.*)/.exec(output)?.[1] ?? output;
}

describe('where the embedded database cannot be', () => {
  const isRoot = process.getuid?.() === 0;
  const NOBODY = { uid: 65_534, gid: 65_534, name: 'nobody' };

  it('says in one sentence that the directory is read-only', async ({ skip }) => {
    skip(isRoot && !(await canEnter(NOBODY, PROJECT)), 'root may write everywhere, and others cannot run this project');
    const parent = await mkdtemp(join(tmpdir(), 'flowlu-mirror-read-only-'));
    const existing = join(parent, 'existing');
    await mkdir(existing);
    await chmod(existing, 0o555);
    await chmod(parent, 0o555);
    const as = isRoot ? { uid: NOBODY.uid, gid: NOBODY.gid } : {};
    const advice = 'this user may not write there: make it writable, or set DATA_DIR to a directory that is';
    expect(await refusal(join(parent, 'missing'), as)).toBe(
      `the directory ${join(parent, 'missing')} cannot be used: ${advice}`,
    );
    expect(await refusal(existing, as)).toBe(`no database could be created in ${existing}: ${advice}`);
    await chmod(parent, 0o755);
    await rm(parent, { recursive: true });
  });

  it('says in one sentence that the disk is too small, and leaves nothing on it', async ({ skip }) => {
    const small = await mkdtemp(join(tmpdir(), 'flowlu-mirror-small-'));
    const mount = () => execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20m,mode=0711', 'tmpfs', small]);
    try {
      if (isRoot) mount();
    } catch {
      skip('may not mount a small disk');
    }
    skip(!isRoot, 'only root may mount a small disk');
    try {
      expect(await refusal(small)).toMatch(
        /^no database could be created in \S+: there is not enough space on its disk/,
      );
      expect(await readdir(small)).toEqual([]);
    } finally {
      execFileSync('umount', [small]);
      await rm(small, { recursive: true });
    }
  });

  it('says in one sentence that something else is in its place', async () => {
    const taken = await mkdtemp(join(tmpdir(), 'flowlu-mirror-taken-'));
    await chmod(taken, 0o711);
    await mkdir(join(taken, 'postgres'));
    await writeFile(join(taken, 'postgres', 'PG_VERSION'), '18');
    expect(await refusal(taken)).toMatch(
      /^no database could be created in \S+: something else is in its place: move it away/,
    );
    await rm(taken, { recursive: true });
  });

  it('says that nothing can be made in a directory that takes nothing', async ({ skip }) => {
    if (process.platform !== 'linux') skip();
    expect(await refusal('/proc/nope')).toMatch(/^the directory \/proc\/nope cannot be used: ENOENT/);
  });

  it('begins nothing when it is to stop, and interrupts the program that runs', async () => {
    const stopped = await mkdtemp(join(tmpdir(), 'flowlu-mirror-stopped-'));
    await chmod(stopped, 0o711);
    const signal = AbortSignal.abort(new Error('stop'));
    await expect(openEmbedded({ directory: stopped, settings, signal })).rejects.toThrow('stop');
    expect(await readdir(stopped)).toEqual([]);

    const stop = new AbortController();
    const loop = 'trap "echo interrupted; exit 1" INT; touch ready; while :; do sleep 0.1; done';
    const options = { account: null, timeoutMs: 60_000, cwd: stopped, signal: stop.signal };
    const running = run('/bin/sh', ['-c', loop], options);
    await until(async () => (await readdir(stopped)).includes('ready'));
    stop.abort();
    expect(await running).toEqual({ ok: false, output: 'interrupted' });
    await rm(stopped, { recursive: true });
  });

  it('makes one sentence of what a program wrote', () => {
    const words = [
      'running bootstrap script ... 2026-11-28 [7] FATAL:  no room here',
      'child process exited',
      'initdb: hint',
    ];
    expect(failure('it failed', words.join('\n')).message).toBe(
      'it failed: no room here. To use another server, set DATABASE_URL',
    );
  });
});
