/** Moments as whole microseconds since the Unix epoch: exact in a double until the year 2255. */

/** Microseconds since 1970-01-01T00:00:00Z. */
export type Micros = number;

export const MICROS_PER_MS = 1_000;
export const MICROS_PER_SECOND = 1_000_000;
export const MICROS_PER_DAY = 86_400 * MICROS_PER_SECOND;

/**
 * Writes a moment as ISO 8601 in UTC with six decimals, as PostgreSQL reads it: beyond the years 1 to 9999, where the
 * first and the last local moments of some zones lie, with five digits or with BC.
 */
export function formatMicros(at: Micros): string {
  const ms = Math.floor(at / MICROS_PER_MS);
  const rest = at - ms * MICROS_PER_MS;
  const date = new Date(ms);
  const iso = date.toISOString();
  const text = `${iso.slice(0, -1)}${rest === 0 ? '000' : String(rest).padStart(3, '0')}Z`;
  // Years of four digits are written as such; all others, and the year 0, otherwise than PostgreSQL reads them.
  if (iso.length === ISO_LENGTH && !iso.startsWith('0000')) return text;
  const year = date.getUTCFullYear();
  const afterYear = text.slice(text.indexOf('-', 1));
  return year > 9_999 ? `${year}${afterYear}` : `${String(1 - year).padStart(4, '0')}${afterYear} BC`;
}

const ISO_LENGTH = '2026-01-01T00:00:00.000Z'.length;
