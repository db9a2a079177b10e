/** Webhooks as each side expects them, of one length, each entity's versions rising by a second a change. */
import { createHmac } from 'node:crypto';
import { flowluTime, peerCustomer, recordMaker, versionSeconds, WEBHOOK_MODEL } from './rows.ts';

/** What an endpoint expects. */
export type Dialect =
  /** Ours, also for the HTTP stack without a database. */
  'flowlu' | 'peer';

/** One webhook, ready to be sent. */
export interface Event {
  readonly id: number;
  readonly change: number;
  readonly body: string;
  readonly headers: string;
}

export interface EventSource {
  next(): Event;
}

export interface EventOptions {
  readonly dialect: Dialect;
  readonly secret: string;
  /** So many entities change in turn; null: each event is about a new one. */
  readonly hotIds: number | null;
  /** `rising`: every change has a later version; `now`: the real second, so that most are equal. */
  readonly versions: 'rising' | 'now';
}

/** Bytes of every body. */
export const BODY_BYTES = 1_900;
const FLOWLU_ENVELOPE_BYTES = 90;
const PEER_ENVELOPE_BYTES = 300;

const created = recordMaker(WEBHOOK_MODEL, BODY_BYTES - FLOWLU_ENVELOPE_BYTES);
const changed = recordMaker(WEBHOOK_MODEL, (BODY_BYTES - FLOWLU_ENVELOPE_BYTES) / 2);
const peerFiller = (({ description }) => String(description))(
  peerCustomer(1_000_000, 0, BODY_BYTES - PEER_ENVELOPE_BYTES),
);

/** Entities are numbered through over all measures, so that a new one is new. */
let nextId = 1_000_000;
/** First id of the entities that change in turn, and how often each has changed. */
const HOT_FROM = 500_000;
const changes = new Map<string, number>();

/** An endless source of events. */
export function eventSource(options: EventOptions): EventSource {
  const make = options.dialect === 'peer' ? peerEvent : flowluEvent;
  let turn = 0;
  return {
    next() {
      if (options.hotIds === null) {
        nextId += 1;
        return make(nextId, 0, options);
      }
      turn = (turn + 1) % options.hotIds;
      const key = `${options.dialect} ${options.versions} ${turn}`;
      const change = (changes.get(key) ?? 0) + 1;
      changes.set(key, change);
      // Entities whose versions rise and entities whose versions tie must not be the same.
      return make(HOT_FROM + turn + (options.versions === 'now' ? 10_000 : 0), change, options);
    },
  };
}

function flowluEvent(id: number, change: number, { secret, versions }: EventOptions): Event {
  const time = (at: number) => flowluTime(versions === 'now' ? Date.now() / 1_000 : versionSeconds(at));
  const maker = change === 0 ? created : changed;
  const previous = change === 0 ? '{}' : maker.json(id, change - 1, time(change - 1));
  const { module, model } = maker.model;
  const action = change === 0 ? 'create' : 'update';
  const meta = `{"module":"${module}","model":"${model}","action":"${action}"}`;
  const body = `{"meta":${meta},"current":${maker.json(id, change, time(change))},"previous":${previous}}`;
  return { id, change, body, headers: `x-webhook-secret: ${secret}\r\n` };
}

function peerEvent(id: number, change: number, { secret }: EventOptions): Event {
  const customer = { ...peerCustomer(id, change, 0), description: peerFiller };
  const at = versionSeconds(change);
  const body =
    `{"id":"evt_${id}_${change}","object":"event","api_version":"2020-08-27","created":${at},` +
    `"data":{"object":${JSON.stringify(customer)}},"livemode":false,"pending_webhooks":1,` +
    `"request":{"id":null,"idempotency_key":null},"type":"customer.updated"}`;
  const now = Math.floor(Date.now() / 1_000);
  const signature = createHmac('sha256', secret).update(`${now}.${body}`).digest('hex');
  return { id, change, body, headers: `stripe-signature: t=${now},v1=${signature}\r\n` };
}
