/** What can go wrong between us and a portal, as types; and the one place that decides what is tried again. */

/** How often a failure is worth a repetition within one call, by what it means. */
const RETRIES = {
  /** The key is wrong, revoked, or belongs to another portal. */
  unauthorized: 0,
  /** The key is good but has no right to the module or record. */
  forbidden: 0,
  unknown_method: 0,
  unknown_module: 0,
  /** Error 20. Only `NotFoundError` makes a claim about one record. */
  not_found: 0,
  invalid_request: 0,
  validation: 0,
  rate_limited: Number.POSITIVE_INFINITY,
  server: Number.POSITIVE_INFINITY,
  network: Number.POSITIVE_INFINITY,
  timeout: Number.POSITIVE_INFINITY,
  /** A firewall in front of the portal answered in its place. */
  blocked: Number.POSITIVE_INFINITY,
  /** What came is no Flowlu answer: a redirect, a login page, a cut body, an impossible envelope. */
  protocol: 0,
} as const;
/** Bodies that are no JSON: enough for a hiccup, few enough that a wrong host is reported soon. */
const GARBLED_RETRIES = 2;

export type FlowluErrorKind = keyof typeof RETRIES;

/** Where a request stands after a failure: facts beside the kind. */
export interface FlowluErrorFacts {
  /** HTTP status, or null when no response came. */
  readonly status?: number | null;
  /** Flowlu's own error code, or null where it gave none. */
  readonly code?: number | null;
  /** How long the portal asked us to stay away, or null. */
  readonly retryAfterMs?: number | null;
  /** True for a body that is no JSON at all: a cut or a proxy's page, which may be gone the next moment. */
  readonly garbled?: boolean;
  /** True for an answer beyond the bound on its size. */
  readonly tooLarge?: boolean;
  readonly cause?: unknown;
}

/** A request that failed. Message and cause never hold the API key. */
export class FlowluError extends Error {
  override readonly name: string = 'FlowluError';
  readonly kind: FlowluErrorKind;
  readonly status: number | null;
  readonly code: number | null;
  readonly retryAfterMs: number | null;
  /** Repetitions within one call; bounds on attempts and time come on top. */
  readonly maxRetries: number;
  /** Whether a request for fewer rows may succeed where this one failed. */
  readonly mayBeTooMuch: boolean;
  /** Requests that the call has spent, repeated attempts included; set by the client. */
  requests = 1;

  constructor(kind: FlowluErrorKind, message: string, facts: FlowluErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.kind = kind;
    this.status = facts.status ?? null;
    this.code = facts.code ?? null;
    this.retryAfterMs = facts.retryAfterMs ?? null;
    const { garbled = false, tooLarge = false } = facts;
    this.maxRetries = garbled && kind === 'protocol' ? GARBLED_RETRIES : RETRIES[kind];
    this.mayBeTooMuch = garbled || tooLarge || kind === 'server' || kind === 'timeout' || kind === 'network';
  }

  /** The message without the request that it begins with: one cause reads the same for every model. */
  get problem(): string {
    return this.message.replace(/^GET \S+: /, '');
  }

  /** Whether the same request may succeed later. */
  get retryable(): boolean {
    return this.maxRetries > 0;
  }
}

/** `get` was answered with error 20: the record did not exist when the request was served. */
export class NotFoundError extends FlowluError {
  override readonly name = 'NotFoundError';
  /** Moment not later than the sending, microseconds on the pace's clock: the fence of the absence. */
  readonly observedAt: number;

  constructor(message: string, observedAt: number, facts: FlowluErrorFacts) {
    super('not_found', message, facts);
    this.observedAt = observedAt;
  }
}

/** A listing that cannot be carried on: endless, repeating, or with rows that have no id. */
export class ListingError extends Error {
  override readonly name = 'ListingError';
}

/** True when the portal does not let us read the model at all: it lacks the module, or the key lacks the right. */
export function isRefusal({ kind }: FlowluError): boolean {
  return ['forbidden', 'unknown_method', 'unknown_module', 'not_found'].includes(kind);
}
