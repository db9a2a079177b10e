/**
 * The account's budget of requests per second, as something to wait for.
 *
 * Slots are reserved one after the other in a shared budget, each for a future moment on the budget's clock. Its holder
 * sleeps until that moment and sends. If it wakes too late, it lets the slot pass and reserves another.
 */
import { MICROS_PER_MS, type Micros, orAborted, sleep } from '../core/time.ts';

export interface Pace {
  /**
   * Waits for a request slot; first come, first served.
   * @param isBackground for work that yields to recent requests of others
   * @returns a moment, on the budget's clock, no later than the sending
   * @throws the signal's reason if it aborts first; a slot reserved by then is lost
   */
  take(signal: AbortSignal, isBackground?: boolean): Promise<Micros>;
  /**
   * Must follow each `take`, at the latest when the request has ended.
   * @param moment what `take` returned
   * @param atMs when the request left this process, by `performance.now()`
   */
  left(moment: Micros, atMs: number): void;
}

/** Where processes that share a rate reserve their slots. */
export interface Budget {
  /** Reserves the first free slot that begins at least `leadMs` from now; the next begins `lengthMs` later. */
  reserve(lengthMs: number, leadMs: number, isBackground?: boolean): Promise<Reservation>;
  /** Moves the slots that are not reserved yet. Must not throw. */
  moveSlots(ms: number): Promise<void>;
  now(): Promise<Micros>;
}

export interface Reservation {
  /** The budget's clock when it answered. */
  readonly now: Micros;
  /** From `now` to the beginning of the slot. */
  readonly waitMs: number;
}

/**
 * The slots of one second take this much longer, so that the rate is kept although requests leave up to `TOLERANCE_MS`
 * late; the rest allows for clocks and routes to the portal that differ. It costs 3.4 % of the rate.
 */
const MARGIN_MS = 35;
/** A slot whose holder wakes later than this has passed. */
const TOLERANCE_MS = 20;
/** How far ahead a process may reserve, or one slot if slots are longer. Enough for a budget about 100 ms away. */
const AHEAD_MS = 250;
/** Answers of the budget from which its clock is estimated. */
const ANSWERS_KEPT = 16;
/** After two missed slots a process asks for a longer one, which tolerates more delay: doubled each time up to 13 s. */
const FIRST_STRETCH_MS = 25;
const MAX_MISSED = 12;
/** Two clocks differ less than this in speed, even while one is being adjusted. */
const MAX_DRIFT = 0.001;
/** The most by which one late request moves later slots. */
const MAX_MOVE_MS = 10_000;

/**
 * @param requestsPerSecond 0 means no limit
 * @param onMissed called for each slot that passed, with the delay of its holder; must not throw
 * @throws RangeError for a negative rate or NaN
 */
export function createPace(requestsPerSecond: number, budget: Budget, onMissed?: (lateMs: number) => void): Pace {
  if (!(requestsPerSecond >= 0)) throw new RangeError(`requests per second must not be ${requestsPerSecond}`);
  if (requestsPerSecond === 0) return { take: (signal) => orAborted(budget.now(), signal), left: () => {} };

  /** As many slots as the rate allows in `windowMs`: one second, or one slot if a slot takes longer. */
  const slots = Math.max(1, Math.floor(requestsPerSecond));
  const windowMs = (1_000 * slots) / requestsPerSecond;
  const slotMs = (windowMs + MARGIN_MS) / slots;
  const clock = createClock();
  /** Callers queue behind these reservations, which limit the slots that a process holds. */
  const lanes = new Array<Promise<unknown>>(Math.ceil(AHEAD_MS / slotMs)).fill(Promise.resolve());
  let taken = 0;
  /**
   * The latest requests of this process, which keeps the rate on its own, whatever the budget's clock does. After
   * getting its slot, a request may still wait for a connection or a busy machine: `leftAtMs` is null until it is sent.
   */
  const sent: { readonly moment: Micros; readonly slot: ReservedSlot; leftAtMs: number | null }[] = [];
  /** By how much this process has moved the slots not yet reserved. */
  let movedMs = 0;
  const isFree = (nowMs: number) => {
    const before = sent.length < slots ? undefined : sent[0];
    if (before === undefined) return true;
    return before.leftAtMs !== null && nowMs - before.leftAtMs >= windowMs + MARGIN_MS - TOLERANCE_MS;
  };

  async function reserve(lengthMs: number, lateMs: number, isBackground?: boolean): Promise<ReservedSlot> {
    // The round trip to the budget is unknown at first, and decides how far ahead the slot must lie.
    if (clock.tripMs() === null) clock.learn(performance.now(), await budget.now());
    const [askedAtMs, movedBeforeMs] = [performance.now(), movedMs];
    const { now, waitMs } = await budget.reserve(lengthMs, (clock.tripMs() ?? 0) + lateMs, isBackground);
    clock.learn(askedAtMs, now);
    const answeredAtMs = performance.now();
    // The budget answered between these two moments, whatever its clock has done since earlier answers.
    const beginsAtMs = clamp(clock.toLocal(now) + waitMs, askedAtMs + waitMs, answeredAtMs + waitMs);
    return { now, answeredAtMs, beginsAtMs, movedBeforeMs };
  }

  async function takeSlot(signal: AbortSignal, isBackground?: boolean): Promise<Micros> {
    let lateMs = 0;
    for (let missed = 0; missed < MAX_MISSED; missed += 1) {
      const stretchMs = missed < 2 ? 0 : FIRST_STRETCH_MS * 2 ** (missed - 2);
      const slot = await orAborted(reserve(slotMs + stretchMs, lateMs, isBackground), signal);
      await sleep(slot.beginsAtMs - performance.now(), signal);
      const nowMs = performance.now();
      lateMs = nowMs - slot.beginsAtMs;
      if (isFree(nowMs) && lateMs <= TOLERANCE_MS + stretchMs) {
        const moment = slot.now + Math.floor((nowMs - slot.answeredAtMs) * (1 - MAX_DRIFT) * MICROS_PER_MS);
        sent.push({ moment, slot, leftAtMs: null });
        if (sent.length > slots) sent.shift();
        return moment;
      }
      onMissed?.(lateMs);
    }
    throw new Error(
      `${MAX_MISSED} request slots in a row passed unused, the last one by ${Math.round(lateMs)} ms: ` +
        'this process, or the way to its database, stalls',
    );
  }

  function left(moment: Micros, atMs: number): void {
    const request = sent.find((one) => one.moment === moment && one.leftAtMs === null);
    if (request === undefined) return;
    request.leftAtMs = atMs;
    const { beginsAtMs, movedBeforeMs } = request.slot;
    // A late request collides with those one second later, so these are moved, unless that was done since.
    const moveMs = Math.min(atMs - beginsAtMs, MAX_MOVE_MS) - TOLERANCE_MS - (movedMs - movedBeforeMs);
    if (moveMs <= 0) return;
    movedMs += moveMs;
    void budget.moveSlots(moveMs);
  }

  return {
    async take(signal, isBackground) {
      const lane = taken % lanes.length;
      taken += 1;
      const moment = (lanes[lane] as Promise<unknown>).then(() => {
        signal.throwIfAborted();
        return takeSlot(signal, isBackground);
      });
      lanes[lane] = moment.catch(() => {});
      try {
        return await orAborted(moment, signal);
      } catch (error) {
        // The caller is gone and sends nothing.
        moment.then((unused) => left(unused, performance.now())).catch(() => {});
        throw error;
      }
    },
    left,
  };
}

/** On this process's clock, except `now`. */
interface ReservedSlot {
  readonly now: Micros;
  readonly answeredAtMs: number;
  readonly beginsAtMs: number;
  /** The value of `movedMs` at the request. */
  readonly movedBeforeMs: number;
}

/** A pace for work that also has turns of its own: it waits for a turn, and then for a slot. */
export function inTurns(whole: Pace, takeTurn: () => Promise<number>): Pace {
  return {
    async take(signal) {
      await sleep(await orAborted(takeTurn(), signal), signal);
      return whole.take(signal, true);
    },
    left: whole.left,
  };
}

/** A budget that is not shared, on this machine's clock. */
export function localBudget(): Budget {
  let nextAtMs = 0;
  const now = async () => Date.now() * MICROS_PER_MS;
  return {
    now,
    async reserve(lengthMs, leadMs) {
      const nowMs = performance.now();
      const slotAtMs = Math.max(nextAtMs, nowMs + leadMs);
      nextAtMs = slotAtMs + lengthMs;
      return { now: await now(), waitMs: slotAtMs - nowMs };
    },
    async moveSlots(ms) {
      nextAtMs += ms;
    },
  };
}

/**
 * Converts the budget's clock to this process's, by the answer with the shortest round trip. The clock is assumed to
 * have been read half-way between question and answer.
 */
function createClock() {
  const answers: { readonly tripMs: number; readonly aheadMs: number }[] = [];
  const best = () => answers.reduce((a, b) => (b.tripMs < a.tripMs ? b : a));
  return {
    learn(askedAtMs: number, now: Micros) {
      const answeredAtMs = performance.now();
      const aheadMs = now / MICROS_PER_MS - (askedAtMs + answeredAtMs) / 2;
      answers.push({ tripMs: answeredAtMs - askedAtMs, aheadMs });
      if (answers.length > ANSWERS_KEPT) answers.shift();
    },
    /** The shortest recent round trip; null before the first answer. */
    tripMs: () => (answers.length === 0 ? null : best().tripMs),
    toLocal: (at: Micros) => at / MICROS_PER_MS - best().aheadMs,
  };
}

const clamp = (value: number, min: number, max: number) => Math.min(Math.max(value, min), max);
