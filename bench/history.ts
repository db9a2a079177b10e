/** What keeping every change costs: the service with the history and without it, in turns, on one database. */
import type { BenchDatabase } from './database.ts';
import type { LoadJob, LoadResult } from './load.ts';
import { compared, type Measure } from './measure.ts';
import type { Plan } from './plan.ts';
import { type Product, type Service, startService, WEBHOOK_SECRET } from './product.ts';
import { type Target, type Turn, turn } from './webhooks.ts';
import { startWorker } from './worker.ts';

/** Creations write no values into the history, updates do. */
const CASES = [
  { name: 'new ids, 64 clients', clients: 64, hotIds: null },
  { name: 'changes of 1,000 ids, 64 clients', clients: 64, hotIds: 1_000 },
] as const;

/** Takes the measures; the ratio is that of the service with the history to the one without. */
export async function measureHistory(
  plan: Plan,
  database: BenchDatabase,
  product: Product,
  say: (line: string) => void,
): Promise<Measure[]> {
  const load = startWorker<LoadJob, LoadResult>(new URL('./load.ts', import.meta.url));
  const stage = { load, database };
  const services: Service[] = [];
  try {
    const start = async (HISTORY: 'on' | 'off'): Promise<Target> => {
      const service = await startService(product, { HISTORY });
      services.push(service);
      return {
        path: '/webhooks/flowlu',
        dialect: 'flowlu',
        secret: WEBHOOK_SECRET,
        port: service.port,
        pid: service.pid,
      };
    };
    const [off, on] = [await start('off'), await start('on')];
    say('history: warming up');
    for (const target of [on, off]) await turn(stage, target, CASES[1], plan.webhooks.warmUpSeconds);
    const samples = CASES.map((one) => ({ one, on: [] as Turn[], off: [] as Turn[] }));
    for (let round = 1; round <= plan.rounds; round += 1) {
      say(`history: round ${round} of ${plan.rounds}`);
      await database.sql`checkpoint`;
      for (const sample of samples) {
        sample.on.push(await turn(stage, on, sample.one, plan.webhooks.seconds));
        sample.off.push(await turn(stage, off, sample.one, plan.webhooks.seconds));
      }
    }
    return samples.flatMap(({ one, ...turns }) => measuresOf(one.name, turns.on, turns.off));
  } finally {
    await Promise.all([...services.map((service) => service.stop()), load.stop()]);
  }
}

function measuresOf(name: string, on: readonly Turn[], off: readonly Turn[]): Measure[] {
  const measure = (what: string, unit: string, value: (turn: Turn) => number) =>
    compared(
      { group: 'history', name: `${name}${what}`, unit },
      on.map(value),
      { name: 'HISTORY=off', values: off.map(value) },
      null,
    );
  return [
    measure('', 'events/s', ({ perSecond }) => perSecond),
    measure(', processor time of the service', 'µs/event', ({ service_us }) => service_us),
    measure(', processor time of PostgreSQL', 'µs/event', ({ postgres_us }) => postgres_us),
  ];
}
