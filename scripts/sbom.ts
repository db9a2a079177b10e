/**
 * Prints a bill of materials (CycloneDX) of what the running service is made of: `npm run --silent sbom`.
 *
 * npm makes it, from a lock file without the packages for building and testing. Its own `--omit dev` is not enough: it also
 * leaves out what both need, such as zod.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

type Parts = Readonly<Record<string, unknown>>;

const readJson = (name: string) =>
  JSON.parse(readFileSync(fileURLToPath(new URL(`../${name}`, import.meta.url)), 'utf8')) as Parts;

const shipped = (parts: Parts = {}): Parts =>
  Object.fromEntries(Object.entries(parts).filter(([key]) => key !== 'devDependencies'));
const manifest = shipped(readJson('package.json'));
const lock = readJson('package-lock.json') as { packages: Readonly<Record<string, Parts & { dev?: boolean }>> };
const kept = Object.entries(lock.packages).filter(([, { dev }]) => dev !== true);
const packages = Object.fromEntries(kept.map(([place, parts]) => [place, shipped(parts)]));

const scratch = mkdtempSync(join(tmpdir(), 'flowlu-mirror-'));
// npm names the whole after its folder.
const folder = join(scratch, String(manifest.name));
try {
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ ...lock, packages }));
  const made = spawnSync('npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  process.exitCode = made.status ?? 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
