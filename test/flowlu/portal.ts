/** A loopback server that answers as each test says, and a client for it. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ClientOptions, createClient, type FlowluClient } from '../../src/flowlu/client.ts';
import { createPace, localBudget } from '../../src/flowlu/pace.ts';

export const KEY = 'sec/ret+key 4711';
export const ACCOUNT = { module: 'crm', model: 'account', name: 'crm.account' } as const;

export type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => void;

interface Portal {
  readonly baseUrl: string;
  readonly origin: string;
  /** What was asked for, in order. */
  readonly urls: readonly URL[];
  client(
    options?: Partial<Omit<ClientOptions, 'apiKey' | 'authorization'>> & { readonly apiKey?: string },
  ): FlowluClient;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts a portal; each request takes the next handler, and the last one again once they run out. */
export async function startPortal(...handlers: readonly Handler[]): Promise<Portal> {
  const urls: URL[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://portal');
    const handler = handlers[Math.min(urls.length, handlers.length - 1)];
    urls.push(url);
    handler?.(request, response, url);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const baseUrl = `${origin}/api/v1/module`;
  return {
    baseUrl,
    origin,
    urls,
    client: (options) =>
      createClient({
        baseUrl,
        apiKey: KEY,
        pace: createPace(0, localBudget()),
        retry: { baseMs: 1 },
        // Those that try a silent portal have a short one of their own.
        timeoutMs: 20_000,
        ...options,
      }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}

/** Answers with a status and a body: text as it is, anything else as JSON. */
export function answer(status: number, body: unknown, headers: Record<string, string> = {}): Handler {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}

/** An answer that holds these rows and their number. */
export function rows(...ids: readonly number[]): Handler {
  const items = ids.map((id) => ({ id }));
  return answer(200, {
    response: { total: ids.length, total_result: ids.length, page: 1, count: ids.length, items },
  });
}

/** Runs a promise that should fail and returns what it threw. */
export async function failure(promise: Promise<unknown>): Promise<Error> {
  const outcome = await promise.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(outcome instanceof Error)) throw new Error(`expected an error, got ${String(outcome)}`);
  return outcome;
}

export const never = () => new AbortController().signal;
