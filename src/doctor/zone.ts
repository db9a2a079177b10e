/** Whether the configured time zone can be the portal's: by a change of just now, or by webhooks. */
import { MICROS_PER_MS } from '../core/time.ts';
import type { WebhookDelay } from '../mirror-rows/reads.ts';
import type { Zone } from '../record/zone.ts';
import { otherZone } from '../service/settings-in-force.ts';
import { span } from '../status/words.ts';
import { type Check, fail, ok, warn } from './check.ts';

const AHEAD_MAX_MS = 5 * 60_000;
/** A change seems older in a wrong zone: by half an hour and more. */
const RECENT_MS = 20 * 60_000;
/** Webhooks arrive within seconds or minutes. */
const DELAY_MAX_S = 25 * 60;
const DELAYS_NEEDED = 10;

const NAME = 'time zone';

/** The zone against the one that the mirror is read by; null where they agree, or the mirror has been told none. */
export function checkStoredZone(zone: string, stored: string | undefined): Check | null {
  const other = otherZone(zone, stored);
  return other === null ? null : fail(NAME, other.found, other.advice);
}

/**
 * Judges the zone.
 * @param changes the portal's times of change, as texts, of the models named
 * @param delay how late webhooks have come after their changes, or null where none is known
 */
export function checkZone(
  zone: Zone,
  changes: { readonly models: readonly string[]; readonly versions: readonly string[] },
  delay: WebhookDelay | null,
  nowMs: number,
): Check {
  const moments = changes.versions.flatMap((text) => zone.resolve(text)?.at ?? []);
  const advice = "set FLOWLU_TIMEZONE to the zone of the portal's settings, then run: flowlu-mirror rebuild";
  const age_ms = nowMs - Math.max(...moments) / MICROS_PER_MS;
  if (age_ms < -AHEAD_MAX_MS) {
    return fail(NAME, `${zone.name} cannot be: the newest change would lie ${span(-age_ms / 1_000)} ahead`, advice);
  }
  const late_s = delay !== null && delay.rows >= DELAYS_NEEDED ? delay.median_s : null;
  if (late_s !== null && late_s > DELAY_MAX_S) {
    const late = span(late_s);
    return warn(NAME, `${zone.name} is doubtful: webhooks seem to come ${late} after the change`, advice);
  }
  if (late_s !== null && late_s > -DELAY_MAX_S) {
    return ok(NAME, `${zone.name} is plausible: webhooks come soon after the change`);
  }
  const newest = moments.length === 0 ? 'no change is there' : `the newest change is ${span(age_ms / 1_000)} old`;
  if (age_ms <= RECENT_MS) return ok(NAME, `${zone.name} is plausible: ${newest}`);
  const proof = `change a record of ${changes.models.join(' or ')} in Flowlu, then run: flowlu-mirror doctor`;
  return warn(NAME, `${zone.name}, not checked: ${newest}, and only one of just now tells the zone`, proof);
}
