/**
 * The account's budget of requests per second, as something to wait for.
 *
 * Slots are reserved one after the other in a budget that everybody shares, each for a moment to come on the budget's
 * clock. Its holder sleeps until that moment and sends; whoever wakes too late lets the slot pass and reserves another.
 */
import { MICROS_PER_MS, type Micros, orAborted, sleep } from '../core/time.ts';

export interface Pace {
  /**
   * Waits for a request slot; first come, first served.
   * @param isBackground for work that steps back where others have asked lately.
   * @returns a moment, on the budget's clock, not later than the sending.
   * @throws the signal's reason when it aborts first; a slot that is reserved by then is lost.
   */
  take(signal: AbortSignal, isBackground?: boolean): Promise<Micros>;
  /**
   * Must follow each `take`, at the latest when the request has come to its end.
   * @param moment what `take` returned
   * @param atMs when the request left this process, by `performance.now()`
   */
  left(moment: Micros, atMs: number): void;
}

/** Where those who share a rate reserve their slots. */
export interface Budget {
  /** Reserves the first free slot that begins `leadMs` from now or later; the one after it begins `lengthMs` later. */
  reserve(lengthMs: number, leadMs: number, isBackground?: boolean): Promise<Reservation>;
  /** Moves the slots that nobody has reserved yet. Must not throw. */
  moveSlots(ms: number): Promise<void>;
  /** What the budget's clock says. */
  now(): Promise<Micros>;
}

export interface Reservation {
  /** What the budget's clock said when it answered. */
  readonly now: Micros;
  /** From that moment to the beginning of the slot. */
  readonly waitMs: number;
}

/**
 * As many slots as the rate allows in a second take this much longer, so that the rate is kept although requests leave
 * up to `TOLERANCE_MS` late; what remains is for clocks and ways to the portal that differ. It costs 3.4 % of the rate.
 */
const MARGIN_MS = 35;
/** A slot whose holder wakes later than that has passed. */
const TOLERANCE_MS = 20;
/** How far ahead one process may reserve, or one slot where slots are longer; enough for a budget some 100 ms away. */
const AHEAD_MS = 250;
/** Answers of the budget that are remembered to tell its clock by. */
const ANSWERS_KEPT = 16;
/** Who has missed two slots in a row asks for a longer one, in which it may be later; twice as long with each, up to 13 s. */
const FIRST_STRETCH_MS = 25;
const MAX_MISSED = 12;
/** Two clocks differ less in speed, even while one of them is being adjusted. */
const MAX_DRIFT = 0.001;
/** One request that leaves late moves later slots by so much at most. */
const MAX_MOVE_MS = 10_000;

/**
 * @param requestsPerSecond 0 means no limit.
 * @param onMissed told of each slot that passed, and how late its holder was; must not throw.
 * @throws RangeError for a negative rate or NaN.
 */
export function createPace(requestsPerSecond: number, budget: Budget, onMissed?: (lateMs: number) => void): Pace {
  if (!(requestsPerSecond >= 0)) throw new RangeError(`requests per second must not be ${requestsPerSecond}`);
  if (requestsPerSecond === 0) return { take: (signal) => orAborted(budget.now(), signal), left: () => {} };

  /** As many slots as the rate allows in `windowMs`: a second, or one slot where a slot takes longer. */
  const slots = Math.max(1, Math.floor(requestsPerSecond));
  const windowMs = (1_000 * slots) / requestsPerSecond;
  const slotMs = (windowMs + MARGIN_MS) / slots;
  const clock = createClock();
  /** Whoever comes waits behind one of those who reserve, so that no process holds more slots than these. */
  const lanes = new Array<Promise<unknown>>(Math.ceil(AHEAD_MS / slotMs)).fill(Promise.resolve());
  let taken = 0;
  /**
   * The latest requests of this process, which keeps the rate by itself, whatever becomes of the budget's clock. One that
   * was given its slot may yet wait for a connection or a busy machine: `leftAtMs` is null until it is on its way.
   */
  const sent: { readonly moment: Micros; readonly slot: ReservedSlot; leftAtMs: number | null }[] = [];
  /** By how much this process has moved the slots that were not reserved yet. */
  let movedMs = 0;
  const isFree = (nowMs: number) => {
    const before = sent.length < slots ? undefined : sent[0];
    if (before === undefined) return true;
    return before.leftAtMs !== null && nowMs - before.leftAtMs >= windowMs + MARGIN_MS - TOLERANCE_MS;
  };

  async function reserve(lengthMs: number, lateMs: number, isBackground?: boolean): Promise<ReservedSlot> {
    // The way to the budget is unknown at first, and its length decides how far ahead the slot has to lie.
    if (clock.tripMs() === null) clock.learn(performance.now(), await budget.now());
    const [askedAtMs, movedBeforeMs] = [performance.now(), movedMs];
    const { now, waitMs } = await budget.reserve(lengthMs, (clock.tripMs() ?? 0) + lateMs, isBackground);
    clock.learn(askedAtMs, now);
    const answeredAtMs = performance.now();
    // Whatever the clock may have done since the other answers, the budget has said so between the two.
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
    // What was late meets what leaves a second later: that has to be moved, unless it has been since.
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
        // Whoever has gone away sends nothing.
        moment.then((unused) => left(unused, performance.now())).catch(() => {});
        throw error;
      }
    },
    left,
  };
}

/** Of this process's own clock, but for `now`. */
interface ReservedSlot {
  readonly now: Micros;
  readonly answeredAtMs: number;
  readonly beginsAtMs: number;
  /** `movedMs` when it was asked for. */
  readonly movedBeforeMs: number;
}

/** A pace for work that has turns of its own, too: it waits for one of them, and then for a slot. */
export function inTurns(whole: Pace, takeTurn: () => Promise<number>): Pace {
  return {
    async take(signal) {
      await sleep(await orAborted(takeTurn(), signal), signal);
      return whole.take(signal, true);
    },
    left: whole.left,
  };
}

/** A budget that nobody shares, on this machine's clock. */
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
 * The budget's clock on this process's: the answer that took least time tells it best. It was given half way between
 * question and answer, if both ways are of one length.
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
    /** The shortest way there and back of late; null before the first answer. */
    tripMs: () => (answers.length === 0 ? null : best().tripMs),
    toLocal: (at: Micros) => at / MICROS_PER_MS - best().aheadMs,
  };
}

const clamp = (value: number, min: number, max: number) => Math.min(Math.max(value, min), max);
