/** `POST /webhooks/flowlu`: from a request to a committed delivery, and the answer that tells so. */
import type { IncomingMessage } from 'node:http';
import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import type { Logger } from '../log.ts';
import { BodyTooLargeError, readBody } from './body.ts';
import { type Accepted, readAnnouncement, WrongShapeError } from './delivery.ts';
import { createSecretCheck } from './secret.ts';

/** The routes read from Node's own request, so they run on Node's HTTP server only. */
type NodeServer = { Bindings: HttpBindings };

export interface IntakeOptions {
  readonly secrets: readonly string[];
  readonly bodyLimitBytes: number;
  /** Longest wait for the commit before the sender is told to come again. */
  readonly timeoutMs: number;
  /** Resolves with the delivery's id once it is committed. */
  readonly record: (accepted: Accepted) => Promise<string>;
  readonly log: Logger;
  /** Told how each request ended. */
  readonly onAnswer?: (
    status: 'accepted' | 'rejected' | 'unauthorized' | 'too_large' | 'not_json' | 'unavailable',
  ) => void;
}

const RETRY_AFTER_SECONDS = '5';

/** The routes of webhooks; to be mounted at the root. */
export function intakeRoutes(options: IntakeOptions): Hono<NodeServer> {
  const isAccepted = createSecretCheck(options.secrets);
  const app = new Hono<NodeServer>();

  const handle = async (context: Context<NodeServer>, secret: string | undefined) => {
    if (!isAccepted(secret)) {
      options.onAnswer?.('unauthorized');
      return context.json({ accepted: false, error: 'wrong or missing secret' }, 401);
    }
    const reading = await read(context.env.incoming, options.bodyLimitBytes);
    if ('refusal' in reading) {
      options.onAnswer?.(reading.outcome);
      return context.json({ accepted: false, error: reading.refusal }, reading.status);
    }
    try {
      const delivery = await within(options.record(reading.accepted), options.timeoutMs);
      if (reading.accepted.announcement !== null) {
        options.onAnswer?.('accepted');
        return context.json({ accepted: true, delivery });
      }
      options.onAnswer?.('rejected');
      return context.json({ accepted: false, error: reading.accepted.rejection, delivery }, 422);
    } catch (error) {
      options.log.warn({ err: error }, 'a delivery could not be recorded; the sender is told to come again');
      options.onAnswer?.('unavailable');
      context.header('Retry-After', RETRY_AFTER_SECONDS);
      return context.json({ accepted: false, error: 'the database is away; send it again' }, 503);
    }
  };

  app.post('/webhooks/flowlu', (context) => handle(context, context.req.header('x-webhook-secret')));
  app.post('/webhooks/flowlu/:secret', (context) => handle(context, context.req.param('secret')));
  app.all('/webhooks/flowlu/:secret?', (context) => {
    context.header('Allow', 'POST');
    return context.json({ accepted: false, error: 'webhooks come by POST' }, 405);
  });
  return app;
}

type Reading =
  | { readonly accepted: Accepted }
  | { readonly status: 400 | 413; readonly outcome: 'too_large' | 'not_json'; readonly refusal: string };

async function read(request: IncomingMessage, limitBytes: number): Promise<Reading> {
  let body: string;
  try {
    body = await readBody(request, limitBytes);
  } catch (error) {
    if (error instanceof BodyTooLargeError) {
      return { status: 413, outcome: 'too_large', refusal: `a body may have ${limitBytes} bytes at most` };
    }
    return { status: 400, outcome: 'not_json', refusal: 'the body is not text in UTF-8' };
  }
  try {
    return { accepted: { body, announcement: readAnnouncement(body) } };
  } catch (error) {
    if (error instanceof WrongShapeError) return { accepted: { body, announcement: null, rejection: error.message } };
    return { status: 400, outcome: 'not_json', refusal: 'the body is not JSON' };
  }
}

async function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not committed within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
