/** Whether the configured time zone can be the portal's: changes neither lie ahead nor all a while back. */

import { MICROS_PER_MS } from '../core/time.ts';
import type { Zone } from '../record/zone.ts';
import { span } from '../status/words.ts';
import type { WebhookDelay } from '../store/mirror-rows/reads.ts';
import { type Check, fail, ok, warn } from './check.ts';

/** Clocks may differ by so much. */
const AHEAD_MAX_MS = 5 * 60_000;
/** Webhooks arrive within seconds or minutes; zones differ by half an hour and more. */
const DELAY_MAX_S = 25 * 60;
const DELAYS_NEEDED = 10;

const NAME = 'time zone';

/** The zone against the one that the mirror is read by; null where they agree, or the mirror has been told none. */
export function checkStoredZone(zone: string, stored: string | undefined): Check | null {
  if (stored === undefined || stored === zone) return null;
  return fail(
    NAME,
    `FLOWLU_TIMEZONE says ${zone}, the mirror was filled with ${stored}`,
    `set FLOWLU_TIMEZONE=${stored}; or, where that was wrong, run with the right one: flowlu-mirror rebuild`,
  );
}

/**
 * Judges the zone.
 * @param versions the portal's times of change, as texts
 * @param delay how late webhooks have come after their changes, or null where none is known
 */
export function checkZone(zone: Zone, versions: readonly string[], delay: WebhookDelay | null, nowMs: number): Check {
  const moments = versions.flatMap((text) => zone.resolve(text)?.at ?? []);
  const advice = "set FLOWLU_TIMEZONE to the zone of the portal's settings, then run: flowlu-mirror rebuild";
  if (moments.length === 0) return warn(NAME, `${zone.name}; no change is there to judge it by`, advice);
  const age_ms = nowMs - Math.max(...moments) / MICROS_PER_MS;
  if (age_ms < -AHEAD_MAX_MS) {
    return fail(NAME, `${zone.name} cannot be: the newest change would lie ${span(-age_ms / 1_000)} ahead`, advice);
  }
  if (delay !== null && delay.rows >= DELAYS_NEEDED && (delay.median_s ?? 0) > DELAY_MAX_S) {
    const late = span(delay.median_s ?? 0);
    return warn(NAME, `${zone.name} is doubtful: webhooks seem to come ${late} after the change`, advice);
  }
  return ok(NAME, `${zone.name} is plausible: the newest change is ${span(age_ms / 1_000)} old`);
}
