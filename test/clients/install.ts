/** Installs what the client tests need and is not there yet: Debian's own packages, as root. */
import { execFileSync } from 'node:child_process';

const PACKAGES = [
  'postgresql-client',
  'odbc-postgresql',
  'unixodbc',
  'default-jdk-headless',
  'libpostgresql-jdbc-java',
  'python3-pandas',
  'python3-sqlalchemy',
  'python3-psycopg2',
  'python3-yaml',
  'prometheus',
  'caddy',
  'systemd',
];
/** Where a program is enough, whichever package it came with. */
const PROGRAMS: Readonly<Record<string, string>> = {
  'postgresql-client': 'psql',
  'default-jdk-headless': 'javac',
  prometheus: 'promtool',
  systemd: 'systemd-analyze',
};
const INSTALL_MAX_MS = 900_000;

function succeeds(program: string, args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    return true;
  } catch {
    return false;
  }
}

const isThere = (name: string) => {
  const program = PROGRAMS[name];
  if (program !== undefined) return succeeds('which', [program]);
  return succeeds('dpkg-query', ['--show', name]);
};

export default function setup(): void {
  const missing = PACKAGES.filter((name) => !isThere(name));
  if (missing.length === 0) return;
  if (!succeeds('which', ['apt-get']) || process.getuid?.() !== 0) {
    throw new Error(`the client tests need these packages of Debian: ${missing.join(' ')}`);
  }
  const options = { stdio: 'inherit', timeout: INSTALL_MAX_MS } as const;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync('apt-get', ['update', '-q'], { ...options, env });
  execFileSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...missing], { ...options, env });
}
