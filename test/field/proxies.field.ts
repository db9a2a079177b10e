/** Proxies in front of two replicas, with the configurations of `deploy/`: a rolling restart that no sender notices. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { connect, type Sql } from '../../src/postgres/connection.ts';
import { ledgerProblems, post, startLoad } from '../chaos/load.ts';
import { ensureBuilt, SECRET, type Service, startServe } from '../chaos/processes.ts';
import { eventually, until } from '../support/eventually.ts';
import { freePort, type Server, startServer } from './postgres.ts';

/** Requests before the two restarts of a round. */
const REQUESTS = 1_000;
const ROUNDS = 2;

let server: Server;
let sql: Sql;
let directory: string;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  await ensureBuilt();
  server = await startServer();
  sql = connect(server.url, { applicationName: 'flowlu-mirror field', max: 2 });
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
afterAll(async () => {
  await sql?.end({ timeout: 1 });
  server?.close();
});

const configuration = (path: string) => readFileSync(new URL(`../../deploy/${path}`, import.meta.url), 'utf8');

/** The command of each proxy, with the addresses of the file changed to those of the test. */
const PROXIES: Readonly<Record<string, (port: number, one: number, two: number) => readonly string[]>> = {
  Caddy(port, one, two) {
    const text = configuration('caddy/Caddyfile')
      .replace('{$SITE:mirror.example.com}', `http://127.0.0.1:${port}`)
      .replace('{$REPLICAS:127.0.0.1:8787 127.0.0.1:8788}', `127.0.0.1:${one} 127.0.0.1:${two}`);
    const file = join(directory, 'Caddyfile');
    writeFileSync(file, `{\n\tadmin off\n}\n${text}`);
    return ['caddy', 'run', '--adapter', 'caddyfile', '--config', file];
  },
  nginx(port, one, two) {
    const text = configuration('nginx/flowlu-mirror.conf')
      .replace('listen 8080', `listen 127.0.0.1:${port}`)
      .replace(':8787', `:${one}`)
      .replace(':8788', `:${two}`);
    const file = join(directory, 'nginx.conf');
    const frame = `daemon off; pid ${directory}/pid; error_log ${directory}/error.log; events {}`;
    writeFileSync(file, `${frame}\nhttp { access_log off;\n${text}\n}\n`);
    return ['nginx', '-c', file];
  },
  HAProxy(port, one, two) {
    const text = configuration('haproxy/haproxy.cfg')
      .replace('bind :8080', `bind 127.0.0.1:${port}`)
      .replace(':8787', `:${one}`)
      .replace(':8788', `:${two}`);
    const file = join(directory, 'haproxy.cfg');
    writeFileSync(file, text);
    return ['haproxy', '-db', '-f', file];
  },
};

it.each(Object.keys(PROXIES))(
  'behind %s every request is answered with 200, also while both replicas restart',
  async (name) => {
    directory = mkdtempSync(join(tmpdir(), 'proxy-'));
    cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
    const [port, one, two] = [await freePort(), await freePort(), await freePort()];
    const start = (own: number) => startServe({ DATABASE_URL: server.url, PORT: `${own}` });
    const replicas = new Map<number, Service>();
    cleanups.push(() => Promise.all([...replicas.values()].map((replica) => replica.kill())));
    for (const own of [one, two]) replicas.set(own, await start(own));
    const [program = '', ...args] = PROXIES[name]?.(port, one, two) ?? [];
    const child: ChildProcess = spawn(program, args, { stdio: 'ignore' });
    // Not SIGKILL, which would leave nginx's workers behind.
    const ended = new Promise((resolve) => child.once('exit', resolve));
    cleanups.push(async () => {
      child.kill('SIGTERM');
      await ended;
    });
    const url = `http://127.0.0.1:${port}`;
    let id = 0;
    const next = () => {
      id += 1;
      return JSON.stringify({
        meta: { module: 'crm', model: 'account', action: 'update' },
        current: { id, name: `${id}` },
      });
    };
    await until(async () => (await post(url, next())).status === 200, 20_000);
    const load = startLoad({ target: () => url, next, connections: 16 });
    cleanups.push(load.stop);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const own of [one, two]) {
        const answered = load.answers.length;
        await until(() => load.answers.length >= answered + REQUESTS / 2, 60_000);
        expect(await replicas.get(own)?.stop()).toEqual({ code: 0 });
        replicas.set(own, await start(own));
        // As an orchestrator: the next one is not stopped before this one is ready and known to be.
        await until(async () => {
          const answer = await fetch(`http://127.0.0.1:${own}/readyz`);
          const { last_recorded_at } = (await answer.json()) as { last_recorded_at: string | null };
          return answer.status === 200 && last_recorded_at !== null;
        }, 20_000);
      }
    }
    await load.stop();
    expect(load.answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(load.answers.length).toBeGreaterThan(ROUNDS * REQUESTS);
    expect(
      await eventually(
        () => ledgerProblems(sql, load.acknowledged),
        (problems) => problems.length === 0,
      ),
    ).toEqual([]);
    // Only webhooks are let through.
    expect((await fetch(`${url}/status`)).status).toBe(404);
    expect((await fetch(`${url}/webhooks/flowlu/${SECRET}`, { method: 'POST', body: 'no json' })).status).toBe(400);
  },
);
