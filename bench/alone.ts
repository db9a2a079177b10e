/**
 * One webhook at a time, as a portal sends them, with the database 0, 2 and 20 ms away: `npm run build && npx tsx bench/alone.ts`.
 *
 * Ours and the peer take turns, in an order that changes from round to round; each ratio is the median of the ratios
 * within a round. Half of a distance is added to what travels each way.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDatabase } from './database.ts';
import type { LoadJob, LoadResult } from './load.ts';
import { runCommand, startService, WEBHOOK_SECRET } from './product.ts';
import type { PeerJob, PeerResult } from './serve-peer.ts';
import { median } from './statistics.ts';
import { type Turn, turn } from './webhooks.ts';
import { startWorker } from './worker.ts';

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '2' },
    clients: { type: 'string', default: '1' },
    distances: { type: 'string', default: '0,2,20' },
  },
});
const clients = Number(flags.clients);
const PEER_CONNECTIONS = 10;
const WARM_UP_SECONDS = 3;

const database = await openDatabase();
const directory = await mkdtemp(join(tmpdir(), 'flowlu-mirror-bench-'));
const load = startWorker<LoadJob, LoadResult>(new URL('./load.ts', import.meta.url));
try {
  await runCommand({ databaseUrl: database.url, directory, profiles: null }, ['migrate'], {});
  for (const distance of flags.distances.split(',').map(Number)) await measure(distance);
} finally {
  await load.stop();
  await database.close();
  await rm(directory, { recursive: true, force: true });
}

async function measure(distanceMs: number): Promise<void> {
  const road = await lengthen(Number(new URL(database.url).port), distanceMs / 2);
  const over = (url: string) => Object.assign(new URL(url), { host: `127.0.0.1:${road.port}` }).href;
  const peer = startWorker<PeerJob, PeerResult>(new URL('./serve-peer.ts', import.meta.url));
  const service = await startService({ databaseUrl: over(database.url), directory, profiles: null });
  try {
    const listen = { do: 'listen', secret: WEBHOOK_SECRET, connections: PEER_CONNECTIONS } as const;
    const peerPort = await peer.run({ ...listen, databaseUrl: over(database.peerUrl) });
    const sides = [
      { path: '/webhooks/flowlu', dialect: 'flowlu', secret: WEBHOOK_SECRET, port: service.port, pid: service.pid },
      { path: '/webhooks', dialect: 'peer', secret: WEBHOOK_SECRET, port: peerPort, pid: peer.pid },
    ] as const;
    const send = (side: 0 | 1, seconds: number) =>
      turn({ load, database }, sides[side], { clients, hotIds: null }, seconds);
    for (const side of [0, 1] as const) await send(side, WARM_UP_SECONDS);
    const rounds: Record<0 | 1, Turn>[] = [];
    for (let round = 0; round < Number(flags.rounds); round += 1) {
      const first = (round % 2) as 0 | 1;
      const one = await send(first, Number(flags.seconds));
      const other = await send(first === 0 ? 1 : 0, Number(flags.seconds));
      rounds.push(first === 0 ? { 0: one, 1: other } : { 0: other, 1: one });
    }
    for (const name of ['perSecond', 'p50_ms', 'p99_ms', 'service_us', 'postgres_us'] as const) {
      const [ours, theirs] = ([0, 1] as const).map((side) => median(rounds.map((round) => round[side][name])));
      const ratio = median(rounds.map((round) => round[0][name] / round[1][name]));
      console.log(
        `${distanceMs} ms, ${clients} client(s), ${name}: ${ours?.toFixed(2)}, peer ${theirs?.toFixed(2)}, ratio ${ratio.toFixed(2)}`,
      );
    }
  } finally {
    await Promise.all([service.stop(), peer.stop()]);
    road.close();
  }
}

/** A way to a port on which everything takes longer; it keeps its order. */
async function lengthen(port: number, ms: number) {
  const server = createServer((client) => {
    const far = connect(port, '127.0.0.1').setNoDelay(true);
    client.setNoDelay(true);
    for (const [from, to] of [
      [client, far],
      [far, client],
    ] as const) {
      from.on('data', (chunk) => (ms === 0 ? to.write(chunk) : setTimeout(() => to.write(chunk), ms)));
      from.on('error', () => {}).on('close', () => setTimeout(() => to.destroy(), ms));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}
