/**
 * Builds what the package ships into dist/: the program, its own files joined so that a command opens a few of them
 * instead of two hundred, and the simulator for `demo`. Packages stay outside, as dependencies that anybody can audit.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** Its index loads itself in fifty languages, a third of what a command takes to start: only what is used goes in. */
const JOINED = ['zod'];

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const { dependencies, optionalDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const shared = {
  absWorkingDir: ROOT,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  external: Object.keys({ ...dependencies, ...optionalDependencies }).filter((name) => !JOINED.includes(name)),
  write: false,
};

const builds = [build({ ...shared, entryPoints: ['src/cli/main.ts'], outdir: 'dist/cli' })];
// The container image is built without the simulator.
if (!process.argv.includes('--without-simulator')) {
  const entryPoints = ['index', 'random', 'catalog', 'compare'].map((name) => `test/simulator/${name}.ts`);
  const contents = readFileSync(join(ROOT, 'test/simulator/catalog.ndjson'));
  builds.push(build({ ...shared, entryPoints, outdir: 'dist/simulator' }));
  builds.push({ outputFiles: [{ path: join(ROOT, 'dist/simulator/catalog.ndjson'), contents }] });
}
const files = (await Promise.all(builds)).flatMap(({ outputFiles }) => outputFiles);

// A program that runs meanwhile opens some of them later: none is missing or half written for a moment.
for (const { path, contents } of files) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, contents);
  renameSync(`${path}.new`, path);
}
const current = new Set(files.map(({ path }) => path));
for (const entry of readdirSync(join(ROOT, 'dist'), { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  if (entry.isFile() && !current.has(path)) rmSync(path);
}
