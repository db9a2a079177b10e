/** Moments as whole microseconds since the Unix epoch: exact in a double until the year 2255. */

/** Microseconds since 1970-01-01T00:00:00Z. */
export type Micros = number;

export const MICROS_PER_MS = 1_000;
export const MICROS_PER_SECOND = 1_000_000;
export const MICROS_PER_DAY = 86_400 * MICROS_PER_SECOND;

/** Writes a moment as ISO 8601 in UTC with six decimals, as PostgreSQL reads it. */
export function formatMicros(at: Micros): string {
  const ms = Math.floor(at / MICROS_PER_MS);
  const rest = at - ms * MICROS_PER_MS;
  return `${new Date(ms).toISOString().slice(0, -1)}${String(rest).padStart(3, '0')}Z`;
}
