/**
 * What a mirror costs while nothing happens: `npm run build && npx tsx bench/idle.ts --minutes 3`.
 *
 * Two of `serve` side by side: one with a simulated portal that is empty and has been read, at the default rate, and one
 * without an API key. Counted are the transactions of each one's database, and the processor time of each process.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startSimulator } from '../test/simulator/index.ts';
import { openDatabase } from './database.ts';
import { processorSeconds } from './processor.ts';
import { residentMb, runCommand, startService } from './product.ts';

const { values: flags } = parseArgs({
  options: { minutes: { type: 'string', default: '3' }, rate: { type: 'string', default: '1' } },
});
const minutes = Number(flags.minutes);
/** Starting up is over, and what it counts has reached the statistics. */
const SETTLES_MS = 30_000;

const database = await openDatabase();
const directory = await mkdtemp(join(tmpdir(), 'flowlu-mirror-bench-'));
const portal = await startSimulator({ rows: 0 });
const api = { FLOWLU_BASE_URL: portal.baseUrl, FLOWLU_API_KEY: portal.apiKey };
const sides = [
  { name: 'with a portal', database: 'idle_api', env: { ...api, FLOWLU_REQUESTS_PER_SECOND: flags.rate } },
  { name: 'without API key', database: 'idle_alone', env: {} },
] as const;
const products = sides.map((side) => {
  const url = Object.assign(new URL(database.url), { pathname: `/${side.database}` });
  return { databaseUrl: url.href, directory, profiles: null };
});

/** Transactions of each database, of which none is this question's, and seconds of each process. */
async function count(pids: readonly (number | undefined)[]) {
  const rows = await database.sql`
    select datname, (xact_commit + xact_rollback)::float8 as transactions from pg_stat_database where datname like 'idle%'`;
  const transactions = new Map(rows.map((row) => [row.datname as string, row.transactions as number]));
  return Promise.all(
    sides.map(async (side, index) => ({
      transactions: transactions.get(side.database) ?? Number.NaN,
      seconds: await processorSeconds(pids[index]),
    })),
  );
}

try {
  for (const side of sides) await database.sql.unsafe(`create database ${side.database}`);
  for (const product of products) await runCommand(product, ['migrate'], {});
  if (products[0] !== undefined)
    await runCommand(products[0], ['backfill'], { ...api, FLOWLU_REQUESTS_PER_SECOND: '0' });
  const services = await Promise.all(
    sides.map(({ env }, index) => startService(products[index] as (typeof products)[number], env)),
  );
  await sleep(SETTLES_MS);
  const pids = services.map(({ pid }) => pid);
  const before = await count(pids);
  await sleep(minutes * 60_000);
  const after = await count(pids);
  for (const [index, { name }] of sides.entries()) {
    const part = (key: 'transactions' | 'seconds') => (after[index]?.[key] ?? 0) - (before[index]?.[key] ?? 0);
    const share = (100 * part('seconds')) / (60 * minutes);
    const resident = await residentMb(pids[index]);
    process.stdout.write(
      `${name}: ${(part('transactions') / minutes).toFixed(1)} transactions a minute, ` +
        `${share.toFixed(2)} % of a core, ${resident?.toFixed(0)} MB\n`,
    );
  }
  await Promise.all(services.map((service) => service.stop()));
} finally {
  await portal.close();
  await database.close();
  await rm(directory, { recursive: true, force: true });
}
