/** Debian's own packages for the suites that try real programs. */
import { execFileSync } from 'node:child_process';

const INSTALL_MAX_MS = 900_000;

/** Whether a program ran and ended well. */
function succeeds(program: string, args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    return true;
  } catch {
    return false;
  }
}

/**
 * Installs what is not there yet, as root.
 * @param programs where a program is enough, whichever package it came with
 */
export function install(packages: readonly string[], programs: Readonly<Record<string, string>> = {}): void {
  const missing = packages.filter((name) => {
    const program = programs[name];
    return !(program === undefined ? succeeds('dpkg-query', ['--show', name]) : succeeds('which', [program]));
  });
  if (missing.length === 0) return;
  if (!succeeds('which', ['apt-get']) || process.getuid?.() !== 0)
    throw new Error(`these packages of Debian are needed: ${missing.join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { stdio: 'inherit', timeout: INSTALL_MAX_MS, env } as const;
  execFileSync('apt-get', ['update', '-q'], options);
  execFileSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...missing], options);
}
