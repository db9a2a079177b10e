/** The way to the portal: proxies, and addresses that are slow or lead nowhere. */
import { type ChildProcess, spawn } from 'node:child_process';
import dns from 'node:dns';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { useProxy } from '../../src/flowlu/fetch.ts';
import { writeCertificate } from '../support/certificates.ts';
import { startConnectProxy } from '../support/connect-proxy.ts';
import { until } from '../support/eventually.ts';
import { ACCOUNT, answer, startPortal } from './portal.ts';

const NONE = { response: { items: [], total: 0, total_result: 0, page: 1, count: 50 } };
const cleanups: (() => unknown)[] = [];
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'route-'));
  // The certificate is nobody's, and the name it is asked for by is not in it.
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  useProxy();
  vi.restoreAllMocks();
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true, force: true });
});

/** The list of accounts from an address; the error's message where there is none. */
async function ask(baseUrl: string): Promise<string> {
  await using portal = await startPortal(answer(500, ''));
  const client = portal.client({ baseUrl, retry: { attempts: 1 }, timeoutMs: 20_000 });
  return await client.list(ACCOUNT, {}, new AbortController().signal).then(
    () => 'answered',
    (error: Error) => error.message,
  );
}

describe('HTTPS_PROXY', () => {
  async function start(status?: number) {
    const proxy = await startConnectProxy(status);
    const { certFile, keyFile } = writeCertificate(directory, 'portal');
    const pair = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
    const portal = createServer(pair, (_request, response) => response.end(JSON.stringify(NONE)));
    await new Promise<void>((resolve) => portal.listen(0, '127.0.0.1', resolve));
    cleanups.push(
      proxy.close,
      () => portal.closeAllConnections(),
      () => portal.close(),
    );
    // Only the proxy knows where that is.
    const host = `portal.invalid:${(portal.address() as AddressInfo).port}`;
    return { proxy, host, baseUrl: `https://${host}/api/v1/module`, at: `http://us%3Aer:pass@127.0.0.1:${proxy.port}` };
  }

  it('is the way to the portal, with its login', async () => {
    const { proxy, host, baseUrl, at } = await start();
    useProxy(at);
    expect(await ask(baseUrl)).toBe('answered');
    expect(proxy.asked).toEqual([{ target: host, login: `Basic ${btoa('us:er:pass')}` }]);
  });

  it('is not asked for the hosts of NO_PROXY', async () => {
    const { proxy, baseUrl, at } = await start();
    useProxy(at, 'other.example,.invalid');
    expect(await ask(baseUrl)).toMatch(/ENOTFOUND|EAI_AGAIN/);
    expect(proxy.asked).toEqual([]);
  });

  it('that refuses is named, without its password', async () => {
    const { baseUrl, at } = await start(407);
    useProxy(at);
    const message = await ask(baseUrl);
    expect(message).toMatch(/proxy.*407/i);
    expect(message).not.toContain('pass');
  });

  it('is not asked for what is on this machine without TLS', async () => {
    const { proxy, at } = await start();
    vi.stubEnv('http_proxy', at);
    useProxy(at);
    await using portal = await startPortal(answer(200, NONE));
    expect(await ask(portal.baseUrl)).toBe('answered');
    expect(proxy.asked).toEqual([]);
  });
});

describe('a portal with several addresses', () => {
  const LISTEN = `
    const server = require('node:http').createServer((_, response) => response.end(${JSON.stringify(JSON.stringify(NONE))}));
    server.listen({ port: Number(process.argv[1]), host: process.argv[2], backlog: 1 }, () => console.log('ready'));`;

  /** A listener that is stopped and takes no connection more: what comes waits, as on a route that loses packets. */
  async function clogged(port: number, host: string): Promise<ChildProcess> {
    const child = spawn(process.execPath, ['-e', LISTEN, `${port}`, host], { stdio: ['ignore', 'pipe', 'inherit'] });
    cleanups.push(() => child.kill('SIGKILL'));
    await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
    child.kill('SIGSTOP');
    // More than it keeps for later.
    const sockets = Array.from({ length: 8 }, () => connect(port, host).on('error', () => {}));
    cleanups.push(() => sockets.map((socket) => socket.destroy()));
    await until(() => sockets.some(({ connecting }) => !connecting));
    return child;
  }

  /** @returns whether the name was asked for */
  function resolveTo(...addresses: readonly string[]) {
    let isAsked = false;
    const all = addresses.map((address) => ({ address, family: 4 }));
    const { lookup } = dns;
    vi.spyOn(dns, 'lookup').mockImplementation(((name: string, ...rest: ((...args: unknown[]) => void)[]) => {
      if (name !== 'portal.localhost') return Reflect.apply(lookup, dns, [name, ...rest]);
      isAsked = true;
      return rest.at(-1)?.(null, all);
    }) as never);
    return () => isAsked;
  }

  it('is reached by the second where the first leads nowhere', async () => {
    await using portal = await startPortal(answer(200, NONE));
    const port = Number(new URL(portal.origin).port);
    await clogged(port, '127.0.0.2');
    resolveTo('127.0.0.2', '127.0.0.1');
    expect(await ask(`http://portal.localhost:${port}/api/v1/module`)).toBe('answered');
    expect(portal.urls).toHaveLength(1);
  });

  it('is reached by the first where that is slow and the second leads nowhere', async () => {
    const { port } = await startPortalPort();
    const slow = await clogged(port, '127.0.0.2');
    const isLookedUp = resolveTo('127.0.0.2', '127.0.0.1');
    const asked = ask(`http://portal.localhost:${port}/api/v1/module`);
    await until(isLookedUp);
    // Its kernel takes the connection when it is asked again, after a second.
    slow.kill('SIGCONT');
    expect(await asked).toBe('answered');
  });
});

/** A port where nobody listens. */
async function startPortalPort() {
  await using portal = await startPortal(answer(500, ''));
  return { port: Number(new URL(portal.origin).port) };
}
