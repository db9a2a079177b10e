/** How connections come about: TLS in every mode, several hosts, Unix sockets, servers that will not do. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connect, isConnectionError, type Sql, transaction } from '../../src/postgres/connection.ts';
import { type CertificateFiles, writeCertificate } from '../support/certificates.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Behaviour, startTlsProxy, type TlsProxy } from '../support/tls-proxy.ts';

let database: TestDatabase;
let directory: string;
let certificate: CertificateFiles;
const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  directory = mkdtempSync(join(tmpdir(), 'hosts-'));
  certificate = writeCertificate(directory, 'db.test');
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
afterAll(async () => {
  await database.close();
  rmSync(directory, { recursive: true, force: true });
});

async function host(behaviour: Behaviour): Promise<TlsProxy> {
  const proxy = await startTlsProxy(database.url, certificate, behaviour);
  cleanups.push(proxy.close);
  return proxy;
}

/** A pool on these hosts. */
function poolOn(hosts: readonly (TlsProxy | string)[], parameters = '', max = 2): Sql {
  const { username, password, pathname } = new URL(database.url);
  const list = hosts.map((one) => (typeof one === 'string' ? one : `127.0.0.1:${one.port}`)).join(',');
  const url = `postgres://${username}:${password}@${list}${pathname}?${parameters}`;
  const sql = connect(url, { applicationName: 'flowlu-mirror test', max });
  cleanups.push(() => sql.end({ timeout: 1 }));
  return sql;
}

const outcome = (sql: Sql) =>
  transaction(sql, {}, (tx) => tx`select 1 as one`).then(
    () => 'connected',
    (error: Error) => error.message,
  );

const CONNECTED = /^connected$/;

describe('TLS', () => {
  it.each([
    ['tls', 'sslmode=disable', CONNECTED],
    ['tls', '', CONNECTED],
    ['tls', 'sslmode=allow', CONNECTED],
    ['tls', 'sslmode=require', CONNECTED],
    ['tls', 'sslmode=no-verify', CONNECTED],
    ['tls', 'ssl=true', CONNECTED],
    ['tls', 'sslmode=verify-full', /certificate .* is not accepted.*sslrootcert/],
    ['tls', 'sslrootcert=system', /certificate .* is not accepted/],
    ['tls', 'sslmode=verify-full&sslrootcert=CERT', CONNECTED],
    ['tls', 'sslmode=require&sslrootcert=CERT', CONNECTED],
    ['tls', 'sslmode=verify-full&sslrootcert=/nowhere.pem', /sslrootcert .* cannot be read \(ENOENT\)/],
    ['refuses TLS', '', CONNECTED],
    ['refuses TLS', 'sslmode=allow', CONNECTED],
    ['closes', 'sslmode=disable', /closed the connection without an answer/],
    ['breaks TLS', 'sslmode=prefer', CONNECTED],
    ['breaks TLS', 'sslmode=allow', CONNECTED],
    ['breaks TLS', 'sslmode=require', /closed|disconnected|reset/i],
    ['lets nobody in by TLS', 'sslmode=prefer', CONNECTED],
    ['lets nobody in by TLS', 'sslmode=allow', CONNECTED],
    ['lets nobody in by TLS', 'sslmode=require', /no pg_hba\.conf entry/],
    ['lets nobody in without TLS', 'sslmode=prefer', CONNECTED],
    ['lets nobody in without TLS', 'sslmode=allow', CONNECTED],
    ['lets nobody in without TLS', 'sslmode=disable', /no pg_hba\.conf entry/],
    ['lets nobody in', 'sslmode=prefer', /no pg_hba\.conf entry/],
    ['lets nobody in', 'sslmode=allow', /no pg_hba\.conf entry/],
    ['refuses TLS', 'sslmode=require', /does not offer TLS/],
    ['refuses TLS', 'sslmode=verify-full', /does not offer TLS/],
  ] as const)('of a host that answers with %s, asked for by %s', async (behaviour, parameters, expected) => {
    const sql = poolOn([await host(behaviour)], parameters.replace('CERT', certificate.certFile));
    expect(await outcome(sql)).toMatch(expected);
  });

  it('checks the name with verify-full, and only the authority with verify-ca', async () => {
    const { port } = await host('tls');
    const root = `sslrootcert=${certificate.certFile}`;
    // The certificate is for 127.0.0.1.
    expect(await outcome(poolOn([`localhost:${port}`], `sslmode=verify-full&${root}`))).toMatch(/is not accepted/);
    expect(await outcome(poolOn([`localhost:${port}`], `sslmode=verify-ca&${root}`))).toBe('connected');
  });

  it('is as good as none for repairs: connections that are reset while busy leave no caller waiting', async () => {
    const proxy = await host('tls');
    const sql = poolOn([proxy], 'sslmode=require', 2);
    const answers: string[] = [];
    for (let round = 0; round < 8; round += 1) {
      const busy = Array.from({ length: 4 }, () => sql`select pg_sleep(0.05)`.then(String, () => 'failed'));
      await new Promise((resolve) => setImmediate(resolve));
      proxy.reset();
      answers.push(...(await Promise.all([...busy, outcome(sql)])));
    }
    expect(answers).toHaveLength(40);
    await expect.poll(() => outcome(sql), { timeout: 10_000 }).toBe('connected');
  });
});

describe('several hosts', () => {
  it.each(['silent', 'closes'] as const)('the second is used when the first is one that %s', async (behaviour) => {
    const first = await host(behaviour);
    const sql = poolOn([first, await host('plain')], 'sslmode=disable');
    expect(await outcome(sql)).toBe('connected');
    expect(first.attempts()).toBeLessThan(3);
  });

  it('are not tried more than a few times a second when all of them fail', async () => {
    const hosts = [await host('closes'), await host('closes')];
    const sql = poolOn(hosts, '', 4);
    let asked = 0;
    const until = performance.now() + 1_500;
    while (performance.now() < until) {
      asked += 1;
      const error = await sql`select 1`.then(
        () => null,
        (reason: unknown) => reason,
      );
      expect(isConnectionError(error)).toBe(true);
    }
    expect(asked).toBeGreaterThan(0);
    for (const one of hosts) expect(one.attempts()).toBeLessThan(10);
  });

  it('all that is wrong is said, host by host', async () => {
    const [closes, none] = [await host('closes'), 'no-such-host.invalid:1'];
    const message = await outcome(poolOn([closes, none]));
    expect(message).toContain(`127.0.0.1:${closes.port} closed the connection`);
    expect(message).toContain('no-such-host.invalid');
  });
});

it('a Unix socket is used where one is named, without TLS', async () => {
  const path = join(directory, '.s.PGSQL.6543');
  const { port, hostname } = new URL(database.url);
  const server = createServer((socket) => {
    const server = dial(Number(port), hostname);
    socket.on('error', () => {}).on('close', () => server.destroy());
    server.on('error', () => {}).on('close', () => socket.destroy());
    socket.pipe(server).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  const sql = poolOn([`${encodeURIComponent(directory)}:6543`], 'sslmode=require');
  expect(await outcome(sql)).toBe('connected');
  const missing = poolOn([`${encodeURIComponent(directory)}:6544`]);
  expect(await outcome(missing)).toMatch(/ENOENT/);
});

it('a connection that cannot be made leaves its place in the pool', async () => {
  const proxy = await host('closes');
  const sql = poolOn([proxy], '', 1);
  for (let attempt = 0; attempt < 3; attempt += 1) expect(await outcome(sql)).toMatch(/closed the connection/);
  proxy.behaviour = 'plain';
  await expect.poll(() => outcome(sql), { timeout: 10_000 }).toBe('connected');
});
