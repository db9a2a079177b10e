/**
 * `POST /webhooks/flowlu`: from a request to a committed delivery, and the answer that tells so.
 *
 * Answers Node's own requests instead of Hono's: making a web `Request` and `Response` of them costs more than all else
 * that is done for a delivery here (docs/decisions.md). Everything else of the service is Hono's.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../core/log.ts';
import { onceIn, TimeoutError, withTimeout } from '../core/time.ts';
import { type Accepted, readAutomation, readDelivery, readForm } from '../delivery/delivery.ts';
import { protectDelivery } from '../delivery/protect.ts';
import { type Cause, causeOf } from '../postgres/causes.ts';
import type { Privacy } from '../privacy/policy.ts';
import { QueueFullError } from './batcher.ts';
import { BodyTooLargeError, NoRoomError, type Room, readBody } from './body.ts';
import { createGate, type GateOptions } from './gate.ts';
import { createRefusals } from './refusals.ts';
import { createRefusedKinds, type RefusedKind } from './refused.ts';

/** Carries the secret where the path does not; in small letters, as Node has it. */
export const SECRET_HEADER = 'x-webhook-secret';

/** The routes, as docs and metrics name them. */
export const WEBHOOK_ROUTES = { header: '/webhooks/flowlu', path: '/webhooks/flowlu/:secret' } as const;
type Route = (typeof WEBHOOK_ROUTES)[keyof typeof WEBHOOK_ROUTES];

export type IntakeOutcome =
  | 'accepted'
  | 'rejected'
  | 'unauthorized'
  | 'guessing'
  | 'foreign'
  | 'too_large'
  | 'not_json'
  | 'unavailable'
  | 'wrong_method'
  /** HEAD or OPTIONS with the right secret, as senders and uptime checks ask before or beside. */
  | 'probed'
  /** An address that is nearly a webhook's. */
  | 'misdirected';

export interface IntakeOptions {
  readonly gate: GateOptions;
  readonly bodyLimitBytes: number;
  /** What must not be stored is taken out before anybody else sees it. */
  readonly privacy?: Privacy | null;
  /** Longest wait for the commit before the sender is told to come again. */
  readonly timeoutMs: number;
  readonly record: (accepted: Accepted) => Promise<string>;
  readonly log: Logger;
  readonly onAnswer?: (answered: {
    readonly outcome: IntakeOutcome;
    readonly route: Route;
    readonly status: number;
    readonly seconds: number;
    /** How it counts where it was refused. */
    readonly refused: RefusedKind | null;
  }) => void;
}

interface Answer {
  readonly outcome: IntakeOutcome;
  readonly status: number;
  readonly body: { readonly accepted: boolean; readonly delivery?: string; readonly error?: string };
  readonly headers?: Readonly<Record<string, string>>;
}

const refuse = (outcome: IntakeOutcome, status: number, error: string, headers = {}): Answer => ({
  outcome,
  status,
  body: { accepted: false, error },
  headers,
});

const WRONG_METHOD = refuse('wrong_method', 405, 'webhooks come by POST: choose that method where it is sent from', {
  Allow: 'POST',
});
const MAY_POST = { Allow: 'POST, HEAD, OPTIONS' };
const PROBED: Answer = { outcome: 'probed', status: 200, body: { accepted: false }, headers: MAY_POST };
const MISDIRECTED = refuse(
  'misdirected',
  404,
  'no webhook has this address: it is /webhooks/flowlu/SECRET, for automations /webhooks/flowlu/SECRET/MODULE.MODEL',
);
const NOT_TEXT = refuse('not_json', 400, 'the body is not text in UTF-8: send JSON as it is, not compressed');
const NOT_JSON = refuse(
  'not_json',
  400,
  "the body is not JSON: choose application/json where it is sent from; a form is taken where the address ends in MODULE.MODEL and the form has the record's id",
);
const SLOW = 'look at the load and the disk of the database';
const BUSY: Cause = { cause: 'too much is on its way in', remedy: SLOW };
const LATE: Cause = { cause: 'it was not stored in time', remedy: SLOW };

function whyNow(error: unknown): Cause {
  if (error instanceof QueueFullError || error instanceof NoRoomError) return BUSY;
  return error instanceof TimeoutError ? LATE : causeOf(error);
}

const WARNED_EVERY_MS = 60_000;
/** Bytes that may have arrived of bodies that are on their way in, in one process; one body, and small ones, always may. */
const MAX_RECEIVING_BYTES = 32 * 2 ** 20;

const HEAVY_LENGTH = 65_536;

/** Makes a function that answers a request that is for the intake; false, and untouched, where it is not. */
export function createIntake(options: IntakeOptions): (request: IncomingMessage, response: ServerResponse) => boolean {
  const judge = createGate(options.gate);
  const room: Room = { bytes: 0, max: MAX_RECEIVING_BYTES };
  const refusals = createRefusals(options.log);
  const refusedKind = createRefusedKinds(options.gate.secrets);

  function comeAgain(error: Error): Answer {
    const why = whyNow(error);
    refusals.refused(why, error);
    return refuse('unavailable', 503, `${why.cause}; send it again`, { 'Retry-After': '5' });
  }

  async function receive(request: IncomingMessage, model: string | undefined): Promise<Accepted | Answer> {
    let body: string;
    try {
      body = await readBody(request, options.bodyLimitBytes, room);
    } catch (error) {
      if (error instanceof NoRoomError) return comeAgain(error);
      if (!(error instanceof BodyTooLargeError)) return NOT_TEXT;
      return refuse('too_large', 413, `a body may have ${options.bodyLimitBytes} bytes at most`);
    }
    if (body.length > HEAVY_LENGTH) await nextTurn();
    const read = model === undefined ? readDelivery(body) : readAutomation(body, model);
    return read ?? readForm(body, model) ?? NOT_JSON;
  }

  /** Heavy bodies are read one in a turn of the event loop, so that whoever sends a small one waits for one of them only. */
  let turns = Promise.resolve();
  function nextTurn(): Promise<void> {
    turns = turns.then(() => new Promise((resolve) => setImmediate(resolve)));
    return turns;
  }

  /** The answer to what is refused, or has no body. */
  function answerWithoutBody(request: IncomingMessage, secret: string | undefined): Answer | null {
    const isProbe = request.method === 'HEAD' || request.method === 'OPTIONS';
    if (request.method !== 'POST' && !isProbe) return WRONG_METHOD;
    const forwardedFor = request.headers['x-forwarded-for'] as string | undefined;
    const refusal = judge({ peer: request.socket.remoteAddress, forwardedFor, secret });
    if (refusal !== null) return refuse(refusal.outcome, refusal.status, refusal.error, refusal.headers);
    return isProbe ? PROBED : null;
  }

  async function answerTo(request: IncomingMessage, { secret, model }: Target): Promise<Answer> {
    const early = answerWithoutBody(request, secret);
    if (early !== null) return early;
    const reading = await receive(request, model);
    if ('status' in reading) return reading;
    try {
      const accepted = options.privacy ? protectDelivery(reading, options.privacy) : reading;
      const headers = keptHeaders(request.headers, options.gate.secrets);
      const delivery = await withTimeout(options.record({ ...accepted, headers }), options.timeoutMs);
      refusals.stored();
      if (reading.announcement !== null)
        return { outcome: 'accepted', status: 200, body: { accepted: true, delivery } };
      return { outcome: 'rejected', status: 422, body: { accepted: false, error: reading.rejection, delivery } };
    } catch (error) {
      return comeAgain(error as Error);
    }
  }

  const isWarnedNow = onceIn(WARNED_EVERY_MS);
  function misdirected(): Answer {
    if (isWarnedNow())
      options.log.warn(
        "a request came to an address that is nearly a webhook's: it must be /webhooks/flowlu/SECRET, or end in /MODULE.MODEL for automations",
      );
    return MISDIRECTED;
  }

  return (request, response) => {
    const target = targetOf(request);
    if (target === null && !isNear(request)) return false;
    const startedAt = performance.now();
    const route = target?.route ?? WEBHOOK_ROUTES.header;
    (target === null ? Promise.resolve(misdirected()) : answerTo(request, target))
      .then(({ outcome, status, body, headers }) => {
        send(response, status, body, headers);
        const refused = refusedKind(outcome, request.url ?? '', target?.secret);
        options.onAnswer?.({ outcome, route, status, seconds: (performance.now() - startedAt) / 1_000, refused });
      })
      .catch((error) => {
        options.log.error({ err: error }, 'a webhook could not be answered');
        response.destroy();
      });
    return true;
  };
}

interface Target {
  readonly route: Route;
  readonly secret: string | undefined;
  /** `module.model` at the end of an address for automations. */
  readonly model?: string | undefined;
}

/** Which route is meant, and with which secret; null where it is none of the intake's. */
function targetOf(request: IncomingMessage): Target | null {
  const url = request.url ?? '';
  if (!url.startsWith(WEBHOOK_ROUTES.header)) return null;
  const query = url.indexOf('?');
  // One slash at the end is a habit of people and forms.
  const rest = url.slice(WEBHOOK_ROUTES.header.length, query < 0 ? undefined : query).replace(/\/$/, '');
  if (rest === '') {
    const header = request.headers[SECRET_HEADER];
    return { route: WEBHOOK_ROUTES.header, secret: typeof header === 'string' ? header : undefined };
  }
  const [, secret, ...name] = rest.split('/');
  if (!rest.startsWith('/') || !secret || name.includes('') || name.length > 2) return null;
  // Some write a slash instead of the dot.
  return {
    route: WEBHOOK_ROUTES.path,
    secret: decoded(secret),
    model: name.length > 0 ? decoded(name.join('.')) : undefined,
  };
}

/** A POST to something like `/webhook/flowlu/…` or `/webhooks/flowlu//…`: none of the intake's, but somebody has meant one. */
const isNear = ({ method, url = '' }: IncomingMessage) => method === 'POST' && /^\/+(?:api\/)?webhooks?\b/i.test(url);

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // A broken escape is no secret.
    return undefined;
  }
}

function send(response: ServerResponse, status: number, body: Answer['body'], headers: Answer['headers']): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
}

/** Headers of a delivery that may teach what Flowlu sends: who calls, and anything like an id, a signature or a count. */
const KEPT =
  /^user-agent$|^content-type$|(^|-)(id|uuid|signature|sign|hmac|digest|hash|event|delivery|webhooks?|flowlu|aspro|attempt|retry|timestamp|nonce|version)(-|$)/;
const SECRET = /auth|cookie|secret|token|key|pass|session/;
const MAX_HEADERS = 12;
const MAX_LENGTH = 200;

/** @param secrets whose values are kept under no name */
function keptHeaders(headers: IncomingHttpHeaders, secrets: readonly string[]): Readonly<Record<string, string>> {
  const kept = Object.entries(headers).flatMap(([name, value]) => {
    const isKept = typeof value === 'string' && name.length <= MAX_LENGTH && KEPT.test(name) && !SECRET.test(name);
    const isSafe = isKept && !secrets.some((secret) => value.includes(secret));
    // jsonb cannot hold U+0000; Node lets no other control character but the tab through.
    return isSafe ? [[name, value.slice(0, MAX_LENGTH).replaceAll('\0', '')] as const] : [];
  });
  return Object.fromEntries(kept.slice(0, MAX_HEADERS));
}
