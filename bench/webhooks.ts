/** Webhooks, durable end to end: HTTP in, committed row, 200 out. Ours, the peer, and single commits without HTTP. */
import type { BenchDatabase } from './database.ts';
import type { EventOptions } from './events.ts';
import { singleUpserts } from './limits.ts';
import type { LoadJob, LoadResult } from './load.ts';
import { alone, atLeast, atMost, compared, type Measure } from './measure.ts';
import type { Plan } from './plan.ts';
import { processorSeconds } from './processor.ts';
import { type Product, startService, WEBHOOK_SECRET } from './product.ts';
import type { PeerJob, PeerResult } from './serve-peer.ts';
import { median, percentile } from './statistics.ts';
import { startWorker, type Worker } from './worker.ts';

interface Case {
  readonly name: string;
  readonly clients: number;
  readonly hotIds: number | null;
  /** What is asked of the ratios to the peer and to single commits. */
  readonly overPeer: number | null;
  readonly overSingle: number | null;
}

const CASES: readonly Case[] = [
  { name: 'distinct ids, 64 clients', clients: 64, hotIds: null, overPeer: 5, overSingle: 1 },
  { name: '10 hot ids, 64 clients', clients: 64, hotIds: 10, overPeer: 8, overSingle: 2 },
  { name: '1 hot id, 64 clients', clients: 64, hotIds: 1, overPeer: null, overSingle: null },
  { name: 'distinct ids, 1 client', clients: 1, hotIds: null, overPeer: null, overSingle: null },
];

const P99_OVER_PEER = 0.3;
const LAG_MAX_MS = 100;

/** A turn, and what it cost. */
export interface Turn extends LoadResult {
  /** Processor time per event of the service alone, and of PostgreSQL, in microseconds. */
  readonly service_us: number;
  readonly postgres_us: number;
}

interface Samples {
  readonly ours: Turn[];
  readonly peer: Turn[];
  readonly single: number[];
}

export type PeerWorker = Worker<PeerJob, PeerResult>;
type Load = Worker<LoadJob, LoadResult>;
export interface Target extends Pick<LoadJob, 'port' | 'path'>, Pick<EventOptions, 'dialect' | 'secret'> {
  readonly pid: number | undefined;
}

interface Stage {
  readonly load: Load;
  readonly database: BenchDatabase;
  readonly ours: Target;
  readonly peer: Target;
  readonly ceiling: Target;
}

/** Takes all measures of webhooks. */
export async function measureWebhooks(
  plan: Plan,
  database: BenchDatabase,
  product: Product,
  peer: PeerWorker,
  peerPort: number,
  say: (line: string) => void,
): Promise<Measure[]> {
  const load = startWorker<LoadJob, LoadResult>(new URL('./load.ts', import.meta.url));
  const ceiling = startWorker<object, number>(new URL('./serve-ceiling.ts', import.meta.url));
  const service = await startService(product);
  try {
    const flowlu = { path: '/webhooks/flowlu', dialect: 'flowlu', secret: WEBHOOK_SECRET } as const;
    const stage: Stage = {
      load,
      database,
      ours: { ...flowlu, port: service.port, pid: service.pid },
      peer: { path: '/webhooks', dialect: 'peer', secret: WEBHOOK_SECRET, port: peerPort, pid: peer.pid },
      ceiling: { ...flowlu, port: await ceiling.run({}), pid: ceiling.pid },
    };
    return await takeTurns(plan, stage, say);
  } finally {
    await Promise.all([service.stop(), ceiling.stop(), load.stop()]);
  }
}

async function takeTurns(plan: Plan, stage: Stage, say: (line: string) => void): Promise<Measure[]> {
  const { seconds, warmUpSeconds, lagSeconds } = plan.webhooks;
  const samples = new Map(CASES.map((one): [Case, Samples] => [one, { ours: [], peer: [], single: [] }]));
  const ceilings: number[] = [];
  const ties: Turn[] = [];
  const lags: Turn[] = [];

  say('webhooks: warming up');
  const [first] = CASES as [Case];
  for (const target of [stage.ours, stage.peer, stage.ceiling]) await turn(stage, target, first, warmUpSeconds);
  await singleUpserts(stage.database.sql, { ...first, seconds: warmUpSeconds });

  for (let round = 1; round <= plan.rounds; round += 1) {
    say(`webhooks: round ${round} of ${plan.rounds}`);
    await stage.database.sql`checkpoint`;
    for (const [one, { ours, peer, single }] of samples) {
      ours.push(await turn(stage, stage.ours, one, seconds));
      peer.push(await turn(stage, stage.peer, one, seconds));
      single.push(await singleUpserts(stage.database.sql, { ...one, seconds }));
    }
    ceilings.push((await turn(stage, stage.ceiling, first, seconds)).perSecond);
    ties.push(await turn(stage, stage.ours, { ...first, hotIds: 10 }, seconds, { versions: 'now' }));
    const top = median(samples.get(first)?.ours.map(({ perSecond }) => perSecond) ?? []);
    lags.push(
      await turn(stage, stage.ours, first, lagSeconds, { rate: Math.round(top / 2), watch: stage.database.url }),
    );
  }
  return [
    ...CASES.flatMap((one) => measuresOf(one, samples.get(one) as Samples)),
    ...others(samples.get(first) as Samples, ceilings, ties, lags),
  ];
}

/** Sends events for so many seconds. */
export async function turn(
  { load, database }: Pick<Stage, 'load' | 'database'>,
  { pid, ...target }: Target,
  { clients, hotIds }: Pick<Case, 'clients' | 'hotIds'>,
  seconds: number,
  special: Partial<Pick<LoadJob, 'versions' | 'rate' | 'watch'>> = {},
): Promise<Turn> {
  const usage = () => Promise.all([processorSeconds(pid), processorSeconds(database.pid)]);
  const [service, postgres] = await usage();
  const job = { ...target, clients, hotIds, seconds, versions: 'rising', rate: null, watch: null, ...special } as const;
  const result = await load.run(job);
  const [serviceAfter, postgresAfter] = await usage();
  const perEvent = (used: number) => (used * 1_000_000) / result.events;
  return { ...result, service_us: perEvent(serviceAfter - service), postgres_us: perEvent(postgresAfter - postgres) };
}

function measuresOf({ name, overPeer, overSingle }: Case, { ours, peer, single }: Samples): Measure[] {
  const rates = ours.map(({ perSecond }) => perSecond);
  const about = (what: string, unit: string) => ({ group: 'webhooks', name: `${name}${what}`, unit }) as const;
  const p99 = (results: readonly LoadResult[]) => results.map(({ p99_ms }) => p99_ms);
  const p50 = (results: readonly LoadResult[]) => results.map(({ p50_ms }) => p50_ms);
  const goal = (value: number | null) => (value === null ? null : atLeast(value));
  const p99Goal = overPeer === null ? null : atMost(P99_OVER_PEER);
  return [
    compared(
      about('', 'events/s'),
      rates,
      { name: 'peer', values: peer.map(({ perSecond }) => perSecond) },
      goal(overPeer),
    ),
    compared(about('', 'events/s'), rates, { name: 'single commits', values: single }, goal(overSingle)),
    compared(about(', p50', 'ms'), p50(ours), { name: 'peer', values: p50(peer) }, null),
    compared(about(', p99', 'ms'), p99(ours), { name: 'peer', values: p99(peer) }, p99Goal),
    compared(
      about(', processor time of the service', 'µs/event'),
      ours.map(({ service_us }) => service_us),
      { name: 'peer', values: peer.map(({ service_us }) => service_us) },
      null,
    ),
    compared(
      about(', processor time of PostgreSQL', 'µs/event'),
      ours.map(({ postgres_us }) => postgres_us),
      { name: 'peer', values: peer.map(({ postgres_us }) => postgres_us) },
      null,
    ),
  ];
}

function others(
  { ours }: Samples,
  ceilings: readonly number[],
  ties: readonly LoadResult[],
  lags: readonly LoadResult[],
): Measure[] {
  const about = (name: string, unit: string) => ({ group: 'webhooks', name, unit }) as const;
  const rates = ours.map(({ perSecond }) => perSecond);
  const lag_ms = lags.map((result) => percentile(result.lag_ms, 0.99));
  return [
    compared(
      about('distinct ids, 64 clients', 'events/s'),
      rates,
      { name: 'HTTP without a database', values: ceilings },
      null,
    ),
    alone(
      about('10 hot ids, 64 clients, equal versions', 'events/s'),
      ties.map(({ perSecond }) => perSecond),
      null,
    ),
    alone(about('acknowledged to visible at half load, p99', 'ms'), lag_ms, atMost(LAG_MAX_MS, 'ours')),
    alone(
      about('answer at half load, p99', 'ms'),
      lags.map(({ p99_ms }) => p99_ms),
      null,
    ),
  ];
}
