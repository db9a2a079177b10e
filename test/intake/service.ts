/** The intake of `serve` on a loopback port, put together from the same parts, for tests over HTTP. */
import { connect as connectSocket } from 'node:net';
import { loadConfig } from '../../src/config/index.ts';
import { createLogger, type Logger } from '../../src/core/log.ts';
import { drainPending } from '../../src/merge/drain.ts';
import { createApp } from '../../src/service/app.ts';
import { startBackground } from '../../src/service/background.ts';
import { startLoop } from '../../src/service/loop.ts';
import { type ListenOptions, listen } from '../../src/service/server.ts';
import { openClientsIfAny, openSession, type Session } from '../../src/service/session.ts';

export const SECRET = 'correct-horse-battery-staple-4711';

export interface Service {
  readonly url: string;
  readonly session: Session;
  /** Posts a body with the right secret in the path. */
  post(body: unknown, init?: RequestInit): Promise<Response>;
  /** Notes in the database which secrets came in, as `serve` does from time to time. */
  noteSecretUse(): Promise<void>;
  close(): Promise<void>;
}

const quiet = createLogger({ level: 'silent', version: 'test', secrets: [] });

/**
 * @param options a logger of the test's own, bounds of the listener that a test reaches sooner, and whether all that
 *   `serve` does by itself goes on beside, not the applying of deliveries alone
 */
export async function startService(
  databaseUrl: string,
  env: Record<string, string> = {},
  options: { readonly log?: Logger; readonly isWhole?: boolean } & Pick<ListenOptions, 'limits'> = {},
): Promise<Service> {
  const { log = quiet, limits = {}, isWhole = false } = options;
  const config = loadConfig({ DATABASE_URL: databaseUrl, WEBHOOK_SECRET: SECRET, ...env });
  const stop = new AbortController();
  const session = await openSession(config, { log, signal: stop.signal, command: 'test', onMirror: 'define' });
  const { sql, context } = session;
  const drainOnly = () => {
    const work = (signal: AbortSignal) => drainPending({ sql, context, log }, signal);
    const drain = startLoop({ name: 'drain', intervalMs: 1_000, log, signal: stop.signal, work });
    return { drain, settle: null, all: [drain] };
  };
  const background = isWhole ? startBackground(session, await openClientsIfAny(session), stop.signal) : drainOnly();
  const app = createApp(session, {
    onPending: background.drain.wake,
    onHint: () => background.settle?.wake(),
    isStopping: () => stop.signal.aborted,
  });
  const listener = await listen(app, { host: '127.0.0.1', port: 0, limits });
  return {
    url: listener.url,
    session,
    post: (body, init) => post(`${listener.url}/webhooks/flowlu/${SECRET}`, body, init),
    noteSecretUse: app.noteSecretUse,
    async close() {
      stop.abort();
      await listener.stop(500);
      await Promise.all(background.all.map(({ ended }) => ended));
      await session.close();
    },
  };
}

/** Posts text as it stands, anything else as JSON. */
export function post(url: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  const text = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
  return fetch(url, {
    method: 'POST',
    body: text as NonNullable<RequestInit['body']>,
    signal: AbortSignal.timeout(20_000),
    ...init,
  });
}

/** The body of a webhook. */
export function webhook(
  model: string,
  action: string,
  current: unknown = null,
  previous: unknown = null,
): Record<string, unknown> {
  const [module, entity] = model.split('.');
  return { meta: { module, model: entity, action }, current, previous };
}

/** Bytes over a socket of one's own, for what `fetch` would not send; resolves with everything that came back. */
export function sendRaw(url: string, bytes: string, whileOpenMs = 3_000): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connectSocket(Number(port), hostname);
    let answer = '';
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(done, whileOpenMs);
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.on('error', () => {}).on('close', done);
    socket.write(bytes);
  });
}
