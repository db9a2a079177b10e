/** What requests show of the portal: whether it refuses the key, from which rate on it complains, and whether it answers. */
import type { Logger } from '../core/log.ts';
import { onceIn } from '../core/time.ts';
import { type FlowluClient, type RequestEvent, readRights } from '../flowlu/client.ts';
import { UNANSWERED } from '../flowlu/errors.ts';
import type { Sql } from '../postgres/connection.ts';
import { forget, knownFacts, measure, noteTrouble, PORTAL, portalTroubles } from '../store/measurements.ts';

export type PortalWatch = ReturnType<typeof watchPortal>;

/** How often a key that is refused is tried again: somebody may have given it its rights back. */
const RETRY_REFUSED_MS = 10 * 60_000;
const THROTTLED_EVERY_MS = 10 * 60_000;
/** Without any answer for so long, Flowlu is silent. */
const SILENT_MS = 30_000;
/** A request that has timed out has taken that long by itself, and may succeed when it is repeated. */
const REPEATED_MS = 5_000;
/** How often the silence is noted anew: another process may have had an answer meanwhile, and have ended since. */
const SILENT_AGAIN_MS = 10 * 60_000;

/** @param byKey whether a refusal is one of the API key; a login that is refused is renewed, or noted with its grant */
export function watchPortal(options: {
  readonly sql: Sql;
  readonly log: Logger;
  readonly requestsPerSecond: number;
  readonly byKey: boolean;
  readonly silentMs?: number;
  readonly repeatedMs?: number;
}) {
  const { sql, log, requestsPerSecond, byKey, silentMs = SILENT_MS, repeatedMs = REPEATED_MS } = options;
  /** Null until a request of this process has shown it. */
  let isRefused: boolean | null = null;
  let isSilent: boolean | null = null;
  const isTriedNow = onceIn(RETRY_REFUSED_MS);
  const isThrottlingNew = onceIn(THROTTLED_EVERY_MS);
  let answeredAtMs = Number.NEGATIVE_INFINITY;
  /** Requests that fail, as long as none succeeds. */
  let failing: { readonly sinceMs: number; words: string; timer: NodeJS.Timeout } | null = null;
  let noting = Promise.resolve();
  /** In order, or an end could be overtaken by the beginning that it ends. */
  const keep = (note: () => Promise<void>) => {
    noting = noting.then(note).catch((err) => log.warn({ err }, 'what the portal does could not be kept'));
  };

  function failed({ method, status, outcome, problem, duration_ms }: RequestEvent): void {
    // One record may be broken at Flowlu, and asked for again and again while all others are right.
    if (method === 'get' && status !== null) return;
    const words = problem ?? outcome;
    if (failing !== null) {
      failing.words = words;
      return;
    }
    const sinceMs = Math.max(performance.now() - duration_ms, answeredAtMs);
    const waitMs = Math.max(repeatedMs, sinceMs + silentMs - performance.now());
    failing = { sinceMs, words, timer: setTimeout(noteSilence, waitMs).unref() };
  }

  function noteSilence(): void {
    if (failing === null) return;
    const { sinceMs, words } = failing;
    if (isSilent !== true) log.error({ problem: words }, 'no request to Flowlu succeeds');
    isSilent = true;
    keep(() => noteTrouble(sql, 'unanswered', words, performance.now() - sinceMs));
    failing.timer = setTimeout(noteSilence, SILENT_AGAIN_MS).unref();
  }

  function answered(): void {
    answeredAtMs = performance.now();
    if (failing !== null) clearTimeout(failing.timer);
    failing = null;
    if (isSilent === false) return;
    isSilent = false;
    keep(() => forget(sql, PORTAL, 'unanswered'));
  }

  return {
    onRequest(event: RequestEvent): void {
      const { outcome, problem } = event;
      if (UNANSWERED.has(outcome)) failed(event);
      else if (outcome !== 'aborted') answered();
      if (outcome === 'unauthorized' && byKey) {
        if (isRefused !== true) log.error({ problem }, 'Flowlu refuses the API key: make a new one');
        isRefused = true;
        // Each time: a process with another key may have taken it back meanwhile.
        keep(() => noteTrouble(sql, 'refused', problem ?? 'unauthorized'));
      }
      if (outcome === 'ok' && isRefused !== false) {
        isRefused = false;
        keep(() => forget(sql, PORTAL, 'refused'));
      }
      if (outcome === 'rate_limited' && isThrottlingNew()) {
        keep(() => measure(sql, PORTAL, { throttled_at: requestsPerSecond }));
      }
    },
    /** Resolves when everything is kept; what comes after it must not need the database. */
    settled: (): Promise<void> => noting,
    /** Whether it makes sense to ask: a key that is refused is tried again now and then only. */
    async mayAsk(): Promise<boolean> {
      const { refused, unanswered } = await portalTroubles(sql);
      // Perhaps noted by another process, which may have ended: the next answer tells.
      if (unanswered !== undefined) isSilent ||= null;
      if (refused === undefined || !byKey) return true;
      // The same, of one with another key.
      isRefused ||= null;
      return isTriedNow();
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
