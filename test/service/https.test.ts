/** Native HTTPS: a certificate that is renewed under open connections, and plain HTTP that is refused in public. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import type { ServiceApp } from '../../src/service/app.ts';
import { checkExposure } from '../../src/service/exposure.ts';
import { type Listener, listen } from '../../src/service/server.ts';
import { type CertificateFiles, writeCertificate } from '../support/certificates.ts';

const CONNECTIONS = 20;

let directory: string;
let tls: CertificateFiles;
let listener: Listener;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'flowlu-mirror-tls-'));
  tls = writeCertificate(directory, 'first');
  const app: Pick<ServiceApp, 'listener'> = { listener: (_, response) => void response.end('hello') };
  // No time-out makes room here.
  const limits = { connections: CONNECTIONS, handshakeMs: 600_000 };
  listener = await listen(app, { host: '127.0.0.1', port: 0, tls, limits });
});
afterAll(async () => {
  await listener?.stop(100);
  rmSync(directory, { recursive: true, force: true });
});

interface Seen {
  readonly name: string;
  readonly socket: TLSSocket;
}

/** Asks over a connection of the agent's; tells the certificate's name and which connection it was. */
function ask(agent: Agent): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const asked = request(listener.url, { agent, rejectUnauthorized: false }, (answer) => {
      const socket = answer.socket as TLSSocket;
      const name = String(socket.getPeerCertificate().subject?.CN ?? '');
      answer.resume().once('end', () => resolve({ name, socket }));
    });
    asked.once('error', reject).end();
  });
}
const fresh = () => new Agent({ keepAlive: false, maxCachedSessions: 0 });

describe('HTTPS', () => {
  it('puts a renewed certificate to use without dropping the connections that are open', async () => {
    const kept = new Agent({ keepAlive: true, maxCachedSessions: 0 });
    const before = await ask(kept);
    expect(before.name).toBe('first');
    writeCertificate(directory, 'second');
    expect(await listener.renewCertificate()).toBe(true);
    expect((await ask(fresh())).name).toBe('second');
    const after = await ask(kept);
    expect(after.socket).toBe(before.socket);
    expect(await listener.renewCertificate()).toBe(false);
    kept.destroy();
  });

  it('goes on with the old certificate while the files do not fit each other, or cannot be read', async () => {
    const name = (await ask(fresh())).name;
    const good = readFileSync(tls.keyFile);
    const other = mkdtempSync(join(directory, 'other-'));
    copyFileSync(writeCertificate(other, 'third').keyFile, tls.keyFile);
    await expect(listener.renewCertificate()).rejects.toThrow(/does not belong/);
    writeFileSync(tls.keyFile, 'hunter2');
    const error = await listener.renewCertificate().catch((thrown: Error) => thrown);
    expect(String(error)).toContain('TLS_KEY_FILE');
    expect(String(error)).not.toContain('hunter2');
    rmSync(tls.keyFile);
    await expect(listener.renewCertificate()).rejects.toThrow(/it does not exist/);
    expect((await ask(fresh())).name).toBe(name);
    writeFileSync(tls.keyFile, good);
    expect(await listener.renewCertificate()).toBe(false);
  });

  it('tells when the certificate expires', async () => {
    writeCertificate(directory, 'fourth', 3);
    await listener.renewCertificate();
    const days = ((listener.certificateExpiresAt?.getTime() ?? 0) - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(2.9);
    expect(days).toBeLessThan(3.1);
  });

  it('makes room for honest senders while others hold all connections and say nothing', async () => {
    const { port, hostname } = new URL(listener.url);
    const silent = Array.from({ length: 2 * CONNECTIONS }, () => connect(Number(port), hostname).on('error', () => {}));
    await Promise.all(silent.map((socket) => once(socket, 'connect')));
    for (let n = 0; n < 5; n += 1) expect((await ask(fresh())).name).not.toBe('');
    for (const socket of silent) socket.destroy();
  });

  it('speaks neither plain HTTP nor versions of TLS that are out of use', async () => {
    await expect(fetch(listener.url.replace('https', 'http'))).rejects.toThrow();
    const { port, hostname } = new URL(listener.url);
    const refused = await new Promise<string>((resolve) => {
      const socket = connectTls(
        { host: hostname, port: Number(port), maxVersion: 'TLSv1.1', minVersion: 'TLSv1', rejectUnauthorized: false },
        () => resolve('connected'),
      );
      socket.once('error', (error) => resolve(error.message));
    });
    expect(refused).not.toBe('connected');
  });
});

describe('plain HTTP', () => {
  const http = (env: Record<string, string>) => checkExposure(loadConfig(env).http);

  it.each(['127.0.0.1', '127.8.8.8', '::1', 'localhost'])('is spoken on %s', async (HOST) => {
    expect(await http({ HOST })).toBe('loopback');
  });

  it.each(['10.1.2.3', '172.31.0.1', '192.168.1.1', '100.64.0.1', 'fd00::1', 'fe80::1'])(
    'is spoken on %s, which is not loopback',
    async (HOST) => {
      expect(await http({ HOST })).toBe('private');
    },
  );

  it.each(['0.0.0.0', '::', '203.0.113.7', '172.32.0.1', '2001:db8::1', '::ffff:203.0.113.7'])(
    'is refused on %s, unless the settings allow it or there is a certificate',
    async (HOST) => {
      await expect(http({ HOST })).rejects.toThrow(/TLS_CERT_FILE.*PLAIN_HTTP=anywhere/);
      expect(await http({ HOST, PLAIN_HTTP: 'anywhere' })).toBe('public');
      expect(await http({ HOST, TLS_CERT_FILE: tls.certFile, TLS_KEY_FILE: tls.keyFile })).toBe('public');
    },
  );

  it('keeps serve from starting on every address, with exit code 2 and before the database is touched', async () => {
    const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;
    const env = {
      PATH: process.env.PATH,
      HOST: '0.0.0.0',
      WEBHOOK_SECRET: 'a-secret-of-some-length',
      DATA_DIR: directory,
    };
    const run = promisify(execFile)(process.execPath, ['--import', 'tsx', main, 'serve'], { env, timeout: 25_000 });
    const { code, stderr } = (await run.catch((error: unknown) => error)) as { code: number; stderr: string };
    expect(code).toBe(2);
    expect(stderr).toContain('PLAIN_HTTP=anywhere');
    expect(stderr).not.toContain('a-secret-of-some-length');
  });

  it('is allowed by the image and by the Compose file, which stand behind a proxy', () => {
    const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
    for (const [path, line] of [
      ['Dockerfile', /^\s+PLAIN_HTTP=anywhere/m],
      ['docker-compose.yml', /^\s+PLAIN_HTTP: anywhere$/m],
    ] as const) {
      expect(read(path)).toMatch(/HOST[=:] ?0\.0\.0\.0/);
      expect(read(path)).toMatch(line);
    }
  });

  it('refuses a certificate that cannot be used, with exit code 2', async () => {
    const bad = { TLS_CERT_FILE: join(directory, 'none.pem'), TLS_KEY_FILE: tls.keyFile };
    await expect(http(bad)).rejects.toMatchObject({
      name: 'UsageError',
      message: expect.stringContaining('it does not exist'),
    });
  });
});
