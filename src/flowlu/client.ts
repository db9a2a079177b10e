/** A read-only client of the Flowlu API: paced, limited in size and time, with retries. It never reveals its key. */
import pRetry from 'p-retry';
import type { Json, JsonObject } from '../core/json.ts';
import type { Micros } from '../core/time.ts';
import { traced } from '../core/tracing.ts';
import type { Protect } from '../privacy/policy.ts';
import { type Authorization, apiKeyAuthorization, type Credentials } from './authorization.ts';
import { type ListedRows, recordOf, responseOf, rowsOf } from './envelope.ts';
import { FlowluError, type FlowluErrorKind, NotFoundError } from './errors.ts';
import { createHold, type Hold } from './hold.ts';
import { httpExchange } from './http.ts';
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

interface Answered {
  /** A moment no later than the sending of the attempt that succeeded. */
  readonly observedAt: Micros;
  /** Requests sent, including failed attempts. */
  readonly requests: number;
}
export type ListAnswer = ListedRows & Answered;
export type GetAnswer = { readonly record: JsonObject } & Answered;

/** How often to repeat a request that failed for a reason that a smaller request might avoid. */
export type Patience = 'full' | 'brief' | 'once';

const REPEATS: Readonly<Record<Patience, number>> = { full: Number.POSITIVE_INFINITY, brief: 2, once: 0 };

export interface FlowluClient {
  /** Reads one page. @throws FlowluError; RangeError for an impossible query; the signal's reason */
  list(model: ListedModel, query: ListQuery, signal: AbortSignal, patience?: Patience): Promise<ListAnswer>;
  /**
   * Reads one record; for `core.user` without an id, the user whose rights are used.
   * @throws NotFoundError if the portal says that it does not exist; FlowluError; RangeError for an id that is not all
   * digits; the signal's reason
   */
  get(model: ModelPath, id: string | null, signal: AbortSignal, patience?: Patience): Promise<GetAnswer>;
}

/** One attempt, for logs and metrics. Never contains the key. */
export interface RequestEvent {
  /** `module.model`. */
  readonly model: string;
  readonly method: 'list' | 'get';
  /** HTTP status, or null without a response. */
  readonly status: number | null;
  /** From sending to the last byte read, without waiting for a slot. */
  readonly duration_ms: number;
  /** 1 for the first. */
  readonly attempt: number;
  readonly outcome: 'ok' | 'aborted' | FlowluErrorKind;
  /** The error message of the portal or the network, or null. */
  readonly problem: string | null;
}

/** Waits of 1, 2, 4 … times `baseMs`, each randomly extended to at most double. */
const RETRY = {
  /** Maximum requests per call, including the first. */
  attempts: 6,
  baseMs: 1000,
  /** Longest single wait. */
  maxWaitMs: 60_000,
  /** Longest wait that a Retry-After header can ask for. */
  maxRetryAfterMs: 60_000,
  /** No attempt begins after this long. */
  totalMs: 300_000,
};

/** Either the API key or another source of credentials. */
type Right =
  | { readonly apiKey: string; readonly authorization?: never }
  | { readonly authorization: Authorization; readonly apiKey?: never };

export type ClientOptions = Right & {
  /** Up to and including `/module`. */
  readonly baseUrl: string;
  readonly pace: Pace;
  /** Shared by the clients of one portal; by default the client's own. */
  readonly hold?: Hold;
  /** Limit on one attempt, including the body. */
  readonly timeoutMs?: number;
  readonly maxBodyBytes?: number;
  readonly retry?: Partial<typeof RETRY>;
  /** Called after each attempt; must not throw. */
  readonly onRequest?: (event: RequestEvent) => void;
  /** Removes from each record what must not be stored, before any other code sees it. */
  readonly protect?: Protect | undefined;
  readonly fetch?: typeof fetch | undefined;
};

interface Call<T> {
  readonly model: ModelPath;
  readonly method: 'list' | 'get';
  readonly path: string;
  readonly params: URLSearchParams;
  readonly decode: (response: Json, what: string) => T;
}

/** A client for one portal with one authorization. @throws TypeError for a base URL or key that cannot work */
export function createClient(options: ClientOptions): FlowluClient {
  const { pace, onRequest, protect = (_, record) => record } = options;
  const authorization = options.authorization ?? apiKeyAuthorization(options.apiKey);
  const baseUrl = checkedBaseUrl(options.baseUrl);
  const http = {
    fetch: options.fetch,
    timeoutMs: options.timeoutMs ?? 30_000,
    maxBodyBytes: options.maxBodyBytes ?? 64 * 2 ** 20,
  };
  const { attempts, baseMs, maxWaitMs, maxRetryAfterMs, totalMs } = { ...RETRY, ...options.retry };
  const hold = options.hold ?? createHold(baseMs, maxRetryAfterMs);
  /** Whether this portal has ever answered. If so, a missing path means a model that it lacks. */
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
    try {
      const onLeft = (atMs: number) => pace.left(observedAt, atMs);
      const exchange = async () => {
        const answer = await httpExchange(urlOf(call, credentials), what, { ...http, headers, redact, onLeft }, signal);
        status = answer.status;
        return call.decode(responseOf(answer, what, redact, header === undefined ? 'key' : 'login'), what);
      };
      const attributes = { 'flowlu.model': call.model.name, 'flowlu.attempt': attempt };
      const value = await traced(`flowlu ${call.method}`, attributes, exchange);
      outcome = 'ok';
      hasAnswered = true;
      hold.answered();
      authorization.accepted(credentials);
      return { value, observedAt };
    } catch (failure) {
      const error = lacksModel(failure, call) ?? failure;
      if (!(error instanceof FlowluError)) throw error;
      outcome = error.kind;
      problem = error.problem;
      status ??= error.status;
      hasAnswered ||= error.code !== null;
      if (error.retryAfterMs !== null) hold.askedFor(error.retryAfterMs);
      if (error.kind === 'blocked') hold.blocked(sentMs);
      if (error.kind !== 'not_found' || call.method !== 'get') throw error;
      throw new NotFoundError(error.message, observedAt, { status: error.status, code: error.code });
    } finally {
      pace.left(observedAt, sentMs);
      const duration_ms = performance.now() - sentMs;
      onRequest?.({ model: call.model.name, method: call.method, status, duration_ms, attempt, outcome, problem });
    }
  }

  /** A portal that otherwise answers does not know the path: it sent HTTP 404 instead of error 30 or 31. */
  function lacksModel(error: unknown, { method, model }: Call<unknown>): FlowluError | null {
    if (!hasAnswered || method !== 'list' || !(error instanceof FlowluError) || error.status !== 404) return null;
    return new FlowluError('unknown_module', `${model.name} is not in this portal (HTTP 404)`, { status: 404 });
  }

  async function send<T>(call: Call<T>, patience: Patience, signal: AbortSignal) {
    let requests = 0;
    const once = (credentials: Credentials, attempt: number) => {
      requests += 1;
      return request(call, credentials, attempt, signal);
    };
    /** One request; or two, if the first was refused and the credentials could be renewed. */
    const attemptOnce = async (attempt: number) => {
      const credentials = await authorization.credentials(signal);
      try {
        return await once(credentials, attempt);
      } catch (error) {
        const isRefused = error instanceof FlowluError && error.kind === 'unauthorized';
        if (!isRefused || !(await authorization.renew(credentials, signal))) throw error;
        return once(await authorization.credentials(signal), attempt);
      }
    };
    const failures = new Map<FlowluErrorKind, number>();
    const mayRepeat = (error: Error): boolean => {
      if (!(error instanceof FlowluError)) return false;
      const times = (failures.get(error.kind) ?? 0) + 1;
      failures.set(error.kind, times);
      return times <= Math.min(error.maxRetries, error.mayBeTooMuch ? REPEATS[patience] : error.maxRetries);
    };
    try {
      const answer = await pRetry(attemptOnce, {
        retries: attempts - 1,
        minTimeout: baseMs,
        maxTimeout: maxWaitMs,
        maxRetryTime: totalMs,
        randomize: true,
        signal,
        shouldRetry: ({ error }) => mayRepeat(error),
      });
      return { ...answer, requests };
    } catch (error) {
      // The retry library replaces reasons that are not Errors; the caller must get its own.
      signal.throwIfAborted();
      if (error instanceof FlowluError) error.requests = requests;
      throw error;
    }
  }

  return {
    async list(model, query, signal, patience = 'full') {
      const params = listParams(model, query);
      const decode = (response: Json, what: string) => rowsOf(response, isFiltered(params), what);
      const call: Call<ListedRows> = { model, method: 'list', path: listPath(baseUrl, model), params, decode };
      const { value, ...answer } = await send(call, patience, signal);
      return { ...value, items: value.items.map((item) => protect(model.name, item)), ...answer };
    },
    async get(model, id, signal, patience = 'full') {
      const params = new URLSearchParams();
      const decode = (response: Json, what: string) => recordOf(response, id, what);
      const call: Call<JsonObject> = { model, method: 'get', path: getPath(baseUrl, model, id), params, decode };
      const { value, ...answer } = await send(call, patience, signal);
      return { record: protect(model.name, value), ...answer };
    },
  };
}

/** The same client, with a counter of its requests from now on, including those of failed calls. */
export function metered(client: FlowluClient): { readonly client: FlowluClient; readonly spent: () => number } {
  let requests = 0;
  const count = async <A extends Answered>(call: Promise<A>): Promise<A> => {
    try {
      const answer = await call;
      requests += answer.requests;
      return answer;
    } catch (error) {
      if (error instanceof FlowluError) requests += error.requests;
      throw error;
    }
  };
  return {
    client: { list: (...words) => count(client.list(...words)), get: (...words) => count(client.get(...words)) },
    spent: () => requests,
  };
}

function urlOf({ path, params }: Call<unknown>, { query }: Credentials): string {
  const all = new URLSearchParams(params);
  if (query !== undefined) all.set(query.name, query.value);
  return `${path}?${all}`;
}

/** Whose rights the requests use; `admin` is null if the portal does not say. @throws like `get` */
export async function readRights(client: FlowluClient, signal: AbortSignal) {
  const { record } = await client.get({ module: 'core', model: 'user', name: 'core.user' }, null, signal, 'once');
  const { name, username, id, role_admin } = record;
  const admin = role_admin === undefined || role_admin === null ? null : /^(1|true)$/.test(String(role_admin));
  return { user: String(name || username || `user ${id}`).slice(0, MAX_NAME_LENGTH), admin };
}
const MAX_NAME_LENGTH = 100;
