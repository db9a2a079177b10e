/** The Flowlu API, read-only: paced, bounded, retried where that can help, and silent about its key. */
import pRetry from 'p-retry';
import type { Micros } from '../core/instant.ts';
import type { Json, JsonObject } from '../core/json.ts';
import type { Protect } from '../privacy/policy.ts';
import { type Authorization, apiKeyAuthorization, type Credentials } from './authorization.ts';
import { recordOf, responseOf, rowsOf } from './envelope.ts';
import { FlowluError, type FlowluErrorKind, NotFoundError } from './errors.ts';
import { createHold, type Hold } from './hold.ts';
import { httpGet } from './http.ts';
import type { Pace } from './pace.ts';
import {
  checkedBaseUrl,
  getPath,
  isFiltered,
  type ListedModel,
  type ListQuery,
  listParams,
  listPath,
  type ModelPath,
} from './url.ts';

/** One page of a list. */
export interface ListAnswer {
  readonly items: readonly JsonObject[];
  /** Rows that match the filters, or null where the portal does not say. A claim of the portal's, sometimes wrong. */
  readonly total: number | null;
  /** False when the answer's form hides in which order the portal sent the rows. */
  readonly ordered: boolean;
  /** Moment not later than the sending of the attempt that succeeded. */
  readonly observedAt: Micros;
  /** Requests spent, failed attempts included. */
  readonly requests: number;
}

/** One record. */
export interface GetAnswer {
  readonly record: JsonObject;
  /** Moment not later than the sending of the attempt that succeeded. */
  readonly observedAt: Micros;
  /** Requests spent, failed attempts included. */
  readonly requests: number;
}

/** How often a request is repeated that fails for a reason which a smaller one might not meet. */
export type Patience = 'full' | 'brief' | 'once';

const REPEATS: Readonly<Record<Patience, number>> = { full: Number.POSITIVE_INFINITY, brief: 2, once: 0 };

export interface FlowluClient {
  /**
   * Reads one page.
   * @throws FlowluError; RangeError for an impossible query; the signal's reason.
   */
  list(model: ListedModel, query: ListQuery, signal: AbortSignal, patience?: Patience): Promise<ListAnswer>;
  /**
   * Reads one record.
   * @throws NotFoundError when the portal says that it does not exist; FlowluError; RangeError for an id that is not
   *   all digits; the signal's reason.
   */
  get(model: ModelPath, id: string, signal: AbortSignal, patience?: Patience): Promise<GetAnswer>;
}

/** One attempt, for logs and metrics. Never holds the key. */
export interface RequestEvent {
  /** `module.model`. */
  readonly model: string;
  readonly method: 'list' | 'get';
  /** HTTP status, or null when no response came. */
  readonly status: number | null;
  /** From sending to the last byte read; waiting for a slot not included. */
  readonly duration_ms: number;
  /** 1 for the first. */
  readonly attempt: number;
  readonly outcome: 'ok' | 'aborted' | FlowluErrorKind;
  /** What the portal, or the way to it, said in place of an answer. */
  readonly problem: string | null;
}

/** How failures are repeated: waits of 1, 2, 4 … times `baseMs`, each lengthened at random up to twice that. */
export interface RetryOptions {
  /** Requests per call at most, the first included. */
  readonly attempts?: number;
  readonly baseMs?: number;
  /** Bound on one wait. */
  readonly maxWaitMs?: number;
  /** Bound on what a Retry-After header can ask for. */
  readonly maxRetryAfterMs?: number;
  /** After this long no further attempt is begun. */
  readonly totalMs?: number;
}

/** Either the key of the API or another source of credentials, never both. */
type Right =
  | { readonly apiKey: string; readonly authorization?: never }
  | { readonly authorization: Authorization; readonly apiKey?: never };

export type ClientOptions = Right & {
  /** Up to and including `/module`. */
  readonly baseUrl: string;
  readonly pace: Pace;
  /** Shared by clients of one portal; else the client's own. */
  readonly hold?: Hold;
  /** Bound on one attempt, body included. */
  readonly timeoutMs?: number;
  readonly maxBodyBytes?: number;
  readonly retry?: RetryOptions;
  /** Called after each attempt; must not throw. */
  readonly onRequest?: (event: RequestEvent) => void;
  /** Takes out of each record what must not be stored, before anybody else sees it. */
  readonly protect?: Protect | undefined;
  readonly fetch?: typeof fetch;
};

const MIB = 2 ** 20;

interface Call<T> {
  readonly model: ModelPath;
  readonly method: 'list' | 'get';
  readonly path: string;
  readonly params: URLSearchParams;
  readonly decode: (response: Json, what: string) => T;
  readonly patience: Patience;
  /** Requests sent for it so far. */
  sent: number;
}

interface Outcome<T> {
  readonly value: T;
  readonly observedAt: Micros;
  readonly requests: number;
}

/**
 * A client for one portal and one right to read it.
 * @throws TypeError for a base URL or key that cannot work.
 */
export function createClient(options: ClientOptions): FlowluClient {
  const { pace, onRequest, protect } = options;
  const authorization = options.authorization ?? apiKeyAuthorization(options.apiKey);
  const baseUrl = checkedBaseUrl(options.baseUrl);
  const http = {
    fetch: options.fetch ?? fetch,
    timeoutMs: options.timeoutMs ?? 30_000,
    maxBodyBytes: options.maxBodyBytes ?? 64 * MIB,
  };
  const {
    attempts = 6,
    baseMs = 1000,
    maxWaitMs = 60_000,
    maxRetryAfterMs = 60_000,
    totalMs = 300_000,
  } = options.retry ?? {};
  const hold = options.hold ?? createHold(baseMs, maxRetryAfterMs);
  /** Whether this portal has ever answered: a path that is not there then means a model that it lacks. */
  let hasAnswered = false;

  async function request<T>(call: Call<T>, credentials: Credentials, attempt: number, signal: AbortSignal) {
    await hold.wait(signal);
    const observedAt = await pace.take(signal);
    const what = `GET ${call.path}`;
    const { redact, header } = credentials;
    const headers = header === undefined ? {} : { authorization: header };
    const sentMs = performance.now();
    let status: number | null = null;
    let outcome: RequestEvent['outcome'] = 'aborted';
    let problem: string | null = null;
    call.sent += 1;
    try {
      const url = `${call.path}?${withKey(call.params, credentials)}`;
      const onLeft = (atMs: number) => pace.left(observedAt, atMs);
      const answer = await httpGet(url, what, { ...http, headers, redact, onLeft }, signal);
      status = answer.status;
      const value = call.decode(responseOf(answer, what, redact), what);
      outcome = 'ok';
      hasAnswered = true;
      hold.answered();
      authorization.accepted(credentials);
      return { value, observedAt, requests: call.sent };
    } catch (failure) {
      const error = lacksModel(failure, call) ?? failure;
      if (!(error instanceof FlowluError)) throw error;
      outcome = error.kind;
      problem = error.message.replace(`${what}: `, '');
      status ??= error.status;
      hasAnswered ||= error.code !== null;
      if (error.retryAfterMs !== null) hold.askedFor(error.retryAfterMs);
      if (error.kind === 'blocked') hold.blocked(sentMs);
      if (error.kind === 'not_found' && call.method === 'get') {
        throw new NotFoundError(error.message, observedAt, { status: error.status, code: error.code });
      }
      throw error;
    } finally {
      pace.left(observedAt, sentMs);
      const duration_ms = performance.now() - sentMs;
      onRequest?.({ model: call.model.name, method: call.method, status, duration_ms, attempt, outcome, problem });
    }
  }

  /** A path that a portal which answers otherwise does not know: told as HTTP 404 in place of error 30 or 31. */
  function lacksModel(error: unknown, { method, model }: Call<unknown>): FlowluError | null {
    if (!hasAnswered || method !== 'list' || !(error instanceof FlowluError) || error.status !== 404) return null;
    return new FlowluError('unknown_module', `${model.name} is not in this portal (HTTP 404)`, { status: 404 });
  }

  /** One request; or two, where the first was refused and the credentials could be renewed. */
  async function attemptOnce<T>(call: Call<T>, attempt: number, signal: AbortSignal): Promise<Outcome<T>> {
    const credentials = await authorization.credentials(signal);
    try {
      return await request(call, credentials, attempt, signal);
    } catch (error) {
      const isRefused = error instanceof FlowluError && error.kind === 'unauthorized';
      if (!isRefused || !(await authorization.renew(credentials, signal))) throw error;
      return request(call, await authorization.credentials(signal), attempt, signal);
    }
  }

  async function send<T>(call: Call<T>, signal: AbortSignal): Promise<Outcome<T>> {
    const failures = new Map<FlowluErrorKind, number>();
    const mayRepeat = (error: Error): boolean => {
      if (!(error instanceof FlowluError)) return false;
      const times = (failures.get(error.kind) ?? 0) + 1;
      failures.set(error.kind, times);
      return times <= Math.min(error.maxRetries, error.mayBeTooMuch ? REPEATS[call.patience] : error.maxRetries);
    };
    try {
      return await pRetry((attempt) => attemptOnce(call, attempt, signal), {
        retries: attempts - 1,
        minTimeout: baseMs,
        maxTimeout: maxWaitMs,
        maxRetryTime: totalMs,
        randomize: true,
        signal,
        shouldRetry: ({ error }) => mayRepeat(error),
      });
    } catch (error) {
      // The retry library replaces reasons that are no Error; the caller is to see its own.
      signal.throwIfAborted();
      throw error;
    }
  }

  return {
    async list(model, query, signal, patience = 'full') {
      const params = listParams(model, query);
      const filtered = isFiltered(params);
      const { value, observedAt, requests } = await send(
        {
          model,
          method: 'list',
          path: listPath(baseUrl, model),
          params,
          decode: (response, what) => rowsOf(response, filtered, what),
          patience,
          sent: 0,
        },
        signal,
      );
      const items = protect ? value.items.map((item) => protect(model.name, item)) : value.items;
      return { ...value, items, observedAt, requests };
    },
    async get(model, id, signal, patience = 'full') {
      const { value, observedAt, requests } = await send(
        {
          model,
          method: 'get',
          path: getPath(baseUrl, model, id),
          params: new URLSearchParams(),
          decode: (response, what) => recordOf(response, id, what),
          patience,
          sent: 0,
        },
        signal,
      );
      return { record: protect ? protect(model.name, value) : value, observedAt, requests };
    },
  };
}

function withKey(params: URLSearchParams, { query }: Credentials): URLSearchParams {
  const all = new URLSearchParams(params);
  if (query !== undefined) all.set(query.name, query.value);
  return all;
}
