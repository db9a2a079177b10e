/** Holds the plan of the house: who may import whom, how long a file may be, and who may touch the process. */
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { expect, test } from 'vitest';

/** Rooms from the ground up, each with what it imports beside itself: no more than this, and no less. */
const IMPORTS: Readonly<Record<string, readonly string[]>> = {
  core: [],
  catalog: [],
  postgres: ['core'],
  config: ['catalog', 'core', 'postgres'],
  record: ['catalog', 'core'],
  privacy: ['catalog', 'core', 'record'],
  delivery: ['catalog', 'core', 'privacy', 'record'],
  flowlu: ['catalog', 'core', 'privacy', 'record'],
  listing: ['catalog', 'core', 'flowlu', 'record'],
  tables: ['catalog', 'postgres'],
  'mirror-rows': ['catalog', 'core', 'postgres', 'record', 'tables'],
  store: ['catalog', 'core', 'mirror-rows', 'postgres'],
  views: ['catalog', 'core', 'mirror-rows', 'postgres', 'store', 'tables'],
  reports: ['catalog', 'postgres', 'store', 'tables', 'views'],
  migrate: ['catalog', 'core', 'postgres', 'reports', 'store', 'tables', 'views'],
  embedded: ['core', 'postgres'],
  intake: ['core', 'delivery', 'postgres', 'privacy', 'store'],
  merge: ['catalog', 'core', 'delivery', 'flowlu', 'mirror-rows', 'postgres', 'record', 'store'],
  maintain: ['catalog', 'core', 'delivery', 'merge', 'mirror-rows', 'postgres', 'privacy', 'record', 'store'],
  reconcile: [
    'catalog',
    'core',
    'flowlu',
    'listing',
    'maintain',
    'merge',
    'mirror-rows',
    'postgres',
    'record',
    'store',
  ],
  oauth: ['core', 'flowlu', 'postgres', 'store'],
  manifest: ['catalog'],
  describe: ['catalog', 'core', 'views'],
  status: ['catalog', 'core', 'intake', 'migrate', 'mirror-rows', 'postgres', 'store'],
  story: ['catalog', 'core', 'delivery', 'mirror-rows', 'postgres', 'record', 'status', 'store'],
  agents: ['core', 'migrate', 'postgres'],
  service: [
    'catalog',
    'config',
    'core',
    'delivery',
    'embedded',
    'flowlu',
    'intake',
    'listing',
    'merge',
    'migrate',
    'mirror-rows',
    'oauth',
    'postgres',
    'privacy',
    'reconcile',
    'record',
    'status',
    'store',
  ],
  doctor: [
    'catalog',
    'config',
    'core',
    'flowlu',
    'migrate',
    'mirror-rows',
    'oauth',
    'postgres',
    'privacy',
    'record',
    'reports',
    'service',
    'status',
    'store',
  ],
  terminal: ['core', 'doctor', 'service', 'status', 'store'],
  cli: [
    'agents',
    'catalog',
    'config',
    'core',
    'describe',
    'doctor',
    'embedded',
    'flowlu',
    'intake',
    'maintain',
    'manifest',
    'merge',
    'migrate',
    'mirror-rows',
    'oauth',
    'postgres',
    'reconcile',
    'record',
    'reports',
    'service',
    'status',
    'store',
    'story',
    'terminal',
    'views',
  ],
};

const MAX_LINES = 400;
const ROOM_MAX_LINES = 2_500;
/** The table of settings may be longer: it is data, and stays one table. */
const EXEMPT = 'config/table.ts';

/** Words that only some files may use. */
const RESERVED: readonly (readonly [pattern: RegExp, allowed: RegExp])[] = [
  // The script that is printed for Metabase is a program of its own.
  [/\bprocess\.env\b/, /^(config\/environment|describe\/metabase|service\/workers)\.ts$/],
  [/\bprocess\.(stdout|stderr)\b/, /^(terminal|cli|service)\//],
  [/\bconsole\./, /^describe\/metabase\.ts$/],
  // SQLSTATEs have names.
  [/'(?:0A|2[1-9B]|3F|4[024]|5[3457])[0-9A-Z]{3}'/, /^postgres\/sqlstates\.ts$/],
];

const DEFINITIONS = /^tables\//;
/** The files whose SQL may name a table of the ledger, besides its definition; views may read what they show. */
const OWNERS: Readonly<Record<string, RegExp>> = {
  deliveries: /^store\/(deliveries\/|erasure\.ts$)/,
  doubtful: /^(store\/doubts|views\/live)\.ts$/,
  suspects: /^store\/doubts\.ts$/,
  listed_ids: /^store\/listed-ids\.ts$/,
  measurements: /^store\/measurements\.ts$/,
  listings: /^(store\/listings|views\/(live|coverage))\.ts$/,
  watermarks: /^(store\/watermarks|views\/(live|dictionary))\.ts$/,
  runs: /^store\/runs\.ts$/,
  schedule: /^(store\/schedule|views\/live)\.ts$/,
  api_budget: /^store\/budget\.ts$/,
  leases: /^store\/leases\.ts$/,
  settings: /^(store\/settings|migrate\/roles)\.ts$/,
  oauth_grant: /^store\/grant\.ts$/,
  oauth_requests: /^store\/oauth-requests\.ts$/,
  custom_columns: /^store\/custom-columns\.ts$/,
  deal_states: /^(store|views)\/deal-states\.ts$/,
  // Its months are made and dropped by `migrate`.
  history:
    /^(store\/(history|deal-states)|views\/(history|history-states|deal-states)|migrate\/migrate|migrate\/history-partitions)\.ts$/,
};

/** The four that maintain what is stored already, beside the one writer of what is observed. */
const WRITERS = /^(merge\/writer|maintain\/(rebuild|redact|erase|adopt))\.ts$/;
/** The statements that they call. */
const MIRROR_STATEMENTS = /^mirror-rows\/(rows|derived-columns)\.ts$/;

const eitherOf = (...patterns: readonly RegExp[]) => new RegExp(patterns.map(({ source }) => source).join('|'));

/** What the SQL or the calls of a file show, and the files in which they may. */
const RESERVED_SQL: readonly (readonly [what: string, pattern: RegExp, allowed: RegExp])[] = [
  ...Object.entries(OWNERS).map(
    ([table, allowed]) => [`sync.${table}`, new RegExp(`\\bsync\\.${table}\\b`), allowed] as const,
  ),
  // `erase` forgets an entity in whatever table names it.
  [
    'a table of the ledger by a name from elsewhere',
    /\bsync\.\$\{/,
    /^(store\/erasure|migrate\/history-partitions)\.ts$/,
  ],
  [
    'mirror tables',
    /\b(?:from|join|into|update|table)\s+flowlu\.|flowlu\.\$\{identifier/i,
    /^(mirror-rows|views|reports)\//,
  ],
  [
    'writing to mirror tables',
    /\b(?:insert into|update|delete from|truncate)\s+(?:flowlu\.|\$\{relation\})/i,
    MIRROR_STATEMENTS,
  ],
  [
    'writing to the ledger',
    /\b(?:insert into|update|delete from|truncate)\s+sync\./i,
    // The journal of migrations is there before the tables of the ledger are.
    /^(store\/|migrate\/(history-partitions|migrations|migrate)\.ts)/,
  ],
  [
    'calling what writes mirror rows',
    /\b(?:insertRows|updateRows|rewriteDerived|deleteUncatalogued)\b/,
    eitherOf(WRITERS, MIRROR_STATEMENTS),
  ],
  [
    'calling what writes observations',
    /\bwriteObservations\b/,
    /^(merge\/(writer|deliveries|settle|suspects)|reconcile\/(page|recheck))\.ts$/,
  ],
];

const ROOT = new URL('..', import.meta.url).pathname;

/** Path below the folder → text without comments, for every TypeScript file of it. */
function sourcesOf(folder: string): ReadonlyMap<string, string> {
  const files = readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' });
  const paths = files.map((path) => path.replaceAll('\\', '/')).filter((path) => /\.tsx?$/.test(path));
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

test('every room imports what its line of the table names, no more and no less', () => {
  const used: Record<string, string[]> = {};
  for (const [path, targets] of imports) {
    const room = roomOf(path);
    used[room] = [...new Set([...(used[room] ?? []), ...targets.map(roomOf).filter((target) => target !== room)])];
  }
  for (const rooms of Object.values(used)) rooms.sort();
  expect(used).toEqual(Object.fromEntries(Object.entries(IMPORTS).map(([room, rooms]) => [room, [...rooms].sort()])));
});

test('no room imports one that stands above it', () => {
  const order = Object.keys(IMPORTS);
  const upward = Object.entries(IMPORTS).flatMap(([room, rooms]) =>
    rooms.filter((other) => order.indexOf(other) > order.indexOf(room)).map((other) => `${room} → ${other}`),
  );
  expect(upward).toEqual([]);
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

test('no room is larger than somebody new can hold in mind; the catalogue is data', () => {
  const sizes = new Map<string, number>();
  for (const [path, text] of src) {
    const room = path.split('/')[0] as string;
    sizes.set(room, (sizes.get(room) ?? 0) + text.split('\n').length - 1);
  }
  sizes.delete('catalog');
  expect([...sizes].filter(([, lines]) => lines > ROOM_MAX_LINES)).toEqual([]);
});

test.each(RESERVED)('only chosen files use %s', (pattern, allowed) => {
  const users = [...src].filter(([, text]) => pattern.test(withoutComments(text))).map(([path]) => path);
  expect(users.filter((path) => !allowed.test(path))).toEqual([]);
});

test.each(RESERVED_SQL)('only chosen files show %s', (_, pattern, allowed) => {
  const users = [...src].filter(([, text]) => pattern.test(withoutComments(text))).map(([path]) => path);
  expect(users.filter((path) => !allowed.test(path) && !DEFINITIONS.test(path))).toEqual([]);
  // A file that needs its permission no more should lose it.
  expect(users.filter((path) => allowed.test(path))).not.toEqual([]);
});

test('every table of the ledger has an owner', () => {
  const defined = [...src].filter(([path]) => DEFINITIONS.test(path)).map(([, text]) => text);
  const names = defined.join('\n').matchAll(/\bsync\.table\(\s*'(\w+)'|create table sync\.(\w+)/g);
  expect([...names].map(([, drizzle, plain]) => drizzle ?? plain).sort()).toEqual(Object.keys(OWNERS).sort());
});

test('the simulator is independent: it imports nothing from outside its folder', () => {
  const simulator = [...sourcesOf('test/simulator')].flatMap(([path, text]) => importsOf(path, text));
  expect(simulator.filter((target) => target.startsWith('..'))).toEqual([]);
});

/** Files of the tests that may wait for a time, or look at one, and why. Tests poll for a condition (`eventually`). */
const WAITS: Readonly<Record<string, string>> = {
  'support/eventually.ts': 'the one place that polls',
  'support/database.ts': 'polls before there is a test: a template that is in use',
  'support/tcp-proxy.ts': 'a distance, which is what the test asks for',
  'chaos/processes.ts': 'polls for the lock of a build; kills what does not stop',
  'chaos/server.ts': 'polls for a free port',
  'chaos/load.ts': 'the pace of a sender',
  'chaos/replicas.test.ts': 'senders that overtake each other',
  'e2e/command.ts': 'polls for what a process prints',
  'abuse/wire.ts': 'nothing more comes: no event says so',
  'abuse/sender.ts': 'ends a sender that gets no answer',
  'intake/service.ts': 'nothing more comes: no event says so',
  'intake/wire.property.test.ts': 'tells a batch that hangs from one that ends',
  'support/wire-proxy.ts': 'messages that are late, which is what the tests ask for',
  'postgres/reconnect.test.ts': 'tells a call that never ends from one that does',
  'flowlu/pace.test.ts': 'a fake clock',
  'simulator/api.ts': 'the latency of the portal',
  'simulator/oauth.ts': 'the latency of the portal',
  'simulator/webhooks.ts': 'the pace of the portal',
};
const WAIT = /\b(?:sleep|delay)\(|\bsetTimeout\(/;
/** Files that may measure how long something took. */
const MEASURES: Readonly<Record<string, string>> = {
  'support/cpu-time.ts': 'processor time, to tell linear work from quadratic',
  'flowlu/pace.test.ts': 'a fake clock',
  'postgres/hosts.test.ts': 'at most so many attempts in a second: a busy machine makes fewer',
  'merge/flights.test.ts': 'which statements the client has sent before it had an answer',
  'simulator/api.ts': 'when a request came in, for the limit per second',
  'simulator/oauth.ts': 'a clock that tests move',
};
const MEASURE =
  /\bperformance\.now\(|\bprocess\.(?:hrtime|cpuUsage)|\btook_ms\b|Date\.now\(\) - \w*(?:start|begun|before)/i;

test.each([
  ['wait for a time', WAIT, WAITS],
  ['measure how long something takes', MEASURE, MEASURES],
] as const)(
  'no test but those named may %s: poll for a condition, bound a count, or set a clock',
  (_, pattern, named) => {
    const users = [...sourcesOf('test')]
      .filter(([, text]) => pattern.test(withoutComments(text)))
      .map(([path]) => path);
    expect(users.filter((path) => path !== 'architecture.test.ts').toSorted()).toEqual(Object.keys(named).toSorted());
  },
);
