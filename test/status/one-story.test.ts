/** What is broken on purpose is told with one cause and one remedy on every surface, as long as it lasts. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Check } from '../../src/doctor/check.ts';
import { TROUBLE } from '../../src/intake/record-health.ts';
import { migrate } from '../../src/migrate/migrate.ts';
import type { Finding } from '../../src/status/finding.ts';
import { runHere } from '../e2e/command.ts';
import { type Service, startService, webhook } from '../intake/service.ts';
import { createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { createLogin, type Login } from '../support/logins.ts';

let database: TestDatabase;
let login: Login;
let service: Service;
const usual = { ...TROUBLE };
beforeAll(async () => {
  TROUBLE.afterMs = 1_000;
  database = await createEmptyDatabase();
  await migrate(database.url);
  login = await createLogin(database, `flowlu_writer_${database.name}`);
  service = await startService(login.url);
});
afterAll(async () => {
  Object.assign(TROUBLE, usual);
  await service?.close();
  await login?.drop();
  await database?.close();
});

interface Told {
  readonly code: string;
  readonly sentence: string | RegExp;
  readonly remedy: string | RegExp;
}

const text = async (path: string) => await (await fetch(`${service.url}${path}`)).text();
const json = async (path: string) => JSON.parse(await text(path)) as Record<string, unknown>;

/** What the pages say, while webhooks come. */
async function pages() {
  void service.post(webhook('crm.lead', 'update', { id: 1, name: 'x' })).catch(() => {});
  const [readyz, status, page, metrics] = await Promise.all([
    json('/readyz'),
    json('/status.json'),
    text('/status'),
    text('/metrics'),
  ]);
  const [first] = status.findings as Finding[];
  // Ready as long as webhooks are recorded all the same.
  const { sentence, remedy } = ((readyz.findings ?? []) as Finding[])[0] ?? {
    sentence: readyz.problem,
    remedy: readyz.remedy,
  };
  return { readyz: [sentence, remedy], status: [first?.code, first?.sentence], page, metrics };
}

const sayingOnPages = ({ code, sentence, remedy }: Told) => ({
  readyz: [expect.stringMatching(sentence), expect.stringMatching(remedy)],
  status: [code, expect.stringMatching(sentence)],
  page: expect.stringMatching(sentence),
  metrics: expect.stringContaining(`flowlu_mirror_findings{code="${code}",severity="bad"} 1`),
});

async function run(words: string) {
  const env = { DATABASE_URL: login.url };
  return JSON.parse((await runHere(words.split(' '), { cwd: import.meta.dirname, env })).stdout);
}

const isReady = async () => (await fetch(`${service.url}/readyz`)).status;

/** Breaks something, and looks until all tell it; then whether they go on, and until they tell that it is over. */
async function broken(told: Told, breaks: () => Promise<unknown>, mends: () => Promise<unknown>): Promise<void> {
  const { code, sentence, remedy } = told;
  await breaks();
  try {
    await expect.poll(pages, { timeout: 30_000, interval: 500 }).toMatchObject(sayingOnPages(told));
    const { findings } = (await run('status --json')) as { findings: Finding[] };
    const words = { sentence: expect.stringMatching(sentence), remedy: expect.stringMatching(remedy) };
    expect(findings[0]).toMatchObject({ code, ...words });
    const { checks } = (await run('doctor --quick --json')) as { checks: Check[] };
    expect(checks.find(({ status }) => status === 'fail')).toMatchObject({
      found: expect.stringMatching(sentence),
      advice: expect.stringMatching(remedy),
    });
    expect(await pages()).toMatchObject(sayingOnPages(told));
  } finally {
    await mends();
  }
  await expect.poll(isReady, { timeout: 30_000, interval: 500 }).toBe(200);
}

it.each(['sync.deliveries', 'sync.deliveries in share mode'])(
  'a lock on %s',
  async (table) => {
    const holder = await database.sql.reserve();
    const [name] = table.split(' ');
    await broken(
      {
        code: 'locked',
        sentence: new RegExp(`${name} locked by process \\d+ of the database \\(.*somebody\\)`),
        remedy: /End it with: select pg_terminate_backend\(\d+\)/,
      },
      () => holder.unsafe(`begin; set local application_name = 'somebody'; lock table ${table}`),
      () => holder.unsafe('rollback').finally(() => holder.release()),
    );
  },
  150_000,
);

it.each([
  ['usage on schema sync', 'usage on schema sync'],
  ['insert on sync.deliveries', 'insert on sync.deliveries'],
])(
  'the lost right %s',
  async (right, words) => {
    const group = `flowlu_writer_${database.name}`;
    await broken(
      {
        code: 'rights_missing',
        sentence: `he database role ${login.user} lacks ${words}`,
        remedy: `grant ${words} to ${group}`,
      },
      () => database.sql.unsafe(`revoke ${right} from ${group}`),
      () => database.sql.unsafe(`grant ${right} to ${group}`),
    );
  },
  150_000,
);
