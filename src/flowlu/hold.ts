/** Pauses all requests, because a portal or firewall that asks for a pause means the whole account. */
import { sleep } from '../core/time.ts';

/** The first wait after a firewall's answer, in base waits; it doubles with each further one. */
const FIREWALL_WAITS = 5;
const MAX_DOUBLINGS = 4;

export type Hold = ReturnType<typeof createHold>;

export function createHold(baseMs = 1_000, maxMs = 60_000) {
  let untilMs = 0;
  let blocks = 0;
  const extend = (ms: number) => {
    untilMs = Math.max(untilMs, performance.now() + Math.min(ms, maxMs));
  };
  return {
    wait: (signal: AbortSignal) => sleep(untilMs - performance.now(), signal),
    /** The portal named a time in ms. */
    askedFor: extend,
    /** A firewall answered a request sent at this time. Some block for longer if requests continue. */
    blocked(sentMs: number) {
      // Requests in progress at the same time count once.
      if (sentMs < untilMs) return;
      extend(FIREWALL_WAITS * baseMs * 2 ** Math.min(blocks, MAX_DOUBLINGS));
      blocks += 1;
    },
    answered() {
      blocks = 0;
    },
  };
}
