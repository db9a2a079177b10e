/**
 * Converts the portal's wall time to instants. Flowlu writes date-times without a zone, in the portal's own.
 *
 * Once a year a zone repeats an hour: two instants share each of its wall times, so the order of two such times is
 * unknown. A repeated time resolves to its first occurrence and has the beginning of the repeated hour as its `order`,
 * so that all times of that hour compare as equal.
 */
import { Temporal } from 'temporal-polyfill';
import { MAX_SCALAR_LENGTH } from '../core/json.ts';
import { MICROS_PER_MS, type Micros } from '../core/time.ts';

export interface WallInstant {
  /** The instant; for a repeated wall time, the first. */
  readonly at: Micros;
  /** What to compare by: `at`, or the beginning of the repeated hour. */
  readonly order: Micros;
}

export type Zone = ReturnType<typeof createZone>;

const WALL =
  /^\s*(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6})\d*)?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?)?\s*$/i;
const HOUR_MS = 3_600_000;
/** Hours of wall time kept per zone: about eleven years. */
const MAX_CACHED_HOURS = 100_000;

/** Makes a resolver for an IANA zone. @throws RangeError if the zone is unknown */
export function createZone(name: string) {
  Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name);
  const isUtc = /^(Etc\/)?(UTC|GMT|Zulu|Universal)$/i.test(name);
  /** Wall hour → offset, or null if the zone's offset changes in or near that hour. */
  const offsets = new Map<number, number | null>();

  function steadyOffset(hour: number): number | null {
    const known = offsets.get(hour);
    if (known !== undefined) return known;
    if (offsets.size >= MAX_CACHED_HOURS) offsets.clear();
    const first = offsetMsAt(hour * HOUR_MS - 36 * HOUR_MS, name);
    const last = offsetMsAt(hour * HOUR_MS + 36 * HOUR_MS, name);
    const offset = first === last ? first : null;
    offsets.set(hour, offset);
    return offset;
  }

  function resolveWallMs(wallMs: number): { atMs: number; orderMs: number } {
    if (isUtc) return { atMs: wallMs, orderMs: wallMs };
    const offset = steadyOffset(Math.floor(wallMs / HOUR_MS));
    if (offset !== null) return { atMs: wallMs - offset, orderMs: wallMs - offset };
    return resolveNearSwitch(wallMs, name);
  }

  return {
    name,
    /** Resolves `YYYY-MM-DD HH:mm:ss` (also with `T`, fractions or an offset, or only a date); null for anything else. */
    resolve(wall: string): WallInstant | null {
      const parsed = parseWall(wall);
      if (parsed === null) return null;
      if (parsed.offsetMs !== null) {
        const at = (parsed.wallMs - parsed.offsetMs) * MICROS_PER_MS + parsed.micros;
        return { at, order: at };
      }
      const { atMs, orderMs } = resolveWallMs(parsed.wallMs);
      const at = atMs * MICROS_PER_MS + parsed.micros;
      return { at, order: atMs === orderMs ? at : orderMs * MICROS_PER_MS };
    },
    /** The comparison key of an instant that `resolve` returned. */
    orderOf(at: Micros): Micros {
      const atMs = Math.floor(at / MICROS_PER_MS);
      const offset = isUtc ? 0 : (steadyOffset(Math.floor(atMs / HOUR_MS)) ?? offsetMsAt(atMs, name));
      const resolved = resolveWallMs(atMs + offset);
      return resolved.atMs === atMs && resolved.orderMs !== atMs ? resolved.orderMs * MICROS_PER_MS : at;
    },
  };
}

/** Resolves a wall time within a day or so of a change of offset by the zone's rules. */
function resolveNearSwitch(wallMs: number, zone: string): { atMs: number; orderMs: number } {
  const wall = Temporal.Instant.fromEpochMilliseconds(wallMs).toZonedDateTimeISO('UTC').toPlainDateTime();
  const earlier = wall.toZonedDateTime(zone, { disambiguation: 'earlier' });
  const later = wall.toZonedDateTime(zone, { disambiguation: 'later' });
  if (earlier.epochMilliseconds === later.epochMilliseconds) {
    return { atMs: earlier.epochMilliseconds, orderMs: earlier.epochMilliseconds };
  }
  if (!earlier.toPlainDateTime().equals(wall)) {
    // A wall time that the change in spring skips: use the offset from before it.
    return { atMs: later.epochMilliseconds, orderMs: later.epochMilliseconds };
  }
  const repeatedMs = later.epochMilliseconds - earlier.epochMilliseconds;
  const switchAt = earlier.getTimeZoneTransition('next');
  const orderMs = (switchAt?.epochMilliseconds ?? later.epochMilliseconds) - repeatedMs;
  return { atMs: earlier.epochMilliseconds, orderMs };
}

function offsetMsAt(atMs: number, zone: string): number {
  return Temporal.Instant.fromEpochMilliseconds(atMs).toZonedDateTimeISO(zone).offsetNanoseconds / 1_000_000;
}

interface ParsedWall {
  readonly wallMs: number;
  /** Microseconds below the millisecond. */
  readonly micros: number;
  /** The offset written in the text, or null. */
  readonly offsetMs: number | null;
}

function parseWall(text: string): ParsedWall | null {
  // Without the limit, some texts would take the regular expression time that grows with the square of their length.
  return parsePlainWall(text) ?? (text.length <= MAX_SCALAR_LENGTH ? parseAnyWall(text) : null);
}

/** Reads the usual forms, `YYYY-MM-DD` and `YYYY-MM-DD HH:mm:ss`, in a third of the time. */
function parsePlainWall(text: string): ParsedWall | null {
  const hasTime = text.length === 19;
  if ((!hasTime && text.length !== 10) || text[4] !== '-' || text[7] !== '-') return null;
  if (hasTime && (text[10] !== ' ' || text[13] !== ':' || text[16] !== ':')) return null;
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2);
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  const [hour, minute, second] = hasTime ? [twoDigits(text, 11), twoDigits(text, 14), twoDigits(text, 17)] : [0, 0, 0];
  // `Date.UTC` takes years below 100 for 1900 and later; the other parser reads them.
  const isPlain = year >= 100 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
  if (!isPlain || !(hour <= 23 && minute <= 59 && second <= 59)) return null;
  const wallMs = Date.UTC(year, month - 1, day, hour, minute, second);
  if (day > 28 && new Date(wallMs).getUTCDate() !== day) return null;
  return { wallMs, micros: 0, offsetMs: null };
}

/** The number of two digits; if they are not digits, NaN, for which every comparison is false. */
function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - 48;
  const ones = text.charCodeAt(at + 1) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}

function parseAnyWall(text: string): ParsedWall | null {
  const match = WALL.exec(text);
  if (match === null) return null;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', offset] = match;
  const wall = new Date(0);
  wall.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  if (wall.getUTCMonth() !== Number(month) - 1 || wall.getUTCDate() !== Number(day) || year === '0000') return null;
  // PHP writes neither 24:00:00 nor leap seconds; reject them rather than guess.
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return null;
  const micros = Number(fraction.padEnd(6, '0'));
  const wallMs =
    wall.getTime() +
    Number(hour) * HOUR_MS +
    Number(minute) * 60_000 +
    Number(second) * 1_000 +
    Math.floor(micros / 1_000);
  return { wallMs, micros: micros % 1_000, offsetMs: offset === undefined ? null : parseOffset(offset) };
}

function parseOffset(offset: string): number {
  if (/^z$/i.test(offset)) return 0;
  const digits = offset.slice(1).replace(':', '').padEnd(4, '0');
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2));
  return (offset.startsWith('-') ? -minutes : minutes) * 60_000;
}
