/** Sends changes as webhooks the way a real portal does: mostly, sometimes twice, not always in order. */
import { setTimeout as sleep } from 'node:timers/promises';
import { webhookName, withEntities } from './as-seen.ts';
import { type Faults, faultCheck } from './faults.ts';
import { type SimRecord, toJson, type Value } from './json.ts';
import type { Change, Portal } from './portal.ts';
import { present, presentationOf } from './present.ts';
import { between, chance, type Random } from './random.ts';

export interface WebhookOptions {
  url: string;
  headers: Record<string, string>;
  /** `live` sends every change by itself; `manual` leaves it to the test. */
  mode: 'live' | 'manual';
  /** 0..1, of all deliveries. */
  dropRate: number;
  /** 0..1, of the deliveries that are sent. */
  duplicateRate: number;
  disorder: {
    /** Each delivery waits a random time up to this. */
    maxDelayMs: number;
    /** Each delivery may be overtaken by about this many later ones. */
    window: number;
  };
  concurrency: number;
  timeoutMs: number;
  /** Further attempts after a network error, a time-out, 429 or 5xx; none after other answers. */
  retries: number;
}

export interface WebhookStats {
  sent: number;
  dropped: number;
  duplicated: number;
  /** Given up after all attempts. */
  failed: number;
  retried: number;
  /** Answers by HTTP status, 0 for no answer. */
  readonly statuses: Record<number, number>;
}

export interface BodyOptions {
  /** Names of fields to leave out, as a narrower scope would; true leaves out every custom field and all `*_id` links. */
  scopeTrim?: true | readonly string[];
  /** Spell custom fields `cf_{alias}` whatever their definitions say. */
  aliasSpelling?: boolean;
  /** As the automation of a pipeline sends it: the record alone, and nothing about it. */
  automation?: true;
  /** How "nothing" is spelt. */
  nothing?: null | 'object' | 'array';
}

export interface WebhookSender {
  /** Changes any of the options; live sending starts with the next change. */
  configure(options: Partial<WebhookOptions>): void;
  readonly options: Readonly<WebhookOptions>;
  readonly stats: WebhookStats;
  /** Sends one change now, without loss or disorder; resolves to the HTTP status, 0 for no answer. */
  send(change: Change, options?: BodyOptions): Promise<number>;
  body(change: Change, options?: BodyOptions): string;
  /** Deliveries waiting or in flight. */
  pending(): number;
  /** Lets everything that waits go out and resolves when nothing is left. Rejects after `timeoutMs` (default 60 s). */
  drain(timeoutMs?: number): Promise<void>;
  close(): void;
}

const QUEUE_LIMIT = 1_000_000;
/** What stays behind in the shuffle window goes out after this much quiet. */
const WINDOW_IDLE_MS = 250;
const RETRY_BASE_MS = 50;

interface Delivery {
  readonly change: Change;
  readonly dueAt: number;
}

/** The exact JSON text of a change's webhook. */
function webhookBody(
  portal: Portal,
  faults: Faults,
  random: Random,
  change: Change,
  options: BodyOptions = {},
): string {
  const { scopeTrim, aliasSpelling = false, nothing = null } = options;
  const check = faultCheck(faults, { model: change.name, method: 'get' }, random);
  const how = presentationOf(check, 'get', portal.aliases(change.name, 'webhook', aliasSpelling));
  const spellsEntities = check.hits('webhookEntities');
  const outside = (key: string): boolean => {
    if (key === 'id' || scopeTrim === undefined) return false;
    return scopeTrim === true ? key.startsWith('cf_') || key.endsWith('_id') : scopeTrim.includes(key);
  };
  const show = (record: SimRecord | null): unknown => {
    if (record === null) return nothing === null ? null : nothing === 'object' ? {} : [];
    const kept =
      scopeTrim === undefined ? record : Object.fromEntries(Object.entries(record).filter(([key]) => !outside(key)));
    const shown = present(change.name, kept, how, 'get');
    if (!spellsEntities) return shown;
    return Object.fromEntries(Object.entries(shown).map(([key, value]): [string, Value] => [key, withEntities(value)]));
  };
  const { action } = change;
  const [module, model] = check.hits('webhookNames')
    ? webhookName(change.name, change.current ?? change.previous)
    : [change.module, change.model];
  const current = show(change.current);
  if (options.automation === true) return toJson({ current });
  return toJson({ meta: { module, model, action }, current, previous: show(change.previous) });
}

export function createWebhookSender(portal: Portal, faults: Faults, random: Random): WebhookSender {
  const options: WebhookOptions = {
    url: '',
    headers: {},
    mode: 'manual',
    dropRate: 0,
    duplicateRate: 0,
    disorder: { maxDelayMs: 0, window: 0 },
    concurrency: 4,
    timeoutMs: 10_000,
    retries: 0,
  };
  const stats: WebhookStats = { sent: 0, dropped: 0, duplicated: 0, failed: 0, retried: 0, statuses: {} };
  const closing = new AbortController();
  /** Shuffle window; those that leave it join the queue. */
  const held: Delivery[] = [];
  /** Sorted by due time. */
  const queue: Delivery[] = [];
  let inFlight = 0;
  let wakeUp: NodeJS.Timeout | undefined;
  let flush: NodeJS.Timeout | undefined;

  const body = (change: Change, bodyOptions?: BodyOptions): string =>
    webhookBody(portal, faults, random, change, bodyOptions);

  const post = async (text: string, url: string): Promise<number> => {
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...options.headers },
        body: text,
        redirect: 'manual',
        signal: AbortSignal.any([closing.signal, AbortSignal.timeout(options.timeoutMs)]),
      });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return 0;
    }
  };

  const send = async (change: Change, bodyOptions?: BodyOptions): Promise<number> => {
    const text = body(change, bodyOptions);
    const url = bodyOptions?.automation === true ? `${options.url}/${change.name}` : options.url;
    for (let attempt = 0; ; attempt++) {
      const status = await post(text, url);
      stats.statuses[status] = (stats.statuses[status] ?? 0) + 1;
      const retryable = status === 0 || status === 429 || status >= 500;
      if (!retryable || attempt >= options.retries || closing.signal.aborted) {
        if (status >= 200 && status < 300) stats.sent++;
        else stats.failed++;
        return status;
      }
      stats.retried++;
      await sleep(RETRY_BASE_MS * 2 ** Math.min(attempt, 6), undefined, { signal: closing.signal }).catch(
        () => undefined,
      );
    }
  };

  const pump = (): void => {
    clearTimeout(wakeUp);
    while (inFlight < options.concurrency && !closing.signal.aborted) {
      const next = queue[0];
      if (next === undefined) return;
      const wait = next.dueAt - Date.now();
      if (wait > 0) {
        wakeUp = setTimeout(pump, wait);
        return;
      }
      queue.shift();
      inFlight++;
      void send(next.change).finally(() => {
        inFlight--;
        pump();
      });
    }
  };

  const enqueue = (delivery: Delivery): void => {
    let position = queue.length;
    while (position > 0 && (queue[position - 1] as Delivery).dueAt > delivery.dueAt) position--;
    queue.splice(position, 0, delivery);
  };

  const releaseDownTo = (size: number): void => {
    while (held.length > size) enqueue(held.splice(between(random, 0, held.length - 1), 1)[0] as Delivery);
    pump();
  };

  const offer = (change: Change): void => {
    if (chance(random, options.dropRate) || queue.length + held.length >= QUEUE_LIMIT) {
      stats.dropped++;
      return;
    }
    const copies = chance(random, options.duplicateRate) ? 2 : 1;
    stats.duplicated += copies - 1;
    for (let copy = 0; copy < copies; copy++) {
      held.push({ change, dueAt: Date.now() + random() * options.disorder.maxDelayMs });
    }
    releaseDownTo(options.disorder.window);
    clearTimeout(flush);
    if (held.length > 0) flush = setTimeout(() => releaseDownTo(0), WINDOW_IDLE_MS);
  };

  const stopListening = portal.onChange((change) => {
    if (options.mode === 'live' && options.url !== '') offer(change);
  });

  const pending = (): number => held.length + queue.length + inFlight;

  return {
    options,
    stats,
    send,
    body,
    pending,
    configure: (wanted) => {
      Object.assign(options, wanted);
      pump();
    },
    drain: async (timeoutMs = 60_000) => {
      releaseDownTo(0);
      const deadline = Date.now() + timeoutMs;
      while (pending() > 0) {
        if (Date.now() > deadline) throw new Error(`${pending()} webhooks still under way after ${timeoutMs} ms`);
        await sleep(5);
      }
    },
    close: () => {
      stopListening();
      clearTimeout(wakeUp);
      clearTimeout(flush);
      held.length = 0;
      queue.length = 0;
      closing.abort();
    },
  };
}
