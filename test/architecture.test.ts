/** Holds the plan of the house: who may import whom, how long a file may be, and who may touch the process. */
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { expect, test } from 'vitest';

/** Room → what it may import: a room, or one file of it. Every room may import itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  config: ['catalog'],
  log: [],
  metrics: [],
  json: [],
  catalog: ['json'],
  privacy: ['catalog', 'json'],
  flowlu: ['catalog', 'json', 'log', 'metrics', 'privacy'],
  db: ['catalog', 'json', 'log'],
  // By what right the portal is asked: how a login ends, and how its tokens are kept. The client only knows a source of credentials.
  oauth: ['db', 'flowlu', 'log'],
  // What an installation asks of the portal; pure.
  manifest: ['catalog'],
  intake: ['catalog', 'db', 'json', 'log', 'metrics', 'privacy'],
  // Of intake only the ledger, what an entry of it is, and how one is written anew.
  apply: [
    ...['catalog', 'db', 'flowlu', 'intake/delivery.ts', 'intake/ledger.ts', 'intake/protect.ts'],
    ...['json', 'log', 'metrics', 'privacy'],
  ],
  reconcile: ['apply', 'catalog', 'db', 'flowlu', 'json', 'log', 'metrics'],
  status: ['catalog', 'db', 'json', 'log', 'metrics'],
  // Pages and files for other tools, made from the catalogue and from what the data dictionary says. Pure: of db only a type.
  describe: ['catalog', 'db/dictionary.ts'],
  cli: [
    ...['apply', 'catalog', 'config', 'db', 'describe', 'flowlu', 'intake', 'json', 'log', 'manifest', 'metrics'],
    ...['oauth', 'privacy', 'reconcile', 'status'],
  ],
};

const MAX_LINES = 400;
/** The table of settings may be longer: it is data, and stays one table. */
const EXEMPT = 'config/table.ts';

/** Words that only some files may use. */
const RESERVED: readonly (readonly [pattern: RegExp, allowed: RegExp])[] = [
  [/\bprocess\.env\b/, /^config\/environment\.ts$/],
  [/\bprocess\.(stdout|stderr)\b/, /^cli\//],
  [/\bconsole\./, /^$/],
];

const ROOT = new URL('..', import.meta.url).pathname;

/** Path below the folder → text without comments, for every TypeScript file of it. */
function sourcesOf(folder: string): ReadonlyMap<string, string> {
  const files = readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' });
  const paths = files.map((path) => path.replaceAll('\\', '/')).filter((path) => path.endsWith('.ts'));
  return new Map(paths.map((path) => [path, readFileSync(`${ROOT}${folder}/${path}`, 'utf8')]));
}

/** The project files that a file imports, as paths below the same folder. */
function importsOf(path: string, text: string): readonly string[] {
  const found = text.matchAll(/^(?:import|export)\b(?:[^;'=(]*? from)? ?'(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm);
  return [...found].map((match) => posix.join(posix.dirname(path), match[1] ?? match[2] ?? ''));
}

const roomOf = (path: string) => path.replace(/\.ts$/, '').split('/')[0] ?? '';
const withoutComments = (text: string) => text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
const src = sourcesOf('src');
const imports = new Map([...src].map(([path, text]) => [path, importsOf(path, text)]));

test('rooms import only what the table allows', () => {
  const edges = [...imports].flatMap(([path, targets]) => targets.map((target) => [path, target] as const));
  expect(edges.length).toBeGreaterThan(0);
  const forbidden = edges.filter(([path, target]) => {
    const allowed = [roomOf(path), ...(MAY_IMPORT[roomOf(path)] ?? [])];
    return !allowed.includes(roomOf(target)) && !allowed.includes(target);
  });
  expect(forbidden.map(([path, target]) => `${path} → ${target}`)).toEqual([]);
});

test('no file imports itself, not even by way of others', () => {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]) => {
    if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
    if (done.has(path)) return;
    done.add(path);
    for (const target of imports.get(path) ?? []) visit(target, [...trail, path]);
  };
  for (const path of src.keys()) visit(path, []);
  expect(cycles).toEqual([]);
});

test('every file can be read in one sitting', () => {
  const files = [...src].map(([path, text]) => ({ path, lines: text.split('\n').length }));
  expect(files.filter(({ path, lines }) => path !== EXEMPT && lines > MAX_LINES)).toEqual([]);
});

test.each(RESERVED)('only chosen files use %s', (pattern, allowed) => {
  const users = [...src].filter(([, text]) => pattern.test(withoutComments(text))).map(([path]) => path);
  expect(users.filter((path) => !allowed.test(path))).toEqual([]);
});

test('the simulator is an independent witness: it imports nothing from src', () => {
  const simulator = [...sourcesOf('test/simulator')].flatMap(([path, text]) => importsOf(path, text));
  expect(simulator.filter((target) => target.startsWith('..'))).toEqual([]);
});
