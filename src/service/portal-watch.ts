/** What requests show of the right to make them: whether the portal refuses the key, and from which rate on it complains. */
import type { Logger } from '../core/log.ts';
import { type FlowluClient, type RequestEvent, readRights } from '../flowlu/client.ts';
import type { Sql } from '../postgres/connection.ts';
import { forget, knownFacts, lastFact, measure, noteRefusal, PORTAL } from '../store/measurements.ts';

export interface PortalWatch {
  readonly onRequest: (event: RequestEvent) => void;
  /** Whether it makes sense to ask: a key that is refused is tried again now and then only. */
  mayAsk(): Promise<boolean>;
}

/** How often a key that is refused is tried again: somebody may have given it its rights back. */
const RETRY_REFUSED_MS = 10 * 60_000;
const THROTTLED_EVERY_MS = 10 * 60_000;

export function watchPortal(options: {
  readonly sql: Sql;
  readonly log: Logger;
  readonly requestsPerSecond: number;
}): PortalWatch {
  const { sql, log, requestsPerSecond } = options;
  /** Null until a request of this process has shown it. */
  let isRefused: boolean | null = null;
  let retryAtMs = Number.NEGATIVE_INFINITY;
  let throttledAtMs = Number.NEGATIVE_INFINITY;
  const keep = (noting: Promise<void>) => {
    noting.catch((err) => log.warn({ err }, 'what the portal does could not be kept'));
  };

  return {
    onRequest({ outcome, problem }) {
      if (outcome === 'unauthorized') {
        if (isRefused !== true) log.error({ problem }, 'Flowlu refuses the API key: make a new one');
        isRefused = true;
        // Each time: a process with another key may have taken it back meanwhile.
        keep(noteRefusal(sql, problem ?? 'unauthorized'));
      }
      if (outcome === 'ok' && isRefused !== false) {
        isRefused = false;
        keep(forget(sql, PORTAL, 'refused'));
      }
      if (outcome === 'rate_limited' && performance.now() - throttledAtMs > THROTTLED_EVERY_MS) {
        throttledAtMs = performance.now();
        keep(measure(sql, PORTAL, { throttled_at: requestsPerSecond }));
      }
    },
    async mayAsk() {
      if ((await lastFact(sql, PORTAL, 'refused')) === null) return true;
      // Perhaps noted by a process with another key: the next answer tells.
      isRefused ||= null;
      if (performance.now() < retryAtMs) return false;
      retryAtMs = performance.now() + RETRY_REFUSED_MS;
      return true;
    },
  };
}

/** Notes whose rights the requests have, unless that was asked in the last day. */
export async function noteRights(sql: Sql, client: FlowluClient, log: Logger, signal: AbortSignal): Promise<void> {
  try {
    if ((await knownFacts(sql, PORTAL)).rights !== undefined) return;
    await measure(sql, PORTAL, { rights: await readRights(client, signal) });
  } catch (err) {
    log.debug({ err }, 'the portal does not tell whose rights are used');
  }
}
