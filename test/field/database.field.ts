/** What happens to real databases: poolers in front, standbys, full disks, moves to other servers. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connect, type Sql } from '../../src/postgres/connection.ts';
import { type Load, ledgerProblems, startLoad } from '../chaos/load.ts';
import { ensureBuilt, runCli, type Service, startServe } from '../chaos/processes.ts';
import { eventually, until } from '../support/eventually.ts';
import { freePort, run, type Server, startServer } from './postgres.ts';

const cleanups: (() => unknown)[] = [];
beforeAll(ensureBuilt);
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function server(parent?: string, settings?: readonly string[]): Promise<Server> {
  const made = await startServer(parent, settings);
  cleanups.push(made.close);
  return made;
}

async function serve(url: string, settings: Readonly<Record<string, string>> = {}): Promise<Service> {
  const service = await startServe({ DATABASE_URL: url, ...settings });
  cleanups.push(service.kill);
  return service;
}

function pool(url: string): Sql {
  const sql = connect(url, { applicationName: 'flowlu-mirror field', max: 2 });
  cleanups.push(() => sql.end({ timeout: 1 }));
  return sql;
}

let nextId = 0;
function load(service: Service, pauseMs = 20): Load {
  const next = () => {
    nextId += 1;
    return JSON.stringify({
      meta: { module: 'crm', model: nextId % 2 === 0 ? 'account' : 'lead', action: 'create' },
      current: { id: nextId, name: `record ${nextId}` },
    });
  };
  const started = startLoad({ target: () => service.url, next, connections: 6, pauseMs });
  cleanups.push(started.stop);
  return started;
}

const nothingLost = (sql: Sql, { acknowledged }: Load) =>
  eventually(
    () => ledgerProblems(sql, acknowledged),
    (problems) => problems.length === 0,
  );

async function readiness(service: Service): Promise<{ status: number; text: string }> {
  const answer = await fetch(`${service.url}/readyz`);
  return { status: answer.status, text: await answer.text() };
}

const isReady = (service: Service) => until(async () => (await readiness(service)).status === 200, 60_000);
const isUnready = async (service: Service, cause: RegExp) => {
  await eventually(
    () => readiness(service),
    ({ status, text }) => status === 503 && cause.test(text),
    60_000,
  );
};

/** `doctor` says what is wrong, and ends as it should. */
async function doctorFails({ url }: Server, words: RegExp): Promise<void> {
  const { code, output } = await runCli(['doctor'], { DATABASE_URL: url });
  expect(output).toMatch(words);
  expect(code).not.toBe(0);
}

describe("Debian's PgBouncer in transaction mode", () => {
  async function pooler(target: Server): Promise<string> {
    const directory = mkdtempSync(join(tmpdir(), 'pgbouncer-'));
    const port = await freePort();
    const users = join(directory, 'users.txt');
    writeFileSync(users, '"flowlu" ""\n');
    const settings = [
      '[databases]',
      `* = host=127.0.0.1 port=${target.port}`,
      '[pgbouncer]',
      `listen_addr = 127.0.0.1\nlisten_port = ${port}\nunix_socket_dir =`,
      `auth_type = trust\nauth_file = ${users}`,
      'pool_mode = transaction\ndefault_pool_size = 4\nserver_round_robin = 1',
    ];
    writeFileSync(join(directory, 'pgbouncer.ini'), `${settings.join('\n')}\n`);
    execFileSync('chown', ['-R', 'postgres', directory]);
    const child: ChildProcess = spawn('pgbouncer', ['-q', '-u', 'postgres', join(directory, 'pgbouncer.ini')]);
    cleanups.push(() => {
      child.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    });
    return `postgres://flowlu@127.0.0.1:${port}/postgres`;
  }

  it.each(['', '?prepare=false'])('loses nothing with DATABASE_URL as pasted and %j behind it', async (parameter) => {
    const target = await server();
    const url = `${await pooler(target)}${parameter}`;
    const service = await serve(url);
    const sent = load(service);
    await until(() => sent.acknowledged.size >= 600, 120_000);
    await sent.stop();
    expect(sent.answers.filter(({ status }) => status !== 200)).toEqual([]);
    await nothingLost(pool(target.url), sent);
    const { output } = await runCli(['doctor'], { DATABASE_URL: url });
    if (parameter === '') expect(output).toMatch(/a pooler in front of the database does not keep them/);
    if (parameter === '') expect(service.output()).toMatch(/a pooler in front of the database forgets/);
    expect(await service.stop()).toEqual({ code: 0 });
  });
});

describe('two servers, the standby named first', () => {
  it('the primary is written to, and after its death the standby that was promoted: nothing acknowledged is lost', async () => {
    const primary = await server();
    const standby = await primary.standby();
    cleanups.push(standby.close);
    primary.set("synchronous_standby_names = '*'");
    primary.reload();
    const url = `postgres://flowlu@127.0.0.1:${standby.port},127.0.0.1:${primary.port}/postgres`;
    const service = await serve(url);
    const sent = load(service);
    await until(() => sent.acknowledged.size >= 100);
    primary.stop('immediate');
    run('pg_ctl', ['-s', '-w', '-D', standby.directory, 'promote']);
    const before = sent.acknowledged.size;
    await until(() => sent.acknowledged.size >= before + 100, 60_000);
    await sent.stop();
    await nothingLost(pool(standby.url), sent);
    await isReady(service);
  });

  it('a synchronous standby that is gone makes the service unready, and it recovers with it', async () => {
    const primary = await server();
    const standby = await primary.standby();
    cleanups.push(standby.close);
    const service = await serve(primary.url);
    primary.set("synchronous_standby_names = '*'");
    primary.reload();
    const sent = load(service);
    await until(() => sent.acknowledged.size >= 50);
    standby.stop('immediate');
    await isUnready(service, /commits wait for a synchronous standby that is not there/);
    await doctorFails(primary, /writing.*commits wait for a synchronous standby that is not there/);
    standby.start();
    const before = sent.acknowledged.size;
    await until(() => sent.acknowledged.size >= before + 50, 60_000);
    await sent.stop();
    await isReady(service);
    await nothingLost(pool(primary.url), sent);
  });
});

it('a full disk makes the service unready and says so; with space again it goes on', async () => {
  const disk = mkdtempSync(join(tmpdir(), 'disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=260m,mode=777', 'tmpfs', disk]);
  cleanups.push(() => {
    execFileSync('umount', ['-l', disk]);
    rmSync(disk, { recursive: true, force: true });
  });
  const small = await server(disk, ['max_wal_size = 32MB', 'min_wal_size = 32MB', 'wal_keep_size = 0']);
  const service = await serve(small.url);
  const sent = load(service);
  await until(() => sent.acknowledged.size >= 50);
  const ballast = join(disk, 'ballast');
  try {
    execFileSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=64k'], { stdio: 'ignore' });
  } catch {
    // Until nothing is left.
  }
  // Where the log has no space either, the server stops.
  await isUnready(service, /disk of the database is full|is away|does not answer/);
  await doctorFails(small, /writing.*disk of the database is full|database.*does not answer/);
  rmSync(ballast);
  // A server that could not write its log has stopped.
  try {
    small.start();
  } catch {
    // It runs.
  }
  const before = sent.acknowledged.size;
  await until(() => sent.acknowledged.size >= before + 50, 60_000);
  await sent.stop();
  await isReady(service);
  await nothingLost(pool(small.url), sent);
});

it('a dump is restored on a fresh server under another owner with the documented commands, without an error', async () => {
  const [from, to] = [await server(), await server()];
  const service = await serve(from.url);
  const sent = load(service);
  await until(() => sent.acknowledged.size >= 100);
  await sent.stop();
  await service.stop();
  const file = join(from.directory, 'mirror.dump');
  run('pg_dump', ['--format=custom', '--no-owner', '--no-privileges', '--file', file, from.url]);
  const admin = pool(to.url);
  await admin.unsafe("create role other_owner login createrole password 'x'");
  await admin.unsafe('create database other owner other_owner');
  const url = `postgres://other_owner@127.0.0.1:${to.port}/other`;
  run('pg_restore', ['--no-owner', '--no-privileges', '--exit-on-error', '--dbname', url, file]);
  const migrated = await runCli(['migrate'], { DATABASE_URL: url });
  expect(migrated).toMatchObject({ code: 0 });
  const restored = pool(url);
  await nothingLost(restored, sent);
  const [{ owners } = { owners: null }] = await restored`
    select array_agg(distinct pg_get_userbyid(relowner)::text) as owners from pg_class
     where relnamespace::regnamespace::text ~ '^(flowlu|sync)'`;
  expect(owners).toEqual(['other_owner']);
  const reader = await runCli(['reader', 'anna'], { DATABASE_URL: url });
  expect(reader).toMatchObject({ code: 0 });
  const [login = ''] = /postgres:\/\/anna:\S+/.exec(reader.output) ?? [];
  expect(await pool(login)`select count(*)::int as rows from flowlu_live.crm_account`).toEqual([
    { rows: [...sent.acknowledged.values()].filter((body) => body.includes('"account"')).length },
  ]);
  const again = await serve(url);
  await isReady(again);
});
