/** Debian's PostgreSQL, in a directory of the test's own. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PROGRAMS = join('/usr/lib/postgresql', readdirSync('/usr/lib/postgresql').at(-1) ?? '', 'bin');

export interface Server {
  readonly url: string;
  readonly port: number;
  readonly directory: string;
  start(): void;
  stop(mode?: 'fast' | 'immediate'): void;
  /** Writes a setting into its configuration file; it counts from the next start or reload. */
  set(line: string): void;
  reload(): void;
  /** A server that follows this one by streaming. */
  standby(): Promise<Server>;
  close(): void;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Runs one of PostgreSQL's programs as its user; throws with what it has written. */
export function run(program: string, args: readonly string[]): string {
  return execFileSync('runuser', ['-u', 'postgres', '--', join(PROGRAMS, program), ...args], {
    cwd: '/',
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** @param parent where the data are; a temporary directory by default */
export async function startServer(parent = tmpdir(), settings: readonly string[] = []): Promise<Server> {
  const server = await newServer(parent);
  run('initdb', ['-D', server.directory, '-U', 'flowlu', '--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8']);
  for (const line of ["listen_addresses = '127.0.0.1'", "unix_socket_directories = ''", ...settings]) server.set(line);
  server.set(`port = ${server.port}`);
  server.start();
  return server;
}

async function newServer(parent: string): Promise<Server> {
  const port = await freePort();
  const directory = mkdtempSync(join(parent, 'field-'));
  execFileSync('chown', ['postgres', directory]);
  const control = (...args: readonly string[]) => {
    run('pg_ctl', ['-s', '-w', '-D', directory, '-l', join(directory, 'server.log'), ...args]);
  };
  return {
    url: `postgres://flowlu@127.0.0.1:${port}/postgres`,
    port,
    directory,
    start: () => control('start'),
    stop: (mode = 'fast') => control('stop', '-m', mode),
    set: (line) => appendFileSync(join(directory, 'postgresql.conf'), `${line}\n`),
    reload: () => control('reload'),
    async standby() {
      const other = await newServer(parent);
      run('pg_basebackup', [
        '-D',
        other.directory,
        '-h',
        '127.0.0.1',
        '-p',
        `${port}`,
        '-U',
        'flowlu',
        '-R',
        '-c',
        'fast',
      ]);
      other.set(`port = ${other.port}`);
      other.start();
      return other;
    },
    close() {
      try {
        control('stop', '-m', 'immediate');
      } catch {
        // It does not run.
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
