/** One HTTP exchange, limited in time and bytes and never redirected. Its errors do not contain the key. */
import { isUtf8 } from 'node:buffer';
import { subscribe } from 'node:diagnostics_channel';
import { type Redact, safeCause } from '../core/redact.ts';
import { FlowluError } from './errors.ts';
import { portalFetch } from './fetch.ts';

export type HttpAnswer = Awaited<ReturnType<typeof httpExchange>>;

export interface HttpOptions {
  /** Defaults to the one that knows the proxy. */
  readonly fetch?: typeof fetch | undefined;
  /** Limit on the whole exchange, including the body. */
  readonly timeoutMs: number;
  /** Limit on the body, after decompression. */
  readonly maxBodyBytes: number;
  readonly redact: Redact;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called once, with the `performance.now()` at which the request left this process, as far as that is known. */
  readonly onLeft?: (atMs: number) => void;
  /** Sent by POST. Only for token endpoints, since nothing in a portal may be changed. */
  readonly form?: URLSearchParams;
}

/** Callbacks for when a request to an address is written to its connection, which may have to be opened first. */
const leaving = new Map<string, ((atMs: number) => void)[]>();
subscribe('undici:client:sendHeaders', (message) => {
  const { origin, path } = (message as { readonly request: { readonly origin: string | URL; readonly path: string } })
    .request;
  // A request to a proxy is for `host:port`.
  if (path.startsWith('/')) leaving.get(new URL(path, origin).href)?.shift()?.(performance.now());
});

/** Runs an exchange and reports when its request left; if nothing else says so, when `fetch` was called. */
async function tellingWhenLeft<T>(url: string, onLeft: (atMs: number) => void, run: () => Promise<T>): Promise<T> {
  const calledAtMs = performance.now();
  const key = new URL(url).href;
  let isTold = false;
  const tell = (atMs: number) => {
    if (!isTold) onLeft(atMs);
    isTold = true;
  };
  leaving.set(key, [...(leaving.get(key) ?? []), tell]);
  try {
    return await run();
  } finally {
    tell(calledAtMs);
    const others = (leaving.get(key) ?? []).filter((one) => one !== tell);
    if (others.length > 0) leaving.set(key, others);
    else leaving.delete(key);
  }
}

/**
 * Sends one GET, or a form.
 * @param what the request as named in errors, without the key
 * @throws FlowluError of kind network, timeout or (body too large) protocol; the signal's reason on abort
 */
export async function httpExchange(url: string, what: string, options: HttpOptions, signal: AbortSignal) {
  signal.throwIfAborted();
  const exchange = new AbortController();
  const stop = () => exchange.abort();
  const timer = setTimeout(stop, options.timeoutMs);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const ask = () =>
      (options.fetch ?? portalFetch)(url, {
        ...(options.form && { method: 'POST', body: options.form }),
        redirect: 'manual',
        headers: { accept: 'application/json', ...options.headers },
        signal: exchange.signal,
      });
    const { onLeft } = options;
    const response = await (onLeft === undefined ? ask() : tellingWhenLeft(url, onLeft, ask));
    const redirected = response.status >= 300 && response.status < 400;
    if (redirected) await response.body?.cancel();
    return {
      status: response.status,
      text: redirected ? '' : await readBody(response, options.maxBodyBytes, what),
      contentType: response.headers.get('content-type') ?? '',
      retryAfterMs: parseRetryAfter(response.headers.get('retry-after'), Date.now()),
      /** Target of a redirect. */
      location: response.headers.get('location'),
    };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof FlowluError) throw error;
    if (exchange.signal.aborted) {
      throw new FlowluError('timeout', `${what}: no complete answer within ${options.timeoutMs / 1_000} s`);
    }
    const cause = safeCause(error, options.redact);
    throw new FlowluError('network', `${what}: ${rootOf(cause)}`, { cause });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

async function readBody(response: Response, maxBytes: number, what: string): Promise<string> {
  const { status } = response;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    // Leaving the loop cancels the stream, so at most one chunk above the limit is held.
    if (bytes > maxBytes) {
      throw new FlowluError('protocol', `${what}: the answer is larger than ${maxBytes} bytes`, {
        status,
        tooLarge: true,
      });
    }
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks, bytes);
  // Decoding would silently replace invalid UTF-8 with U+FFFD.
  if (!isUtf8(body))
    throw new FlowluError('protocol', `${what}: the answer is not valid UTF-8`, { status, garbled: true });
  const text = body.toString('utf8');
  // A byte order mark is not part of the JSON.
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

/** Milliseconds that a Retry-After header asks for, as seconds or as a date; null if it says nothing. */
export function parseRetryAfter(header: string | null, nowMs: number): number | null {
  const text = header?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}

/** "fetch failed" says nothing; the innermost cause says what failed. */
function rootOf(error: Error): string {
  let root = error;
  while (root.cause instanceof Error) root = root.cause;
  return root.message || (root as NodeJS.ErrnoException).code || root.name;
}
