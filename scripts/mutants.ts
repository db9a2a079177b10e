/**
 * Do the tests notice when the code is broken? Breaks the files of a room in many small ways and runs the room's tests
 * for each: `npm run mutants -- src/merge/rule`. A path below `test/` chooses other tests than the room's own. A number
 * such as 10 breaks only that percentage of the lines, drawn at random. Ends with 1 when fewer are noticed than the
 * room's share in docs/mutants.md.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stryker } from '@stryker-mutator/core';
import { openEmbedded } from '../src/embedded/server.ts';

/** Tests outside of a room's own folder that watch it, too. */
const ALSO: Readonly<Record<string, readonly string[]>> = {
  delivery: ['test/merge/receiving.test.ts', 'test/intake/receiving.test.ts', 'test/abuse/webhook.fuzz.test.ts'],
  'merge/rule': ['test/merge/*.test.ts'],
  store: ['test/merge/*.test.ts', 'test/maintain/*.test.ts', 'test/oauth/*.test.ts', 'test/reconcile/*.test.ts'],
};
/** These rooms decide what is stored; a mutant that survives there must be explained. */
const STRICT = ['merge', 'reconcile', 'store', 'intake', 'flowlu', 'views'];
const [STRICT_SHARE, SHARE] = [85, 70];

const paths = process.argv.slice(2);
const mutated = paths.filter((path) => path.startsWith('src/'));
const rooms = mutated.map((path) => path.split('/').slice(1).join('/'));
const percent = Number(paths.find((path) => /^\d+$/.test(path)) ?? 100);
const chosen = paths.filter((path) => path.startsWith('test/'));
const testsOf = (room: string) => [`test/${room.split('/')[0]}/**/*.test.ts`, ...(ALSO[room] ?? [])];
const filesOf = (path: string) =>
  path.endsWith('.ts')
    ? [path]
    : readdirSync(path, { recursive: true, encoding: 'utf8' }).flatMap((name) =>
        /\.tsx?$/.test(name) ? [join(path, name)] : [],
      );

/** Lines changed together when only some are: enough for most conditions and loops. */
const WINDOW = 12;

/** Stryker's names for the chosen part of a file. */
function partsOf(file: string): string[] {
  if (percent >= 100) return [file];
  const lines = readFileSync(file, 'utf8').split('\n').length;
  const starts = Array.from({ length: Math.ceil(lines / WINDOW) }, (_, index) => 1 + index * WINDOW);
  return starts.flatMap((start) => (Math.random() * 100 < percent ? [`${file}:${start}-${start + WINDOW - 1}`] : []));
}
if (mutated.length === 0) throw new Error('name what to break, such as src/merge/rule');

const directory = await mkdtemp(join(tmpdir(), 'flowlu-mirror-mutants-'));
const server = await openEmbedded({ directory, settings: { fsync: 'off', max_connections: 200 } });
process.env.TEST_DATABASE_URL = server.url;
// Each mutant meets them again, with other examples.
process.env.FLOWLU_MIRROR_TEST_RUNS ??= '300';
process.env.PROPERTY_RUNS ??= '200';
process.env.FUZZ_BODIES ??= '1000';
process.env.MUTANTS_TESTS = (chosen.length > 0 ? chosen : rooms.flatMap(testsOf)).join(',');
try {
  const strict = rooms.some((room) => STRICT.includes(room.split('/')[0] as string));
  const results = await new Stryker({
    testRunner: 'vitest',
    plugins: ['@stryker-mutator/vitest-runner'],
    vitest: { configFile: 'vitest.mutants.config.ts', related: false },
    mutate: mutated.flatMap(filesOf).flatMap(partsOf),
    // Messages are made of strings, and SQL of templates: emptied, they are either noise or noticed by everything.
    mutator: { excludedMutations: ['StringLiteral'] },
    // A constant of a module is read before any test begins; to try it, every test would have to run from the start.
    ignoreStatic: true,
    coverageAnalysis: 'perTest',
    concurrency: Number(process.env.MUTANTS_AT_ONCE ?? 2),
    ignorePatterns: ['/bench', '/dist', '/reports', '/.flowlu-mirror'],
    // It would rewrite the configuration by the compiler's old interface, which TypeScript 7 does not have; nothing here needs it.
    tsconfigFile: 'none',
    tempDirName: '.mutants',
    reporters: ['progress-append-only', 'clear-text', 'json'],
    clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
    jsonReporter: { fileName: `reports/mutants-${rooms.join('+').replaceAll('/', '-')}.json` },
    logLevel: 'warn',
  } as ConstructorParameters<typeof Stryker>[0]).runMutationTest();
  const valid = results.filter(({ status }) => !['Ignored', 'CompileError', 'RuntimeError'].includes(status));
  const killed = valid.filter(({ status }) => status === 'Killed' || status === 'Timeout');
  const share = (100 * killed.length) / Math.max(1, valid.length);
  process.stdout.write(`${rooms.join(', ')}: ${killed.length} of ${valid.length} noticed, ${share.toFixed(1)} %\n`);
  process.exitCode = share < (strict ? STRICT_SHARE : SHARE) ? 1 : 0;
} finally {
  await server.close();
  await rm(directory, { recursive: true, force: true });
}
