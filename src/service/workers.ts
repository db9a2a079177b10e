/** Several processes that serve one port: the primary starts them, adds up what they count, and stops them. */
import cluster, { type Worker } from 'node:cluster';
import { on, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { AggregatorRegistry } from 'prom-client';
import type { Config } from '../config/index.ts';
import { UsageError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import { onceIn } from '../core/time.ts';
import { causeOf } from '../postgres/causes.ts';
import { connect, isConnectionError } from '../postgres/connection.ts';

/** Tells a worker which one it is; the first does what has to be done once. */
const NUMBER = 'FLOWLU_MIRROR_WORKER';
/** Tells a worker that others have listened before it: a database that is away will come back. */
const WAITS = 'FLOWLU_MIRROR_WORKER_WAITS';
/** How long it waits before the next one tries, how often it looks, and how often it says so. */
const DATABASE = { maxMs: 600_000, lookMs: 1_000, saidEveryMs: 60_000 };
/** A worker that ended is replaced after so long, and ever more rarely while its place ends at once. */
const REPLACED_AFTER_MS = [1_000, 2_000, 5_000, 15_000];
/** A place whose worker lived so long has no history of failures. */
const SETTLED_MS = 60_000;
const COUNTED_MAX_MS = 6_000;
const ASK = 'flowlu-mirror: what have all counted?';

interface Surroundings {
  readonly config: Config;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** True in the only process, and in one of several workers. */
export const isFirstWorker = () => !cluster.isWorker || process.env[NUMBER] === '1';

/** What a worker begins with: it answers the primary, if only that it has counted nothing, and waits for the database. */
export async function beginWork({ config, log, signal }: Surroundings): Promise<void> {
  new AggregatorRegistry();
  const { url } = config.database;
  if (url === null || process.env[WAITS] !== 'yes') return;
  const sql = connect(url, { applicationName: 'flowlu-mirror serve', max: 1 });
  const isSaidNow = onceIn(DATABASE.saidEveryMs);
  const giveUpAt = performance.now() + DATABASE.maxMs;
  while (performance.now() < giveUpAt && !signal.aborted) {
    // Any other error is that of the command, which meets it next.
    const error = await sql`select`.catch((reason: unknown) => reason);
    if (!isConnectionError(error)) break;
    if (isSaidNow()) log.warn(causeOf(error), 'a worker waits for the database');
    await sleep(DATABASE.lookMs, undefined, { signal }).catch(() => {});
  }
  await sql.end({ timeout: 1 });
}

/** Lets go of the primary, which would keep a worker that has done its work. */
export const leavePrimary = () => cluster.worker?.disconnect();

/**
 * Runs this very command in `count` processes until the signal.
 * @throws UsageError where the settings are for one process.
 * @returns the exit code: that of the first worker when it never listened, else the worst of those that were stopped
 */
export async function runWorkers(count: number, { config, log, signal }: Surroundings): Promise<number> {
  if (config.database.sleepMs > 0)
    throw new UsageError('DATABASE_SLEEP is for one process: leave out --workers, or set DATABASE_SLEEP=0');
  answerForAll();
  // The first one alone: it brings the database up to date, and finds out whether the port is free.
  const [first, started] = begin(1, false);
  const code = await Promise.race([once(first, 'listening').then(() => null), started]);
  if (code !== null) return code;
  const places = [keep(1, started), ...Array.from({ length: count - 1 }, (_, n) => keep(n + 2))];
  return Math.max(...(await Promise.all(places)));

  /** Keeps one place filled; resolves with the exit code of the worker that was told to stop. */
  async function keep(number: number, running = begin(number)[1]): Promise<number> {
    let failures = 0;
    for (let ending = running; ; ending = begin(number)[1]) {
      const since = performance.now();
      const ended = await ending;
      if (signal.aborted) return ended;
      failures = performance.now() - since < SETTLED_MS ? failures + 1 : 1;
      const pauseMs = REPLACED_AFTER_MS[Math.min(failures, REPLACED_AFTER_MS.length) - 1] as number;
      log.error(
        { worker: number, code: ended, replaced_in_ms: pauseMs },
        'a worker has ended; another one takes its place',
      );
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return 0;
    }
  }

  function begin(number: number, waits = true): [worker: Worker, code: Promise<number>] {
    const worker = cluster.fork({ [NUMBER]: String(number), [WAITS]: waits ? 'yes' : 'no' });
    const stop = () => worker.process.kill('SIGTERM');
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    let hasListened = false;
    worker.once('listening', () => {
      hasListened = true;
    });
    const code = once(worker, 'exit').then(([exitCode]: (number | null)[]) => {
      signal.removeEventListener('abort', stop);
      // One that is told to stop before it has begun has nothing to finish; killed by a signal, it has no code.
      return signal.aborted && !hasListened ? 0 : (exitCode ?? 1);
    });
    return [worker, code];
  }
}

/** The primary's part of `metricsOf`. */
function answerForAll(): void {
  const all = new AggregatorRegistry();
  cluster.on('message', (worker, message) => {
    if (message !== ASK) return;
    const answer = (text: string | null) => worker.isConnected() && worker.send({ counted: text });
    all.clusterMetrics().then(answer, () => answer(null));
  });
}

/**
 * How to read all metrics as text, with what all workers have counted. One reading at a time.
 * @throws Error where a worker does not answer: without it counters would seem to have gone back
 */
export function metricsOf({ registry, counted, state }: Metrics): () => Promise<string> {
  if (!cluster.isWorker) return () => registry.metrics();
  AggregatorRegistry.setRegistries(counted);
  return async () => (await countedByAll()) + (await state.metrics());
}

async function countedByAll(): Promise<string> {
  const signal = AbortSignal.timeout(COUNTED_MAX_MS);
  process.send?.(ASK);
  for await (const [message] of on(process, 'message', { signal })) {
    const { counted } = message as { readonly counted?: string | null };
    if (typeof counted === 'string') return counted;
    if (counted === null) break;
  }
  throw new Error('a worker does not say what it has counted');
}
