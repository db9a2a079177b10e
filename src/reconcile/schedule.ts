/**
 * What to request from the portal next: a pure function of what is known about all models. See docs/freshness.md.
 *
 * Two lanes share the background's requests. The quick one catches up, each model at its own pace. The long one reads
 * whole models: first readings, then sweeps, which start again as soon as all are done.
 */

/** What is known about one model. Times in seconds, all on one clock. */
export interface ModelState {
  readonly model: string;
  /** Place in the order of first readings. */
  readonly rank: number;
  /** Whether its newest rows are read before everything else. */
  readonly isNewestFirst: boolean;
  /** When the last complete reading began; null before the first. */
  readonly sweptAt: number | null;
  /** Requests of the last complete reading. */
  readonly sweepCost: number;
  readonly polledAt: number | null;
  /** Requests of a catch-up; null if only a complete reading shows changes. */
  readonly pollCost: number | null;
  readonly isEmpty: boolean;
  /** When an unannounced change was found; null if there is nothing that may change. */
  readonly missedAt: number | null;
  /** Changes that webhooks have announced since. */
  readonly announced: number;
  /** Not before this time: it is being worked on, or has failed. */
  readonly freeAt: number;
}

export interface ScheduleLimits {
  /** Requests a second for the background; Infinity without a limit. */
  readonly rate: number;
  /** Longest time between two catch-ups of a model whose changes are missed, in seconds; 0 for no catch-ups. */
  readonly poll_s: number;
  /** Longest time between two sweeps; 0 for no sweeps. */
  readonly sweep_s: number;
}

export type Lane = 'quick' | 'long';
export type WorkKind = 'newest' | 'read' | 'catch-up' | 'sweep';
export interface Work {
  readonly model: string;
  readonly kind: WorkKind;
}

/**
 * Catching up may use the background requests that are not needed to sweep everything within `SWEPT_WITHIN_S`: at least
 * `least` of all, at most `most`.
 */
export const POLL_SHARE = { most: 0.45, least: 0.2 } as const;
const SWEPT_WITHIN_S = 400;
const FASTEST_S = 5;
/** The wait before the next catch-up, as a share of the time since a change was last missed. */
const PATIENCE = 0.05;
/** A model is calm after this time without a missed change; the time counts once more per announced change. */
const CALM_S = 86_400;
/** Calm models may wait this many times longer: an hour instead of five minutes. */
const CALM_FACTOR = 12;
/** Minimum time between the beginnings of two sweeps of a model; those of an empty one look for its first row. */
const SWEEPS_APART_S = 30;
const EMPTY_APART_S = 3_600;

/**
 * Seconds between two catch-ups of a model. A model is read soon after a missed change, then less and less often; the
 * more changes webhooks have announced since, the faster this slows down.
 */
export function paceOf(
  { missedAt, announced }: Pick<ModelState, 'missedAt' | 'announced'>,
  { poll_s, rate }: ScheduleLimits,
  now: number,
): number {
  const calm_s = missedAt === null ? Number.POSITIVE_INFINITY : Math.max(0, now - missedAt) * (1 + announced);
  const longest_s = calm_s >= CALM_S && rate < Number.POSITIVE_INFINITY ? CALM_FACTOR * poll_s : poll_s;
  return Math.min(longest_s, Math.max(FASTEST_S, PATIENCE * calm_s));
}

/** The intervals of all models. If together they would exceed their share, the fastest ones share it evenly. */
export function intervalsOf(
  states: readonly ModelState[],
  limits: ScheduleLimits,
  now: number,
): ReadonlyMap<string, number> {
  const polled = states.flatMap((state) => {
    if (state.sweptAt === null || state.pollCost === null || (state.isEmpty && limits.sweep_s > 0)) return [];
    return [{ ...state, cost: state.pollCost, spends: state.pollCost / paceOf(state, limits, now) }];
  });
  polled.sort((a, b) => a.spends - b.spends);
  const sweepCost = states.reduce((sum, state) => sum + (state.isEmpty ? 0 : state.sweepCost), 0);
  const sweeping = sweepCost / (limits.rate * SWEPT_WITHIN_S);
  let left = limits.rate * Math.min(POLL_SHARE.most, Math.max(POLL_SHARE.least, 1 - sweeping));
  const intervals = polled.map(({ model, cost, spends }, index): [string, number] => {
    const spent = Math.min(spends, left / (polled.length - index));
    left -= spent;
    return [model, cost / spent];
  });
  return new Map(intervals);
}

/** The next piece of work for a lane, or how many seconds to wait until there may be one. */
export function nextWork(
  states: readonly ModelState[],
  limits: ScheduleLimits,
  lane: Lane,
  now: number,
): Work | { readonly wait_s: number } {
  const due = lane === 'quick' ? catchUps(states, limits, now) : readings(states, limits, now);
  const ready = due.filter(({ at }) => at <= now).sort((a, b) => a.order - b.order || a.at - b.at);
  const first = ready[0];
  if (first !== undefined) return { model: first.model, kind: first.kind };
  return { wait_s: Math.max(0, Math.min(...due.map(({ at }) => at)) - now) };
}

/** Whether a piece of work can be delayed: it is neither a first reading nor an overdue sweep. */
export function canWait(
  { kind, model }: Work,
  states: readonly ModelState[],
  { sweep_s }: ScheduleLimits,
  now: number,
): boolean {
  const { sweptAt = null } = states.find((state) => state.model === model) ?? {};
  return kind === 'catch-up' || (kind === 'sweep' && sweptAt !== null && now - sweptAt < sweep_s);
}

interface Due extends Work {
  readonly at: number;
  /** Smaller comes first. */
  readonly order: number;
}

function catchUps(states: readonly ModelState[], limits: ScheduleLimits, now: number): readonly Due[] {
  if (limits.poll_s === 0) return [];
  const intervals = intervalsOf(states, limits, now);
  return states.flatMap(({ model, sweptAt, polledAt, freeAt }): Due[] => {
    const interval_s = intervals.get(model);
    if (interval_s === undefined) return [];
    const lastAt = Math.max(sweptAt ?? 0, polledAt ?? 0);
    const at = Math.max(freeAt, lastAt + interval_s);
    return [{ model, kind: 'catch-up', at, order: (lastAt - now) / interval_s }];
  });
}

/** Overdue sweeps come first, then newest rows and first readings by rank, then the other sweeps, oldest first. */
function readings(states: readonly ModelState[], { poll_s, sweep_s }: ScheduleLimits, now: number): readonly Due[] {
  return states.flatMap(({ model, rank, isNewestFirst, sweptAt, isEmpty, freeAt }): Due[] => {
    if (sweptAt === null) {
      if (poll_s + sweep_s === 0) return [];
      if (isNewestFirst) return [{ model, kind: 'newest', at: freeAt, order: rank }];
      return [{ model, kind: poll_s > 0 ? 'read' : 'sweep', at: freeAt, order: states.length + rank }];
    }
    if (sweep_s === 0) return [];
    const at = Math.max(freeAt, sweptAt + Math.min(isEmpty ? EMPTY_APART_S : SWEEPS_APART_S, sweep_s));
    const isOverdue = now - sweptAt >= sweep_s;
    return [{ model, kind: 'sweep', at, order: isOverdue ? -1 : Number.MAX_VALUE }];
  });
}
