/**
 * What to ask the portal for next: a pure function of what is known of all models. See docs/freshness.md.
 *
 * Two lanes share the background's requests. The quick one catches up, each model at its own pace; the long one reads
 * whole models: first readings, then sweeps, which begin again as soon as all are done.
 */

/** What is known of one model. Moments in seconds, all on one clock. */
export interface ModelState {
  readonly model: string;
  /** Place in the order of first readings. */
  readonly rank: number;
  /** When the last complete reading began; null before the first. */
  readonly sweptAt: number | null;
  readonly polledAt: number | null;
  /** Requests that a catch-up takes; null where only a complete reading shows changes. */
  readonly pollCost: number | null;
  /** When a change came to light that no webhook had announced; null where none is known. */
  readonly missedAt: number | null;
  /** Changes that webhooks have announced since. */
  readonly announced: number;
  /** Not before: it is being worked on, or has failed. */
  readonly freeAt: number;
}

export interface ScheduleLimits {
  /** Requests a second that the background may make; Infinity where there is no limit. */
  readonly rate: number;
  /** Longest time between two catch-ups of a model, in seconds; 0 for none at all. */
  readonly poll_s: number;
  /** The same of sweeps. */
  readonly sweep_s: number;
}

export type Lane = 'quick' | 'long';
export type WorkKind = 'read' | 'catch-up' | 'sweep';
export interface Work {
  readonly model: string;
  readonly kind: WorkKind;
}

/** Of the background's requests, what catching up may take while there is something to sweep. */
export const POLL_SHARE = 0.45;
const FASTEST_S = 5;
export const SLOWEST_S = 3_600;
/** A model in which nothing was missed for some time is asked again after this part of it. */
const PATIENCE = 0.1;
/** Sweeps of one model begin so far apart at least. */
const SWEEPS_APART_S = 30;

/**
 * How long to wait between two catch-ups of a model, in seconds. A model is asked soon after a change was missed, then
 * ever more seldom; the sooner so, the more changes webhooks have announced meanwhile.
 */
export function paceOf({ missedAt, announced }: Pick<ModelState, 'missedAt' | 'announced'>, now: number): number {
  if (missedAt === null) return SLOWEST_S;
  const calm_s = Math.max(0, now - missedAt);
  return Math.min(SLOWEST_S, Math.max(FASTEST_S, PATIENCE * calm_s * (1 + announced)));
}

/** The same for all models together: where they would take more than their share, the fastest ones share it evenly. */
export function intervalsOf(
  states: readonly ModelState[],
  limits: ScheduleLimits,
  now: number,
): ReadonlyMap<string, number> {
  const polled = states.flatMap((state) => {
    if (state.sweptAt === null || state.pollCost === null) return [];
    const wanted_s = Math.min(paceOf(state, now), limits.poll_s);
    return [{ ...state, cost: state.pollCost, spends: state.pollCost / wanted_s }];
  });
  polled.sort((a, b) => a.spends - b.spends);
  let left = limits.rate * POLL_SHARE;
  const intervals = polled.map(({ model, cost, spends }, index): [string, number] => {
    const spent = Math.min(spends, left / (polled.length - index));
    left -= spent;
    return [model, cost / spent];
  });
  return new Map(intervals);
}

/** The next piece of work for a lane, or how many seconds to wait before there may be one. */
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

interface Due extends Work {
  readonly at: number;
  /** What is smaller comes first. */
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

/** Sweeps that are overdue come first, then first readings by rank, then the other sweeps, oldest first. */
function readings(states: readonly ModelState[], { poll_s, sweep_s }: ScheduleLimits, now: number): readonly Due[] {
  return states.flatMap(({ model, rank, sweptAt, freeAt }): Due[] => {
    if (sweptAt === null) {
      const kind = poll_s > 0 ? 'read' : 'sweep';
      return poll_s + sweep_s > 0 ? [{ model, kind, at: freeAt, order: rank }] : [];
    }
    if (sweep_s === 0) return [];
    const at = Math.max(freeAt, sweptAt + Math.min(SWEEPS_APART_S, sweep_s));
    const isOverdue = now - sweptAt >= sweep_s;
    return [{ model, kind: 'sweep', at, order: isOverdue ? -1 : Number.MAX_VALUE }];
  });
}
