/**
 * The demonstration: a simulated Flowlu portal, an embedded PostgreSQL and the real commands, all on this machine.
 *
 *   npm run demo                    until Ctrl-C
 *   npm run demo -- --seconds 30    ends by itself
 *   npm run demo -- --portal as-seen   a portal as clients saw live tenants: 25 rows a page, no order, no filters
 *   npm run demo -- --still         nothing changes: the data that docs/analysts.md shows
 *
 * Ends with a comparison of every row of the portal with the mirror; exit 0 only when they are equal. When the terminal
 * is closed it ends without one.
 */
import { createServer } from 'node:net';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openEmbedded } from '../src/embedded/server.ts';
import { connect } from '../src/postgres/connection.ts';
import { models } from '../test/simulator/catalog.ts';
import { startSimulator } from '../test/simulator/index.ts';
import { randomFrom } from '../test/simulator/random.ts';
import { compareWithSource } from '../test/support/compare.ts';
import { startMirror } from './demo/mirror.ts';
import { heading, say } from './demo/text.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string' },
    rows: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    port: { type: 'string' },
    portal: { type: 'string', default: 'documented' },
    still: { type: 'boolean', default: false },
  },
});
const seconds = values.seconds === undefined ? Number.POSITIVE_INFINITY : Number(values.seconds);
if (Number.isNaN(seconds) || Number.isNaN(Number(values.rows))) {
  console.error('usage: npm run demo -- [--seconds N] [--rows N] [--seed N] [--port N] [--portal as-seen] [--still]');
  process.exit(2);
}

const DATA_DIR = resolve('.flowlu-mirror/demo');
const SECRET = 'demo-secret-for-this-machine-only';
const changesPerSecond = values.still ? 0 : 20;
/** The API has no list of comments, so what is lost of them cannot be found again. */
const BEYOND_REPAIR = ['system.comments'];

const stop = new AbortController();
const hangUp = new AbortController();
process.on('SIGINT', () => stop.abort());
process.on('SIGTERM', () => stop.abort());
process.on('SIGHUP', () => {
  stop.abort();
  hangUp.abort();
});
// A terminal that was closed refuses what is still written to it.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

const database = await openEmbedded({ directory: DATA_DIR }).catch(giveUp);
if (database.isShared) {
  await database.close();
  giveUp(new Error(`a demonstration is already running in this directory (${DATA_DIR} is in use): end it first`));
}
await emptyDatabase();

heading('A simulated Flowlu portal');
const simulator = await startSimulator({
  seed: Number(values.seed),
  rows: Number(values.rows),
  profile: values.portal === 'as-seen' ? 'as-seen' : 'documented',
  rowsPerModel: { 'system.comments': 0 },
  timeZone: 'Europe/Berlin',
});
const { portal, webhooks } = simulator;
const counts = models.map((facts) => portal.count(`${facts.module}.${facts.model}`));
say(
  `${counts.reduce((sum, count) => sum + count, 0)} records in ${counts.length} models, answering at ${simulator.baseUrl}`,
);

const mirror = startMirror({
  DATA_DIR,
  FLOWLU_BASE_URL: simulator.baseUrl,
  FLOWLU_API_KEY: simulator.apiKey,
  FLOWLU_REQUESTS_PER_SECOND: '50',
  FLOWLU_TIMEZONE: 'Europe/Berlin',
  WEBHOOK_SECRET: SECRET,
  PORT: values.port ?? (await freePort(8787)),
  RECONCILE_INTERVAL: '5s',
  SWEEP_INTERVAL: '1h',
  SETTLE_GRACE: '1s',
});
let equal = false;
try {
  heading('Backfill: everything through the API into an embedded PostgreSQL');
  await mirror.run(['backfill'], stop.signal);
  if (!stop.signal.aborted) {
    const service = await mirror.serve(stop.signal);
    await liveChanges(service);
    equal = !hangUp.signal.aborted && (await compare());
    await service.stop();
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
} finally {
  await simulator.close();
  await database.close();
}
process.exit(equal ? 0 : 1);

function giveUp(error: unknown): never {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

/** Removes what an earlier demonstration has left; nobody else uses it now. */
async function emptyDatabase(): Promise<void> {
  const url = new URL(database.url);
  url.pathname = '/postgres';
  const sql = connect(url.href, { applicationName: 'flowlu-mirror demo', max: 1 });
  await sql.unsafe('drop database flowlu with (force)');
  await sql.unsafe('create database flowlu');
  await sql.end();
}

/** The port that the documentation speaks of, or any other when somebody has it. */
async function freePort(preferred: number): Promise<string> {
  const probe = createServer();
  const isFree = await new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false)).listen(preferred, '127.0.0.1', () => resolve(true));
  });
  if (isFree) await new Promise((resolve) => probe.close(resolve));
  return isFree ? String(preferred) : '0';
}

/** Changes in the portal, announced by webhooks of which some are lost, repeated or out of order. */
async function liveChanges(service: { readonly url: string }): Promise<void> {
  heading(
    values.still
      ? 'A portal in which nothing changes, to be asked at leisure'
      : 'Live changes: 5 % of the webhooks are lost, 10 % come twice, all are shuffled',
  );
  say(`Status page   ${service.url}/status`);
  say(`PostgreSQL    ${database.url}`);
  say(
    `Try           psql '${database.url}' -c 'select name, budget from flowlu_live.crm_lead order by budget desc limit 5'`,
  );
  if (seconds === Number.POSITIVE_INFINITY) say('Ctrl-C ends the demonstration with a comparison.');
  webhooks.configure({
    url: `${service.url}/webhooks/flowlu/${SECRET}`,
    mode: 'live',
    dropRate: 0.05,
    duplicateRate: 0.1,
    disorder: { maxDelayMs: 400, window: 5 },
    retries: 3,
  });
  const random = randomFrom(Number(values.seed));
  const changing = models
    .map((facts) => `${facts.module}.${facts.model}`)
    .filter((name) => !name.startsWith('customfields.') && !BEYOND_REPAIR.includes(name));
  const endAt = performance.now() + seconds * 1_000;
  for (let tick = 1; performance.now() < endAt && !stop.signal.aborted; tick += 1) {
    for (let change = 0; change < changesPerSecond; change += 1) portal.randomChange(random, changing);
    await sleep(1_000, undefined, { signal: stop.signal }).catch(() => {});
    if (tick % 5 === 0 && !values.still) {
      const { sent, dropped, duplicated } = webhooks.stats;
      say(`${portal.changes.length} changes: ${sent} webhooks sent, ${dropped} lost, ${duplicated} sent twice`);
    }
  }
  await webhooks.drain();
}

/** Brings the mirror up to date with what was lost, and compares. */
async function compare(): Promise<boolean> {
  heading('What was lost is found again: a full sweep, then every row compared');
  const limit = AbortSignal.any([hangUp.signal, AbortSignal.timeout(300_000)]);
  await mirror.run(['reconcile', '--full'], limit, 'quiet');
  const result = await compareWithSource(
    database.url,
    portal,
    models.map((facts) => `${facts.module}.${facts.model}`),
  );
  say(
    `${result.rows} records in the portal, ${result.live} live rows in the mirror, ${result.deleted} kept as deleted`,
  );
  for (const difference of result.differences.slice(0, 10)) say(`DIFFERENT  ${difference}`);
  if (result.undecided.length > 0) {
    say(
      `${result.undecided.length} rows, deleted without notice, wait for a second sweep an hour later: the portal reads`,
    );
    say('no single records of their models, so two complete lists have to do.');
  }
  say(result.differences.length === 0 ? 'Source and mirror are equal.' : `${result.differences.length} differences.`);
  return result.differences.length === 0;
}
