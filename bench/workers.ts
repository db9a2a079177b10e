/**
 * How the intake scales with cores and with `serve --workers`: `npm run build && npx tsx bench/workers.ts`. Linux only.
 *
 * Everything, PostgreSQL and the load generator included, is pinned to one core or to two; the set-ups take turns, and each
 * ratio to the first of them is the median of the ratios within a round.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDatabase } from './database.ts';
import type { LoadJob, LoadResult } from './load.ts';
import { runCommand, startService, WEBHOOK_SECRET } from './product.ts';
import { median } from './statistics.ts';
import { type Turn, turn } from './webhooks.ts';
import { startWorker } from './worker.ts';

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    clients: { type: 'string', default: '64' },
  },
});
const SET_UPS = [
  { cores: '0', workers: 1 },
  { cores: '0', workers: 2 },
  { cores: '0,1', workers: 1 },
  { cores: '0,1', workers: 2 },
] as const;
const WARM_UP_SECONDS = 3;

const database = await openDatabase();
const directory = await mkdtemp(join(tmpdir(), 'flowlu-mirror-bench-'));
const product = { databaseUrl: database.url, directory, profiles: null };
const rounds: Turn[][] = [];
try {
  await runCommand(product, ['migrate'], {});
  for (let round = 0; round < Number(flags.rounds); round += 1) {
    const turns: Turn[] = [];
    for (const setUp of SET_UPS) turns.push(await measure(setUp));
    rounds.push(turns);
  }
} finally {
  await database.close();
  await rm(directory, { recursive: true, force: true });
}
for (const [at, { cores, workers }] of SET_UPS.entries()) {
  const of = (name: 'perSecond' | 'p99_ms') => median(rounds.map((turns) => (turns[at] as Turn)[name]));
  const ratio = median(rounds.map((turns) => (turns[at] as Turn).perSecond / (turns[0] as Turn).perSecond));
  console.log(
    `${cores.split(',').length} core(s), ${workers} worker(s): ${of('perSecond').toFixed(0)}/s, p99 ${of('p99_ms').toFixed(1)} ms, ratio ${ratio.toFixed(2)}`,
  );
}

async function measure({ cores, workers }: (typeof SET_UPS)[number]): Promise<Turn> {
  // What is started from now on inherits it: the service, the load generator, the connections of PostgreSQL.
  for (const pid of [process.pid, database.pid]) execFileSync('taskset', ['-acp', cores, String(pid)]);
  const load = startWorker<LoadJob, LoadResult>(new URL('./load.ts', import.meta.url));
  const service = await startService(product, {}, ['--workers', String(workers)]);
  try {
    const side = { path: '/webhooks/flowlu', dialect: 'flowlu', secret: WEBHOOK_SECRET, ...service } as const;
    const send = (seconds: number) =>
      turn({ load, database }, side, { clients: Number(flags.clients), hotIds: null }, seconds);
    await send(WARM_UP_SECONDS);
    return await send(Number(flags.seconds));
  } finally {
    await Promise.all([load.stop(), service.stop()]);
  }
}
