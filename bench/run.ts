/**
 * The benchmark: `npm run bench`, or `npm run bench -- --full`.
 *
 * Everything runs on this machine: an embedded PostgreSQL of its own, the built product, the peer, the limits. Both
 * sides of every ratio are taken in the same run, in turns.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measureBulk } from './bulk.ts';
import { chartOf } from './chart.ts';
import { openDatabase } from './database.ts';
import { measureHistory } from './history.ts';
import { createLimitTables } from './limits.ts';
import { describeMachine } from './machine.ts';
import type { Measure } from './measure.ts';
import { FULL, QUICK } from './plan.ts';
import { type Product, runCommand, WEBHOOK_SECRET } from './product.ts';
import { printMeasures } from './report.ts';
import { measureWebhooks, type PeerWorker } from './webhooks.ts';
import { startWorker } from './worker.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));

/** Connections of the peer: with as many as we have by default it is no slower than with more. */
const PEER_CONNECTIONS = 10;

const { values: flags } = parseArgs({
  options: {
    /** Longer rounds, and more of them. */
    full: { type: 'boolean', default: false },
    /** `webhooks`, `bulk` or `history`; all when left out. */
    only: { type: 'string' },
    /** A directory for processor profiles of the product; figures taken meanwhile are lower. */
    profile: { type: 'string' },
  },
});
const plan = flags.full ? FULL : QUICK;
const startedAt = performance.now();
const say = (line: string) =>
  console.error(`${((performance.now() - startedAt) / 1_000).toFixed(0).padStart(5)} s  ${line}`);

installPeer();
const machine = await describeMachine();
say('starting PostgreSQL');
const database = await openDatabase();
const directory = await mkdtemp(join(tmpdir(), 'flowlu-mirror-bench-'));
const product: Product = {
  databaseUrl: database.url,
  directory,
  profiles: flags.profile === undefined ? null : resolve(flags.profile),
};
const peer: PeerWorker = startWorker(new URL('./serve-peer.ts', import.meta.url));
let stopped: Promise<void> | null = null;
process.once('SIGINT', stop).once('SIGTERM', stop);
try {
  await runCommand({ ...product, profiles: null }, ['migrate'], {});
  await createLimitTables(database.sql);
  const measures = await measureAll();
  printMeasures(measures);
  if (flags.only === undefined && flags.profile === undefined) await save(measures);
} catch (error) {
  // What was under way fails when it is stopped on request.
  if (stopped === null) throw error;
} finally {
  await (stopped ?? clear());
}

/** Ends what would live on without us. */
async function clear(): Promise<void> {
  await peer.stop();
  await database.close();
  await rm(directory, { recursive: true, force: true });
}

function stop(): void {
  say('stopping');
  process.exitCode = 130;
  stopped ??= clear();
}

async function measureAll(): Promise<readonly Measure[]> {
  const peerPort = await peer.run({
    do: 'listen',
    databaseUrl: database.peerUrl,
    secret: WEBHOOK_SECRET,
    connections: PEER_CONNECTIONS,
  });
  const wants = (part: string) => flags.only === undefined || flags.only === part;
  const bulk = wants('bulk') ? await measureBulk(plan, database, product, peer, say) : [];
  const webhooks = wants('webhooks') ? await measureWebhooks(plan, database, product, peer, peerPort, say) : [];
  const history = wants('history') ? await measureHistory(plan, database, product, say) : [];
  return [...webhooks, ...bulk, ...history];
}

/** The peer is no part of the product, so it is installed only here and now. */
function installPeer(): void {
  if (existsSync(join(HERE, 'node_modules', '@supabase', 'stripe-sync-engine'))) return;
  say('installing the peer');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { status } = spawnSync(npm, ['ci', '--prefix', HERE], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error('the peer could not be installed');
}

async function save(measures: readonly Measure[]): Promise<void> {
  const { version: peerVersion } = JSON.parse(
    await readFile(join(HERE, 'node_modules', '@supabase', 'stripe-sync-engine', 'package.json'), 'utf8'),
  ) as { readonly version: string };
  const { version, settings } = database;
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  const result = {
    form: plan.form,
    date: new Date().toISOString(),
    seconds,
    machine,
    postgresql: { version, settings },
    peer: { name: '@supabase/stripe-sync-engine', version: peerVersion, connections: PEER_CONNECTIONS },
    plan,
    measures,
  };
  const results = join(HERE, 'results');
  await mkdir(results, { recursive: true });
  const { cores, node } = machine;
  const subtitle = `${cores} cores, Node ${node}, PostgreSQL ${version}, every commit on disk, ${result.date.slice(0, 10)}, ${plan.form} form`;
  await writeFile(join(results, `${plan.form}.json`), `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(join(results, `${plan.form}.svg`), chartOf(measures, subtitle));
  say(`written to bench/results/${plan.form}.json and ${plan.form}.svg`);
}
