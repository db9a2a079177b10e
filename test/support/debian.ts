/** Debian's own packages for the suites that try real programs. */
import { execFileSync } from 'node:child_process';

const INSTALL_MAX_MS = 900_000;

/** What a program has written, or null where it did not end well. */
function said(program: string, args: readonly string[]): string | null {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return null;
  }
}

/** dpkg knows packages by name that were removed, or that others only speak of. */
const isInstalled = (name: string) => said('dpkg', ['-s', name])?.includes('ok installed') ?? false;

/**
 * Installs what is not there yet, as root.
 * @param programs where a program is enough, whichever package it came with
 */
export function install(packages: readonly string[], programs: Readonly<Record<string, string>> = {}): void {
  const missing = packages.filter((name) => {
    const program = programs[name];
    return program === undefined ? !isInstalled(name) : said('which', [program]) === null;
  });
  if (missing.length === 0) return;
  if (said('which', ['apt-get']) === null || process.getuid?.() !== 0)
    throw new Error(`these packages of Debian are needed: ${missing.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { stdio: 'inherit', timeout: INSTALL_MAX_MS, env } as const;
  execFileSync('apt-get', ['update', '-q'], options);
  execFileSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...missing], options);
}
