/** Waiting for the first webhook, as far as there is somebody to receive it. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Config } from '../config/index.ts';
import { sleep } from '../core/time.ts';
import { serviceConnections } from '../migrate/health.ts';
import type { Sql } from '../postgres/connection.ts';
import { authorityOf } from '../service/server.ts';
import { refusedFinding } from '../status/counted.ts';
import { span } from '../status/words.ts';
import { arrivalFacts } from '../store/deliveries/reports.ts';
import { readCounts } from '../store/measurements.ts';
import { fail, ok, type Report } from './check.ts';

const WEBHOOK_MAX_MS = 10 * 60_000;
const WEBHOOK_POLL_MS = 500;
const CONNECT_MAX_MS = 3_000;

export async function waitForWebhook(
  sql: Sql,
  { config: { http }, signal, say }: { config: Config; signal: AbortSignal; say: (text: string) => void },
  report: Report,
): Promise<void> {
  // One that lets its database sleep has no connection; one on another machine has no port here.
  if (!((await isListening(http)) || (await serviceConnections(sql)).size > 0)) {
    const found = `no \`serve\` is running here: nothing listens on ${authorityOf(http.host, http.port)}`;
    return report(fail('webhook', found, 'start it in another terminal, then run this again: flowlu-mirror serve'));
  }
  const look = async () => ({
    last: (await arrivalFacts(sql)).last_received_at,
    refused: await readCounts(sql, 'refused'),
  });
  const before = await look();
  const seen = new Map(before.refused.map(({ name, at }) => [name, at]));
  say('waiting for a webhook: change something in Flowlu (Ctrl-C ends the waiting)');
  const endAt = performance.now() + WEBHOOK_MAX_MS;
  for (; performance.now() < endAt; await sleep(WEBHOOK_POLL_MS, signal)) {
    const { last, refused } = await look();
    if (last !== null && last !== before.last)
      return report(ok('webhook', 'one has arrived and is stored: Flowlu and the mirror are connected'));
    for (const news of refused.filter(({ name, at }) => seen.get(name) !== at)) {
      seen.set(news.name, news.at);
      const { severity, sentence, remedy } = refusedFinding(news, news.at);
      if (severity !== 'note') return report(fail('webhook', sentence, remedy));
      // Anybody may send one at any time, so the right one may still come.
      say(`${sentence}; still waiting`);
    }
  }
  const advice = 'look at the address in Flowlu, at the proxy in front, and at the log of `serve`';
  report(fail('webhook', `none within ${span(WEBHOOK_MAX_MS / 1_000)}`, advice));
}

/** Whether something listens where `serve` would; an address for all interfaces is reached on this machine. */
async function isListening({ host, port }: Config['http']): Promise<boolean> {
  const anywhere: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  const socket = connect({ host: anywhere[host] ?? host, port });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_MAX_MS) });
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
