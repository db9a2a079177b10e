/** Senders of webhooks over many connections, and a record of what was acknowledged. */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Sql } from '../../src/postgres/connection.ts';
import { SECRET } from './processes.ts';

/** An answer: its status (0 for none within the time-out), its words, and the delivery's id on 200. */
export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly delivery: string | null;
  readonly retryAfter: number | null;
}

const TIMEOUT_MS = 15_000;

/** Posts one body. Never throws: no answer is status 0. */
export function post(url: string, body: string, agent?: Agent): Promise<Answer> {
  return new Promise((resolve) => {
    const done = (status: number, text = '', retryAfter: string | undefined = undefined) => {
      const delivery = status === 200 ? (JSON.parse(text) as { delivery: string }).delivery : null;
      const after = retryAfter === undefined ? null : Number(retryAfter);
      resolve({ status, text, delivery, retryAfter: after });
    };
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const target = `${url}/webhooks/flowlu/${SECRET}`;
    const sending = request(target, { method: 'POST', headers, timeout: TIMEOUT_MS, ...(agent && { agent }) });
    sending.on('timeout', () => sending.destroy());
    sending.on('error', () => done(0));
    sending.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      // A killed process cuts answers short: such a one acknowledges nothing.
      response.on('end', () =>
        response.complete ? done(response.statusCode ?? 0, text, response.headers['retry-after']) : done(0),
      );
      response.on('error', () => done(0));
      response.on('close', () => done(0));
    });
    sending.end(body);
  });
}

export interface Load {
  /** Bodies by the id of the delivery that acknowledged them. */
  readonly acknowledged: ReadonlyMap<string, string>;
  readonly answers: readonly Answer[];
  stop(): Promise<void>;
}

export interface LoadOptions {
  /** Where to send now; null while there is nobody. */
  readonly target: () => string | null;
  /** The next body. */
  readonly next: () => string;
  readonly connections: number;
  /** Pause of a connection between two deliveries. */
  readonly pauseMs?: number;
  /** How often a delivery without a 200 is sent again. Default 0. */
  readonly repeats?: () => number;
}

/** Sends until it is stopped. */
export function startLoad({ target, next, connections, pauseMs = 0, repeats = () => 0 }: LoadOptions): Load {
  const acknowledged = new Map<string, string>();
  const answers: Answer[] = [];
  let stopped = false;
  const agent = new Agent({ keepAlive: true, maxSockets: connections });

  async function deliver(body: string): Promise<void> {
    for (let left = repeats(); left >= 0 && !stopped; left -= 1) {
      const url = target();
      if (url !== null) {
        const answer = await post(url, body, agent);
        answers.push(answer);
        if (answer.delivery !== null) acknowledged.set(answer.delivery, body);
        if (answer.status === 200) return;
      }
      await sleep(20);
    }
  }

  async function sender(): Promise<void> {
    while (!stopped) {
      if (target() === null) {
        await sleep(10);
        continue;
      }
      await deliver(next());
      if (pauseMs > 0) await sleep(pauseMs);
    }
  }

  const senders = Array.from({ length: connections }, sender);
  return {
    acknowledged,
    answers,
    async stop() {
      stopped = true;
      await Promise.all(senders);
      agent.destroy();
    },
  };
}

/** What is wrong with the ledger: acknowledged deliveries that it lacks, holds otherwise, or has not dealt with. */
export async function ledgerProblems(sql: Sql, acknowledged: ReadonlyMap<string, string>): Promise<readonly string[]> {
  const rows = await sql`select id::text as id, status, body, reason from sync.deliveries`;
  const ledger = new Map(rows.map((row) => [row.id as string, row]));
  const problems: string[] = [];
  for (const [id, body] of acknowledged) {
    const row = ledger.get(id);
    if (row === undefined) problems.push(`delivery ${id} was acknowledged and is not in the ledger`);
    else if (row.body !== body) problems.push(`delivery ${id} has another body`);
  }
  for (const [id, { status, reason }] of ledger) {
    if (status !== 'applied') problems.push(`delivery ${id} is ${status}: ${reason}`);
  }
  return problems;
}

/**
 * As if a minute had passed for the scheduler, whose sweeps of one model begin half a minute apart. What a service is
 * writing just now stays.
 */
export async function letAMinutePass(sql: Sql): Promise<void> {
  await sql`
    update sync.schedule set swept_from = swept_from - interval '1 minute', retry_at = retry_at - interval '1 minute'
     where model in (select model from sync.schedule for update skip locked)`;
}
