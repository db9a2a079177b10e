/**
 * How late lost changes show: `npx tsx bench/freshness.ts --minutes 8`, after `npm run build`.
 *
 * Simulated portals, seeded, all measured side by side in real time at the same rate, each with a mirror of its own and,
 * as the peer, a connector that reads everything again and again.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connect, type Sql } from '../src/postgres/connection.ts';
import type { Change } from '../test/simulator/index.ts';
import { randomFrom } from '../test/simulator/random.ts';
import { openDatabase } from './database.ts';
import { startPortalProcess } from './freshness-portal.ts';
import { runCommand, type Service, startService, WEBHOOK_SECRET } from './product.ts';

const { values: flags } = parseArgs({
  options: {
    rows: { type: 'string', default: '10000' },
    minutes: { type: 'string', default: '10' },
    /** Requests a second. */
    rate: { type: 'string', default: '1' },
    /** Seconds between two changes in the portal. */
    every: { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
    /** Of `serve`. With several, a third of the time in somebody starts a backfill, and after two thirds one is killed. */
    replicas: { type: 'string', default: '1' },
    /** Of `complete,half,lost`. */
    webhooks: { type: 'string', default: 'complete,half,lost' },
    /** Of `documented,as-seen`. */
    portals: { type: 'string', default: 'documented,as-seen' },
  },
});
const [rows, minutes, rate, every, seed, replicas] = [
  flags.rows,
  flags.minutes,
  flags.rate,
  flags.every,
  flags.seed,
  flags.replicas,
].map(Number) as [number, number, number, number, number, number];

/** Eleven models, and their part of the rows. */
const MODELS = Object.entries({
  'crm.account': 0.25,
  'crm.lead': 0.2,
  'task.tasks': 0.2,
  'fin.invoice': 0.1,
  'st.projects': 0.06,
  'timetracker.timelogs': 0.05,
  'products.product': 0.05,
  'fin.transaction': 0.04,
  'agile.issues': 0.03,
  'calendar.calendar': 0.01,
  'knowledgebase.article': 0.01,
});
const NAMES = MODELS.map(([name]) => name);
const LOST_SHARE = { complete: 0, half: 0.5, lost: 1 } as const;
const LOOK_MS = 500;

type Subject = Pick<Change, 'name' | 'id' | 'action'>;
type Portal = Awaited<ReturnType<typeof startPortalProcess>>;

interface Lost {
  readonly change: Subject;
  readonly at: number;
}
interface Latencies {
  readonly changes: number[];
  readonly deletes: number[];
}

/** What is lost now, and how long what was lost took to show. */
function createWatch() {
  const open = new Map<string, Lost>();
  const took: Latencies = { changes: [], deletes: [] };
  const keyOf = ({ name, id }: Subject) => `${name} ${id}`;
  return {
    took,
    open: () => [...open.values()],
    lose: (change: Subject) => open.set(keyOf(change), { change, at: Date.now() }),
    /** Later changes of the row were announced, so that this one shows with them. */
    drop: (change: Subject) => open.delete(keyOf(change)),
    show({ change, at }: Lost) {
      open.delete(keyOf(change));
      took[change.action === 'delete' ? 'deletes' : 'changes'].push((Date.now() - at) / 1_000);
    },
  };
}
type Watch = ReturnType<typeof createWatch>;

async function lookAtMirror(sql: Sql, watch: Watch): Promise<void> {
  for (const lost of watch.open()) {
    const { change, at } = lost;
    const table = change.name.replace('.', '_');
    const [row] = await sql.unsafe(
      `select _deleted_at is not null as gone, _observed_at >= to_timestamp($2::float8) as fresh from flowlu.${table} where id = $1`,
      [change.id, at / 1_000],
    );
    if (change.action === 'delete' ? row?.gone === true : row?.fresh === true) watch.show(lost);
  }
}

/** A connector that reads every page of every model, and then begins again. */
async function refreshForever(portal: Portal, pageSize: number, watch: Watch, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const name of NAMES) {
      const began = Date.now();
      const seen = new Set<string>();
      for (let page = 1; !signal.aborted; page += 1) {
        const asked = Date.now();
        const { ids } = await portal.ask({ page: { name, page, size: pageSize } });
        showListed(watch, (lost) => isChangeOf(lost, name) && lost.at < asked && ids.includes(lost.change.id));
        const before = seen.size;
        for (const id of ids) seen.add(id);
        await sleep(1_000 / rate, undefined, { signal });
        if (ids.length < pageSize || seen.size === before) break;
      }
      showListed(watch, (lost) => isDeleteOf(lost, name) && lost.at < began && !seen.has(lost.change.id));
    }
  }
}

const isDeleteOf = ({ change }: Lost, name: string) => change.name === name && change.action === 'delete';
const isChangeOf = ({ change }: Lost, name: string) => change.name === name && change.action !== 'delete';

function showListed(watch: Watch, isShown: (lost: Lost) => boolean): void {
  for (const lost of watch.open()) if (isShown(lost)) watch.show(lost);
}

const quantile = (values: readonly number[], q: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))];
const seconds = (value: number | undefined) => (value === undefined ? '–' : value.toFixed(0));
const told = ({ changes, deletes }: Latencies) =>
  [changes, deletes].flatMap((all) => [String(all.length), seconds(quantile(all, 0.5)), seconds(quantile(all, 0.95))]);

/** What befalls several replicas, by the part of the time that is over. */
function troubleAt(services: Service[], backfill: () => Promise<unknown>): (part: number) => void {
  const due = services.length < 2 ? [] : [[1 / 3, backfill] as const, [2 / 3, killLast] as const];
  function killLast(): void {
    const { pid } = services.pop() ?? {};
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  }
  return (part) => {
    if (part < (due[0]?.[0] ?? 1)) return;
    // A run that is cut short by the end of the measurement is none of its findings.
    void Promise.resolve(due.shift()?.[1]()).catch((error) => console.error(String(error)));
  };
}

async function measure(
  base: { readonly url: string; readonly sql: Sql },
  webhooks: keyof typeof LOST_SHARE,
  profile: 'documented' | 'as-seen',
): Promise<string> {
  const rowsPerModel = Object.fromEntries(MODELS.map(([name, share]) => [name, Math.round(rows * share)]));
  const portal = await startPortalProcess({ seed, rowsPerModel, profile, latencyMs: 50 });
  const name = `freshness_${webhooks}_${profile.replace('-', '_')}`;
  await base.sql.unsafe(`create database ${name}`);
  const address = new URL(base.url);
  address.pathname = `/${name}`;
  const directory = await mkdtemp(join(tmpdir(), 'flowlu-mirror-freshness-'));
  const product = { databaseUrl: address.href, directory, profiles: null };
  const env = {
    FLOWLU_BASE_URL: portal.baseUrl,
    FLOWLU_API_KEY: portal.apiKey,
    FLOWLU_MODELS: NAMES.join(','),
    LOG_LEVEL: 'warn',
  };
  await runCommand(product, ['migrate'], env);
  await runCommand(product, ['backfill'], { ...env, FLOWLU_REQUESTS_PER_SECOND: '0' });
  const sql = connect(address.href, { applicationName: 'flowlu-mirror bench', max: 2 });
  await portal.ask({ clear: true });
  const began = Date.now();
  const limited = { ...env, FLOWLU_REQUESTS_PER_SECOND: String(rate) };
  const serving = { ...limited, LOG_LEVEL: 'info', DATABASE_POOL: '4' };
  const services = await Promise.all(Array.from({ length: replicas }, () => startService(product, serving)));
  const [ours, theirs] = [createWatch(), createWatch()];
  const stop = new AbortController();
  const pageSize = profile === 'as-seen' ? 25 : 100;
  const peer = refreshForever(portal, pageSize, theirs, stop.signal).catch(() => {});
  const random = randomFrom(seed);
  const until = Date.now() + minutes * 60_000;
  let nextAt = Date.now();
  const trouble = troubleAt(services, () => runCommand(product, ['backfill'], limited));
  while (Date.now() < until) {
    trouble(1 - (until - Date.now()) / (minutes * 60_000));
    if (Date.now() >= nextAt && Date.now() < until - 60_000) {
      nextAt += every * 1_000;
      const { change } = await portal.ask({ change: NAMES });
      if (change === null) continue;
      theirs.lose(change.subject);
      if (random() < LOST_SHARE[webhooks]) ours.lose(change.subject);
      else {
        ours.drop(change.subject);
        const url = `http://127.0.0.1:${services[0]?.port}/webhooks/flowlu/${WEBHOOK_SECRET}`;
        await fetch(url, { method: 'POST', body: change.body }).then((answer) => answer.text());
      }
    }
    await lookAtMirror(sql, ours);
    await sleep(LOOK_MS);
  }
  stop.abort();
  await peer;
  const [spent] = await sql`
    select max(extract(epoch from clock_timestamp() - swept_from))::float8 as sweep
      from sync.schedule`;
  const { requests, busiest } = await portal.ask({});
  const share = (2_000 * requests) / (rate * (Date.now() - began));
  await Promise.all(services.map((service) => service.stop()));
  await sql.end();
  await portal.stop();
  await rm(directory, { recursive: true, force: true });
  return [
    `${profile}, webhooks ${webhooks}`,
    ...told(ours.took),
    String(ours.open().length),
    seconds(spent?.sweep as number),
    `${Math.round(100 * share)} %`,
    String(busiest),
    ...told(theirs.took),
  ].join(' | ');
}

const database = await openDatabase();
try {
  const kinds = flags.webhooks.split(',') as (keyof typeof LOST_SHARE)[];
  const portals = flags.portals.split(',') as ('documented' | 'as-seen')[];
  const base = { url: database.url, sql: database.sql };
  const lines = await Promise.all(portals.flatMap((profile) => kinds.map((kind) => measure(base, kind, profile))));
  console.log(
    '| portal | changes | median s | 95 % s | deletes | median s | 95 % s | still lost | oldest sweep s | share used | most in a second | peer: changes | median s | 95 % s | deletes | median s | 95 % s |',
  );
  console.log(`|${'---|'.repeat(17)}`);
  for (const line of lines) console.log(`| ${line} |`);
} finally {
  await database.close();
}
