/** The load generator, a process of its own: a fixed number of clients, each sending its next event after an answer. */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type Sql } from '../src/postgres/connection.ts';
import { type Event, type EventOptions, eventSource } from './events.ts';
import { type Connection, openConnection } from './http-connection.ts';
import { WEBHOOK_MODEL } from './rows.ts';
import { percentile } from './statistics.ts';
import { answerJobs } from './worker.ts';

export interface LoadJob extends EventOptions {
  readonly port: number;
  readonly path: string;
  readonly clients: number;
  readonly seconds: number;
  /** Events a second, spread evenly; null: as many as get through. */
  readonly rate: number | null;
  /** Looks for rows of acknowledged events in this database. */
  readonly watch: string | null;
}

export interface LoadResult {
  readonly events: number;
  readonly perSecond: number;
  /** Milliseconds from sending to the last byte of the answer. */
  readonly p50_ms: number;
  readonly p99_ms: number;
  /** Milliseconds from the answer until another connection has read the row. */
  readonly lag_ms: readonly number[];
}

const LAG_MAX_MS = 10_000;

answerJobs(run);

async function run(job: LoadJob): Promise<LoadResult> {
  const source = eventSource(job);
  const watch = job.watch === null ? null : watcher(job.watch);
  const connections = await Promise.all(Array.from({ length: job.clients }, () => openConnection(job.port)));
  const latencies: number[] = [];
  const startedAt = performance.now();
  const endsAt = startedAt + job.seconds * 1_000;
  const due = schedule(job.rate, startedAt);

  async function client(connection: Connection): Promise<void> {
    for (;;) {
      const at = due();
      if (at >= endsAt) return;
      const early_ms = at - performance.now();
      if (early_ms > 0) await sleep(early_ms);
      if (performance.now() >= endsAt) return;
      const event = source.next();
      // With a given rate, an event that had to wait for a free client has waited since it was due.
      const sentAt = Math.max(at, job.rate === null ? performance.now() : at);
      const status = await connection.post(job.path, event.headers, event.body);
      if (status !== 200) throw new Error(`the endpoint answered ${status}`);
      latencies.push(performance.now() - sentAt);
      watch?.acknowledged(event);
    }
  }

  try {
    await Promise.all(connections.map(client));
    const seconds = (performance.now() - startedAt) / 1_000;
    return {
      events: latencies.length,
      perSecond: latencies.length / seconds,
      p50_ms: percentile(latencies, 0.5),
      p99_ms: percentile(latencies, 0.99),
      lag_ms: (await watch?.lags()) ?? [],
    };
  } finally {
    for (const connection of connections) connection.close();
    await watch?.close();
  }
}

/** When the next event is due: at once, or at even distances. */
function schedule(rate: number | null, startedAt: number): () => number {
  if (rate === null) return () => Number.NEGATIVE_INFINITY;
  let sent = -1;
  return () => {
    sent += 1;
    return startedAt + (sent * 1_000) / rate;
  };
}

/** Looks for the rows of acknowledged events, one at a time. */
function watcher(url: string) {
  const sql: Sql = connect(url, { applicationName: 'flowlu-mirror bench watcher', max: 1 });
  const lags: number[] = [];
  let looking: Promise<void> | null = null;
  let failure: unknown = null;

  async function look({ id }: Event, since: number): Promise<void> {
    while (performance.now() - since < LAG_MAX_MS) {
      const rows = await sql.unsafe(
        `select from flowlu.${WEBHOOK_MODEL.table} where id = $1::text::bigint`,
        [`${id}`],
        {
          prepare: true,
        },
      );
      if (rows.count === 1) {
        lags.push(performance.now() - since);
        return;
      }
    }
    throw new Error(`an acknowledged row was not visible within ${LAG_MAX_MS} ms`);
  }

  return {
    acknowledged(event: Event) {
      if (looking !== null || failure !== null) return;
      looking = look(event, performance.now())
        .catch((error: unknown) => {
          failure = error;
        })
        .finally(() => {
          looking = null;
        });
    },
    async lags() {
      await looking;
      if (failure !== null) throw failure;
      return lags;
    },
    close: () => sql.end({ timeout: 5 }),
  };
}
