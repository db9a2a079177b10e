/** What was asked of the portal, and the limit on how often. */

export interface LoggedRequest {
  /** Monotonic milliseconds since the simulator started. */
  readonly at: number;
  readonly method: string;
  readonly path: string;
  /** Query without the key. */
  readonly query: Readonly<Record<string, string>>;
  /** `module.model`, where the path names one. */
  readonly model?: string;
  /** 0 until answered, and for answers that never came. */
  status: number;
}

/** Entries kept; older ones fall off, the sums go on. */
const ENTRIES_KEPT = 200_000;

export interface RequestLog {
  readonly entries: readonly LoggedRequest[];
  readonly total: () => number;
  /** Requests for paths that change something: a mirror must never build one. */
  readonly violations: () => readonly LoggedRequest[];
  /** Most requests within any `windowMs`, first instant included, last not. */
  maxPerSecond(windowMs?: number): number;
  /** Requests per model and method, e.g. `crm.account list`. */
  perModel(): Record<string, number>;
  clear(): void;
}

export interface RequestRecorder extends RequestLog {
  add(request: Omit<LoggedRequest, 'status'>): LoggedRequest;
  addViolation(request: LoggedRequest): void;
}

export function createRequestLog(): RequestRecorder {
  const entries: LoggedRequest[] = [];
  const violations: LoggedRequest[] = [];
  let total = 0;
  return {
    entries,
    total: () => total,
    violations: () => violations,
    maxPerSecond: (windowMs = 1000) => {
      let most = 0;
      let oldest = 0;
      entries.forEach(({ at }, newest) => {
        while ((entries[oldest] as LoggedRequest).at <= at - windowMs) oldest++;
        most = Math.max(most, newest - oldest + 1);
      });
      return most;
    },
    perModel: () => {
      const counts: Record<string, number> = {};
      for (const { model, path } of entries) {
        if (model === undefined) continue;
        const key = `${model} ${path.split('/')[6] ?? ''}`;
        counts[key] = (counts[key] ?? 0) + 1;
      }
      return counts;
    },
    clear: () => {
      entries.length = 0;
      violations.length = 0;
      total = 0;
    },
    add: (request) => {
      const entry: LoggedRequest = { ...request, status: 0 };
      entries.push(entry);
      total++;
      if (entries.length > ENTRIES_KEPT) entries.splice(0, ENTRIES_KEPT / 10);
      return entry;
    },
    addViolation: (request) => {
      if (violations.length < ENTRIES_KEPT) violations.push(request);
    },
  };
}

/** True for a request at `now` (monotonic ms) that the budget still allows; refused ones cost nothing. */
export function slidingLimit(perSecond: () => number): (now: number) => boolean {
  const granted: number[] = [];
  return (now) => {
    const most = perSecond();
    if (most <= 0) return true;
    while (granted.length > 0 && (granted[0] as number) <= now - 1000) granted.shift();
    if (granted.length >= most) return false;
    granted.push(now);
    return true;
  };
}
