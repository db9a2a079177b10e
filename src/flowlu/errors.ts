/** Typed errors for requests to a portal, and the only place that decides what is retried. */
import type { Micros } from '../core/time.ts';

/** How often each kind of failure is repeated within one call. */
const RETRIES = {
  /** The key is wrong, revoked, or belongs to another portal. */
  unauthorized: 0,
  /** The key is valid but has no right to the module or record. */
  forbidden: 0,
  unknown_method: 0,
  unknown_module: 0,
  /** Error 20. Only `NotFoundError` says something about one record. */
  not_found: 0,
  invalid_request: 0,
  validation: 0,
  rate_limited: Number.POSITIVE_INFINITY,
  server: Number.POSITIVE_INFINITY,
  network: Number.POSITIVE_INFINITY,
  timeout: Number.POSITIVE_INFINITY,
  /** A firewall in front of the portal answered in its place. */
  blocked: Number.POSITIVE_INFINITY,
  /** Not an answer from Flowlu: a redirect, a login page, a truncated body, an invalid envelope. */
  protocol: 0,
} as const;
/** For bodies that are not JSON: enough for a short fault, few enough to report a wrong host soon. */
const GARBLED_RETRIES = 2;

export type FlowluErrorKind = keyof typeof RETRIES;

export interface FlowluErrorFacts {
  /** HTTP status, or null without a response. */
  readonly status?: number | null;
  /** Flowlu's own error code, or null without one. */
  readonly code?: number | null;
  /** How long the portal asked us to wait, or null. */
  readonly retryAfterMs?: number | null;
  /** The body is not JSON at all: truncated, or a proxy's page. The next attempt may succeed. */
  readonly garbled?: boolean;
  /** The answer exceeded the limit on its size. */
  readonly tooLarge?: boolean;
  readonly cause?: unknown;
}

/** A request that failed. Message and cause never contain the API key. */
export class FlowluError extends Error {
  override readonly name: string = 'FlowluError';
  readonly status: number | null;
  readonly code: number | null;
  readonly retryAfterMs: number | null;
  /** Repetitions within one call; limits on attempts and time also apply. */
  readonly maxRetries: number;
  /** Whether a request for fewer rows might succeed. */
  readonly mayBeTooMuch: boolean;
  /** Requests of the call, including repeated attempts; set by the client. */
  requests = 1;

  constructor(
    readonly kind: FlowluErrorKind,
    message: string,
    {
      status = null,
      code = null,
      retryAfterMs = null,
      garbled = false,
      tooLarge = false,
      cause,
    }: FlowluErrorFacts = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
    this.maxRetries = garbled && kind === 'protocol' ? GARBLED_RETRIES : RETRIES[kind];
    this.mayBeTooMuch = garbled || tooLarge || kind === 'server' || kind === 'timeout' || kind === 'network';
  }

  /** The message without the request at its beginning, so that one cause reads the same for every model. */
  get problem(): string {
    return this.message.replace(/^GET \S+: /, '');
  }

  /** Whether the same request may succeed later. */
  get retryable(): boolean {
    return this.maxRetries > 0;
  }
}

/** Error 20 for `get`: the record did not exist when the request was served. */
export class NotFoundError extends FlowluError {
  override readonly name = 'NotFoundError';

  /** @param observedAt a moment no later than the sending, on the pace's clock: the fence of the absence */
  constructor(
    message: string,
    readonly observedAt: Micros,
    facts: FlowluErrorFacts,
  ) {
    super('not_found', message, facts);
  }
}

/** For a request that may fail: null. An error that is not the portal's, as of our own database, says nothing of it. */
export function unanswered(error: unknown): null {
  if (error instanceof FlowluError) return null;
  throw error;
}

/** A listing that cannot continue: endless, repeating, or with rows without an id. */
export class ListingError extends Error {
  override readonly name = 'ListingError';
}

/** What tells nothing of whether the portal answers. All else is an answer, if only that something is refused. */
export const UNANSWERED: ReadonlySet<string> = new Set<FlowluErrorKind>([
  'network',
  'timeout',
  'server',
  'blocked',
  'protocol',
]);

/** Whether the portal does not let us read the model at all: it lacks the module, or the key lacks the right. */
export function isRefusal({ kind }: FlowluError): boolean {
  return ['forbidden', 'unknown_method', 'unknown_module', 'not_found'].includes(kind);
}
